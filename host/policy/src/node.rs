//! One value of a TOML document: checked for type, range, syntax and secrets as it is read.

use crate::cursor::Cursor;
use crate::document::Source;
use crate::problem::{Problem, one_of, shown};
use crate::secretlike::looks_secret;
use crate::values;
use sluice_core::words::UnknownWord;
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeValue;

/// Largest integer that has a canonical form (2^53 - 1).
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// One value.
pub(crate) struct Node<'s, 't> {
    source: &'s Source<'t>,
    /// Its path.
    pub(crate) path: String,
    value: &'s DeValue<'t>,
}

impl<'s, 't> Node<'s, 't> {
    /// The value at `path`, whose key (or, in a list, the value itself) begins at byte `at`.
    pub(crate) fn new(
        source: &'s Source<'t>,
        path: String,
        at: usize,
        value: &'s DeValue<'t>,
    ) -> Node<'s, 't> {
        source.visit(&path, at);
        Node { source, path, value }
    }

    pub(crate) fn problem(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.source.add(Problem::new(self.path.clone(), message, hint));
    }

    fn wrong_type(&self, want: &str, hint: &str) {
        self.problem(format!("want {want}, found {}", type_name(self.value)), hint);
    }

    /// Reports that the value, or its key, looks like a secret.
    pub(crate) fn secret(&self) {
        self.problem(
            "this looks like a secret",
            "a policy is read by many and kept forever: remove it, and withdraw the key if it is real",
        );
    }

    /// The table behind the value; a silent cursor where it is something else.
    pub(crate) fn table(&self) -> Cursor<'s, 't> {
        let table = self.value.as_table();
        if table.is_none() {
            self.wrong_type("a table", &format!("write it as `[{}]`", self.path));
        }
        Cursor::new(self.source, self.path.clone(), table)
    }

