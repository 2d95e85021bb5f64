//! The string leaves of a JSON text, with their place in it, so that a changed leaf can be put back and
//! every other byte stays as it was: numbers, key order, white space, escapes.
//!
//! A parser of its own, because serde_json forgets where things stood, normalises escapes and gives up at
//! 128 levels. It keeps its nesting on the heap, so depth is bounded by the input's size alone.

mod edit;

pub(crate) use edit::element_around;
pub use edit::{quote, splice};

use crate::author::Origin;
use std::borrow::Cow;
use std::ops::Range;

/// A string in a JSON text: a value, or an object's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// RFC 6901 pointer of the value. A key has the pointer of its object, then `/#key/<n>`.
    pub path: String,
    /// The innermost object key above the value; `None` for keys.
    pub key: Option<String>,
    /// Where the string stands in the text, quotes included.
    pub at: Range<usize>,
    /// Unescaped. A lone surrogate reads as U+FFFD.
    pub text: String,
    /// Left out whole, for the path that it was read from. Set by whoever knows of paths.
    pub excluded: bool,
    /// Whose words it is. Set by whoever knows of conversations.
    pub origin: Origin,
}

/// Where a string stands that nobody has read yet: most strings of a conversation were seen a turn ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// As in [`Leaf`].
    pub path: String,
    /// As in [`Leaf`].
    pub key: Option<String>,
    /// As in [`Leaf`].
    pub at: Range<usize>,
    /// Whether anything in it is escaped.
    escaped: bool,
}

impl Slot {
    /// The string, unescaped. `raw` is the text that the slot was found in.
    pub fn text<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        let inside = &raw[self.at.start + 1..self.at.end - 1];
        if self.escaped { Cow::Owned(unescaped(inside)) } else { Cow::Borrowed(inside) }
    }

    /// The string as a leaf.
    pub fn read(self, raw: &str) -> Leaf {
        let text = self.text(raw).into_owned();
        Leaf { path: self.path, key: self.key, at: self.at, text, excluded: false, origin: Origin::default() }
    }
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {what}")]
pub struct JsonError {
    /// Byte offset.
    pub at: usize,
    /// What was wrong, in fixed words.
    pub what: &'static str,
}

/// One level of nesting.
enum Level {
    Array { index: usize },
    Object { keys: usize, key: String },
}

/// Finds every string of `raw`, keys included, in order of appearance.
pub fn leaves(raw: &str) -> Result<Vec<Leaf>, JsonError> {
    Ok(slots(raw)?.into_iter().map(|slot| slot.read(raw)).collect())
}

/// The same without reading them.
pub fn slots(raw: &str) -> Result<Vec<Slot>, JsonError> {
    let mut walk = Walk {
        raw,
        bytes: raw.as_bytes(),
        at: 0,
        levels: Vec::new(),
        path: Path::default(),
        out: Vec::new(),
    };
    walk.document()?;
    Ok(walk.out)
}

/// The pointer of the current value, kept as one string that grows and shrinks.
#[derive(Default)]
struct Path {
    text: String,
    marks: Vec<usize>,
}

impl Path {
    fn push(&mut self, step: &str) {
        self.marks.push(self.text.len());
        self.text.push('/');
        for c in step.chars() {
            match c {
                '~' => self.text.push_str("~0"),
                '/' => self.text.push_str("~1"),
                c => self.text.push(c),
            }
        }
    }

    fn pop(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.text.truncate(mark);
        }
    }
}

/// Longest pointer that is kept; a longer one is cut, so that deep nesting cannot make paths quadratic.
const PATH_BYTES_MAX: usize = 512;

struct Walk<'a> {
    raw: &'a str,
    bytes: &'a [u8],
    at: usize,
    levels: Vec<Level>,
    path: Path,
    out: Vec<Slot>,
}

