//! Reads the capsule. Never needs the writer's lock, and works where nothing can be written.

use crate::checkpoint::{self, CheckpointMark};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::journal::{Counts, EventQuery, FrameRow, Head, Journal, Meta, Row, SealRow};
use crate::keys::{PublicKey, WorkspaceKey};
use crate::ledger::unreadable;
use crate::limits::{EVENTS_PER_PAGE_MAX, FRAMES_PER_CHECKPOINT_MAX, PAGE_BYTES_MAX};
use crate::row::EventRow;
use crate::sealing::seals;
use crate::sqlite::SqliteJournal;
use crate::verify::VerifyReport;
use crate::{capsule_dir, journal_path, run, sealed, verify};
use serde::Serialize;
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventKind, LogicalUri, RunId, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why the public key is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// The caller named it.
    Expected,
    /// It follows from the workspace key file beside the capsule.
    KeyFile,
    /// The journal says so itself. Whoever made the whole capsule anew with a key of their own would pass.
    Unconfirmed,
}

/// Reads a capsule. Clones share one connection, and take turns on it.
#[derive(Clone)]
pub struct Reader {
    journal: Arc<Mutex<Box<dyn Journal>>>,
    meta: Meta,
    pub(crate) key: PublicKey,
    pub(crate) identity: Identity,
    pub(crate) mark: Option<CheckpointMark>,
    /// The capsule's folder, where there is one: sealed files lie in it.
    pub(crate) capsule: Option<PathBuf>,
    /// Read from sealed files: the last checkpoint in them.
    sealed_end: Option<Arc<str>>,
}

/// Which events to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this run only, in the order of its chain.
    pub run: Option<RunId>,
    /// Of this type only.
    pub kind: Option<EventKind>,
    /// Recorded after this position: [`EventPage::next`] of the page before.
    pub after: u64,
    /// At most so many; at most [`EVENTS_PER_PAGE_MAX`].
    pub limit: usize,
}

impl Default for EventFilter {
    fn default() -> EventFilter {
        EventFilter { run: None, kind: None, after: 0, limit: EVENTS_PER_PAGE_MAX }
    }
}

/// Some events, each of which matches its hash.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventPage {
    /// In the order of recording.
    pub events: Vec<Event>,
    /// What to ask for next; `None` where this was the last page.
    pub next: Option<u64>,
}

/// One run at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run_id: RunId,
    /// Events in it.
    pub events: u64,
    /// When its first event was.
    pub first_at: Timestamp,
    /// When its last event was.
    pub last_at: Timestamp,
    /// Type of its last event.
    pub last_type: EventKind,
    /// Hash of its last event.
    pub head: Digest,
}

/// What a URI stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The bytes; they were found to match their digest or hash.
    pub bytes: Vec<u8>,
    /// `application/json` …
    pub media_type: String,
    /// SHA-256 of the bytes; for an event, its hash.
    pub digest: Digest,
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The workspace.
    pub workspace: String,
    /// What checkpoints are signed with.
    pub public_key: PublicKey,
    /// Why that key is believed.
    pub identity: Identity,
    /// Counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Frames recorded in all.
    pub last_position: u64,
    /// Frames up to here are covered by a checkpoint, as it says itself; see `verify`.
    pub signed_position: u64,
    /// Frames up to here are in sealed files, as their records say; see `verify`.
    pub sealed_position: u64,
}

impl Reader {
    /// Opens the capsule of `state` (the `.speckit` folder). Where the workspace key lies beside it, the
    /// public key is compared with that.
    pub fn open(state: &Path) -> Result<Reader, CapsuleError> {
        let path = journal_path(state);
        if !path.exists() {
            return Err(CapsuleError::NotInitialised(state.to_owned()));
        }
        let reader = Reader::of(Box::new(SqliteJournal::open_to_read(&path)?))?;
        let reader = Reader { capsule: Some(capsule_dir(state)), ..reader };
        // A key file that cannot be used is the writer's trouble; a reader then goes without.
        Ok(match WorkspaceKey::load_if_there(state) {
            Ok(Some(key)) => Reader { key: key.public_key(), identity: Identity::KeyFile, ..reader },
            _ => reader,
        })
    }

