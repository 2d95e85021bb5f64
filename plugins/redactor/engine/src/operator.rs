//! What stands between a name and its value: an operator, a comma, a tag, or a few spaces.

use crate::assign::{GAP_BYTES_MAX, Name, entity_end, trim_end};
use crate::text::Text;

/// Where the value begins, and what is known of it by what stands before it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub at: usize,
    /// `=` with nothing around it.
    pub tight: bool,
    /// Environment, query, cookie: the value is no source code.
    pub plain: bool,
    /// Only a value that is surely drawn counts: it is compared, or what stands before it may mean anything.
    pub drawn: bool,
    /// The content of an XML element.
    pub element: bool,
    /// What a shell falls back to: `${NAME:-value}` ends with its brace.
    pub braced: bool,
}

fn at(at: usize) -> Place {
    Place { at, ..Place::default() }
}

fn drawn(at: usize) -> Place {
    Place { at, drawn: true, ..Place::default() }
}

/// Walks from the name over closers, a type annotation and the operator to the value.
pub(crate) fn operator(text: &Text<'_>, name: &Name<'_>) -> Option<Place> {
    let mut end = name.end;
    let limit = name.end + GAP_BYTES_MAX;
    let mut closed = false;
    let mut spaced = false;
    // Closers: escaped quotes, brackets, spaces.
    while end < limit {
        match text.at(end)? {
            b' ' | b'\t' => spaced = true,
            b'"' | b'\'' | b'`' | b']' | b'\\' => closed |= text.at(end) != Some(b'\\'),
            b'[' => end = length(text, end)?,
            b'&' => match entity_end(text, end) {
                Some(behind) => (end, closed) = (behind - 1, true),
                None => break,
            },
            b'*' if closed || text.at(end + 1) == Some(b'*') || text.bytes[end - 1] == b'*' => {}
            _ => break,
        }
        end += 1;
    }
    if let Some(quote) = said(text, name) {
        return Some(at(quote));
    }
    let flag = text.slice(name.start, name.start + 2) == b"--";
    match text.at(end)? {
        b':' | b'-' if text.slice(name.start.saturating_sub(2), name.start) == b"${" => {
            fallback(text, name, end)
        }
        b'=' | b':' | b'?' | b'.' | b'|' | b'+' | b'~' | b'!' | b'-' => {
            signs(text, name, end, Left { closed, spaced, flag })
        }
        b')' if closed => otherwise(text, end + 1),
        b'{' if closed => column(text, end + 1).map(at),
        b'{' if matches!(text.at(end + 1), Some(b'"' | b'\'')) => Some(at(end + 1)),
        b'@' if spaced && text.at(end + 1) == Some(b'"') => Some(at(end)),
        b',' if closed => Some(at(column(text, end + 1).unwrap_or(end + 1))),
        // A row of a table: `api_key,9aKd…`
        b',' if !spaced => Some(drawn(end + 1)),
        b'>' => Some(Place { at: end + 1, plain: true, element: true, ..Place::default() }),
        b'<' => second_element(text, end).map(at),
        b'\n' | b'\r' => column(text, end).map(at),
        b'(' if !spaced || matches!(text.at(end + 1), Some(b'"' | b'\'')) => Some(at(end + 1)),
        b'%' if text.starts_with_any_case(end, "%3d") => {
            Some(Place { at: end + 3, tight: true, plain: true, ..Place::default() })
        }
        _ if spaced && name.before == b"-" && is_option(name.keyword) => Some(at(end)),
        _ if spaced && opens_tag(text, name) => attributes_end(text, end).map(|at| content(name, at)),
        _ if flag && spaced => Some(Place { at: end, plain: true, ..Place::default() }),
        _ if spaced && text.slice(name.end, end).contains(&b'\t') => Some(drawn(end)),
        // `String apiToken "..."`, `var token string = "..."`, `<add key="Password" value="..."/>`
        b'a'..=b'z' | b'A'..=b'Z' if spaced => match typed(text, end) {
            None if closed => attributes_end(text, end).map(|at| content(name, at)),
            found => found.map(at),
        },
        _ => None,
    }
}

/// What an element with attributes holds: it may be anything, unless it is a password.
fn content(name: &Name<'_>, at: usize) -> Place {
    Place { at, plain: true, element: true, drawn: !says_password(name), ..Place::default() }
}

