//! Gives requests their place: position, sequence, link, hash. Knows where the journal ends; what it knows
//! is thrown away and read anew after any failure, so that it never runs ahead of what is recorded.
//!
//! It also keeps the Merkle trees of what no checkpoint has signed yet, grown as frames are placed. A
//! checkpoint is only signed if the journal still says the same: so a change made behind the writer's back
//! is found and not signed.

use crate::checkpoint::{self, Covering, LastCheckpoint, Manifest, SignedCheckpoint};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::journal::{BadRow, Batch, BlobRow, CheckpointRow, EventQuery, FrameRow, Head, Journal, NameRow};
use crate::keys::WorkspaceKey;
use crate::limits::{HEADS_REMEMBERED_MAX, REPORTS_PER_RUN_MAX};
use crate::prepare::{CheckpointOrder, Naming, Prepared};
use crate::row::{EventRow, event_uri};
use sluice_core::merkle::MerkleTree;
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventKind, LogicalUri, PolicyBinding, PolicyId, RunId, canonical};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(crate) struct Ledger {
    workspace: String,
    key: Arc<WorkspaceKey>,
    frames_per_checkpoint: u64,
    /// Last position given.
    position: u64,
    heads: HashMap<String, Head>,
    policies: HashMap<PolicyId, Digest>,
    last: LastCheckpoint,
    /// Trees over the frames after `last.last`, each but the last of `frames_per_checkpoint` leaves.
    unsigned: VecDeque<MerkleTree>,
    unsigned_in_last: u64,
}

impl Ledger {
    /// Reads where the journal stands. A tail that has gaps, or a last checkpoint that is not this key's, is
    /// not built upon.
    pub fn load(
        journal: &dyn Journal,
        workspace: &str,
        key: Arc<WorkspaceKey>,
        frames_per_checkpoint: u64,
    ) -> Result<Ledger, CapsuleError> {
        let last = last_checkpoint(journal, workspace, &key)?;
        let mut ledger = Ledger {
            workspace: workspace.to_owned(),
            key,
            frames_per_checkpoint,
            position: last.last,
            heads: HashMap::new(),
            policies: HashMap::new(),
            last,
            unsigned: VecDeque::new(),
            unsigned_in_last: 0,
        };
        let end = journal.last_position()?;
        journal.frames(last.last + 1, end, &mut |row| {
            let frame = row.map_err(unreadable)?;
            ledger.position += 1;
            if frame.position != ledger.position {
                return Err(missing_frame(ledger.position));
            }
            ledger.grow(&frame.line());
            Ok(true)
        })?;
        if ledger.position != end {
            return Err(missing_frame(ledger.position + 1));
        }
        Ok(ledger)
    }

    /// A new batch, after everything placed so far.
    pub fn batch(&mut self) -> Batch {
        // Only between batches: within one, what was placed is not in the journal to be asked for again.
        if self.heads.len() > HEADS_REMEMBERED_MAX {
            self.heads.clear();
        }
        Batch { after: self.position, ..Batch::default() }
    }

    /// Places the events of one append, all or none.
    pub fn append(
        &mut self,
        journal: &dyn Journal,
        batch: &mut Batch,
        events: Vec<Prepared>,
    ) -> Result<Vec<Event>, CapsuleError> {
        for event in &events {
            self.know_policy(journal, batch, &event.draft.policy)?;
            self.know_head(journal, &event.draft.run_id)?;
        }
        // From here on nothing fails.
        Ok(events.into_iter().map(|event| self.place_event(batch, event)).collect())
    }

