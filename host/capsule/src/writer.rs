//! The one writer: a thread that owns the journal, and handles that put requests in its line.
//!
//! Life of a request: checked and put into canonical form by the caller (`prepare`), put in line (`queue`),
//! placed (`ledger`), committed with all that waited beside it in one transaction, answered. Nothing is
//! answered before the commit is durable. What happens when a commit fails stands in `clerk`.

use crate::clerk::{Clerk, Open, Opener};
use crate::error::CapsuleError;
use crate::journal::SealRow;
use crate::keys::{PublicKey, WorkspaceKey};
use crate::ledger::Ledger;
use crate::limits::FRAMES_PER_CHECKPOINT_MAX;
use crate::lock::WriterLock;
use crate::pending::{Answer, Pending, pending};
use crate::prepare::{self, CheckpointOrder, Naming, Request};
use crate::queue::Queue;
use crate::reader::Reader;
use crate::sqlite::SqliteJournal;
use crate::{journal_path, lock_path};
use sluice_core::secret::Guard;
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventDraft, LogicalUri, PolicyBinding, PolicyId, RunId, Stage, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Writes the capsule. Clones share one thread and one connection; the last one dropped ends them.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    state: PathBuf,
    workspace: String,
    key: Arc<WorkspaceKey>,
    guard: Arc<dyn Guard>,
    queue: Arc<Queue<Request>>,
    thread: Mutex<Option<JoinHandle<Result<(), CapsuleError>>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What is in line is still recorded; its callers have been promised an answer.
        let _ = self.end();
    }
}

impl Shared {
    fn end(&self) -> Result<(), CapsuleError> {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(CapsuleError::Closed),
        }
    }
}

impl Writer {
    /// Opens the capsule of `state` (the `.speckit` folder) for writing. `who` says to others who holds the
    /// lock: the verb, and the run where there is one. Every payload and blob passes `guard`.
    pub fn open(state: &Path, guard: Arc<dyn Guard>, who: &str) -> Result<Writer, CapsuleError> {
        let path = journal_path(state);
        if !path.exists() {
            return Err(CapsuleError::NotInitialised(state.to_owned()));
        }
        let key = WorkspaceKey::load(state)?;
        let lock = WriterLock::acquire(&lock_path(state), &guard.mask(who))?;
        let opener: Opener = Box::new(move |in_doubt| {
            let journal = if in_doubt { SqliteJournal::reopen(&path)? } else { SqliteJournal::open(&path)? };
            Ok(Box::new(journal))
        });
        Writer::start(state, key, guard, lock, opener, FRAMES_PER_CHECKPOINT_MAX)
    }

    pub(crate) fn start(
        state: &Path,
        key: WorkspaceKey,
        guard: Arc<dyn Guard>,
        lock: WriterLock,
        mut opener: Opener,
        frames_per_checkpoint: u64,
    ) -> Result<Writer, CapsuleError> {
        let journal = opener(false)?;
        let meta = journal.meta()?;
        let (ours, theirs) = (key.public_key(), meta.public_key);
        if ours != theirs {
            return Err(CapsuleError::ForeignKey { journal: theirs.to_string(), at_hand: ours.to_string() });
        }
        let key = Arc::new(key);
        let ledger = Ledger::load(&*journal, &meta.workspace, Arc::clone(&key), frames_per_checkpoint)?;
        let queue = Arc::new(Queue::new());
        let clerk = Clerk {
            workspace: meta.workspace.clone(),
            key: Arc::clone(&key),
            frames_per_checkpoint,
            opener,
            open: Some(Open { journal, ledger }),
            in_doubt: false,
            queue: Arc::clone(&queue),
            lock,
        };
        let thread = std::thread::Builder::new()
            .name("capsule-writer".to_owned())
            .spawn(move || clerk.work())
            .map_err(|error| CapsuleError::file("start a thread for", state, error))?;
        let thread = Mutex::new(Some(thread));
        let shared = Shared { state: state.to_owned(), workspace: meta.workspace, key, guard, queue, thread };
        Ok(Writer { shared: Arc::new(shared) })
    }

    fn send<T>(&self, make: impl FnOnce(Answer<T>) -> Result<Request, CapsuleError>) -> Pending<T> {
        let (answer, pending) = pending();
        let request = match make(answer) {
            Ok(request) => request,
            Err(error) => return Pending::refused(error),
        };
        if let Err((error, request)) = self.shared.queue.push(request.weight(), request) {
            request.refuse(error);
        }
        pending
    }

    /// Records events, in order, all or none. Never blocks: a full queue is [`CapsuleError::Busy`].
    pub fn append(&self, drafts: Vec<EventDraft>) -> Pending<Vec<Event>> {
        self.send(|answer| {
            let events = prepare::drafts(drafts, &self.shared.workspace, &*self.shared.guard)?;
            Ok(Request::Append { events, answer })
        })
    }