fn says_password(name: &Name<'_>) -> bool {
    let keyword = name.keyword.to_ascii_lowercase();
    crate::value::contains(&keyword, b"pass") || keyword.starts_with(b"pw")
}

/// `[255]` of a buffer, `[]`: the place of the closing bracket.
fn length(text: &Text<'_>, at: usize) -> Option<usize> {
    let end = (at + 1..at + 6).find(|end| !text.at(*end).is_some_and(|b| b.is_ascii_digit()))?;
    (text.at(end) == Some(b']')).then_some(end)
}

/// `:-value}` and `-value}`: the place of the value.
fn fallback(text: &Text<'_>, name: &Name<'_>, at: usize) -> Option<Place> {
    let sign = if text.at(at) == Some(b':') { at + 1 } else { at };
    let given = match text.at(sign)? {
        b'-' | b'=' => sign + 1,
        // `${name:value}` of Spring.
        b'?' | b'+' | b'}' => return None,
        _ => sign,
    };
    let drawn = given == at + 1 && text.at(at) == Some(b':') && !says_password(name);
    (given > at).then(|| Place { at: given, plain: true, braced: true, drawn, ..Place::default() })
}

/// Whether the name is that of an element, with or without a namespace.
fn opens_tag(text: &Text<'_>, name: &Name<'_>) -> bool {
    let before = text.slice(name.start.saturating_sub(NAMESPACE_BYTES_MAX), name.start);
    let prefix = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b':').count();
    let colon = prefix == 0 || before.last() == Some(&b':');
    colon && before.len().checked_sub(prefix + 1).is_some_and(|at| before[at] == b'<')
}

/// Where the tag ends that has attributes from `at` on: behind its `>`.
fn attributes_end(text: &Text<'_>, at: usize) -> Option<usize> {
    let end =
        (at..at + ATTRIBUTES_BYTES_MAX).find(|end| text.at(*end).is_none_or(|b| b"<>\n".contains(&b)))?;
    let tag = text.slice(at, end);
    (text.at(end) == Some(b'>') && tag.contains(&b'=') && tag.last() != Some(&b'/')).then_some(end + 1)
}

/// Longest namespace before the name of an element, and longest attributes behind it: those of a password in SOAP
/// hold an address.
const NAMESPACE_BYTES_MAX: usize = 16;
const ATTRIBUTES_BYTES_MAX: usize = 160;

/// `environ.get("PASSWORD") or "…"`, `env["PASSWORD"]) ?? "…"`: the place of the quote.
fn otherwise(text: &Text<'_>, after: usize) -> Option<Place> {
    let word = [&b" or "[..], b" || ", b" ?? "].into_iter().find(|word| text.stands(after, word))?;
    let quote = after + word.len();
    matches!(text.at(quote), Some(b'"' | b'\'')).then(|| at(quote))
}

/// `-Password`, `-storepass`, `-pw`.
fn is_option(keyword: &[u8]) -> bool {
    let keyword = keyword.to_ascii_lowercase();
    keyword.starts_with(b"passw") || keyword.ends_with(b"pass") || keyword == b"pw"
}

/// What stands left of the operator.
struct Left {
    closed: bool,
    spaced: bool,
    /// The name is an option of a command.
    flag: bool,
}

fn signs(text: &Text<'_>, name: &Name<'_>, from: usize, left: Left) -> Option<Place> {
    let end = text.run_end(from, 5, |b| SIGNS.contains(&b));
    let signs = text.slice(from, end);
    // `env.API_KEY || "…"`, and a column of a table.
    if matches!(signs, b"||" | b"??" | b"|") && text.at(end) == Some(b' ') {
        return Some(drawn(end));
    }
    if !(signs.contains(&b'=') || signs.contains(&b':') || signs == b"->") {
        return None;
    }
    let compared = matches!(signs, b"==" | b"===" | b"!=" | b"!==");
    let mut place =
        Place { at: end, tight: signs == b"=" && !left.spaced, drawn: compared, ..Place::default() };
    if signs == b":" && !left.closed {
        place.at = annotation(text, end).unwrap_or(end);
    }
    let in_query =
        place.tight && text.bytes.get(name.start.wrapping_sub(1)).is_some_and(|b| b"?&;".contains(b));
    if signs == b":" {
        let below = if text.at(place.at) == Some(b'\n') { column(text, place.at) } else { None };
        place.at = below.or_else(|| block(text, place.at)).unwrap_or(place.at);
    }
    place.tight &= text.at(place.at).is_none_or(|b| b != b' ');
    place.plain = (in_query || left.flag) && place.tight;
    Some(place)
}

