//! Assignments: a name that says what it holds, an operator, a value. Quotes may be escaped to any depth.

use crate::names::{HARMLESS, QUALIFIERS, TAILS};
use crate::operator::{Place, operator};
use crate::passing::is_in_passing;
use crate::program::holds;
use crate::rules::Builtin;
use crate::sample::{cut_short, is_odd_hex, says_wrong};
use crate::text::{Text, behind_escape};
use crate::value::{Setting, VALUE_BYTES_MIN, is_hard, is_secret, may_be_secret};

/// How far left and right of the keyword its name reaches.
const NAME_BYTES_MAX: usize = 64;
/// How far the value may stand from its name: a type annotation, a few spaces, quotes.
pub(crate) const GAP_BYTES_MAX: usize = 40;
/// What is passed over right before it.
pub(crate) const GAP_SIGNS: &[u8] = b"= \t([";

/// What an assignment was found to be.
pub(crate) struct Found {
    pub start: usize,
    pub end: usize,
    /// Whether the value goes on beyond what was looked at.
    pub open: bool,
    pub strong: bool,
}

/// The answer for one keyword.
pub(crate) enum Outcome {
    Nothing,
    Found(Found),
}

/// A name, and the keyword in it.
pub(crate) struct Name<'a> {
    pub start: usize,
    pub end: usize,
    pub before: &'a [u8],
    pub keyword: &'a [u8],
    tail: &'a [u8],
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

pub(crate) fn name<'a>(text: &Text<'a>, at: usize, end: usize) -> Name<'a> {
    // An anchor may hold what stands behind a short word.
    let end = at + text.slice(at, end).iter().take_while(|b| !b"=:\"' ,".contains(b)).count();
    let mut start = at;
    while start > 0
        && at - start < NAME_BYTES_MAX
        && (is_name_byte(text.bytes[start - 1]) || text.bytes[start - 1] == b'.')
    {
        start -= 1;
    }
    start = behind_escape(text.bytes, start, at);
    let mut stop = text.run_end(end, NAME_BYTES_MAX, is_name_byte);
    // `-` before the operator of `key->field` or the dash of a separator is no part of the name.
    while stop > end && text.bytes[stop - 1] == b'-' {
        stop -= 1;
    }
    Name {
        start,
        end: stop,
        before: text.slice(start, at),
        keyword: text.slice(at, end),
        tail: text.slice(end, stop),
    }
}

impl Name<'_> {
    /// Whether the name goes on behind its keyword.
    pub fn has_tail(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The word left of the keyword: `api` of `my_api_key`, `myApiKey`, `MYAPIKEY` (then the longest qualifier).
    fn word_before(&self) -> Vec<u8> {
        let trimmed = trim_end(self.before, b"_-.");
        let mut from = trimmed.len();
        while from > 0 {
            let byte = trimmed[from - 1];
            if !byte.is_ascii_alphanumeric() {
                break;
            }
            from -= 1;
            let camel = byte.is_ascii_uppercase() && from > 0 && trimmed[from - 1].is_ascii_lowercase();
            if camel {
                break;
            }
        }
        trimmed[from..].to_ascii_lowercase()
    }

    /// Whether the keyword begins a word of its own.
    fn separated(&self) -> bool {
        match (self.before.last(), self.keyword.first()) {
            (None, _) => true,
            (Some(before), Some(first)) => {
                !before.is_ascii_alphabetic() || (before.is_ascii_lowercase() && first.is_ascii_uppercase())
            }
            _ => true,
        }
    }

    fn tail_is_harmless(&self) -> bool {
        let tail = self.tail;
        let Some(first) = tail.first() else { return false };
        let upper_keyword = self.keyword.iter().all(u8::is_ascii_uppercase);
        if first.is_ascii_lowercase() || (first.is_ascii_uppercase() && upper_keyword) {
            // `keyboard`, `tokens`, `SECRETS`: a longer word. `passwordHash`, `secretkey` begin anew.
            let rest = tail.to_ascii_lowercase();
            // `credentials`, `secrets`; not `tokens` and `keys`, which are counted rather than kept.
            if rest == b"s" && self.keyword.len() >= 6 {
                return false;
            }
            return ![
                &b"key"[..],
                b"token",
                b"access",
                b"base64",
                b"value",
                b"string",
                b"prod",
                b"live",
                b"test",
                b"dev",
                b"phrase",
            ]
            .iter()
            .any(|word| rest.starts_with(word));
        }
        let lower = tail.to_ascii_lowercase();
        let last = lower.rsplit(|b| b"_-.".contains(b)).find(|part| !part.is_empty()).unwrap_or_default();
        let first_word: Vec<u8> = camel_first(trim_start(tail, b"_-."));
        is_among(TAILS, last) || is_among(TAILS, &first_word)
    }
}

