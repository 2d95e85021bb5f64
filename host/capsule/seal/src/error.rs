//! The one error of this room.

use crate::reader::Damage;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who can do something about an error: of this room, and of the capsule around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever called: the request cannot be carried out as it is.
    Caller,
    /// The machine or its operator: disk, permissions, another process.
    Machine,
    /// The record, or the sealed file, does not hold what it should.
    Record,
}

/// Why nothing was sealed, or why a sealed file cannot be read. After any of them there is no sealed file that
/// was not there before, or a whole one: a retry finds out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SealError {
    /// A file could not be made, named, read or removed.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `create`, `rename` …
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Memvid could not write or read the container.
    #[error("memvid cannot {doing} `{}`", path.display())]
    Container {
        /// `write`, `read back` …
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// What was read back is not what was written.
    #[error("`{}` was not written as it should be: {problem}", path.display())]
    NotAsWritten {
        /// The temporary file, which was removed.
        path: PathBuf,
        /// Where it differs.
        problem: String,
    },
    /// Not a name for a sealed file.
    #[error(
        "bad name for a sealed file `{0}`: want 1 to 96 of a-z, 0-9, `-`, `_`, `.`, not beginning with `.`, and `.mv2`"
    )]
    BadName(String),
    /// The manifest cannot be stored.
    #[error("the seal's manifest cannot be used: {problem}")]
    BadManifest {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A frame cannot be stored.
    #[error("the frame `{uri}` cannot be sealed: {problem}")]
    BadFrame {
        /// Which.
        uri: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two frames with one name.
    #[error("two frames to seal are named `{0}`")]
    Duplicate(String),
    /// Nothing to seal.
    #[error("there is nothing to seal")]
    Empty,
    /// No file can hold it.
    #[error("the frame `{uri}` is too large to be sealed: {size} bytes, at most {max}")]
    FrameTooLarge {
        /// Which.
        uri: String,
        /// Bytes.
        size: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// One file cannot hold it all.
    #[error("{frames} frames are too much for one sealed file: it would have about {size} bytes")]
    TooMuch {
        /// Frames given.
        frames: usize,
        /// Estimated bytes of the file.
        size: u64,
    },
    /// There is a file of that name, and it is another.
    #[error("`{}` exists and holds something else", .0.display())]
    Exists(PathBuf),
    /// Not a sealed file, or not any more.
    #[error("`{}` is not an intact sealed file: {damage}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
}

impl SealError {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealError {
        move |source| SealError::File { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Who can do something about it.
    pub fn fault(&self) -> Fault {
        match self {
            SealError::File { .. } | SealError::Container { .. } | SealError::NotAsWritten { .. } => {
                Fault::Machine
            }
            SealError::Damaged { .. } | SealError::Exists(_) => Fault::Record,
            _ => Fault::Caller,
        }
    }

    /// Whether the same request may succeed later, as it is.
    pub fn retryable(&self) -> bool {
        self.fault() == Fault::Machine
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            SealError::File { .. } => "look at the path's permissions and at the disk it lies on",
            SealError::Container { .. } | SealError::NotAsWritten { .. } => {
                "see whether the disk is full or failing; the journal holds everything, and sealing can be repeated"
            }
            SealError::TooMuch { .. } => "split the frames with `plan` and seal each part",
            SealError::Exists(_) => {
                "move the file away; what it should hold can be sealed anew from the journal"
            }
            SealError::Damaged { .. } => {
                "take it from a copy, or seal it anew while the journal keeps its rows"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
