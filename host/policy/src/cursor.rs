//! Reads a TOML document key by key and collects every problem on the way. Serde would stop at the first.
//!
//! A [`Cursor`] stands on one table. It remembers which keys were asked for; when it is dropped, each key
//! that nobody asked for is a problem. So forgetting to read a key refuses the policies that use it, and
//! can never accept what nothing acts on.

use crate::document::Source;
use crate::node::Node;
use crate::problem::{Problem, join, one_of, shown};
use crate::secretlike::looks_secret;
use sluice_core::words::UnknownWord;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::de::DeTable;

/// Which keys of a table were asked for.
#[derive(Default)]
struct Asked {
    keys: Vec<&'static str>,
    all: bool,
}

/// One table. Without a table behind it (its section is missing and was reported) it answers `None` and
/// stays silent, so that one mistake is one problem.
pub(crate) struct Cursor<'s, 't> {
    source: &'s Source<'t>,
    path: String,
    table: Option<&'s DeTable<'t>>,
    asked: RefCell<Asked>,
}

impl<'s, 't> Cursor<'s, 't> {
    /// Stands on `table`; on nothing, and silent, where there is none.
    pub(crate) fn new(
        source: &'s Source<'t>,
        path: String,
        table: Option<&'s DeTable<'t>>,
    ) -> Cursor<'s, 't> {
        Cursor { source, path, table, asked: RefCell::default() }
    }

    /// The path of `key` in this table.
    pub(crate) fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Reports a problem at `key`.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        if self.table.is_some() {
            let path = if key.is_empty() { self.path.clone() } else { self.at(key) };
            self.source.add(Problem::new(path, message, hint));
        }
    }

    /// The value at a key that may be left out; from now on the key is known.
    pub(crate) fn maybe(&self, key: &'static str) -> Option<Node<'s, 't>> {
        self.asked.borrow_mut().keys.push(key);
        let (name, value) = self.table?.get_key_value(key)?;
        let path = self.at(key);
        Some(Node::new(self.source, path, name.span().start, value.get_ref()))
    }

    /// The value at a key that must be there.
    pub(crate) fn need(&self, key: &'static str) -> Option<Node<'s, 't>> {
        let node = self.maybe(key);
        if node.is_none() {
            self.problem(
                key,
                format!("missing key `{key}`"),
                "every value that matters is written down: add it",
            );
        }
        node
    }

    /// A section that must be there.
    pub(crate) fn section(&self, key: &'static str) -> Cursor<'s, 't> {
        match self.maybe(key) {
            Some(node) => node.table(),
            None => {
                let path = self.at(key);
                self.problem(key, format!("missing section `[{path}]`"), format!("add `[{path}]`"));
                Cursor::new(self.source, path, None)
            }
        }
    }

    /// A section that may be left out.
    pub(crate) fn optional_section(&self, key: &'static str) -> Option<Cursor<'s, 't>> {
        Some(self.maybe(key)?.table())
    }

    /// Every entry, in the order of the keys: for tables whose keys are names that the author chose.
    pub(crate) fn entries(&self) -> Vec<(&'s str, Node<'s, 't>)> {
        self.asked.borrow_mut().all = true;
        let Some(table) = self.table else { return Vec::new() };
        let mut entries = Vec::with_capacity(table.len());
        for (name, value) in table {
            let key: &'s str = name.get_ref();
            let path = self.at(key);
            let node = Node::new(self.source, path, name.span().start, value.get_ref());
            if looks_secret(key) {
                node.secret();
            } else {
                entries.push((key, node));
            }
        }
        entries
    }

    pub(crate) fn text(&self, key: &'static str, bytes_max: usize) -> Option<String> {
        self.need(key)?.text(bytes_max).map(str::to_owned)
    }

    pub(crate) fn word<T: FromStr<Err = UnknownWord>>(&self, key: &'static str) -> Option<T> {
        self.need(key)?.word()
    }

    /// One of a fixed list of codes.
    pub(crate) fn code(&self, key: &'static str, what: &str, known: &[&str]) -> Option<String> {
        self.need(key)?.code(what, known)
    }

    pub(crate) fn whole(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.need(key)?.whole(range)
    }

    /// Like [`Cursor::whole`], for ranges that end below 2^32.
    pub(crate) fn whole_u32(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.whole(key, range).and_then(|n| u32::try_from(n).ok())
    }

    /// A whole number, or the word `unlimited`: `None`.
    pub(crate) fn whole_or_unlimited(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.need(key)?.or_unlimited("a whole number", |node| node.whole(range))
    }

    /// Micro-USD of an amount in USD, or of the word `unlimited`: `None`.
    pub(crate) fn usd_or_unlimited(&self, key: &'static str) -> Option<u64> {
        self.need(key)?.or_unlimited("an amount in USD", Node::usd)
    }

    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        self.need(key)?.flag()
    }

    pub(crate) fn date(&self, key: &'static str) -> Option<String> {
        self.need(key)?.date()
    }

    /// The items of a list that must be there; no item twice.
    pub(crate) fn list(&self, key: &'static str, items_max: usize) -> Vec<Node<'s, 't>> {
        self.need(key).map(|node| node.list(items_max)).unwrap_or_default()
    }

    /// A list of codes out of a fixed list.
    pub(crate) fn codes(&self, key: &'static str, what: &str, known: &[&str]) -> Vec<String> {
        self.list(key, known.len()).iter().filter_map(|node| node.code(what, known)).collect()
    }

    /// A list of words of one kind.
    pub(crate) fn words<T: FromStr<Err = UnknownWord>>(&self, key: &'static str, items_max: usize) -> Vec<T> {
        self.list(key, items_max).iter().filter_map(Node::word).collect()
    }
}

/// Keys that people put into a policy because other tools take them there.
const KEY_WORDS: &[&str] =
    &["key", "api_key", "apikey", "api_key_env", "key_env", "env", "token", "secret", "auth", "headers"];

impl Drop for Cursor<'_, '_> {
    fn drop(&mut self) {
        let asked = self.asked.take();
        let Some(table) = self.table.filter(|_| !asked.all) else { return };
        for (name, _) in table.iter().filter(|(name, _)| !asked.keys.contains(&name.get_ref().as_ref())) {
            let key: &str = name.get_ref();
            let path = self.at(key);
            self.source.visit(&path, name.span().start);
            let hint = if KEY_WORDS.contains(&key) {
                "a policy never names keys or variables: official origins use their usual variable, any other \
                 origin is named in the operator's file"
                    .to_owned()
            } else {
                one_of(key, &asked.keys)
            };
            self.source.add(Problem::new(path, format!("unknown key `{}`", shown(key)), hint));
        }
    }
}
