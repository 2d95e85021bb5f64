//! The one writer: a thread that owns the journal, and handles that put requests in its line.
//!
//! Life of a request: checked and put into canonical form by the caller (`prepare`), put in line (`queue`),
//! placed (`ledger`), committed with all that waited beside it in one transaction, answered. Nothing is
//! answered before the commit is durable. What happens when a commit fails stands in `clerk`.

use crate::clerk::{Clerk, Open, Opener};
use crate::error::CapsuleError;
use crate::healing::{Depth, Healed};
use crate::journal::SealRow;
use crate::keys::{PublicKey, WorkspaceKey};
use crate::ledger::Ledger;
use crate::limits::FRAMES_PER_CHECKPOINT_MAX;
use crate::lock::WriterLock;
use crate::pending::{Answer, Pending, pending};
use crate::prepare::{self, CheckpointOrder, Naming, Request};
use crate::queue::Queue;
use crate::reader::Reader;
use crate::sealing::{Sealing, seals};
use crate::sqlite::SqliteJournal;
use crate::{SEALED_FOLDER, capsule_dir, journal_path, lock_path};
use sluice_core::secret::Guard;
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventDraft, LogicalUri, PolicyBinding, PolicyId, RunId, Stage, Timestamp};
use sluice_seal::{Disk, FileDoor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Writes the capsule. Clones share one thread and one connection; the last one dropped ends them.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

/// What tests exchange.
pub(crate) struct Engine {
    pub opener: Opener,
    pub frames_per_checkpoint: u64,
    pub door: Arc<dyn FileDoor>,
}

struct Shared {
    state: PathBuf,
    workspace: String,
    key: Arc<WorkspaceKey>,
    guard: Arc<dyn Guard>,
    queue: Arc<Queue<Request>>,
    thread: Mutex<Option<JoinHandle<Result<(), CapsuleError>>>>,
    door: Arc<dyn FileDoor>,
    /// Held while sealing: one at a time. What had to be put right so far.
    sealing: Mutex<Healed>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What is in line is still recorded; its callers have been promised an answer.
        let _ = self.end();
    }
}

impl Shared {
    fn end(&self) -> Result<(), CapsuleError> {
        // A seal that is under way ends first: with the thread goes the lock, and then others may seal.
        let _sealing = self.sealing();
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(CapsuleError::Closed),
        }
    }
}

impl Shared {
    fn sealing(&self) -> MutexGuard<'_, Healed> {
        // A panic leaves a report that is short of a line at most; files are judged anew each time.
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Opens the capsule of `state` (the `.speckit` folder) for writing. `who` says to others who holds the
    /// lock: the verb, and the run where there is one. Every payload and blob passes `guard`.
    ///
    /// What a crash did to the sealed files is put right on the way: see [`Writer::healed`].
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
        let door = Arc::new(Disk);
        Writer::start(
            state,
            key,
            guard,
            lock,
            Engine { opener, frames_per_checkpoint: FRAMES_PER_CHECKPOINT_MAX, door },
        )
    }

    pub(crate) fn start(
        state: &Path,
        key: WorkspaceKey,
        guard: Arc<dyn Guard>,
        lock: WriterLock,
        engine: Engine,
    ) -> Result<Writer, CapsuleError> {
        let Engine { mut opener, frames_per_checkpoint, door } = engine;
        let journal = opener(false)?;
        let meta = journal.meta()?;
        let (ours, theirs) = (key.public_key(), meta.public_key);
        if ours != theirs {
            return Err(CapsuleError::ForeignKey { journal: theirs.to_string(), at_hand: ours.to_string() });
        }
        let key = Arc::new(key);
        let ledger = Ledger::load(&*journal, &meta.workspace, Arc::clone(&key), frames_per_checkpoint)?;
        let sealed_before = !seals(&*journal)?.is_empty() || capsule_dir(state).join(SEALED_FOLDER).exists();
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
        let sealing = Mutex::new(Healed::default());
        let (state, workspace) = (state.to_owned(), meta.workspace);
        let shared = Shared { state, workspace, key, guard, queue, thread, door, sealing };
        let writer = Writer { shared: Arc::new(shared) };
        if sealed_before {
            writer.look_after(Depth::Newest);
        }
        Ok(writer)
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

    /// Records that a sealed file was written and verified. [`Writer::seal`] does both.
    pub fn put_seal(&self, row: SealRow) -> Pending<()> {
        self.send(|answer| Ok(Request::Seal { row, answer }))
    }

    /// Seals what signed checkpoints cover and no file holds yet: one file a checkpoint, or several where it is
    /// large, each written once, read back, verified, synced, named and only then recorded. Checkpoints dated
    /// later than `at` wait for a later call. Returns what was sealed, oldest first; nothing to seal is no error.
    ///
    /// Works in the caller's thread and blocks it until the last file is durable (in async code:
    /// `spawn_blocking`); the writer goes on recording meanwhile. Calls wait for each other. After an error what
    /// was sealed stays sealed, nothing is lost, and the call can be made again.
    pub fn seal(&self, at: Timestamp) -> Result<Vec<SealRow>, CapsuleError> {
        let mut healed = self.shared.sealing();
        self.with_sealing(&mut healed, |sealing| sealing.seal(|statement| statement.at <= at))
    }

    /// [`Writer::checkpoint`], then [`Writer::seal`]: the checkpoint's event, and what was sealed. Blocks as
    /// `seal` does. After an error the checkpoint may have been made.
    pub fn checkpoint_and_seal(
        &self,
        run: &RunId,
        label: &str,
        at: Timestamp,
        policy: &PolicyBinding,
    ) -> Result<(Event, Vec<SealRow>), CapsuleError> {
        let event = self.checkpoint(run, label, at, policy).wait()?;
        Ok((event, self.seal(at)?))
    }

    /// Reads every sealed file and puts right what can be put right: what is missing or damaged is written again
    /// from the journal. Opening does the same with the newest files. Returns what was found now.
    pub fn heal(&self) -> Healed {
        self.look_after(Depth::All)
    }

    /// What opening, and sealing since, had to put right: to be told to a person, see [`Healed::lines`].
    pub fn healed(&self) -> Healed {
        self.shared.sealing().clone()
    }

    fn look_after(&self, depth: Depth) -> Healed {
        let mut so_far = self.shared.sealing();
        let mut found = Healed::default();
        let looked = self.with_sealing(&mut found, |sealing| {
            sealing.heal(depth);
            Ok(())
        });
        if let Err(error) = looked {
            found.problem(&capsule_dir(&self.shared.state), &error);
        }
        so_far.add(found.clone());
        found
    }

    /// Runs `work` on a connection of its own. The caller holds the lock of `Shared::sealing`.
    fn with_sealing<T>(
        &self,
        healed: &mut Healed,
        work: impl FnOnce(&mut Sealing<'_>) -> Result<T, CapsuleError>,
    ) -> Result<T, CapsuleError> {
        let shared = &self.shared;
        let journal = SqliteJournal::open_to_read(&journal_path(&shared.state))?;
        let record = |row| self.put_seal(row).wait();
        work(&mut Sealing {
            capsule: &capsule_dir(&shared.state),
            journal: &journal,
            workspace: &shared.workspace,
            key: shared.key.public_key(),
            door: &*shared.door,
            record: &record,
            healed,
        })
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
