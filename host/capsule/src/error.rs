//! The one error of this room: what could not be done, and whose fault that is.

use crate::flaw::Flaw;
use sluice_core::{EventKind, LogicalUri};
use sluice_seal::{Fault, SealError};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the capsule could not do what was asked. Cheap to clone: one failed commit is reported to every
/// request in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CapsuleError {
    /// Nothing was made here yet.
    #[error("no capsule at `{}`", .0.display())]
    NotInitialised(PathBuf),
    /// `init` never touches what is there.
    #[error("there is a capsule already at `{}`", .0.display())]
    AlreadyInitialised(PathBuf),
    /// A workspace's name stands in every URI.
    #[error(
        "bad workspace name `{0}`: want 1 to 64 of a-z, 0-9, `-`, `_`, `.`, beginning with a letter or digit"
    )]
    BadWorkspace(String),
    /// A file could not be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `create`, `read` …
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The workspace key cannot be used.
    #[error("the workspace key `{}` {problem}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a key")]
    Entropy(#[source] Arc<io::Error>),
    /// The journal was made with another key than the one at hand.
    #[error("the journal belongs to the public key {journal}, the workspace key at hand is {at_hand}")]
    ForeignKey {
        /// The key in the journal's meta table.
        journal: String,
        /// The key derived from the key file, or the one that was expected.
        at_hand: String,
    },
    /// One writer at a time, over all processes.
    #[error("another writer holds the capsule: {0}")]
    Locked(String),
    /// No space left.
    #[error("the disk that holds the journal is full; nothing of this request was acknowledged")]
    Full,
    /// The engine failed otherwise.
    #[error("the journal cannot {doing}")]
    Storage {
        /// `commit`, `read an event` …
        doing: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Not a journal of this program, or of a version that it does not know.
    #[error("`{}` {problem}", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The journal moved on under this writer: another one got in.
    #[error("the journal is not where this writer left it: {0}")]
    Conflict(String),
    /// Too many requests wait already. Not stored; try again.
    #[error("the capsule's queue is full: {waiting} requests wait")]
    Busy {
        /// Requests in the queue.
        waiting: usize,
    },
    /// The writer was closed.
    #[error("the capsule's writer is closed")]
    Closed,
    /// The guard found a value that must not be stored. Says what kind of thing, never what was in it.
    #[error("a known secret value is in {what}: nothing of this request was stored")]
    Secret {
        /// "a `RoutingDecision` event", "a policy".
        what: String,
    },
    /// Over a limit.
    #[error("{what} is too large: {size} bytes, at most {max}")]
    TooLarge {
        /// What.
        what: String,
        /// Bytes given.
        size: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// An append holds no events, or more than one commit may.
    #[error("an append of {given} events: want 1 to {max}")]
    BadCount {
        /// Events given.
        given: usize,
        /// Events allowed.
        max: usize,
    },
    /// The payload has no canonical form.
    #[error("the payload of a `{kind}` event cannot be recorded: {reason}")]
    BadPayload {
        /// Which event.
        kind: EventKind,
        /// Why, with known secret values masked.
        reason: String,
    },
    /// An artefact's name or a checkpoint's label cannot be used.
    #[error("bad {what} `{given}`: want {want}")]
    BadName {
        /// What was named.
        what: &'static str,
        /// What was given, cut short.
        given: String,
        /// The rule.
        want: &'static str,
    },
    /// Only `Writer::checkpoint` makes checkpoints: they are signed.
    #[error("a `Checkpoint` event cannot be appended")]
    CheckpointByHand,
    /// An event names a policy whose bytes are not in the capsule, or others than those stored.
    #[error("an event names policy bytes that the capsule does not hold: `{0}`")]
    UnknownPolicy(LogicalUri),
    /// A name is given once.
    #[error("`{0}` is stored already, with other bytes")]
    NameTaken(LogicalUri),
    /// A URI of another workspace.
    #[error("`{uri}` is not of this capsule: its workspace is `{workspace}`")]
    ForeignWorkspace {
        /// What was asked for.
        uri: LogicalUri,
        /// The workspace here.
        workspace: String,
    },
    /// Nothing has this name.
    #[error("nothing in the capsule is named `{0}`")]
    NotFound(String),
    /// The record is damaged or was altered.
    #[error("the record does not hold: {0}")]
    Flawed(Flaw),
    /// A sealed file could not be written or read.
    #[error(transparent)]
    Seal(SealError),
    /// Sealed files that do not make up a capsule: one is missing, or they are of several.
    #[error("the sealed files are not a whole capsule: {0}")]
    SealedGap(String),
    /// What was asked for may have been recorded, but is not in these sealed files.
    #[error("nothing in the sealed files is named `{what}`; they end with {end}")]
    NotSealed {
        /// What was asked for.
        what: String,
        /// The last checkpoint in them.
        end: String,
    },
    /// A capsule that is read from sealed files.
    #[error("sealed files are not written to")]
    ReadOnly,
}

impl CapsuleError {
    pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> CapsuleError {
        CapsuleError::File { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn storage(doing: &'static str, source: impl Error + Send + Sync + 'static) -> CapsuleError {
        CapsuleError::Storage { doing, source: Arc::new(source) }
    }

    /// Who can do something about it.
    pub fn fault(&self) -> Fault {
        use CapsuleError as E;
        match self {
            E::Flawed(_) | E::ForeignKey { .. } | E::NotAJournal { .. } => Fault::Record,
            E::Seal(error) => error.fault(),
            E::File { .. }
            | E::Key { .. }
            | E::Entropy(_)
            | E::Locked(_)
            | E::Full
            | E::Storage { .. }
            | E::Conflict(_)
            | E::Busy { .. } => Fault::Machine,
            _ => Fault::Caller,
        }
    }

    /// Whether the same request may succeed later, as it is. After [`CapsuleError::Storage`] the request may
    /// be in the record although it was not acknowledged: look before you repeat it.
    pub fn retryable(&self) -> bool {
        use CapsuleError as E;
        match self {
            E::Locked(_) | E::Full | E::Storage { .. } | E::Busy { .. } => true,
            E::Seal(error) => error.retryable(),
            _ => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        use CapsuleError as E;
        let text = match self {
            E::NotInitialised(_) => "make one with `sluice capsule init`".to_owned(),
            E::AlreadyInitialised(_) => "it is ready to be used; `sluice capsule stats` shows it".to_owned(),
            E::File { .. } => "look at the path's permissions and at the disk it lies on".to_owned(),
            E::Key { path, problem } => key_hint(path, problem),
            E::ForeignKey { .. } => {
                "bring back the `keys` folder that this capsule was made with, or make a new capsule elsewhere".to_owned()
            }
            E::Locked(_) => "wait until it ends, or stop it; reading needs no lock".to_owned(),
            E::Full => "free space on that disk; the writer goes on by itself, and what was acknowledged is safe".to_owned(),
            E::Storage { .. } => {
                "see whether the disk is healthy, then run `sluice capsule verify`".to_owned()
            }
            E::NotAJournal { .. } => "use the version of sluice that wrote it, or restore the file from a copy".to_owned(),
            E::Conflict(_) => "find out what else writes this journal; then open the capsule anew".to_owned(),
            E::Busy { .. } => "try again in a moment; if it stays, the disk is too slow for the load".to_owned(),
            E::Secret { .. } => "the redactor missed it: add a rule, or keep the value out of names and labels".to_owned(),
            E::BadPayload { .. } => "use whole numbers up to 2^53 - 1, and at most 96 levels".to_owned(),
            E::CheckpointByHand => "use `Writer::checkpoint`".to_owned(),
            E::UnknownPolicy(_) => "store the snapshot with `put_policy` before the first event under it".to_owned(),
            E::NameTaken(_) => "names are immutable: choose another".to_owned(),
            E::Flawed(_) => "run `sluice capsule verify` for everything that is wrong, and compare with a copy".to_owned(),
            E::Seal(error) => return error.hint(),
            E::SealedGap(_) => "bring the whole folder `capsule/sealed`, of one capsule".to_owned(),
            E::NotSealed { .. } => {
                "what was recorded after the last seal is in the journal alone: `sluice capsule seal` there, then bring the new files".to_owned()
            }
            E::ReadOnly => "open the capsule that they were made from".to_owned(),
            E::Closed | E::Entropy(_) | E::BadWorkspace(_) | E::TooLarge { .. } | E::BadCount { .. } => return None,
            E::BadName { .. } | E::ForeignWorkspace { .. } | E::NotFound(_) => return None,
        };
        Some(text)
    }
}

fn key_hint(path: &Path, problem: &str) -> String {
    if problem == crate::keys::TOO_OPEN {
        format!("chmod 600 {}", path.display())
    } else if problem == crate::keys::FOLDER_TOO_OPEN {
        format!("chmod 700 {}", path.parent().unwrap_or(path).display())
    } else {
        "restore it from a copy; without it nothing can be signed in this capsule any more".to_owned()
    }
}
