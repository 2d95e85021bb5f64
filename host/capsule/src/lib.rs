//! What is remembered: the journal of events, blobs and names; the chain of each run; signed checkpoints;
//! and everything by its logical URI. `docs/capsule-format.md` describes what is stored, exactly enough to
//! write a verifier from it; `tests/witness/verify_chain.py` is one.
//!
//! Start reading at [`Writer`] (how a request becomes durable), then `ledger` (how an event gets its place),
//! then [`Reader::verify`]. How signed stretches become sealed files is in `sealing`, what is done about lost and
//! damaged ones in `healing`, and `sealed` reads a capsule from such files alone; the files themselves are the
//! room `host/capsule/seal`.
//!
//! *Invariants*
//! - Nothing is acknowledged before it is durable; what was acknowledged is never lost (`tests/crash.rs`).
//! - One writer over all processes; readers never need its lock (`tests::locking`).
//! - A damaged or altered byte is reported, never handed out as if it were sound (`tests::damage`).
//! - What is sealed is what was signed, and is recorded only once it was read back (`tests::sealing`); a sealed file
//!   that is lost is written again byte for byte (`tests::healing`), and says by itself what the journal says
//!   (`tests::unsealed`).
//! - Nothing that the guard knows is stored (`tests::writing`).
//! - Nothing here opens a socket or runs a plugin.

mod checkpoint;
mod clerk;
pub mod conformance;
mod error;
mod files;
mod flaw;
mod healing;
mod journal;
mod keys;
mod ledger;
pub mod limits;
mod lock;
mod pending;
mod prepare;
mod queue;
mod reader;
mod row;
mod run;
mod sealed;
mod sealing;
mod sqlite;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use checkpoint::{BadMark, CheckpointMark, STATEMENT_FORMAT, SignedCheckpoint, Statement};
pub use error::CapsuleError;
pub use flaw::{Flaw, FlawKind};
pub use healing::Healed;
pub use journal::{
    BadRow, Batch, BlobRow, CheckpointRow, Counts, Each, EventQuery, FrameRow, Head, Journal, Meta, NameRow,
    Row, SealRow,
};
pub use keys::{BadPublicKey, PublicKey, WorkspaceKey, os_entropy};
pub use pending::Pending;
pub use reader::{EventFilter, EventPage, Identity, Reader, Resolved, RunSummary, Stats};
pub use row::EventRow;
pub use run::{CheckpointInfo, VerifiedRun};
pub use sluice_seal::Fault;
pub use sqlite::SqliteJournal;
pub use verify::VerifyReport;
pub use writer::Writer;

use crate::lock::WriterLock;
use sluice_core::RunId;
use std::io;
use std::path::{Path, PathBuf};

/// Makes a capsule in `state` (the `.speckit` folder): the workspace key, and an empty journal. Refuses to
/// touch one that is there; one that an earlier attempt left half made is finished. Returns the public key,
/// which is worth writing down elsewhere: with it, a verifier need not believe the capsule's own word.
pub fn init(
    state: &Path,
    workspace: &str,
    entropy: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
) -> Result<PublicKey, CapsuleError> {
    // The same rule as for run ids, and what `LogicalUri` accepts.
    if workspace.parse::<RunId>().is_err() {
        return Err(CapsuleError::BadWorkspace(workspace.chars().take(80).collect()));
    }
    let path = journal_path(state);
    if path.exists() {
        return Err(CapsuleError::AlreadyInitialised(state.to_owned()));
    }
    files::create_dir_all(state)?;
    files::create_private_dir(&keys::keys_dir(state))?;
    files::create_private_dir(&capsule_dir(state))?;
    let _lock = WriterLock::acquire(&lock_path(state), "sluice capsule init")?;
    // Another process may have been faster.
    if path.exists() {
        return Err(CapsuleError::AlreadyInitialised(state.to_owned()));
    }
    // SQLite would play such a log into any database that it finds beside it.
    let wal = sqlite::access::wal_path(&path);
    if files::size(&wal)? > 0 {
        let problem = "is what is left of a journal that is gone".to_owned();
        return Err(CapsuleError::NotAJournal { path: wal, problem });
    }
    let key = match WorkspaceKey::load_if_there(state)? {
        Some(key) => key,
        None => WorkspaceKey::create(state, entropy)?,
    };
    let draft = capsule_dir(state).join("journal.db.new");
    for ending in ["", "-wal", "-shm", "-journal"] {
        files::remove_if_there(&capsule_dir(state).join(format!("journal.db.new{ending}")))?;
    }
    let meta = Meta { workspace: workspace.to_owned(), public_key: key.public_key() };
    SqliteJournal::create(&draft, &meta)?;
    files::rename(&draft, &path)?;
    files::sync_dir(&capsule_dir(state))?;
    files::sync_dir(state)?;
    if let Some(parent) = state.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::sync_dir(parent)?;
    }
    Ok(meta.public_key)
}

/// Folder of the sealed files, in the capsule's.
pub const SEALED_FOLDER: &str = "sealed";

pub(crate) fn capsule_dir(state: &Path) -> PathBuf {
    state.join("capsule")
}

/// `<state>/capsule/journal.db`.
pub(crate) fn journal_path(state: &Path) -> PathBuf {
    capsule_dir(state).join("journal.db")
}

/// `<state>/capsule/writer.lock`.
pub(crate) fn lock_path(state: &Path) -> PathBuf {
    capsule_dir(state).join("writer.lock")
}
