//! Secrets that are recognised by what stands around them: JWT, PEM, URL userinfo, HTTP authentication, cookies.

use crate::decode;
use crate::placeholder::PLACEHOLDER_HEAD;
use crate::random::{is_random, shape, wordlike};
use crate::sample::cut_short;
use crate::scan::USERINFO_BACK_BYTES;
use crate::text::{Text, begins_word};
use crate::value::{Setting, is_secret};

/// A span in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub start: usize,
    pub end: usize,
}

/// No part is longer: the horizon of the text ends it before.
const PART_BYTES_MAX: usize = 512;

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// A JSON web token: the header decodes to an object that names an algorithm.
pub(crate) fn jwt(text: &Text<'_>, start: usize) -> Option<Range> {
    if !begins_word(text.bytes, start) {
        return None;
    }
    let header = text.run_end(start, PART_BYTES_MAX, |b| is_base64url(b) || b == b'=');
    if header - start < 12 || text.at(header) != Some(b'.') || text.is_open(header + 9) {
        return None;
    }
    let decoded = decode::base64(text.slice(start, header))?;
    let names = [&b"\"alg\""[..], b"\"typ\"", b"\"kid\"", b"\"enc\"", b"\"cty\""];
    if !decoded.starts_with(b"{") || !names.iter().any(|name| crate::value::contains(&decoded, name)) {
        return None;
    }
    let rest = text.run_end(header + 1, PART_BYTES_MAX, |b| is_base64url(b) || b".=/+".contains(&b));
    let mut end = rest;
    while !text.is_open(end) && end > header && text.bytes[end - 1] == b'.' {
        end -= 1;
    }
    (end - header > 8).then_some(Range { start, end })
}

/// Where a private key's text begins, given the place of `-----BEGIN`: past the marker line.
pub(crate) fn pem_head(text: &Text<'_>, start: usize) -> Option<usize> {
    let label =
        text.run_end(start, 80, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'-');
    let line = text.slice(start, label);
    if !crate::value::contains(line, b"PRIVATE KEY") || !line.ends_with(b"----") {
        return None;
    }
    // A marker without key material after it is a mention of the format.
    let body = pem_gap(text, label);
    let first = text.run_end(body, 64, is_pem_byte);
    let name = text.run_end(body, 24, |b| b.is_ascii_alphabetic() || b == b'-');
    let headed = text.at(name) == Some(b':') && name - body >= 4;
    (first - body >= 16 || headed || text.breaks_off(first)).then_some(label)
}

fn is_pem_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// Skips what may stand between two lines of a key in any escaping: line ends, quotes, concatenation.
fn pem_gap(text: &Text<'_>, from: usize) -> usize {
    let mut at = from;
    while at - from < 48 {
        match text.at(at) {
            Some(b'\\') => {
                at += 1;
                while text.at(at) == Some(b'\\') && at - from < 48 {
                    at += 1;
                }
                if text.at(at).is_some_and(|b| b"nrt".contains(&b)) {
                    at += 1;
                } else if text.stands(at, b"u00") && text.at(at + 4).is_some() {
                    at += 5;
                }
            }
            Some(b) if b.is_ascii_whitespace() || b"\"'`,|>#*".contains(&b) => at += 1,
            Some(b'+') if text.at(at + 1).is_some_and(|b| b.is_ascii_whitespace()) => at += 1,
            Some(b'%') if text.at(at + 2).is_some_and(|b| b.is_ascii_hexdigit()) => at += 3,
            _ => break,
        }
    }
    at
}

/// Walks over key material from `at`: the end of what belongs to the key, and whether the key goes on past what
/// could be seen.
pub(crate) fn pem_body(text: &Text<'_>, from: usize) -> (usize, bool) {
    let mut end = from;
    loop {
        text.take_peeked();
        let line = pem_gap(text, end);
        if text.stands(line, b"-----END") || text.stands(line, b"---- END") {
            let close = text.run_end(line, 80, |b| {
                b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'-'
            });
            return if text.take_peeked() { (end, true) } else { (close, false) };
        }
        if text.take_peeked() {
            return (end, true);
        }
        let stop = text.run_end(line, 64, is_pem_byte);
        if text.take_peeked() && stop - line < 64 {
            return (end, true);
        }
        // More of a line that is longer than one look.
        let joined = line == end && end > 0 && is_pem_byte(text.bytes[end - 1]);
        if stop - line >= 16 || (joined && stop > line) {
            end = stop;
            continue;
        }
        if text.at(stop).is_some_and(|b| b == b':' || b == b'-') && stop - line >= 4 {
            // `Proc-Type: 4,ENCRYPTED`, `DEK-Info: …`, `Comment: …`
            let header = text.run_end(stop, 128, |b| b != b'\n' && b != b'\\' && b != b'"');
            if text.take_peeked() {
                return (end, true);
            }
            // What was redacted is no header.
            let redacted = crate::value::contains(text.slice(stop, header), PLACEHOLDER_HEAD);
            if redacted {
                return (end, false);
            }
            if crate::value::contains(text.slice(stop, header), b":") {
                end = header;
                continue;
            }
        }
        // A short last line, before the end marker or a closing quote.
        return (if stop > line { stop } else { end }, false);
    }
}