impl Walk<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.value()?;
        while !self.levels.is_empty() {
            self.after_value()?;
        }
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.fail("something follows the value") }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, what })
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Reads one value, or opens one container and stops inside it, before its first element.
    fn value(&mut self) -> Result<(), JsonError> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'"') => self.string_value(),
            Some(b'{') => self.open_object(),
            Some(b'[') => self.open_array(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.fail("not the beginning of a value"),
            None => self.fail("a value is missing"),
        }
    }

    fn open_object(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(());
        }
        self.levels.push(Level::Object { keys: 0, key: String::new() });
        self.member()
    }

    fn open_array(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(());
        }
        self.levels.push(Level::Array { index: 0 });
        self.path.push("0");
        self.pending_value()
    }

    /// `"key": ` and the beginning of its value.
    fn member(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.fail("a key is missing");
        }
        let start = self.at;
        let escaped = self.string()?;
        let at = start..self.at;
        let inside = &self.raw[start + 1..self.at - 1];
        let text = if escaped { unescaped(inside) } else { inside.to_owned() };
        let Some(Level::Object { keys, key }) = self.levels.last_mut() else {
            return self.fail("a key outside an object");
        };
        let path = format!("{}/#key/{keys}", cut(&self.path.text));
        *keys += 1;
        self.path.push(&text);
        *key = text;
        self.out.push(Slot { path, key: None, at, escaped });
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return self.fail("a colon is missing");
        }
        self.at += 1;
        self.pending_value()
    }

    /// The next value; containers are opened one a call, so the recursion is two deep at most.
    fn pending_value(&mut self) -> Result<(), JsonError> {
        self.space();
        match self.bytes.get(self.at) {
            // Left to `after_value`, which runs on the heap's stack of levels.
            Some(b'{' | b'[') => Ok(()),
            _ => self.value(),
        }
    }

    /// What stands after a value, or a container still to be opened.
    fn after_value(&mut self) -> Result<(), JsonError> {
        self.space();
        let in_object = matches!(self.levels.last(), Some(Level::Object { .. }));
        match self.bytes.get(self.at) {
            Some(b'{' | b'[') => {
                let depth = self.levels.len();
                let before = self.at;
                if self.previous_byte() == Some(b',') || self.opens_here() {
                    self.value()?;
                    debug_assert!(self.levels.len() >= depth && self.at > before);
                    return Ok(());
                }
                self.fail("a comma is missing")
            }
            Some(b',') => {
                if self.opens_here() {
                    return self.fail("a value is missing");
                }
                self.at += 1;
                self.path.pop();
                if in_object {
                    return self.member();
                }
                if let Some(Level::Array { index }) = self.levels.last_mut() {
                    *index += 1;
                    let step = index.to_string();
                    self.path.push(&step);
                }
                self.pending_value()
            }
            Some(b'}') if in_object => self.close(),
            Some(b']') if !in_object => self.close(),
            Some(_) => self.fail("a comma or an end is missing"),
            None => self.fail("the end is missing"),
        }
    }

    /// Whether a value is due at this place: the last byte that is no space opened an array, or was a
    /// colon or a comma.
    fn opens_here(&self) -> bool {
        matches!(self.previous_byte(), Some(b':' | b',' | b'['))
    }

    fn previous_byte(&self) -> Option<u8> {
        self.bytes[..self.at].iter().rev().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')).copied()
    }

    fn close(&mut self) -> Result<(), JsonError> {
        if self.opens_here() {
            return self.fail("a value is missing");
        }
        self.at += 1;
        self.levels.pop();
        self.path.pop();
        Ok(())
    }

    fn string_value(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let escaped = self.string()?;
        let key = self.levels.iter().rev().find_map(|level| match level {
            Level::Object { key, .. } => Some(key.clone()),
            Level::Array { .. } => None,
        });
        let path = cut(&self.path.text).to_owned();
        self.out.push(Slot { path, key, at: start..self.at, escaped });
        Ok(())
    }

    /// Passes over a string from its opening to its closing quote; whether anything in it is escaped.
    fn string(&mut self) -> Result<bool, JsonError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = next_special(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string has no end"),
            }
            escaped = true;
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') if hex4(self.bytes, self.at + 2).is_some() => self.at += 6,
            _ => return self.fail("an unknown escape"),
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.fail("not the beginning of a value")
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let digits = |walk: &mut Self| {
            let start = walk.at;
            while matches!(walk.bytes.get(walk.at), Some(b'0'..=b'9')) {
                walk.at += 1;
            }
            walk.at - start
        };
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let whole = digits(self);
        if whole == 0 || (leading_zero && whole > 1) {
            return self.fail("a malformed number");
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return self.fail("a malformed number");
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if digits(self) == 0 {
                return self.fail("a malformed number");
            }
        }
        Ok(())
    }
}

/// The next byte from `at` on that is no plain part of a string: a quote, a backslash, a control character.
///
/// Eight bytes at a time: strings of code have an escape every few words, too near for a search that has to be set up.
fn next_special(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The top bit of each byte that is below `than`, exact up to and with the first such byte.
    let below = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & TOPS;
    let mut at = at;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let special = below(word, 0x20) | equal(b'"') | equal(b'\\');
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + bytes[at..].iter().position(is_special).unwrap_or(bytes.len() - at)
}

/// The inside of a string that was passed over, so its escapes are sound. A lone surrogate reads as U+FFFD.
fn unescaped(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let bytes = rest.as_bytes();
        let (c, length) = match bytes.get(at + 1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => unicode_escape(bytes, at),
            other => (char::from(*other.unwrap_or(&b'\\')), 2),
        };
        text.push(c);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// The character that `\u` and four digits at `at` stands for, with the low half where it has one, and the bytes that it takes.
fn unicode_escape(bytes: &[u8], at: usize) -> (char, usize) {
    let first = hex4(bytes, at + 2).unwrap_or(0xfffd);
    let follows = (0xd800..0xdc00).contains(&first) && bytes.get(at + 6..at + 8) == Some(b"\\u");
    let low = hex4(bytes, at + 8).filter(|low| follows && (0xdc00..0xe000).contains(low));
    let (code, length) = match low {
        Some(low) => (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12),
        None => (first, 6),
    };
    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), length)
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
}

fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

#[cfg(test)]
mod tests;
