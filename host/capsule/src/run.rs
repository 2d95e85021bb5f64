//! One run, whole and checked: what replay reads.

use crate::checkpoint::{self, CheckpointWalk, Verified};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::journal::{EventQuery, Head, Journal};
use crate::ledger::unreadable;
use crate::limits::RUN_BYTES_MAX;
use crate::reader::{Identity, Reader, content_flaw};
use crate::row::{EventRow, event_uri};
use serde::Serialize;
use sluice_core::{Digest, Event, EventKind, LogicalUri, RunId, Timestamp};
use std::collections::HashMap;

/// A run whose chain holds from the first event to the last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifiedRun {
    /// The run.
    pub run_id: RunId,
    /// In the order of `seq`, from 1, without gaps.
    pub events: Vec<Event>,
    /// Hash of the last.
    pub head: Digest,
    /// Events with `seq` up to here are exactly what was signed; 0 where nothing was. What follows is a chain
    /// without a signature: whoever can write the file could have written it.
    pub signed_through: u64,
    /// The checkpoints in this run, oldest first.
    pub checkpoints: Vec<CheckpointInfo>,
    /// Why the key is believed.
    pub identity: Identity,
}

/// One checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointInfo {
    /// `mv2://<workspace>/checkpoint/<id>`.
    pub uri: LogicalUri,
    /// Its `Checkpoint` event.
    pub event: LogicalUri,
    /// Its number in the workspace.
    pub number: u64,
    /// Why it was made.
    pub label: String,
    /// When.
    pub at: Timestamp,
    /// Positions up to here are covered.
    pub last: u64,
}

/// Follows the chain of one run.
#[derive(Debug, Clone)]
pub(crate) struct ChainWalk {
    seq: u64,
    hash: Digest,
}

impl ChainWalk {
    pub fn new() -> ChainWalk {
        ChainWalk { seq: 0, hash: Digest::ZERO }
    }