/// A password, or a token alone, of which no end is seen.
fn long_userinfo(text: &Text<'_>, from: usize, stop: usize) -> Option<Range> {
    let info = text.slice(from, stop);
    let colon = info.iter().take(USER_BYTES_MAX).position(|b| *b == b':');
    let start = from + colon.map_or(0, |at| at + 1);
    is_random(text.slice(start, stop)).then_some(Range { start, end: stop })
}

/// Longest name of a user before a password of which no end is seen.
const USER_BYTES_MAX: usize = 64;

/// `scheme://user:password@host`: the span of what must not leave. `at` is the place of `://`.
pub(crate) fn userinfo(text: &Text<'_>, at: usize) -> Option<Range> {
    let mut scheme = at;
    while scheme > 0
        && at - scheme < USERINFO_BACK_BYTES
        && (text.bytes[scheme - 1].is_ascii_alphanumeric() || b"+-:".contains(&text.bytes[scheme - 1]))
    {
        scheme -= 1;
    }
    let from = at + 3;
    let stop =
        text.run_end(from, PART_BYTES_MAX, |b| !b.is_ascii_whitespace() && !b"/\"'`<>\\?#|^,)".contains(&b));
    let info = text.slice(from, stop);
    let Some(sign) = info.iter().rposition(|b| *b == b'@') else {
        return if text.is_open(stop) { long_userinfo(text, from, stop) } else { None };
    };
    let (info, host) = (&info[..sign], &info[sign + 1..]);
    if host.is_empty() || info.is_empty() {
        return None;
    }
    let database = {
        let name = text.slice(scheme, at).to_ascii_lowercase();
        let known = [
            &b"mongodb"[..],
            b"postgres",
            b"mysql",
            b"mariadb",
            b"redis",
            b"amqp",
            b"jdbc",
            b"mssql",
            b"sqlserver",
            b"oracle",
            b"cockroach",
            b"clickhouse",
            b"snowflake",
            b"nats",
            b"kafka",
            b"ldap",
            b"ftp",
            b"smtp",
            b"smb",
            b"redshift",
            b"solr",
        ];
        known.iter().any(|known| crate::value::contains(&name, known))
    };
    let Some(colon) = info.iter().position(|b| *b == b':') else {
        return (info.len() >= 16 && is_random(info))
            .then_some(Range { start: from, end: from + info.len() });
    };
    let password = &info[colon + 1..];
    if !is_url_password(password, &info[..colon]) {
        return None;
    }
    if database {
        let end =
            text.run_end(from, PART_BYTES_MAX, |b| !b.is_ascii_whitespace() && !b"\"'`<>\\".contains(&b));
        return Some(Range { start: scheme, end });
    }
    Some(Range { start: from, end: from + info.len() })
}

fn is_url_password(password: &[u8], user: &[u8]) -> bool {
    const PLAIN: &[&[u8]] = &[
        b"password",
        b"pass",
        b"passwd",
        b"pwd",
        b"secret",
        b"token",
        b"pw",
        b"user",
        b"root",
        b"postgres",
        b"guest",
        b"admin",
        b"test",
    ];
    let lower = password.to_ascii_lowercase();
    let has = |word: &[u8]| crate::value::contains(&lower, word);
    let words = password.iter().all(|b| b.is_ascii_alphabetic() || b"_-".contains(b));
    let standin = PLAIN.contains(&lower.as_slice())
        || PLAIN[..5].iter().any(|word| lower.ends_with(word) && lower.len() <= word.len() + 5)
        || (has(b"password") && words)
        || has(b"example")
        || lower.starts_with(b"your")
        || lower.starts_with(b"my");
    let template = password.iter().any(|b| b"${}<>[]()*".contains(b));
    let filler = lower.iter().all(|b| b"x.".contains(b));
    let short = password.len() < 5 || (password.len() < 6 && password.iter().all(u8::is_ascii_digit));
    !(standin || template || filler || short || password.eq_ignore_ascii_case(user))
}