/// Whether the list has this word. Its length and its first letter tell most apart.
fn is_among(words: &[&str], word: &[u8]) -> bool {
    let alike = |known: &&&str| known.len() == word.len() && known.as_bytes().first() == word.first();
    words.iter().filter(alike).any(|known| known.as_bytes() == word)
}

fn camel_first(tail: &[u8]) -> Vec<u8> {
    let end = tail
        .iter()
        .enumerate()
        .skip(1)
        .find(|(at, b)| {
            !b.is_ascii_alphanumeric() || (b.is_ascii_uppercase() && tail[at - 1].is_ascii_lowercase())
        })
        .map_or(tail.len(), |(at, _)| at);
    tail[..end].to_ascii_lowercase()
}

pub(crate) fn trim_end<'a>(mut bytes: &'a [u8], set: &[u8]) -> &'a [u8] {
    while let Some((last, rest)) = bytes.split_last() {
        if !set.contains(last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

fn trim_start<'a>(mut bytes: &'a [u8], set: &[u8]) -> &'a [u8] {
    while let Some((first, rest)) = bytes.split_first() {
        if !set.contains(first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// How strong the name is: `None` where it holds no secret at all.
fn strength(text: &Text<'_>, name: &Name<'_>, kind: Builtin) -> Option<bool> {
    // `AWS::KMS::Key` is the path of a type.
    if name.tail_is_harmless() || text.slice(name.start.saturating_sub(2), name.start) == b"::" {
        return None;
    }
    let before = name.word_before();
    // Each list is long: asked only where it counts.
    let qualified = || is_among(QUALIFIERS, &before);
    let glued = !name.separated() && QUALIFIERS.iter().any(|word| before.ends_with(word.as_bytes()));
    let harmless = || is_among(HARMLESS, &before);
    match kind {
        Builtin::Password | Builtin::Secret => (name.separated() || name.keyword.len() > 4 || glued)
            .then(|| kind == Builtin::Password || !harmless()),
        _ if !name.separated() && !glued => None,
        _ => (!harmless()).then(|| glued || qualified()),
    }
}

/// `GITEATOKEN`, `hunterkey`: a keyword at the end of a longer word counts where its value is surely drawn.
fn glued(text: &Text<'_>, name: &Name<'_>, kind: Builtin, value: &[u8]) -> bool {
    let before = name.word_before();
    matches!(kind, Builtin::Key | Builtin::Token)
        && !name.separated()
        && name.tail.is_empty()
        && before.len() >= 2
        && !HARMLESS.iter().any(|word| before.ends_with(word.as_bytes()) && word.len() >= 3)
        && text.slice(name.start.saturating_sub(2), name.start) != b"::"
        && value.len() >= GLUED_BYTES_MIN
        && crate::random::is_random(value)
}

/// Shortest value for which a keyword at the end of a word is enough.
const GLUED_BYTES_MIN: usize = 20;

/// Looks at the assignment whose name holds the keyword `at..end`. Also says from where on the answer is undecided
/// if the text ended too early: a value that has not begun yet can only begin after what is there.
pub(crate) fn find(text: &Text<'_>, at: usize, end: usize, kind: Builtin) -> (Outcome, usize) {
    text.look_everywhere();
    let name = name(text, at, end);
    if is_in_passing(text, &name, kind) {
        debug_assert!(
            matches!(asked(text, &name, kind).0, Outcome::Nothing),
            "a value behind a name in passing"
        );
        return (Outcome::Nothing, text.len());
    }
    asked(text, &name, kind)
}

/// What the grammar says of it.
#[inline(never)]
pub(crate) fn asked(text: &Text<'_>, name: &Name<'_>, kind: Builtin) -> (Outcome, usize) {
    // Most keywords are followed by no operator: that is the cheaper question.
    let Some(place) = operator(text, name) else {
        return if kind == Builtin::Password { said(text, name) } else { prose(text, name) };
    };
    let mut from = place.at;
    if text.starts_with_any_case(from, "<value>") {
        from += 7;
    }
    if place.element {
        // `<token>` with its value on a line of its own.
        from = text.run_end(from, place.at + GAP_BYTES_MAX - from, |b| b.is_ascii_whitespace());
    }
    let value = value(text, from, &place);
    (judge(text, name, &place, &value, kind), value.start)
}

/// `the key aB3xK9mQ2w7Z`: no operator, but a token that nobody would take for a word. Longer ones are found as runs.
fn prose(text: &Text<'_>, name: &Name<'_>) -> (Outcome, usize) {
    if !name.tail.is_empty() || text.at(name.end) != Some(b' ') {
        return (Outcome::Nothing, text.len());
    }
    let start = name.end + 1;
    let (_, mut end, open) = until(text, start, |b| !(b.is_ascii_alphanumeric() || PROSE_SIGNS.contains(&b)));
    while end > start && b".:".contains(&text.bytes[end - 1]) {
        end -= 1;
    }
    let bytes = text.slice(start, end);
    let shape = crate::random::shape(bytes);
    let of_three = shape.digits.min(shape.lowers).min(shape.uppers) >= 2 && shape.distinct >= 10;
    let of_two = shape.others == 0 && shape.digits >= 4 && shape.distinct >= 8;
    let drawn = bytes.len() >= PROSE_BYTES_MIN
        && shape.breaks * 100 >= shape.len * 30
        && (of_three || of_two)
        && crate::random::is_random(bytes)
        && !crate::random::is_sample(bytes);
    if open || !drawn || name_says_no(text, name) {
        return (Outcome::Nothing, start);
    }
    (Outcome::Found(Found { start, end, open, strong: false }), start)
}

/// `password Xk9#mP2q`, `the password of the server is Xk9#mP2q`: no operator, but nothing that one would say.
fn said(text: &Text<'_>, name: &Name<'_>) -> (Outcome, usize) {
    if !name.tail.is_empty() || !name.separated() {
        return (Outcome::Nothing, text.len());
    }
    let mut at = name.end;
    // All words together are seen as far as one: a stream holds back no more.
    text.look_from(at);
    for word in 0..=SAID_WORDS_MAX {
        if text.at(at) != Some(b' ') {
            break;
        }
        let (start, end, open) =
            ahead(text, at + 1, |b| b.is_ascii_whitespace() || b"\"'`,;)<>".contains(&b));
        let bytes = trim_end(text.slice(start, end), b".?\\");
        // `IDENTIFIED BY …`
        let whole = word == 0 || (word == 1 && text.slice(name.end, start).eq_ignore_ascii_case(b" by "));
        let half = secret_half(bytes);
        if (whole || bytes.contains(&b':')) && is_hard(half) && !open {
            let end = start + bytes.len();
            let start = if whole { start } else { end - half.len() };
            return (Outcome::Found(Found { start, end, open: false, strong: false }), start);
        }
        at = end;
        if word > 0 && (bytes == b"is" || bytes.last() == Some(&b':')) {
            let value = value(text, at, &Place::default());
            let hard = !value.open && is_hard(text.slice(value.start, value.end));
            return (if hard { value.found(false) } else { Outcome::Nothing }, value.start);
        }
    }
    (Outcome::Nothing, name.end)
}

/// `master/Xk9#mP2q`: what stands behind the name of the account, if there is one.
fn secret_half(bytes: &[u8]) -> &[u8] {
    let plain = |id: &[u8]| (2..=32).contains(&id.len()) && id.iter().all(|b| is_name_byte(*b) || *b == b'.');
    match bytes.iter().position(|b| b"/:".contains(b)) {
        Some(at) if plain(&bytes[..at]) => &bytes[at + 1..],
        _ => bytes,
    }
}

/// How many words may stand between `password` and what it is.
const SAID_WORDS_MAX: usize = 4;

/// Shortest token that is taken for one in a sentence.
pub(crate) const PROSE_BYTES_MIN: usize = 12;
/// Its bytes beside letters and digits.
pub(crate) const PROSE_SIGNS: &[u8] = b"_=+/.~:-";

/// `public key`, `cacheKey`: what comes after is no secret. Short words are articles and the like here.
fn name_says_no(text: &Text<'_>, name: &Name<'_>) -> bool {
    let before = text.slice(name.start.saturating_sub(NAME_BYTES_MAX), name.start).to_ascii_lowercase();
    let before = trim_end(&before, b" ");
    let word = before.rsplit(|b| !b.is_ascii_alphanumeric()).next().unwrap_or_default();
    let harmless = word.len() >= 4 && is_among(HARMLESS, word);
    harmless || strength(text, name, Builtin::Key).is_none()
}

fn judge(text: &Text<'_>, name: &Name<'_>, place: &Place, value: &Value, kind: Builtin) -> Outcome {
    let password = kind == Builtin::Password;
    // What is no secret under the strongest name is none under any.
    let most = Setting { strong: true, quoted: true, plain: true, password };
    let bytes = text.slice(value.start, value.end);
    let number = is_long_number(bytes);
    if bytes.len() < VALUE_BYTES_MIN || !(number || kind == Builtin::Id || may_be_secret(bytes, most)) {
        return Outcome::Nothing;
    }
    if kind == Builtin::Id {
        let found = name.separated()
            && name.tail.is_empty()
            && is_client_id(bytes, value)
            && !place.drawn
            && !place.element;
        return if found { value.found(false) } else { Outcome::Nothing };
    }
    let strong = match strength(text, name, kind) {
        Some(strong) => strong,
        None if glued(text, name, kind, bytes) => false,
        None => return Outcome::Nothing,
    };
    // `asana_token: 1203…`: some services number their clients.
    let named = matches!(kind, Builtin::Token | Builtin::Secret) && !name.before.is_empty();
    if number && (named || (strong && !password)) && !place.drawn {
        return value.found(false);
    }
    // `PASS: name_of_the_test` says something else, unless what follows cannot be read.
    let short = [&b"pass"[..], b"pw"].iter().any(|word| name.keyword.eq_ignore_ascii_case(word));
    let listed = text.slice(name.end, place.at).contains(&b',');
    let written = place.tight || place.plain || (value.quoted && !listed) || name.before == b"-";
    if short && !written && !is_hard(secret_half(bytes)) && !crate::random::is_random(bytes) {
        return Outcome::Nothing;
    }
    let environment = name_is_upper(text, name) && place.tight;
    let setting = Setting {
        strong: strong || environment,
        quoted: value.quoted,
        plain: place.plain || environment,
        password,
    };
    // The token of a status badge is meant to be public.
    if place.plain && crate::value::contains(text.slice(name.start.saturating_sub(24), name.start), b"badge")
    {
        return Outcome::Nothing;
    }
    if place.drawn && !(crate::random::is_random(bytes) && is_dense(bytes)) {
        return Outcome::Nothing;
    }
    if !is_secret(bytes, setting)
        || (!strong && !environment && !place.plain && !value.quoted && bytes.len() < 12)
    {
        return Outcome::Nothing;
    }
    // A password may be anything, a secret may be weak; a key or a token that counts up is a sample.
    if (matches!(kind, Builtin::Key | Builtin::Token) && crate::random::is_sample(bytes))
        || (!password && crate::random::is_alphabet(bytes))
        || (!password && !value.open && (cut_short(bytes) || is_odd_hex(bytes) || says_wrong(bytes)))
    {
        return Outcome::Nothing;
    }
    value.found(setting.strong)
}

/// Whether signs are few in it: a version (`2.10.1-2+b1`) has more than a token.
fn is_dense(value: &[u8]) -> bool {
    value.iter().filter(|byte| !byte.is_ascii_alphanumeric()).count() * 5 <= value.len()
}

fn name_is_upper(text: &Text<'_>, name: &Name<'_>) -> bool {
    let all = text.slice(name.start, name.end);
    !all.iter().any(u8::is_ascii_lowercase) && (all.contains(&b'_') || all.len() >= 8)
}

struct Value {
    start: usize,
    end: usize,
    quoted: bool,
    open: bool,
}

impl Value {
    fn found(&self, strong: bool) -> Outcome {
        Outcome::Found(Found { start: self.start, end: self.end, open: self.open, strong })
    }
}

/// What services hand out as the id of a client: drawn, or a long number.
fn is_client_id(bytes: &[u8], value: &Value) -> bool {
    let setting = Setting { strong: false, quoted: value.quoted, plain: false, password: false };
    let drawn = || bytes.len() >= CLIENT_BYTES_MIN && crate::random::is_random(bytes) && is_dense(bytes);
    is_long_number(bytes) || (!crate::random::is_sample(bytes) && drawn() && is_secret(bytes, setting))
}

/// A number that is no time, count or size, nor counts up.
fn is_long_number(bytes: &[u8]) -> bool {
    CLIENT_DIGITS.contains(&bytes.len())
        && bytes.iter().all(u8::is_ascii_digit)
        && !crate::random::is_sample(bytes)
        && !crate::random::is_filler(bytes)
}

/// Ids of clients that are numbers have so many digits; times and phone numbers have fewer.
const CLIENT_DIGITS: std::ops::RangeInclusive<usize> = 15..=20;
/// Shortest id of a client that is no number.
const CLIENT_BYTES_MIN: usize = 12;

/// The value at `at`: between quotes (escaped or not), or up to what ends a bare word.
fn value(text: &Text<'_>, from: usize, place: &Place) -> Value {
    let plain = place.plain;
    let at = text.run_end(from, GAP_BYTES_MAX, |b| GAP_SIGNS.contains(&b));
    if let Some(start) = entity_end(text, at) {
        return skip_scheme(
            text,
            until(text, start, |b| b.is_ascii_whitespace() || b"&<>\"".contains(&b)),
            true,
        );
    }
    let at = wrapped(text, at);
    // Prefixes of string literals.
    let prefixed = text.at(at).is_some_and(|b| b"brfuLN@&".contains(&b));
    let quote_at =
        if prefixed && text.at(at + 1).is_some_and(|b| b"\"'`".contains(&b)) { at + 1 } else { at };
    let mut open = quote_at;
    while text.at(open) == Some(b'\\') && open - quote_at < 8 {
        open += 1;
    }
    let quote = text.at(open).filter(|b| b"\"'`".contains(b));
    let unicode = quote.is_none() && open > quote_at && text.stands(open, b"u002");
    if unicode && text.at(open + 4).is_some_and(|b| b == b'2' || b == b'7') {
        return skip_scheme(text, until(text, open + 5, |b| b == b'\\' || b == b'"' || b == b'\n'), true);
    }
    match quote {
        Some(quote) => {
            let mut start = open + 1;
            while text.at(start) == Some(quote) && start - open < 3 {
                start += 1;
            }
            // `"\"…\""`: a literal in a literal.
            let nested =
                text.at(start) == Some(b'\\') && text.at(start + 1).is_some_and(|b| b"\"'".contains(&b));
            start += if nested { 2 } else { 0 };
            let escaped = open > quote_at || nested;
            let inner = until(text, start, |b| b == quote || b == b'\n' || (escaped && b == b'\\'));
            skip_scheme(text, inner, true)
        }
        None => {
            let inner = until(text, quote_at, |b| {
                b.is_ascii_whitespace()
                    || b"\"'`,;)<>\\".contains(&b)
                    || (plain && b"&|".contains(&b))
                    || (!plain && b == b']')
                    || (place.braced && b == b'}')
            });
            skip_scheme(text, inner, false)
        }
    }
}

/// Behind a quote that HTML has escaped.
pub(crate) fn entity_end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.at(at) != Some(b'&') {
        return None;
    }
    let quote = ["&quot;", "&#34;", "&#39;", "&apos;", "&#x27;"].into_iter();
    quote.map(|quote| quote.as_bytes()).find(|quote| text.stands(at, quote)).map(|quote| at + quote.len())
}

/// With which bytes the words begin, a bit each.
const fn firsts(words: &[&str]) -> [u64; 4] {
    let mut out = [0; 4];
    let mut at = 0;
    while at < words.len() {
        let first = words[at].as_bytes()[0];
        out[first as usize >> 6] |= 1 << (first & 63);
        at += 1;
    }
    out
}

/// Where the literal begins that a call makes a value of.
fn wrapped(text: &Text<'_>, at: usize) -> usize {
    // Most values begin with another letter.
    if !text.at(at).is_some_and(|byte| holds(&const { firsts(WRAPPERS) }, byte)) {
        return at;
    }
    let call = WRAPPERS.iter().find(|call| text.stands(at, call.as_bytes()));
    let end = at + call.map_or(0, |call| call.len());
    if text.at(end).is_some_and(|b| b"\"'`".contains(&b)) { end } else { at }
}

/// Calls whose value is what they are given.
const WRAPPERS: &[&str] = &[
    "]byte(",
    "byte[](",
    "bytes(",
    "new String(",
    "String(",
    "String::from(",
    "SecretStr(",
    "Secret(",
    "Some(",
    "Buffer.from(",
    "base64.b64decode(",
    "atob(",
];

fn until(text: &Text<'_>, start: usize, stop: impl Fn(u8) -> bool) -> (usize, usize, bool) {
    text.look_from(start);
    ahead(text, start, stop)
}

/// The same as far as is seen.
fn ahead(text: &Text<'_>, start: usize, stop: impl Fn(u8) -> bool) -> (usize, usize, bool) {
    let end = text.run_end(start, usize::MAX, |byte| !stop(byte));
    (start, end, text.is_open(end))
}

fn skip_scheme(text: &Text<'_>, (mut start, end, open): (usize, usize, bool), quoted: bool) -> Value {
    for scheme in ["bearer ", "token ", "basic ", "apikey "] {
        if end - start > scheme.len() && text.starts_with_any_case(start, scheme) {
            start += scheme.len();
            break;
        }
    }
    Value { start, end, quoted, open }
}