    /// Reads a capsule from its sealed files alone: no journal, no key, no right to write is needed. Each path is
    /// a file, or a folder whose `.mv2` files are meant (also a state folder, or the capsule's). Together they must
    /// reach back to the beginning: chains and checkpoints begin there.
    ///
    /// Everything is checked as it is in a journal, by the same code. Nobody vouches for the public key: see
    /// [`Reader::expecting`]. What was recorded after the last seal is not in the files.
    ///
    /// # Errors
    /// [`CapsuleError::SealedGap`] where a file is missing between the others, [`CapsuleError::Seal`] where one is
    /// damaged.
    pub fn open_sealed(paths: &[PathBuf]) -> Result<Reader, CapsuleError> {
        let journal = sealed::load(paths)?;
        let last = journal.last_checkpoint()?.and_then(Result::ok);
        let end = checkpoint::checkpoint_id(last.map_or(0, |row| row.number));
        Ok(Reader { sealed_end: Some(end.into()), ..Reader::of(Box::new(journal))? })
    }

    /// For a capsule that is read from sealed files: the last checkpoint in them, `cp-<number>`. What was recorded
    /// after it is not here.
    pub fn sealed_end(&self) -> Option<&str> {
        self.sealed_end.as_deref()
    }

    /// Reads any engine.
    pub fn of(journal: Box<dyn Journal>) -> Result<Reader, CapsuleError> {
        let meta = journal.meta()?;
        let (key, journal) = (meta.public_key, Arc::new(Mutex::new(journal)));
        let (identity, mark) = (Identity::Unconfirmed, None);
        Ok(Reader { journal, meta, key, identity, mark, capsule: None, sealed_end: None })
    }

    /// Believes this public key and no other, wherever the capsule came from.
    pub fn expecting(self, key: PublicKey) -> Reader {
        Reader { key, identity: Identity::Expected, ..self }
    }

    /// Wants this checkpoint to be there: one that somebody kept the mark of, elsewhere.
    pub fn expecting_checkpoint(self, mark: CheckpointMark) -> Reader {
        Reader { mark: Some(mark), ..self }
    }

    /// The workspace's name.
    pub fn workspace(&self) -> &str {
        &self.meta.workspace
    }