/// `Bearer <token>`; `at` is past the word.
pub(crate) fn bearer(text: &Text<'_>, at: usize) -> Option<Range> {
    let start = scheme_gap(text, at)?;
    let end =
        text.run_end(start, PART_BYTES_MAX, |b| b.is_ascii_graphic() && !b"\"'`,;)<>\\{}[".contains(&b));
    let end = trim(text, start, end);
    let token = text.slice(start, end);
    let shape = shape(token);
    let setting = Setting { strong: true, quoted: false, plain: true, password: false };
    let mixed = shape.digits >= 2 && wordlike(token) * 2 < shape.len;
    let stub = !text.is_open(end) && cut_short(token);
    (token.len() >= 12 && mixed && is_secret(token, setting) && !stub).then_some(Range { start, end })
}

fn trim(text: &Text<'_>, start: usize, mut end: usize) -> usize {
    while !text.is_open(end) && end > start && b".:!".contains(&text.bytes[end - 1]) {
        end -= 1;
    }
    end
}

fn scheme_gap(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.stands(at, b"%20") {
        return Some(at + 3);
    }
    let mut start = at;
    while start - at < 4 && text.at(start).is_some_and(|b| b == b' ' || b == b'\t' || b == b':' || b == b'+')
    {
        start += 1;
    }
    (start > at).then_some(start)
}

/// The whole of a Google credentials file of a user, in any escaping, given the place of its brace: its parts, however
/// short, open something together.
pub(crate) fn google_credentials(text: &Text<'_>, start: usize) -> Option<Range> {
    let end = text.run_end(start, PART_BYTES_MAX, |b| b != b'}');
    let body = text.slice(start, end);
    let percent = body.windows(3).position(|three| three.eq_ignore_ascii_case(b"%7d")).map(|k| start + k + 3);
    let end = match percent {
        Some(end) => end,
        None if text.at(end) == Some(b'}') => end + 1,
        None => return None,
    };
    let has = |part: &[u8]| crate::value::contains(text.slice(start, end), part);
    (has(b"client_secret") && has(b"refresh_token") && has(b"authorized_user"))
        .then_some(Range { start, end })
}

/// `Basic <base64 of user:password>`; `at` is past the word.
pub(crate) fn basic(text: &Text<'_>, at: usize) -> Option<Range> {
    let start = scheme_gap(text, at)?;
    let end = text.run_end(start, PART_BYTES_MAX, |b| is_base64url(b) || b"+/=".contains(&b));
    if end - start < 8 {
        return None;
    }
    let decoded = decode::base64(text.slice(start, end))?;
    let printable = decoded.iter().all(|b| (0x20..0x7f).contains(b) || *b >= 0x80);
    let colon = decoded.iter().position(|b| *b == b':')?;
    (printable && decoded.len() > colon + 1).then_some(Range { start, end })
}

/// Attributes of a cookie and cookies that hold a preference.
const COOKIE_PLAIN: &[&str] = &[
    "path",
    "expires",
    "domain",
    "max-age",
    "samesite",
    "httponly",
    "secure",
    "priority",
    "lang",
    "language",
    "locale",
    "theme",
    "timezone",
    "tz",
    "currency",
    "version",
    "consent",
    "cookieconsent",
    "country",
    "region",
    "partitioned",
];

/// The values of a `Cookie` or `Set-Cookie` line; `at` is past the name. Returns where the last cookie looked at begins.
pub(crate) fn cookies(text: &Text<'_>, at: usize, mut take: impl FnMut(Range)) -> usize {
    let mut start = text.run_end(at, 12, |b| b" \t:=\"'\\,[".contains(&b));
    if !text.slice(at, start).iter().any(|b| b":=,".contains(b)) {
        return start;
    }
    while start - at < COOKIE_LINE_BYTES_MAX {
        text.look_from(start);
        let name = text.run_end(start, 64, |b| is_base64url(b) || b"._$[]%".contains(&b));
        if name == start || text.at(name) != Some(b'=') {
            return start;
        }
        let end =
            text.run_end(name + 1, PART_BYTES_MAX, |b| !b.is_ascii_whitespace() && !b";,\"'\\`".contains(&b));
        let (key, value) = (text.slice(start, name).to_ascii_lowercase(), text.slice(name + 1, end));
        let setting = Setting { strong: true, quoted: false, plain: true, password: false };
        if !COOKIE_PLAIN.iter().any(|plain| key == plain.as_bytes()) && is_secret(value, setting) {
            take(Range { start: name + 1, end });
        }
        let next = text.run_end(end, 4, |b| b"; ".contains(&b));
        if next == end {
            return start;
        }
        start = next;
    }
    start
}

/// How much of one line of cookies is looked at: what a stream keeps as left context must reach back to its head.
const COOKIE_LINE_BYTES_MAX: usize = 880;