    /// Records a policy snapshot's bytes as `policy/<id>`.
    pub fn put_policy(&self, id: PolicyId, bytes: impl Into<Arc<[u8]>>) -> Pending<LogicalUri> {
        self.put_named(Resource::Policy(id), "application/json", "a policy", bytes.into())
    }

    /// Records a plugin's bytes as `plugin/sha256/<digest>`.
    pub fn put_plugin(&self, bytes: impl Into<Arc<[u8]>>) -> Pending<LogicalUri> {
        let bytes = bytes.into();
        self.put_named(Resource::Plugin(Digest::of(&bytes)), "application/wasm", "a plugin", bytes)
    }

    /// Records bytes as `blob/sha256/<digest>`.
    pub fn put_blob(&self, bytes: impl Into<Arc<[u8]>>) -> Pending<LogicalUri> {
        let bytes = bytes.into();
        self.send(|answer| {
            let digest = prepare::blob(&bytes, "a blob", &*self.shared.guard)?;
            Ok(Request::Put { naming: Naming::Digest, digest, bytes, answer })
        })
    }

    /// Records what a stage produced as `artifact/<run>/<stage>/<name>`. A name is given once: the same bytes
    /// again change nothing, other bytes are refused.
    pub fn put_artifact(
        &self,
        run: &RunId,
        stage: Stage,
        name: &str,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Pending<LogicalUri> {
        let resource = Resource::Artifact(run.clone(), stage, name.to_owned());
        self.put_named(resource, media_type_of(name), "an artifact", bytes.into())
    }

    /// Records a replay report as `report/<run>/<n>`, `n` being the next number of the run.
    pub fn put_report(
        &self,
        run: &RunId,
        media_type: &'static str,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Pending<LogicalUri> {
        let bytes = bytes.into();
        self.send(|answer| {
            let guard = &*self.shared.guard;
            let digest = prepare::blob(&bytes, "a report", guard)?;
            // The number comes later; the rest of the name is looked at now.
            prepare::uri(&self.shared.workspace, Resource::Report(run.clone(), 1), "a report", guard)?;
            let naming = Naming::Report { run: run.clone(), media_type: media_type.to_owned() };
            Ok(Request::Put { naming, digest, bytes, answer })
        })
    }

    fn put_named(
        &self,
        resource: Resource,
        media_type: &str,
        what: &'static str,
        bytes: Arc<[u8]>,
    ) -> Pending<LogicalUri> {
        self.send(|answer| {
            let guard = &*self.shared.guard;
            let digest = prepare::blob(&bytes, what, guard)?;
            let uri = prepare::uri(&self.shared.workspace, resource, what, guard)?;
            let naming = Naming::Uri { uri, media_type: media_type.to_owned() };
            Ok(Request::Put { naming, digest, bytes, answer })
        })
    }

    /// Signs everything recorded before this request, of all runs, and records the signature as the next event
    /// of `run`. Where more than `FRAMES_PER_CHECKPOINT_MAX` frames are unsigned, several checkpoints are made
    /// and the last is returned.
    pub fn checkpoint(
        &self,
        run: &RunId,
        label: &str,
        at: Timestamp,
        policy: &PolicyBinding,
    ) -> Pending<Event> {
        let order = CheckpointOrder { run: run.clone(), label: label.to_owned(), at, policy: policy.clone() };
        self.send(|answer| {
            let order = prepare::order(order, &self.shared.workspace, &*self.shared.guard)?;
            Ok(Request::Checkpoint { order, answer })
        })
    }

    /// Records that a sealed file was written and verified.
    pub fn put_seal(&self, row: SealRow) -> Pending<()> {
        self.send(|answer| Ok(Request::Seal { row, answer }))
    }

    /// The workspace key, for those who derive from it.
    pub fn key(&self) -> &WorkspaceKey {
        &self.shared.key
    }

    /// What checkpoints are verified with.
    pub fn public_key(&self) -> PublicKey {
        self.shared.key.public_key()
    }

    /// The workspace's name.
    pub fn workspace(&self) -> &str {
        &self.shared.workspace
    }

    /// A reader of the same capsule, with a connection of its own.
    pub fn reader(&self) -> Result<Reader, CapsuleError> {
        Ok(Reader::open(&self.shared.state)?.expecting(self.public_key()))
    }

    /// Records what is still in line, closes the journal and gives the lock back. Clones refuse requests from
    /// then on.
    pub fn close(self) -> Result<(), CapsuleError> {
        self.shared.end()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("workspace", &self.shared.workspace).finish_non_exhaustive()
    }
}

/// By the name's ending, the few kinds that stages produce.
fn media_type_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("txt" | "log") => "text/plain",
        Some("html") => "text/html",
        Some("diff" | "patch") => "text/x-diff",
        _ => "application/octet-stream",
    }
}
