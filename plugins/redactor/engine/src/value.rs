//! What an assigned value must not be: a placeholder, a reference, a number, a name in source code.

use crate::random::{is_filler, is_random, shape, wordlike};
use crate::sample::says_example;

/// Shortest value that counts as a secret.
pub(crate) const VALUE_BYTES_MIN: usize = 8;

/// How sure the name is, and how the value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// A name that says "secret" by itself (`password`, `client_secret`, `api_key`).
    pub strong: bool,
    /// Between quotes.
    pub quoted: bool,
    /// `NAME=value` as in an environment, a query or a header: no source code around it.
    pub plain: bool,
    /// A password: it may be words.
    pub password: bool,
}

/// From this length on letters that make no word are drawn.
const UNREADABLE_BYTES_MIN: usize = 12;

const STANDINS: &[&str] = &[
    "example",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "your-",
    "your_",
    "yourapi",
    "yourkey",
    "yourtoken",
    "yoursecret",
    "yourpass",
    "insert",
    "redacted",
    "dummy",
    "fake",
    "sample",
    "xxxx",
    "...",
    "****",
    "process.env",
    "os.environ",
    "getenv",
    "secrets.",
    "localhost",
    "undefined",
    "not-set",
    "not_set",
    "replace",
    "goes here",
    "goes_here",
    "goes-here",
    "todo",
    "n/a",
    "data:image",
];

const EXACT: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "username",
    "required",
    "optional",
    "disabled",
    "enabled",
    "nullable",
    "function",
    "constant",
    "undefined",
    "anonymous",
    "postgres",
    "mongodb",
    "administrator",
    "basic",
    "bearer",
    "password1",
    "string",
    "password123",
];

/// Whether the value counts as a secret under a name of this kind.
pub(crate) fn is_secret(value: &[u8], setting: Setting) -> bool {
    let decoded;
    let value = if value.contains(&b'%') && setting.plain {
        decoded = crate::decode::escapes(value).0;
        &decoded[..]
    } else {
        value
    };
    // Most values are source code or prose: how it looks is the cheaper question.
    value.len() >= VALUE_BYTES_MIN
        && looks_secret(value, setting)
        && !(is_reference(value, setting) || is_number(value) || is_filler(value) || is_standin(value))
}

/// A cheap question before [`is_secret`]: whether there is anything in the value but letters and what binds words.
/// Escapes may hide the rest, and a password may be words.
pub(crate) fn may_be_secret(value: &[u8], setting: Setting) -> bool {
    setting.password || value.contains(&b'%') || looks_secret(value, setting)
}

fn looks_secret(value: &[u8], setting: Setting) -> bool {
    if is_random(value) {
        return true;
    }
    let shape = shape(value);
    // Digits strewn among letters are no word, even where some of the letters read like one.
    if shape.others == 0 && shape.digits >= 2 && shape.breaks >= 4 && value.len() >= 12 {
        return true;
    }
    // Nor are letters that nobody could say, with a digit among them or in both cases.
    let mixed = shape.digits >= 1 || (shape.lowers.min(shape.uppers) >= 4 && shape.breaks >= 4);
    if shape.others == 0 && mixed && value.len() >= UNREADABLE_BYTES_MIN && wordlike(value) == 0 {
        return true;
    }
    let alnum = shape.digits + shape.lowers + shape.uppers;
    if alnum * 2 < value.len() && !(setting.strong && setting.quoted && alnum >= 8) {
        return false;
    }
    let words_only =
        shape.digits == 0 && value.iter().all(|b| b.is_ascii_alphabetic() || b"_-.:/ ".contains(b));
    match (setting.strong, setting.plain) {
        (true, true) => !words_only || (setting.password && !is_name(value)),
        (true, false) => {
            !words_only
                && !value.contains(&b' ')
                && (setting.quoted || shape.digits > 0)
                && (setting.password || shape.digits > 1)
        }
        (false, true) => !words_only && shape.digits > 0 && value.len() >= 12,
        (false, false) => false,
    }
}

/// Whether nobody would say it: a digit in it, both cases and a sign, or so many changes that it is no name.
pub(crate) fn is_hard(value: &[u8]) -> bool {
    let shape = shape(value);
    let clean = value.iter().all(|b| b.is_ascii_alphanumeric() || b"!@#$^*_-".contains(b));
    let signs = value.iter().filter(|b| b"!@#$^*".contains(b)).count();
    let mixed = shape.digits >= 1 && shape.lowers >= 1 && shape.uppers >= 1;
    let drawn = shape.breaks >= 4 && wordlike(value) * 3 <= value.len();
    clean
        && (VALUE_BYTES_MIN..=HARD_BYTES_MAX).contains(&value.len())
        && mixed
        && (drawn || (signs >= 1 && value[0].is_ascii_alphanumeric()))
        && !is_filler(value)
        && !is_standin(value)
}