    fn place_event(&mut self, batch: &mut Batch, event: Prepared) -> Event {
        let Prepared { draft, payload } = event;
        let head = self.heads.get(draft.run_id.as_str()).copied().unwrap_or(NO_HEAD);
        let run = draft.run_id.as_str();
        let row = EventRow {
            position: self.position + 1,
            run: run.to_owned(),
            seq: head.seq + 1,
            uri: event_uri(&self.workspace, run, head.seq + 1),
            kind: draft.kind.name().to_owned(),
            at: draft.at.to_string(),
            branch: format!("run/{run}"),
            spec: draft.spec_id.as_ref().map(ToString::to_string),
            stage: draft.stage.map(|stage| stage.code().to_owned()),
            role: draft.role.map(|role| role.code().to_owned()),
            policy_id: draft.policy.id.to_string(),
            policy_hash: draft.policy.hash,
            policy_bytes: draft.policy.bytes,
            prev: head.hash,
            hash: Digest::ZERO,
            payload,
        };
        let row = self.place_row(batch, row);
        Event {
            seq: row.seq,
            uri: LogicalUri::new(&self.workspace, Resource::Event(draft.run_id.clone(), row.seq)),
            kind: draft.kind,
            run_id: draft.run_id,
            spec_id: draft.spec_id,
            branch: row.branch.clone(),
            stage: draft.stage,
            role: draft.role,
            at: draft.at,
            policy: draft.policy,
            payload: draft.payload,
            prev: row.prev,
            hash: row.hash,
        }
    }