/// `curl … -u user:password`; `at` is past `curl`.
pub(crate) fn curl_user(text: &Text<'_>, at: usize) -> Option<Range> {
    let mut line = text.run_end(at, PART_BYTES_MAX, |b| b != b'\n');
    // A line that goes on behind a backslash.
    while text.bytes.get(line.wrapping_sub(1)) == Some(&b'\\')
        && text.at(line) == Some(b'\n')
        && line - at < PART_BYTES_MAX
    {
        line = text.run_end(line + 1, PART_BYTES_MAX, |b| b != b'\n');
    }
    let mut from = at;
    while from + 3 < line {
        let here = text.slice(from, line);
        let flag = [&b" -u "[..], b" --user ", b" -u=", b" --user=", b" -u", b" -U ", b" --proxy-user "]
            .into_iter()
            .find(|flag| here.starts_with(flag));
        let Some(flag) = flag else {
            from += 1;
            continue;
        };
        let start = text.run_end(from + flag.len(), 3, |b| b"\"'\\ ".contains(&b));
        let end =
            text.run_end(start, PART_BYTES_MAX, |b| !b.is_ascii_whitespace() && !b"\"'\\`".contains(&b));
        let pair = text.slice(start, end);
        if let Some(colon) = pair.iter().position(|b| *b == b':') {
            let (user, password) = (&pair[..colon], &pair[colon + 1..]);
            let secret = if password.is_empty() {
                user.len() >= 12 && is_random(user)
            } else {
                is_url_password(password, user)
            };
            if secret && !user.contains(&b'$') && !password.contains(&b'$') {
                return Some(Range { start, end });
            }
        }
        from += flag.len();
    }
    None
}

/// `login("user", "password")`, `SqlCredential("user", "password")`; `at` is past the name, and past the bracket or
/// not. The password is the second of two literals that stand side by side, or the second or third of three, where only
/// an address is told from one; other arguments may stand before them.
pub(crate) fn credential_call(text: &Text<'_>, at: usize) -> Vec<Range> {
    let mut from = blanks_end(text, at);
    if text.at(from) == Some(b'(') {
        from += 1;
    } else if !text.bytes[..at].ends_with(b"(") {
        return Vec::new();
    }
    // The literals side by side: a user and a password, or a host before them.
    let mut row: Vec<Range> = Vec::new();
    for _ in 0..ARGUMENTS_MAX {
        let Some(argument) = argument(text, blanks_end(text, from)) else { break };
        if argument.literal {
            row.push(argument.range);
        } else if row.len() >= 2 {
            break;
        } else {
            row.clear();
        }
        let comma = blanks_end(text, argument.end);
        if row.len() == 3 || text.at(comma) != Some(b',') {
            break;
        }
        from = comma + 1;
    }
    let is_password = |(first, pair): &(usize, &[Range])| {
        let [user, value] = [&pair[0], &pair[1]].map(|range| text.slice(range.start, range.end));
        let setting = Setting { strong: true, quoted: true, plain: false, password: true };
        let address = first + 2 < row.len() && value.contains(&b'@');
        !address && value.len() >= 6 && is_secret(value, setting) && is_url_password(value, user)
    };
    row.windows(2).enumerate().filter(is_password).map(|(_, pair)| pair[1]).collect()
}

fn blanks_end(text: &Text<'_>, from: usize) -> usize {
    text.run_end(from, BLANKS_MAX, |b| b.is_ascii_whitespace())
}

/// An argument of a call: a literal, of which the range is what its quotes hold, or a name.
struct Argument {
    range: Range,
    end: usize,
    literal: bool,
}

fn argument(text: &Text<'_>, from: usize) -> Option<Argument> {
    let escapes = |from| text.run_end(from, 4, |b| b == b'\\');
    let mut quote = escapes(from);
    if quote == from && text.at(from + 1).is_some_and(|b| b"\"'".contains(&b)) {
        // `@"…"`, `b'…'`.
        quote += usize::from(text.at(from).is_some_and(|b| b"@bru".contains(&b)));
    }
    let Some(sign) = text.at(quote).filter(|b| b"\"'".contains(b)) else {
        let end = text.run_end(from, ARGUMENT_BYTES_MAX, |b| !b"\"',;(){}\n".contains(&b));
        return Some(Argument { range: Range { start: from, end }, end, literal: false });
    };
    let start = quote + 1;
    let mut end = start;
    let mut close = start;
    while close - start < ARGUMENT_BYTES_MAX && !matches!(text.at(close), None | Some(b'\n')) {
        // A backslash that escapes no quote is a part of the literal.
        end = text.run_end(close, ARGUMENT_BYTES_MAX, |b| b != sign && b != b'\\' && b != b'\n');
        close = escapes(end);
        if text.at(close) == Some(sign) {
            break;
        }
        close = close.max(end + 1);
    }
    let closed = text.at(close) == Some(sign);
    closed.then_some(Argument { range: Range { start, end }, end: close + 1, literal: true })
}

/// How much of a call is read.
const ARGUMENTS_MAX: usize = 5;
const ARGUMENT_BYTES_MAX: usize = 72;
const BLANKS_MAX: usize = 24;