/// `: |` with the value on the next line, and the stars of `**Password:** …`: where the value begins.
fn block(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.stands(at, b"** ") {
        return Some(at + 3);
    }
    if text.at(at) != Some(b' ') || !text.at(at + 1).is_some_and(|b| b"|>".contains(&b)) {
        return None;
    }
    let line = text.run_end(at + 1, 3, |b| b"|>-+".contains(&b));
    let end = text.run_end(line, INDENT_BYTES_MAX, |b| b.is_ascii_whitespace());
    (text.at(line) == Some(b'\n')).then_some(end)
}

/// Deepest indentation of a value on a line of its own.
const INDENT_BYTES_MAX: usize = 24;

/// `"name": "API_KEY", "value": "…"`, and the same in YAML with its line end: the place after the `value:`.
fn column(text: &Text<'_>, from: usize) -> Option<usize> {
    let start = text.run_end(from, 16, |b| b.is_ascii_whitespace() || b"\"'\\".contains(&b));
    let word = ["value", "default"].into_iter().find(|word| text.starts_with_any_case(start, word))?;
    let end = text.run_end(start + word.len(), 4, |b| b"\"'\\".contains(&b));
    let operator = if text.at(end) == Some(b' ') { end + 1 } else { end };
    text.at(operator).is_some_and(|b| b":=".contains(&b)).then_some(operator + 1)
}

/// `<key>apiKey</key> <string>…</string>`: the place of the value.
fn second_element(text: &Text<'_>, from: usize) -> Option<usize> {
    if text.at(from + 1) != Some(b'/') {
        return None;
    }
    let close = text.run_end(from + 2, 12, |b| b.is_ascii_alphabetic());
    if text.at(close) != Some(b'>') {
        return None;
    }
    let open = text.run_end(close + 1, 16, |b| b.is_ascii_whitespace());
    let tag = ["<string>", "<value>"].into_iter().find(|tag| text.starts_with_any_case(open, tag))?;
    Some(open + tag.len())
}

/// `password 'hunter22'`, as build scripts and sentences have it: the place of the quote.
fn said(text: &Text<'_>, name: &Name<'_>) -> Option<usize> {
    if text.at(name.end) != Some(b' ') {
        return None;
    }
    let quote = (name.end + 1..name.end + 4).find(|at| text.at(*at) != Some(b' '))?;
    let opens = matches!(text.at(quote), Some(b'"' | b'\''));
    (opens && text.at(quote + 1).is_some_and(|byte| byte.is_ascii_alphanumeric())).then_some(quote)
}

/// `: &'static str = ` and the like: the place after the `=`.
fn annotation(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while end - at < 32 {
        let byte = text.at(end)?;
        match byte {
            b'=' => return (end > at + 2).then_some(end + 1),
            b'a'..=b'z' | b'A'..=b'Z' | b' ' | b'&' | b'<' | b'>' | b'?' | b'_' | b'.' => end += 1,
            b'\'' if text.stands(end, b"'static") => end += 7,
            _ => return None,
        }
    }
    None
}

/// What operators are made of.
pub(crate) const SIGNS: &[u8] = b"=:?.|+~!->";

/// Words that may stand between a name and its value.
pub(crate) const TYPE_WORDS: &[&[u8]] = &[b"string", b"String", b"str", b"as", b"is", b"AS", b"value"];

/// `string = ` after a name: the place after the `=`.
fn typed(text: &Text<'_>, at: usize) -> Option<usize> {
    let at = if text.stands(at, b"android:") { at + 8 } else { at };
    let mut end = text.run_end(at, 16, |b| b.is_ascii_alphabetic());
    while text.at(end) == Some(b' ') && end - at < 20 {
        end += 1;
    }
    let word = trim_end(text.slice(at, end), b" ");
    if !TYPE_WORDS.contains(&word) {
        return None;
    }
    if text.at(end) == Some(b'=') { Some(end + 1) } else { (word == b"is").then_some(end) }
}
