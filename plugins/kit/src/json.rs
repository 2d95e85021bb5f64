//! A strict JSON reader (RFC 8259). Own code, because a general one is several times the size of the plugins that
//! would use it, and what it reads here is small: a plugin's configuration, and answers capped at 16 KiB.

/// Deepest nesting that is read: an answer of the endpoint must not be able to overflow the guest's stack.
pub const DEPTH_MAX: usize = 32;

/// A JSON value. Numbers stay as written, because nothing here calculates with a fraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number's own characters.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object in the order of the text. Of a repeated key, the last counts.
    Object(Vec<(String, Value)>),
}

/// Not JSON (or deeper than [`DEPTH_MAX`]), and the byte at which that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Offset in bytes.
    pub at: usize,
}

impl Value {
    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => {
                members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, where it is a whole one from 0 to `u64::MAX`.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }
}

/// Reads one value and nothing after it.
pub fn parse(text: &str) -> Result<Value, Broken> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at == text.len() { Ok(value) } else { reader.broken() }
}

/// `text` as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => {
                out.push_str("\\u00");
                let code = character as usize;
                out.push(char::from(b"0123456789abcdef"[code >> 4]));
                out.push(char::from(b"0123456789abcdef"[code & 15]));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn broken<T>(&self) -> Result<T, Broken> {
        Err(Broken { at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.eat(byte) { Ok(()) } else { self.broken() }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Broken> {
        if depth >= DEPTH_MAX {
            return self.broken();
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.broken(),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Broken> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.broken();
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            members.push((key, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Broken> {
        self.at += 1;
        let mut values = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Value::List(values));
        }
        loop {
            self.space();
            values.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::List(values));
            }
            self.expect(b',')?;
        }
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.broken() } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value, Broken> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<String, Broken> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            if self.eat(b'"') {
                return Ok(out);
            }
            self.expect(b'\\')?;
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Broken> {
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.broken(),
        };
        self.at += 1;
        Ok(character)
    }

    /// What follows `\u`: four hex digits, and for a high surrogate the low one. A lone surrogate, which no `String`
    /// can hold, becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, Broken> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            let after_high = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_high;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, Broken> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.broken();
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_is() {
        let value =
            parse(" {\"a\": [1, -2.5e+3, true, null], \"b\\n\": \"\\u00e9\\ud83d\\ude00\", \"a\": {}} ")
                .unwrap();
        assert_eq!(value.get("b\n").and_then(Value::as_text), Some("é😀"));
        assert_eq!(value.get("a"), Some(&Value::Object(Vec::new())), "the last of a repeated key counts");
        assert_eq!(parse("0").unwrap().as_u64(), Some(0));
        assert_eq!(parse("1.0").unwrap().as_u64(), None);
        assert_eq!(parse("\"\\ud800x\"").unwrap().as_text(), Some("\u{fffd}x"));
        assert_eq!(parse("\"\\ud800\\u0041\"").unwrap().as_text(), Some("\u{fffd}A"));
    }

    #[test]
    fn refuses_what_json_is_not() {
        for text in [
            "",
            " ",
            "{",
            "[1,",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "1 2",
            "{a:1}",
            "[1 2]",
            "'a'",
            "<html>",
            "NaN",
            "-",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&deep(DEPTH_MAX + 1)), Err(Broken { at: DEPTH_MAX }));
        assert!(parse(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn any_prefix_of_a_text_is_refused_without_a_panic() {
        let text = r#"{"object":"list","data":[{"id":"gpt-oss-20b \u00e9é","n":-1.5e3}],"more":true}"#;
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(parse(&text[..end]).is_err(), "{}", &text[..end]);
        }
        assert!(parse(text).is_ok());
    }

    #[test]
    fn quoting_and_reading_give_the_text_back() {
        for text in ["", "a\"b\\c", "\u{0}\u{1f}\n\t", "é😀", "</script>"] {
            assert_eq!(parse(&quote(text)).unwrap().as_text(), Some(text));
        }
    }
}