    fn place_row<'b>(&mut self, batch: &'b mut Batch, mut row: EventRow) -> &'b EventRow {
        row.hash = row.compute_hash(&self.workspace);
        let head = Head { seq: row.seq, hash: row.hash };
        match self.heads.get_mut(&row.run) {
            Some(known) => *known = head,
            None => drop(self.heads.insert(row.run.clone(), head)),
        }
        let (digest, uri) = (row.hash, row.uri.clone());
        self.place_frame(digest, uri, None);
        batch.events.push(row);
        &batch.events[batch.events.len() - 1]
    }

    /// Gives the next position to a frame.
    fn place_frame(&mut self, digest: Digest, uri: String, media_type: Option<String>) -> u64 {
        self.position += 1;
        let frame = FrameRow { position: self.position, digest, uri, media_type };
        self.grow(&frame.line());
        self.position
    }

    fn grow(&mut self, line: &str) {
        if self.unsigned.is_empty() || self.unsigned_in_last == self.frames_per_checkpoint {
            self.unsigned.push_back(MerkleTree::default());
            self.unsigned_in_last = 0;
        }
        if let Some(tree) = self.unsigned.back_mut() {
            tree.push(line.as_bytes());
        }
        self.unsigned_in_last += 1;
    }

    /// Places bytes and their name. What is there already with the same bytes is not stored twice.
    pub fn put(
        &mut self,
        journal: &dyn Journal,
        batch: &mut Batch,
        naming: &Naming,
        digest: Digest,
        bytes: Arc<[u8]>,
    ) -> Result<LogicalUri, CapsuleError> {
        let (uri, media_type, named) = match naming {
            Naming::Digest => (LogicalUri::new(&self.workspace, Resource::Blob(digest)), None, None),
            Naming::Uri { uri, media_type } => {
                (uri.clone(), Some(media_type), named(journal, batch, &uri.to_string())?)
            }
            Naming::Report { run, media_type } => {
                (self.next_report(journal, batch, run)?, Some(media_type), None)
            }
        };
        if named.is_some_and(|stored| stored != digest) {
            return Err(CapsuleError::NameTaken(uri));
        }
        let stored = batch.blobs.iter().any(|blob| blob.digest == digest) || journal.has_blob(&digest)?;
        // From here on nothing fails.
        if !stored {
            let blob_uri = LogicalUri::new(&self.workspace, Resource::Blob(digest)).to_string();
            let position = self.place_frame(digest, blob_uri, None);
            batch.blobs.push(BlobRow { position, digest, bytes });
        }
        if let (Some(media_type), None) = (media_type, named) {
            let position = self.place_frame(digest, uri.to_string(), Some(media_type.clone()));
            let media_type = media_type.clone();
            batch.names.push(NameRow { position, uri: uri.to_string(), digest, media_type });
        }
        Ok(uri)
    }

    fn next_report(
        &self,
        journal: &dyn Journal,
        batch: &Batch,
        run: &RunId,
    ) -> Result<LogicalUri, CapsuleError> {
        for number in 1..=REPORTS_PER_RUN_MAX {
            let uri = LogicalUri::new(&self.workspace, Resource::Report(run.clone(), number));
            if named(journal, batch, &uri.to_string())?.is_none() {
                return Ok(uri);
            }
        }
        let what = format!("the list of reports of run `{run}`");
        Err(CapsuleError::TooLarge { what, size: REPORTS_PER_RUN_MAX + 1, max: REPORTS_PER_RUN_MAX })
    }

    /// An event is only recorded under a policy whose bytes are recorded.
    fn know_policy(
        &mut self,
        journal: &dyn Journal,
        batch: &Batch,
        policy: &PolicyBinding,
    ) -> Result<(), CapsuleError> {
        if !self.policies.contains_key(&policy.id)
            && let Some(digest) = named(journal, batch, &policy.uri.to_string())?
        {
            // Bounded as the heads are: a workspace sees few policies at a time.
            if self.policies.len() > HEADS_REMEMBERED_MAX {
                self.policies.clear();
            }
            self.policies.insert(policy.id, digest);
        }
        match self.policies.get(&policy.id) {
            Some(digest) if *digest == policy.bytes => Ok(()),
            _ => Err(CapsuleError::UnknownPolicy(policy.uri.clone())),
        }
    }

    /// Reads the head of a run, and looks whether the event there is whole: a chain is not continued from a
    /// damaged link.
    fn know_head(&mut self, journal: &dyn Journal, run: &RunId) -> Result<Head, CapsuleError> {
        if let Some(head) = self.heads.get(run.as_str()) {
            return Ok(*head);
        }
        let head = match journal.head(run.as_str())? {
            None => NO_HEAD,
            Some(head) => {
                let uri = event_uri(&self.workspace, run.as_str(), head.seq);
                let row = journal.event(run.as_str(), head.seq)?.transpose().map_err(unreadable)?;
                match row {
                    Some(row) if row.hash == head.hash && row.compute_hash(&self.workspace) == head.hash => {
                        head
                    }
                    Some(_) => {
                        return Err(flawed(FlawKind::Content, &uri, "its content does not match its hash"));
                    }
                    None => return Err(flawed(FlawKind::Missing, &uri, "the event is missing")),
                }
            }
        };
        self.heads.insert(run.as_str().to_owned(), head);
        Ok(head)
    }

    /// The last position given.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The last position that a checkpoint covers.
    pub fn signed_position(&self) -> u64 {
        self.last.last
    }

    /// Places one checkpoint. Where more is unsigned than one may cover, it covers the beginning: the caller
    /// commits and asks again.
    pub fn checkpoint(
        &mut self,
        journal: &dyn Journal,
        order: &CheckpointOrder,
    ) -> Result<(Batch, Event), CapsuleError> {
        let mut batch = self.batch();
        self.know_policy(journal, &batch, &order.policy)?;
        let head = self.know_head(journal, &order.run)?;
        if head.seq == 0 {
            return Err(CapsuleError::NotFound(format!("run {}", order.run)));
        }
        let manifest = self.manifest(journal)?;
        let covering = Covering {
            workspace: &self.workspace,
            head,
            before: self.last,
            manifest: &manifest,
            public_key: self.key.public_key(),
        };
        let statement = checkpoint::statement(&covering, &order.run, &order.label, order.at, &order.policy);
        let signed = SignedCheckpoint::sign(&self.key, statement).map_err(no_canonical_form)?;
        let digest = signed.digest().map_err(no_canonical_form)?;
        let payload = canonical::to_bytes(&signed).map_err(no_canonical_form)?;
        let payload = String::from_utf8_lossy(&payload).into_owned();
        // From here on nothing fails.
        self.last = LastCheckpoint { number: signed.statement.number, last: signed.statement.last, digest };
        self.unsigned.pop_front();
        let row = checkpoint::event_row(&signed, self.position + 1, Digest::ZERO, payload);
        let row = self.place_row(&mut batch, row).clone();
        let position = row.position;
        batch.checkpoint =
            Some(CheckpointRow { number: self.last.number, position, manifest: manifest.text });
        let event = row.to_event(&self.workspace).map_err(CapsuleError::Flawed)?;
        Ok((batch, event))
    }

    /// The list of what is to be signed, out of the journal, if that is what was placed.
    fn manifest(&self, journal: &dyn Journal) -> Result<Manifest, CapsuleError> {
        let first = self.last.last + 1;
        let last = self.position.min(self.last.last + self.frames_per_checkpoint);
        let mut manifest = Manifest::default();
        journal.frames(first, last, &mut |row| {
            manifest.push(&row.map_err(unreadable)?);
            Ok(true)
        })?;
        let placed = self.unsigned.front().map(MerkleTree::root);
        if Some(manifest.tree.root()) != placed || manifest.frames != last + 1 - first {
            let uri = format!("frames/{first}-{last}");
            let message = "the journal no longer holds what the writer recorded: it was changed from outside";
            return Err(flawed(FlawKind::Unsigned, &uri, message));
        }
        Ok(manifest)
    }
}

