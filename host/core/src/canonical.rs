//! RFC 8785 (JCS) canonical JSON, over the subset this project stores: no floats, and no integer beyond
//! ±(2^53 - 1), so that every JSON implementation reads back the same number.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// Largest integer that an IEEE double holds exactly.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A fraction, an exponent, or an integer that a double cannot hold.
    #[error("a number without canonical form at `{path}`: {number}")]
    Number {
        /// JSON pointer of the number.
        path: String,
        /// As written.
        number: String,
    },
    /// The value does not serialise to JSON at all.
    #[error("not JSON")]
    NotJson(#[source] serde_json::Error),
}

/// Canonical bytes of anything that serialises to JSON.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(CanonicalError::NotJson)?;
    Ok(to_string(&value)?.into_bytes())
}

/// Canonical text of a JSON value.
pub fn to_string(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::new();
    write_value(value, &mut String::new(), &mut out)?;
    Ok(out)
}

fn write_value(value: &Value, path: &mut String, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, path, out)?,
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                descend(path, &index.to_string(), |path| write_value(item, path, out))?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            // RFC 8785 §3.2.3: by UTF-16 code units, which differs from UTF-8 order above the BMP.
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                descend(path, key, |path| write_value(&map[key], path, out))?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn descend<R>(path: &mut String, step: &str, go: impl FnOnce(&mut String) -> R) -> R {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    let result = go(path);
    path.truncate(length);
    result
}

fn write_number(number: &serde_json::Number, path: &str, out: &mut String) -> Result<(), CanonicalError> {
    let whole = number.as_i64().filter(|n| n.abs() <= INTEGER_MAX);
    // `-0` reads as the integer 0 but was written as a float's negative zero: refuse rather than rewrite.
    match whole {
        Some(n) if !number.to_string().starts_with("-0") => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{n}");
            Ok(())
        }
        _ => Err(CanonicalError::Number { path: path.to_owned(), number: number.to_string() }),
    }
}

/// RFC 8785 §3.2.2.2: the two-character escapes where they exist, `\u00xx` in lower case for the other
/// control characters, everything else as it is.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rfc_8785_key_order_is_by_utf16() {
        // The example of RFC 8785 §3.2.3, reduced to strings.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis"
        });
        let text = to_string(&value).unwrap();
        let order: Vec<usize> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
            .iter()
            .map(|name| text.find(name).unwrap())
            .collect();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn strings_escape_as_ecmascript_does() {
        let value = json!("\u{8}\t\n\u{c}\r\u{1}\u{1f}\"\\/\u{7f}é");
        assert_eq!(to_string(&value).unwrap(), "\"\\b\\t\\n\\f\\r\\u0001\\u001f\\\"\\\\/\u{7f}é\"");
    }

    #[test]
    fn numbers_without_canonical_form_are_refused() {
        for text in ["1.5", "1e3", "-0", "-0.0", "9007199254740992", "18446744073709551615"] {
            let value: Value = serde_json::from_str(&format!("{{\"a\":[{text}]}}")).unwrap();
            let error = to_string(&value).unwrap_err().to_string();
            assert!(error.contains("/a/0"), "{text}: {error}");
        }
        assert_eq!(to_string(&json!(-9_007_199_254_740_991_i64)).unwrap(), "-9007199254740991");
    }
}
