//! The string leaves of a JSON text, with their place in it, so that a changed leaf can be put back and
//! every other byte stays as it was: numbers, key order, white space, escapes.
//!
//! A parser of its own, because serde_json forgets where things stood, normalises escapes and gives up at
//! 128 levels. It keeps its nesting on the heap, so depth is bounded by the input's size alone.

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
    out: Vec<Leaf>,
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
        let text = self.string()?;
        let at = start..self.at;
        let Some(Level::Object { keys, key }) = self.levels.last_mut() else {
            return self.fail("a key outside an object");
        };
        let path = format!("{}/#key/{keys}", cut(&self.path.text));
        *keys += 1;
        key.clone_from(&text);
        self.path.push(&text);
        self.out.push(Leaf { path, key: None, at, text, excluded: false });
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
        let text = self.string()?;
        let key = self.levels.iter().rev().find_map(|level| match level {
            Level::Object { key, .. } => Some(key.clone()),
            Level::Array { .. } => None,
        });
        let path = cut(&self.path.text).to_owned();
        self.out.push(Leaf { path, key, at: start..self.at, text, excluded: false });
        Ok(())
    }

    /// Reads a string from its opening to its closing quote.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let run = self.at;
            let rest = &self.bytes[run..];
            let mut length = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            // Folded and not searched: this way it is done many bytes at a time, and there is seldom one.
            if rest[..length].iter().fold(false, |found, byte| found | (*byte < 0x20)) {
                length = rest.iter().position(|byte| *byte < 0x20).unwrap_or(length);
            }
            self.at += length;
            text.push_str(&self.raw[run..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => self.escape(&mut text)?,
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string has no end"),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), JsonError> {
        let plain = match self.bytes.get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(text),
            _ => return self.fail("an unknown escape"),
        };
        text.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self, text: &mut String) -> Result<(), JsonError> {
        let Some(first) = self.hex4(self.at + 2) else { return self.fail("an unknown escape") };
        self.at += 6;
        let is_high = (0xd800..0xdc00).contains(&first);
        let follows = is_high && self.bytes.get(self.at..self.at + 2) == Some(b"\\u");
        let low = self.hex4(self.at + 2).filter(|low| follows && (0xdc00..0xe000).contains(low));
        if let Some(low) = low {
            let code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            self.at += 6;
            return Ok(());
        }
        text.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
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

fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

/// `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `raw` with each of `changes` (a place out of [`Leaf::at`], and the new unescaped text) put in. The places
/// are ascending and do not overlap.
pub fn splice(raw: &str, changes: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut done = 0;
    for (at, text) in changes {
        out.push_str(&raw[done..at.start]);
        out.push_str(&quote(text));
        done = at.end;
    }
    out.push_str(&raw[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn finds_each_string_with_its_pointer_and_key() {
        let raw =
            r#" { "a" : [ "x\n\u00e9", { "b/~" : "\ud83d\ude00" } , [], {} ], "c":1.5e-3, "d":"\ud800z" } "#;
        let found: Vec<_> = leaves(raw).unwrap().into_iter().map(|l| (l.path, l.key, l.text)).collect();
        let want = [
            ("/#key/0", None, "a"),
            ("/a/0", Some("a"), "x\né"),
            ("/a/1/#key/0", None, "b/~"),
            ("/a/1/b~1~0", Some("b/~"), "😀"),
            ("/#key/1", None, "c"),
            ("/#key/2", None, "d"),
            ("/d", Some("d"), "\u{fffd}z"),
        ];
        assert_eq!(found.len(), want.len(), "{found:?}");
        for ((path, key, text), want) in found.iter().zip(want) {
            assert_eq!((path.as_str(), key.as_deref(), text.as_str()), want);
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for bad in [
            "",
            " ",
            "{",
            "[",
            "]",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "{\"a\":[}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a",
            "\"\n\"",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "tru",
            "nul",
            "1 2",
            "[[] []]",
            "[{} {}]",
            "{\"a\":{} \"b\":1}",
            "{\"a\":,}",
            "[[],]",
            "[{}[]]",
            "{\"a\" {}}",
        ] {
            assert!(leaves(bad).is_err(), "{bad}");
            assert!(serde_json::from_str::<Value>(bad).is_err(), "the peer agrees: {bad}");
        }
    }

    #[test]
    fn ten_thousand_levels_are_no_danger() {
        let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
        let found = leaves(&deep).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].path.len() <= PATH_BYTES_MAX);
        assert!(leaves(&"[".repeat(100_000)).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[\\x00-\\x7f]{0,8}".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,6}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_json(text in "[\\[\\]{}:,\"\\\\ua0-9eE.+tfn \\n-]{0,24}") {
            let peer = serde_json::from_str::<Value>(&text);
            // serde_json refuses lone surrogates; we read them as U+FFFD.
            if !text.contains("\\u") {
                prop_assert_eq!(leaves(&text).is_ok(), peer.is_ok(), "{}", text);
            }
        }

        #[test]
        fn never_panics(text in ".{0,64}") {
            let _ = leaves(&text);
        }

        #[test]
        fn splicing_changes_only_what_it_should(value in any_json(), pretty in any::<bool>()) {
            let raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let found = leaves(&raw).unwrap();
            for leaf in &found {
                let back: String = serde_json::from_str(&raw[leaf.at.clone()]).unwrap();
                prop_assert_eq!(&back, &leaf.text);
                if !leaf.path.contains("/#key/") {
                    prop_assert_eq!(value.pointer(&leaf.path).and_then(Value::as_str), Some(leaf.text.as_str()));
                }
            }
            prop_assert_eq!(splice(&raw, &[]), raw.clone());
            let changes: Vec<_> = found.iter().map(|l| (l.at.clone(), format!("{}!", l.text))).collect();
            let changed = leaves(&splice(&raw, &changes)).unwrap();
            for (old, new) in found.iter().zip(&changed) {
                prop_assert_eq!(format!("{}!", old.text), new.text.clone());
            }
        }
    }
}