    /// Text of 1 to `bytes_max` bytes.
    pub(crate) fn text(&self, bytes_max: usize) -> Option<&'s str> {
        let Some(text) = self.value.as_str() else {
            self.wrong_type("a string", "put it in double quotes");
            return None;
        };
        if looks_secret(text) {
            self.secret();
            return None;
        }
        if text.trim().is_empty() {
            self.problem("the text is empty", "say it, or leave the key out where it is optional");
            return None;
        }
        if text.len() > bytes_max {
            self.problem(format!("the text is longer than {bytes_max} bytes: {}", text.len()), "shorten it");
            return None;
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            self.problem("the text holds a control character", "only line ends and tabs are taken");
            return None;
        }
        Some(text)
    }

    /// Longest code in bytes that is looked at.
    const WORD_BYTES_MAX: usize = 64;

    pub(crate) fn word<T: FromStr<Err = UnknownWord>>(&self) -> Option<T> {
        let word = self.text(Self::WORD_BYTES_MAX)?;
        word.parse()
            .map_err(|error: UnknownWord| {
                self.problem(format!("unknown {} `{}`", error.what, shown(word)), one_of(word, error.known));
            })
            .ok()
    }

    pub(crate) fn code(&self, what: &str, known: &[&str]) -> Option<String> {
        let word = self.text(Self::WORD_BYTES_MAX)?;
        if !known.contains(&word) {
            self.problem(format!("unknown {what} `{}`", shown(word)), one_of(word, known));
            return None;
        }
        Some(word.to_owned())
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong_type("true or false", "without quotes");
        }
        flag
    }

    pub(crate) fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type("a whole number", "without quotes, without a decimal point");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            let message = format!("out of range: {}", shown(integer.as_str()));
            self.problem(message, format!("want {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Micro-USD of an amount in USD, read from its digits.
    pub(crate) fn usd(&self) -> Option<u64> {
        let digits = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => {
                self.wrong_type("an amount in USD", "such as 3.00, without quotes");
                return None;
            }
        };
        let micro = values::micro_usd(digits);
        if micro.is_none() {
            self.problem(
                format!("not an amount in USD: {}", shown(digits)),
                "want digits with at most six decimals, not negative, below 9,000,000,000",
            );
        }
        micro
    }

    /// What `read` reads, or `None` for the word `unlimited`.
    pub(crate) fn or_unlimited<T>(&self, want: &str, read: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        match self.value.as_str() {
            None => read(self),
            Some("unlimited") => None,
            Some(_) => {
                self.wrong_type(want, "without quotes, or \"unlimited\"");
                None
            }
        }
    }

    pub(crate) fn date(&self) -> Option<String> {
        let text = match self.value {
            DeValue::Datetime(date) => date.to_string(),
            _ => self.text(Self::WORD_BYTES_MAX)?.to_owned(),
        };
        if values::day_number(&text).is_none() {
            self.problem(
                format!("not a date: {}", shown(&text)),
                "want YYYY-MM-DD, a day that the calendar has",
            );
            return None;
        }
        Some(text)
    }

    /// The items of a list; a text that stands there twice is a problem.
    pub(crate) fn list(&self, items_max: usize) -> Vec<Node<'s, 't>> {
        let nodes = self.sequence(items_max);
        let mut seen: Vec<&str> = Vec::new();
        for text in nodes.iter().filter_map(|node| node.value.as_str()) {
            if seen.contains(&text) {
                self.problem(format!("`{}` stands in the list twice", shown(text)), "once is enough");
            }
            seen.push(text);
        }
        nodes
    }

    /// The items of a list in which the same word may stand twice.
    pub(crate) fn sequence(&self, items_max: usize) -> Vec<Node<'s, 't>> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type("a list", "such as [\"a\", \"b\"]");
            return Vec::new();
        };
        if items.len() > items_max {
            self.problem(format!("the list has more than {items_max} items: {}", items.len()), "shorten it");
            return Vec::new();
        }
        self.items(items)
    }

    fn items(&self, items: &'s [Spanned<DeValue<'t>>]) -> Vec<Node<'s, 't>> {
        let node = |(index, item): (usize, &'s Spanned<DeValue<'t>>)| {
            Node::new(self.source, format!("{}[{index}]", self.path), item.span().start, item.get_ref())
        };
        items.iter().enumerate().map(node).collect()
    }

    /// The value as JSON, for what is handed to a plugin. Only what has a canonical form passes.
    pub(crate) fn json(&self, text_bytes_max: usize) -> Option<serde_json::Value> {
        use serde_json::Value;
        match self.value {
            DeValue::String(text) if text.len() <= text_bytes_max && !looks_secret(text) => {
                Some(Value::String(text.clone().into_owned()))
            }
            DeValue::String(_) => self.text(text_bytes_max).map(|text| Value::String(text.to_owned())),
            DeValue::Boolean(flag) => Some(Value::Bool(*flag)),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                let number = number.filter(|n| n.unsigned_abs() <= INTEGER_MAX);
                if number.is_none() {
                    self.problem("the number is too large", "JSON numbers are exact up to 2^53 - 1");
                }
                number.map(Value::from)
            }
            DeValue::Array(items) => {
                // Two steps: every item is looked at, also after one was found wrong.
                let all: Vec<_> = self.items(items).iter().map(|node| node.json(text_bytes_max)).collect();
                all.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            DeValue::Table(_) => {
                let entries = self.table().entries().into_iter();
                let all: Vec<_> = entries.map(|(key, node)| (key, node.json(text_bytes_max))).collect();
                all.into_iter()
                    .map(|(key, value)| Some((key.to_owned(), value?)))
                    .collect::<Option<_>>()
                    .map(Value::Object)
            }
            DeValue::Float(_) => {
                self.wrong_type(
                    "a value without a fraction",
                    "say it in permille or thousandths: floats have no canonical form",
                );
                None
            }
            DeValue::Datetime(_) => {
                self.wrong_type("a value that JSON has", "put the date in double quotes");
                None
            }
        }
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
