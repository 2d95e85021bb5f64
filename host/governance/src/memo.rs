//! What was scanned is not scanned again: an LLM client resends its whole history with each turn, and a redactor
//! is a pure function.
//!
//! A result is kept under a digest of everything that it depends on, and of the redactor's own digest; so another
//! plugin, another configuration or one changed byte is another entry. Spans are kept, never text. One memo
//! belongs to one run: whoever could see how fast another tenant's text is scanned would learn what it holds.

use crate::json::Leaf;
use lru::LruCache;
use sluice_core::Digest;
use sluice_core::contract::redactor::{Content, Field, FieldResult};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most entries: the leaves of a few hundred turns. An entry takes some 150 bytes.
const ENTRIES_MAX: NonZeroUsize = match NonZeroUsize::new(16_384) {
    Some(entries) => entries,
    None => NonZeroUsize::MIN,
};

/// A field with more findings is scanned each time: an entry stays small.
const SPANS_MAX: usize = 64;

/// Strings in which nothing was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Clean {
    /// How many were scanned, those of JSON inside strings by themselves.
    pub fields: u64,
    /// Their bytes, unescaped.
    pub bytes: u64,
}

impl Clean {
    pub(crate) fn of(leaves: &[&Leaf]) -> Clean {
        Clean { fields: leaves.len() as u64, bytes: leaves.iter().map(|leaf| leaf.text.len() as u64).sum() }
    }

    pub(crate) fn and(self, more: Clean) -> Clean {
        Clean { fields: self.fields + more.fields, bytes: self.bytes + more.bytes }
    }
}

/// Results of one run's scans.
pub struct Memo {
    entries: Mutex<LruCache<Digest, FieldResult>>,
    /// Strings of bodies in which neither redactor nor guard finds anything, as they are written: nearly all are, and
    /// these need not even be read.
    clean: Mutex<LruCache<Digest, Clean>>,
    asked: AtomicU64,
    found: AtomicU64,
}

impl Default for Memo {
    fn default() -> Memo {
        let (entries, clean) =
            (Mutex::new(LruCache::new(ENTRIES_MAX)), Mutex::new(LruCache::new(ENTRIES_MAX)));
        Memo { entries, clean, asked: AtomicU64::new(0), found: AtomicU64::new(0) }
    }
}

impl Memo {
    /// What a field's result is kept under.
    pub(crate) fn key(redactor: Digest, config: &str, field: &Field<'_>) -> Digest {
        let (kind, content): (&[u8], &[u8]) = match field.content {
            Content::Text(text) => (b"t", text.as_bytes()),
            Content::Bytes(bytes) => (b"b", bytes),
            Content::Reference(text) => (b"r", text.as_bytes()),
        };
        // Absent and empty are two things, and so are one pair and two halves of it.
        let flags = [field.key.is_some(), field.tool_name.is_some(), field.is_final].map(u8::from);
        let ext: Vec<u8> = field
            .ext
            .iter()
            .flat_map(|(name, value)| *Digest::of_parts(&[name.as_bytes(), value.as_bytes()]).as_bytes())
            .collect();
        Digest::of_parts(&[
            redactor.as_bytes(),
            config.as_bytes(),
            field.path.as_bytes(),
            &flags,
            field.key.unwrap_or_default().as_bytes(),
            field.direction.as_bytes(),
            field.author.as_bytes(),
            field.tool_name.unwrap_or_default().as_bytes(),
            field.media_type.as_bytes(),
            kind,
            content,
            field.before.as_bytes(),
            field.carry,
            &ext,
        ])
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<FieldResult> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = lock(&self.entries).get(key).cloned();
        self.found.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, key: Digest, result: &FieldResult) {
        if result.spans.len() <= SPANS_MAX {
            lock(&self.entries).put(key, result.clone());
        }
    }

    /// What was counted of a string in which nothing was found. A string that is not there is looked up field by field.
    pub(crate) fn clean(&self, key: &Digest) -> Option<Clean> {
        let found = lock(&self.clean).get(key).copied()?;
        self.asked.fetch_add(found.fields, Ordering::Relaxed);
        self.found.fetch_add(found.fields, Ordering::Relaxed);
        Some(found)
    }

    pub(crate) fn put_clean(&self, key: Digest, clean: Clean) {
        lock(&self.clean).put(key, clean);
    }

    /// How many fields were looked up, and how many of them were there.
    pub fn hits(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.found.load(Ordering::Relaxed))
    }
}

fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    // An entry is put in whole: a panic elsewhere leaves nothing half done.
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (asked, found) = self.hits();
        write!(f, "Memo({found} of {asked})")
    }
}