    /// Checks one event against the one before. After a flaw the walk goes on from what the row says, so that
    /// one altered event is one flaw, and not one for each that follows.
    pub fn step(&mut self, row: &EventRow, workspace: &str) -> Option<Flaw> {
        let next = self.seq.saturating_add(1);
        let flaw = if row.seq != next {
            let uri = event_uri(workspace, &row.run, next);
            Some(Flaw::new(
                FlawKind::Missing,
                uri,
                format!("the event is missing: {} follows {}", row.seq, self.seq),
            ))
        } else if row.prev != self.hash && content_flaw(row, workspace).is_none() {
            let message = "the event does not follow the one before it";
            Some(Flaw::new(FlawKind::Link, row.own_uri(workspace), message))
        } else {
            content_flaw(row, workspace)
        };
        (self.seq, self.hash) = (row.seq, row.hash);
        flaw
    }

    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

pub(crate) fn verified(reader: &Reader, run: &RunId) -> Result<VerifiedRun, CapsuleError> {
    let journal = reader.journal();
    let mut found = None;
    journal.consistently(&mut || {
        found = Some(read(reader, &**journal, run)?);
        Ok(())
    })?;
    found.ok_or_else(|| CapsuleError::NotFound(format!("run {run}")))
}

fn read(reader: &Reader, journal: &dyn Journal, run: &RunId) -> Result<VerifiedRun, CapsuleError> {
    let workspace = reader.workspace();
    if reader.claimed_key() != reader.key {
        return Err(CapsuleError::Flawed(key_flaw(workspace)));
    }
    let (rows, head) = chain(journal, run, workspace)?;
    let mut walk = CheckpointWalk::new(workspace, reader.key);
    let mut checkpoints: Vec<Verified> = Vec::new();
    let query = EventQuery { kind: Some(EventKind::Checkpoint.name()), ..EventQuery::default() };
    journal.events(&query, &mut |row| {
        let (verified, flaw) = walk.step(&row.map_err(unreadable)?);
        checkpoints.extend(verified);
        flaw.map_or(Ok(true), |flaw| Err(CapsuleError::Flawed(flaw)))
    })?;
    same_checkpoints(journal, &checkpoints, workspace)?;
    if let Some(flaw) = checkpoint::mark_flaw(reader.mark, checkpoints.iter(), workspace) {
        return Err(CapsuleError::Flawed(flaw));
    }
    let signed = covered(journal, run, &rows, &checkpoints, workspace)?;
    let own: Vec<&Verified> = checkpoints.iter().filter(|one| one.statement.run_id == *run).collect();
    if let Some(flaw) = own.iter().find_map(|one| one.envelope.clone()) {
        return Err(CapsuleError::Flawed(flaw));
    }
    let events: Result<Vec<Event>, Flaw> = rows.iter().map(|row| row.to_event(workspace)).collect();
    Ok(VerifiedRun {
        run_id: run.clone(),
        events: events.map_err(CapsuleError::Flawed)?,
        head: head.hash,
        signed_through: signed,
        checkpoints: own.into_iter().map(|one| info(one, workspace)).collect(),
        identity: reader.identity,
    })
}

/// The rows of the run, if they are one chain that ends where the run's head says.
fn chain(journal: &dyn Journal, run: &RunId, workspace: &str) -> Result<(Vec<EventRow>, Head), CapsuleError> {
    let mut rows: Vec<EventRow> = Vec::new();
    let (mut walk, mut bytes) = (ChainWalk::new(), 0);
    let query = EventQuery { run: Some(run.to_string()), ..EventQuery::default() };
    journal.events(&query, &mut |row| {
        let row = row.map_err(unreadable)?;
        if let Some(flaw) = walk.step(&row, workspace) {
            return Err(CapsuleError::Flawed(flaw));
        }
        bytes += row.payload.len();
        if bytes > RUN_BYTES_MAX {
            let (size, max) = (bytes as u64, RUN_BYTES_MAX as u64);
            return Err(CapsuleError::TooLarge { what: format!("run `{run}`"), size, max });
        }
        rows.push(row);
        Ok(true)
    })?;
    let head = walk.head();
    match journal.head(run.as_str())? {
        None if rows.is_empty() => Err(CapsuleError::NotFound(format!("run {run}"))),
        Some(stored) if stored == head => Ok((rows, head)),
        Some(stored) if stored.seq > head.seq => {
            let uri = event_uri(workspace, run.as_str(), head.seq + 1);
            let message = format!("the event is missing: the run's head is event {}", stored.seq);
            Err(CapsuleError::Flawed(Flaw::new(FlawKind::Missing, uri, message)))
        }
        _ => {
            let uri = event_uri(workspace, run.as_str(), head.seq);
            let message = "the run's recorded head is another event";
            Err(CapsuleError::Flawed(Flaw::new(FlawKind::Index, uri, message)))
        }
    }
}

/// The table of checkpoints must know the same ones as the events: an event that was removed is missed there.
fn same_checkpoints(
    journal: &dyn Journal,
    checkpoints: &[Verified],
    workspace: &str,
) -> Result<(), CapsuleError> {
    let last = journal.last_checkpoint()?.transpose().map_err(unreadable)?;
    let (known, found) = (last.map_or(0, |row| row.number), checkpoints.len() as u64);
    if known <= found {
        return Ok(());
    }
    let uri = format!("mv2://{workspace}/checkpoint/{}", checkpoint::checkpoint_id(found + 1));
    Err(CapsuleError::Flawed(Flaw::new(FlawKind::Missing, uri, "the checkpoint is missing")))
}

/// Compares the run with what was signed of it; how far that reaches, as a `seq`.
///
/// Every manifest is looked at, also those from before the run: where a row stands in the journal is not
/// part of its event, so a forger could move a whole run to where nothing is signed yet.
fn covered(
    journal: &dyn Journal,
    run: &RunId,
    rows: &[EventRow],
    checkpoints: &[Verified],
    workspace: &str,
) -> Result<u64, CapsuleError> {
    let prefix = format!("mv2://{workspace}/event/{run}/");
    let mut left: HashMap<u64, &Verified> =
        checkpoints.iter().map(|one| (one.statement.number, one)).collect();
    let mut signed = 0;
    journal.checkpoints(&mut |row| {
        let row = row.map_err(unreadable)?;
        let Some(checkpoint) = left.remove(&row.number) else { return Ok(true) };
        let lines = checkpoint::signed_lines(&checkpoint.statement, &row)
            .ok_or_else(|| CapsuleError::Flawed(manifest_flaw(checkpoint, workspace)))?;
        for line in lines {
            let Some((digest, uri)) = line.split_once(' ') else { continue };
            let Some(seq) = uri.strip_prefix(&prefix).and_then(|seq| seq.parse().ok()) else { continue };
            let name = &checkpoint.statement.checkpoint;
            same_event(rows, seq, digest).map_err(|what| {
                let message = format!("{what}: {name} signed another record");
                let kind = if what == GONE { FlawKind::Missing } else { FlawKind::Unsigned };
                CapsuleError::Flawed(Flaw::new(kind, uri, message))
            })?;
            signed = signed.max(seq);
        }
        Ok(true)
    })?;
    if let Some(lost) = left.values().min_by_key(|one| one.statement.number) {
        return Err(CapsuleError::Flawed(manifest_flaw(lost, workspace)));
    }
    let last_signed = checkpoints.last().map_or(0, |one| one.statement.last);
    if let Some(row) = rows.iter().find(|row| row.position <= last_signed && row.seq > signed) {
        let message = "the event is not among those that were signed: it was added later";
        return Err(CapsuleError::Flawed(Flaw::new(FlawKind::Unsigned, row.own_uri(workspace), message)));
    }
    // A checkpoint's own event follows from its signed statement.
    let own = checkpoints.iter().rev().find(|one| one.statement.run_id == *run);
    match own {
        Some(own) if own.statement.seq == signed => Ok(signed + 1),
        _ => Ok(signed),
    }
}

const GONE: &str = "the event is missing";
const ALTERED: &str = "the event was altered";

fn same_event(rows: &[EventRow], seq: u64, digest: &str) -> Result<(), &'static str> {
    let index = seq.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| rows.get(index)) {
        None => Err(GONE),
        Some(row) if row.hash.to_hex() == digest => Ok(()),
        Some(_) => Err(ALTERED),
    }
}

pub(crate) fn manifest_flaw(checkpoint: &Verified, workspace: &str) -> Flaw {
    let uri = format!("mv2://{workspace}/checkpoint/{}", checkpoint.statement.checkpoint);
    Flaw::new(FlawKind::Manifest, uri, "its list of frames is not the one that was signed")
}

pub(crate) fn key_flaw(workspace: &str) -> Flaw {
    let message = "the journal names another public key than the expected one";
    Flaw::new(FlawKind::Key, format!("mv2://{workspace}/"), message)
}

fn info(one: &Verified, workspace: &str) -> CheckpointInfo {
    use sluice_core::uri::Resource;
    let statement = &one.statement;
    CheckpointInfo {
        uri: LogicalUri::new(workspace, Resource::Checkpoint(statement.checkpoint.clone())),
        event: LogicalUri::new(workspace, Resource::Event(statement.run_id.clone(), statement.seq + 1)),
        number: statement.number,
        label: statement.label.clone(),
        at: statement.at,
        last: statement.last,
    }
}
