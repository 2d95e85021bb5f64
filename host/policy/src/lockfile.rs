//! `plugins.lock`: which bytes each plugin source had when a person last looked. Written by
//! `sluice plugin lock`, read strictly, printed the same way every time.

use crate::authored::PluginSource;
use crate::compile::PluginFacts;
use crate::cursor::Cursor;
use crate::document::Source;
use crate::node::INTEGER_MAX;
use crate::problem::{Problem, shown};
use sluice_core::{Digest, PluginKind};
use std::collections::BTreeMap;
use std::fmt;

/// The only version of the format there is.
pub const LOCK_VERSION: u64 = 1;

/// Largest lock file in bytes, and most entries: four kinds, a handful of sources each.
const LOCK_BYTES_MAX: usize = 256 << 10;
const LOCK_ENTRIES_MAX: usize = 256;

/// Everything that a lock says of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPlugin {
    /// SHA-256 of the component's bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// Version of the contract it exports: `0.1.0`.
    pub contract: String,
}

/// A lock: at most one entry for each kind and source, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginLock {
    entries: BTreeMap<(PluginKind, String), LockedPlugin>,
}

impl PluginLock {
    /// Reads a lock; a missing file is [`PluginLock::default`].
    pub fn parse(text: &str) -> Result<PluginLock, Vec<Problem>> {
        let source = Source::new(text);
        let document = source.parse(LOCK_BYTES_MAX)?;
        let lock = {
            let root = source.root(&document);
            let version = root.whole("version", 0..=INTEGER_MAX);
            if version.is_some_and(|version| version != LOCK_VERSION) {
                // What another version's entries mean is not known: say nothing of them.
                root.entries();
                root.problem(
                    "version",
                    format!("unknown version of plugins.lock: {}", version.unwrap_or_default()),
                    format!("this program reads version {LOCK_VERSION}: use the program that wrote it, or write it anew"),
                );
                PluginLock::default()
            } else {
                read_entries(&root)
            }
        };
        let problems = source.into_problems();
        if problems.is_empty() { Ok(lock) } else { Err(problems) }
    }

    /// Pins a plugin as it was found, in place of what was pinned for the same kind and source.
    pub fn insert(&mut self, facts: &PluginFacts) {
        let locked = LockedPlugin {
            sha256: facts.sha256,
            size: facts.size,
            contract: facts.contract().unwrap_or_default().to_owned(),
        };
        self.entries.insert((facts.kind, facts.source.clone()), locked);
    }

    /// The entry of a kind and source.
    pub fn get(&self, kind: PluginKind, source: &str) -> Option<&LockedPlugin> {
        self.entries.get(&(kind, source.to_owned()))
    }

    /// The pin of a kind and source.
    pub fn pin(&self, kind: PluginKind, source: &str) -> Option<Digest> {
        self.get(kind, source).map(|entry| entry.sha256)
    }

    /// Every entry: kind, source, what is locked; sorted.
    pub fn iter(&self) -> impl Iterator<Item = (PluginKind, &str, &LockedPlugin)> {
        self.entries.iter().map(|((kind, source), locked)| (*kind, source.as_str(), locked))
    }
}

/// The file's text: the same entries always give the same bytes.
impl fmt::Display for PluginLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Written by `sluice plugin lock`. Which bytes each plugin source had when it was last reviewed."
        )?;
        writeln!(f, "version = {LOCK_VERSION}")?;
        for ((kind, source), locked) in &self.entries {
            writeln!(f, "\n[[plugin]]\nkind = \"{kind}\"\nsource = \"{source}\"")?;
            writeln!(f, "sha256 = \"{}\"\nsize = {}", locked.sha256, locked.size)?;
            writeln!(f, "contract = \"{}\"", locked.contract)?;
        }
        Ok(())
    }
}

fn read_entries(root: &Cursor<'_, '_>) -> PluginLock {
    let mut lock = PluginLock::default();
    let Some(list) = root.maybe("plugin") else { return lock };
    for node in list.list(LOCK_ENTRIES_MAX) {
        let entry = node.table();
        let kind = entry.word::<PluginKind>("kind");
        let source = entry.text("source", 256).filter(|source| {
            let ok = source.parse::<PluginSource>().is_ok_and(|parsed| parsed.to_string() == *source);
            if !ok {
                entry.problem(
                    "source",
                    format!("not a plugin source: `{}`", shown(source)),
                    "write the lock anew",
                );
            }
            ok
        });
        let sha256 = entry.need("sha256").and_then(|node| crate::authored::digest(&node));
        let size = entry.whole("size", 1..=INTEGER_MAX);
        let contract = entry.text("contract", 32).filter(|contract| {
            let ok = is_version(contract);
            if !ok {
                entry.problem(
                    "contract",
                    format!("not a version: `{}`", shown(contract)),
                    "want such as \"0.1.0\"",
                );
            }
            ok
        });
        if let (Some(kind), Some(source), Some(sha256), Some(size), Some(contract)) =
            (kind, source, sha256, size, contract)
        {
            let before = lock.entries.insert((kind, source.clone()), LockedPlugin { sha256, size, contract });
            if before.is_some() {
                node.problem(
                    format!("two entries for {kind} `{}`", shown(&source)),
                    "a merge may have left both: keep the one that you reviewed, or write the lock anew",
                );
            }
        }
    }
    lock
}

/// `MAJOR.MINOR.PATCH`, digits only.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
