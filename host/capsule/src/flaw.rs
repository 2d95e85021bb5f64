//! What can be wrong with a record.

use serde::Serialize;
use std::fmt;

/// Longest piece of a damaged row that a message repeats, in characters.
const QUOTE_CHARS_MAX: usize = 200;

/// Which promise of the record is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlawKind {
    /// A row cannot be read, or holds what no writer writes.
    Unreadable,
    /// Bytes do not match their digest.
    Content,
    /// An event does not follow the one before it.
    Link,
    /// Something that must be there is not.
    Missing,
    /// It differs from what a checkpoint signed, or no checkpoint knows it.
    Unsigned,
    /// A signature does not hold.
    Signature,
    /// A checkpoint does not follow the one before it.
    CheckpointChain,
    /// A checkpoint's list of frames does not match its signed root.
    Manifest,
    /// The public key is not the expected one.
    Key,
    /// A table that only repeats others disagrees with them.
    Index,
    /// The storage engine reports damage.
    Storage,
    /// A sealed file is missing, damaged, or not what it is recorded to be.
    Seal,
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlawKind::Unreadable => "unreadable",
            FlawKind::Content => "content",
            FlawKind::Link => "link",
            FlawKind::Missing => "missing",
            FlawKind::Unsigned => "unsigned",
            FlawKind::Signature => "signature",
            FlawKind::CheckpointChain => "checkpoint-chain",
            FlawKind::Manifest => "manifest",
            FlawKind::Key => "key",
            FlawKind::Index => "index",
            FlawKind::Storage => "storage",
            FlawKind::Seal => "seal",
        })
    }
}

/// One thing that is wrong: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Which promise is broken.
    pub kind: FlawKind,
    /// The logical URI, where it is known; else the table and row, such as `events/17`.
    pub uri: String,
    /// What is wrong, in fixed words.
    pub message: String,
}

impl Flaw {
    pub(crate) fn new(kind: FlawKind, uri: impl AsRef<str>, message: impl Into<String>) -> Flaw {
        // A damaged row's URI is anything at all: it must not break a terminal or a log line.
        let uri = uri.as_ref().chars().take(QUOTE_CHARS_MAX);
        Flaw {
            kind,
            uri: uri.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.uri, self.message)
    }
}