const NO_HEAD: Head = Head { seq: 0, hash: Digest::ZERO };

fn last_checkpoint(
    journal: &dyn Journal,
    workspace: &str,
    key: &WorkspaceKey,
) -> Result<LastCheckpoint, CapsuleError> {
    let Some(row) = journal.last_checkpoint()?.transpose().map_err(unreadable)? else {
        return Ok(LastCheckpoint::NONE);
    };
    let uri = format!("mv2://{workspace}/checkpoint/{}", checkpoint::checkpoint_id(row.number));
    let query = EventQuery { after: row.position.saturating_sub(1), ..EventQuery::default() };
    let mut event = None;
    journal.events(&query, &mut |found| {
        event = Some(found.map_err(unreadable)?);
        Ok(false)
    })?;
    let event = event.filter(|event| event.kind == EventKind::Checkpoint.name());
    let Some(event) = event.filter(|event| event.position == row.position) else {
        return Err(flawed(FlawKind::Missing, &uri, "the checkpoint's event is missing"));
    };
    let signed = checkpoint::read(&event, workspace).map_err(CapsuleError::Flawed)?;
    if signed.statement.number != row.number || !signed.verifies(&key.public_key()) {
        let message = "its signature does not hold under the workspace key";
        return Err(flawed(FlawKind::Signature, &uri, message));
    }
    let digest = signed.digest().map_err(no_canonical_form)?;
    Ok(LastCheckpoint { number: row.number, last: signed.statement.last, digest })
}

/// The digest that a name stands for, in the batch or in the journal.
fn named(journal: &dyn Journal, batch: &Batch, uri: &str) -> Result<Option<Digest>, CapsuleError> {
    if let Some(name) = batch.names.iter().find(|name| name.uri == uri) {
        return Ok(Some(name.digest));
    }
    Ok(journal.name(uri)?.transpose().map_err(unreadable)?.map(|name| name.digest))
}

pub(crate) fn unreadable(row: BadRow) -> CapsuleError {
    CapsuleError::Flawed(bad_row(&row))
}

pub(crate) fn bad_row(row: &BadRow) -> Flaw {
    let uri = format!("{}/{}", row.table, row.position);
    Flaw::new(FlawKind::Unreadable, uri, format!("its column `{}` cannot be read", row.column))
}

fn flawed(kind: FlawKind, uri: &str, message: &str) -> CapsuleError {
    CapsuleError::Flawed(Flaw::new(kind, uri, message))
}

fn missing_frame(position: u64) -> CapsuleError {
    flawed(FlawKind::Missing, &format!("frames/{position}"), "nothing is recorded at this position")
}

/// A statement is made of checked words and counts: this cannot happen short of 2^53 events.
pub(crate) fn no_canonical_form(error: canonical::CanonicalError) -> CapsuleError {
    CapsuleError::BadPayload { kind: EventKind::Checkpoint, reason: error.to_string() }
}