/// Longest password that is looked for in a sentence.
const HARD_BYTES_MAX: usize = 48;

/// Whether it only holds the place of a value.
fn is_standin(value: &[u8]) -> bool {
    let lower: Vec<u8> = value.iter().take(128).map(u8::to_ascii_lowercase).collect();
    let exact = EXACT.iter().any(|word| lower == word.as_bytes());
    let says = || STANDINS.iter().any(|word| contains(&lower, word.as_bytes()));
    let surely_not = || is_random(value) && is_long_random(value) && !says_example(value);
    exact || has_template(value) || (says() && !surely_not())
}

/// Whether something is to be put in here: `${NAME}`, `$(name)`, `{{ name }}`, `#{name}`, `<name>`, `%(name)s`. A brace
/// alone is only a sign in a password.
fn has_template(value: &[u8]) -> bool {
    const PAIRS: &[(&[u8], &[u8])] = &[
        (b"${", b"}"),
        (b"$(", b")"),
        (b"{{", b"}}"),
        (b"#{", b"}"),
        (b"@{", b"}"),
        (b"<", b">"),
        (b"%(", b")"),
        (b"%{", b"}"),
    ];
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-. ()|'\"[]:,/&$".contains(&byte);
    let paired = PAIRS.iter().any(|(open, close)| {
        value.windows(open.len()).enumerate().filter(|(_, window)| window == open).any(|(at, _)| {
            let body = &value[at + open.len()..];
            body.windows(close.len())
                .position(|window| window == *close)
                .is_some_and(|end| end > 0 && body[..end].iter().all(|b| inner(*b)))
        })
    });
    let whole = value.first() == Some(&b'{') && value.last() == Some(&b'}');
    paired || whole || contains(value, b"%s") || contains(value, b"${{")
}

fn is_long_random(value: &[u8]) -> bool {
    value.len() >= 24 && !contains(value, b"<") && !contains(value, b"${") && !contains(value, b"xxxx")
}

/// `SOME_NAME`, `some.path.name`: a name, not a value.
fn is_name(value: &[u8]) -> bool {
    let upper = value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
    let dotted = value.contains(&b'.') && value.iter().all(|b| b.is_ascii_alphabetic() || b"._".contains(b));
    let mentions = [&b"password"[..], b"secret", b"token", b"passwd"]
        .iter()
        .any(|word| value.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word)));
    upper || dotted || mentions
}

fn is_reference(value: &[u8], setting: Setting) -> bool {
    let first = value.first().copied().unwrap_or_default();
    if value.starts_with(b"ssh-") || value.starts_with(b"ecdsa-") {
        // The public half of an SSH key.
        return true;
    }
    if matches!(first, b'$' | b'%' | b'@' | b'{' | b'[' | b'(' | b'&' | b'*')
        && !(setting.password && setting.quoted && first != b'$' && first != b'{' && first != b'[')
    {
        return true;
    }
    if value.starts_with(b"http://")
        || value.starts_with(b"https://")
        || value.starts_with(b"[REDACTED:")
        || value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"../")
    {
        return !is_random(value)
            || value.starts_with(b"http")
            || value.starts_with(b"[")
            || value.starts_with(b".");
    }
    if setting.quoted {
        return false;
    }
    // Source code: calls, indexing, paths of members.
    let code =
        value.iter().any(|b| b"()[]{}".contains(b)) || contains(value, b"::") || contains(value, b"->");
    let member = value.contains(&b'.')
        && value
            .split(|b| *b == b'.')
            .all(|part| part.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_'))
        && value.iter().all(|b| b.is_ascii_alphanumeric() || b"._".contains(b))
        && !is_random(value);
    code || member
}

fn is_number(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_digit() || b".,:-+_/ TZ".contains(b))
        || (value.starts_with(b"0x") && value.len() <= 18 && value[2..].iter().all(u8::is_ascii_hexdigit))
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // The first byte seldom agrees: the rest is compared where it does.
    let Some((first, rest)) = needle.split_first() else { return true };
    haystack.windows(needle.len()).any(|window| window[0] == *first && window[1..] == *rest)
}