    /// The public key that the journal names.
    pub fn claimed_key(&self) -> PublicKey {
        self.meta.public_key
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Box<dyn Journal>> {
        // A reader changes nothing: a panic elsewhere cannot have left anything half done.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All runs, by id; ids made by the host sort by time.
    pub fn runs(&self) -> Result<Vec<RunSummary>, CapsuleError> {
        let journal = self.journal();
        let mut runs = Vec::new();
        journal.consistently(&mut || {
            runs.clear();
            let mut heads: Vec<(String, Head)> = Vec::new();
            journal.heads(&mut |row| {
                heads.push(row.map_err(unreadable)?);
                Ok(true)
            })?;
            for (run, head) in heads {
                let first = self.read_event(&**journal, &run, 1)?;
                let last = self.read_event(&**journal, &run, head.seq)?;
                runs.push(RunSummary {
                    run_id: last.run_id,
                    events: head.seq,
                    first_at: first.at,
                    last_at: last.at,
                    last_type: last.kind,
                    head: last.hash,
                });
            }
            Ok(())
        })?;
        Ok(runs)
    }

    /// One page of events. Each is checked against its own hash; whether the chain is whole is what
    /// [`Reader::run_events`] and [`Reader::verify`] say.
    pub fn events(&self, filter: &EventFilter) -> Result<EventPage, CapsuleError> {
        let query = EventQuery {
            run: filter.run.as_ref().map(ToString::to_string),
            kind: filter.kind.map(EventKind::name),
            after: filter.after,
        };
        let limit = filter.limit.clamp(1, EVENTS_PER_PAGE_MAX);
        let mut page = EventPage { events: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, filter.after);
        self.journal().events(&query, &mut |row| {
            if page.events.len() == limit || bytes > PAGE_BYTES_MAX {
                page.next = Some(last);
                return Ok(false);
            }
            let row = row.map_err(unreadable)?;
            bytes += row.payload.len();
            last = row.position;
            page.events.push(self.sound(&row)?);
            Ok(true)
        })?;
        Ok(page)
    }

    /// The bytes that a URI stands for, checked against their digest.
    pub fn resolve(&self, uri: &LogicalUri) -> Result<Resolved, CapsuleError> {
        self.look_up(uri).map_err(|error| self.or_not_sealed(error))
    }

    /// What is not found in sealed files may only have come after them.
    pub(crate) fn or_not_sealed(&self, error: CapsuleError) -> CapsuleError {
        match (error, &self.sealed_end) {
            (CapsuleError::NotFound(what), Some(end)) => {
                CapsuleError::NotSealed { what, end: end.to_string() }
            }
            (error, _) => error,
        }
    }

    fn look_up(&self, uri: &LogicalUri) -> Result<Resolved, CapsuleError> {
        if uri.workspace != self.meta.workspace {
            let workspace = self.meta.workspace.clone();
            return Err(CapsuleError::ForeignWorkspace { uri: uri.clone(), workspace });
        }
        let journal = self.journal();
        let text = uri.to_string();
        match &uri.resource {
            Resource::Event(run, seq) => {
                let row = found(journal.event(run.as_str(), *seq)?, &text)?;
                self.sound(&row)?;
                let bytes = row.document(&self.meta.workspace);
                Ok(Resolved { bytes, media_type: JSON.to_owned(), digest: row.hash })
            }
            Resource::Blob(digest) => blob(&**journal, &text, digest, "application/octet-stream"),
            Resource::Checkpoint(id) => self.resolve_checkpoint(&**journal, id, &text),
            Resource::Policy(_) | Resource::Artifact(..) | Resource::Plugin(_) | Resource::Report(..) => {
                let name = found(journal.name(&text)?, &text)?;
                let own = !matches!(&uri.resource, Resource::Plugin(digest) if *digest != name.digest);
                if name.uri != text || !own {
                    let message = "its name stands for other bytes than it says";
                    return Err(CapsuleError::Flawed(Flaw::new(FlawKind::Content, &text, message)));
                }
                blob(&**journal, &text, &name.digest, &name.media_type)
            }
        }
    }

    fn resolve_checkpoint(
        &self,
        journal: &dyn Journal,
        id: &str,
        text: &str,
    ) -> Result<Resolved, CapsuleError> {
        let not_found = || CapsuleError::NotFound(text.to_owned());
        let number = checkpoint::checkpoint_number(id).ok_or_else(not_found)?;
        let query = EventQuery { kind: Some(EventKind::Checkpoint.name()), ..EventQuery::default() };
        let mut resolved = None;
        journal.events(&query, &mut |row| {
            let row = row.map_err(unreadable)?;
            let signed = checkpoint::read(&row, &self.meta.workspace).map_err(CapsuleError::Flawed)?;
            if signed.statement.number != number {
                return Ok(true);
            }
            if !signed.verifies(&self.key) {
                let message = "its signature does not hold";
                return Err(CapsuleError::Flawed(Flaw::new(FlawKind::Signature, text, message)));
            }
            let bytes = row.payload.into_bytes();
            let digest = Digest::of(&bytes);
            resolved = Some(Resolved { bytes, media_type: JSON.to_owned(), digest });
            Ok(false)
        })?;
        resolved.ok_or_else(not_found)
    }

    /// Counts, sizes, and how far the checkpoints reach.
    pub fn stats(&self) -> Result<Stats, CapsuleError> {
        let journal = self.journal();
        let mut signed_position = 0;
        let query = EventQuery { kind: Some(EventKind::Checkpoint.name()), ..EventQuery::default() };
        journal.events(&query, &mut |row| {
            let row = row.map_err(unreadable)?;
            let signed = checkpoint::read(&row, &self.meta.workspace).map_err(CapsuleError::Flawed)?;
            signed_position = signed_position.max(signed.statement.last);
            Ok(true)
        })?;
        Ok(Stats {
            workspace: self.meta.workspace.clone(),
            public_key: self.meta.public_key,
            identity: self.identity,
            counts: journal.counts()?,
            last_position: journal.last_position()?,
            signed_position,
            sealed_position: seals(&**journal)?.last().map_or(0, |row| row.last),
        })
    }

    /// Everything recorded at `first..=last`, by digest, in the order of recording: what a sealed file holds.
    /// At most [`FRAMES_PER_CHECKPOINT_MAX`] at a time.
    pub fn frames(&self, first: u64, last: u64) -> Result<Vec<FrameRow>, CapsuleError> {
        let last = last.min(first.saturating_add(FRAMES_PER_CHECKPOINT_MAX - 1));
        let mut frames = Vec::new();
        self.journal().frames(first, last, &mut |row| {
            frames.push(row.map_err(unreadable)?);
            Ok(true)
        })?;
        Ok(frames)
    }

    /// Sealed files, in the order of what they hold.
    pub fn seals(&self) -> Result<Vec<SealRow>, CapsuleError> {
        seals(&**self.journal())
    }

    /// One whole run, after its chain, its checkpoints and their signatures were checked. The error names the
    /// first event that does not hold.
    pub fn run_events(&self, run: &RunId) -> Result<run::VerifiedRun, CapsuleError> {
        run::verified(self, run).map_err(|error| self.or_not_sealed(error))
    }

    /// Checks everything there is. Damage is in the report; `Err` says that it could not be looked at.
    pub fn verify(&self) -> Result<VerifyReport, CapsuleError> {
        verify::report(self)
    }

    fn read_event(&self, journal: &dyn Journal, run: &str, seq: u64) -> Result<Event, CapsuleError> {
        let uri = crate::row::event_uri(&self.meta.workspace, run, seq);
        match journal.event(run, seq)? {
            Some(row) => self.sound(&row.map_err(unreadable)?),
            None => Err(CapsuleError::Flawed(Flaw::new(FlawKind::Missing, &uri, "the event is missing"))),
        }
    }

    /// The event of a row, if its content matches its hash.
    pub(crate) fn sound(&self, row: &EventRow) -> Result<Event, CapsuleError> {
        content_flaw(row, &self.meta.workspace)
            .map_or_else(|| row.to_event(&self.meta.workspace), Err)
            .map_err(CapsuleError::Flawed)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("workspace", &self.meta.workspace).finish_non_exhaustive()
    }
}

const JSON: &str = "application/json";

/// The flaw of an event whose content does not match its hash.
pub(crate) fn content_flaw(row: &EventRow, workspace: &str) -> Option<Flaw> {
    let uri = row.own_uri(workspace);
    (row.compute_hash(workspace) != row.hash)
        .then(|| Flaw::new(FlawKind::Content, uri, "the event's content does not match its hash"))
}

fn found<T>(row: Option<Row<T>>, uri: &str) -> Result<T, CapsuleError> {
    row.ok_or_else(|| CapsuleError::NotFound(uri.to_owned()))?.map_err(unreadable)
}

fn blob(
    journal: &dyn Journal,
    uri: &str,
    digest: &Digest,
    media_type: &str,
) -> Result<Resolved, CapsuleError> {
    let row = found(journal.blob(digest)?, uri)?;
    if row.digest != *digest || Digest::of(&row.bytes) != *digest {
        let message = "the bytes do not match their digest";
        return Err(CapsuleError::Flawed(Flaw::new(FlawKind::Content, uri, message)));
    }
    Ok(Resolved { bytes: row.bytes.to_vec(), media_type: media_type.to_owned(), digest: *digest })
}
