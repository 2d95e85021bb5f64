//! What every storage engine must show before this room trusts it. Each case is a sentence about
//! [`Journal`]; [`check`] runs them all and names the one that does not hold.
//!
//! It is code, not a test, so that an engine in a crate of its own can run it in its tests.

use crate::error::CapsuleError;
use crate::journal::{
    Batch, BlobRow, CheckpointRow, Counts, EventQuery, FrameRow, Head, Journal, NameRow, SealRow,
};
use crate::row::{EventRow, event_uri};
use sluice_core::Digest;
use std::sync::Arc;

/// The workspace that an engine under test must be made with.
pub const WORKSPACE: &str = "conformance";

/// Opens the journal of this name, made empty with workspace [`WORKSPACE`] when the name is first used: the
/// same name again is the same journal, opened anew.
pub type Open<'a> = &'a dyn Fn(&str) -> Result<Box<dyn Journal>, CapsuleError>;

/// A sentence that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Which.
    pub case: &'static str,
    /// What was seen instead.
    pub seen: String,
}

type Outcome = Result<(), String>;
type Case = fn(Open<'_>) -> Outcome;

/// Every case, by the sentence that it checks.
const CASES: &[(&str, Case)] = &[
    ("a new journal is empty and says whose it is", new_is_empty),
    ("what was committed reads back exactly, also after opening anew", reads_back),
    ("frames come in the order of recording, whatever their kind", frames_in_order),
    ("a batch for another position is refused and changes nothing", stale_position),
    ("an event that does not continue its run is refused, and its whole batch with it", forked_run),
    ("a name or a blob is stored once: a second one refuses its whole batch", stored_once),
    ("events can be asked for by run, type and position", queries),
    ("a reading ends when it is told to", reading_ends),
    ("a consistent reading does not see what is committed meanwhile", consistent),
    ("checkpoints and seals read back in their order", checkpoints_and_seals),
    ("a seal recorded again takes the new file and keeps its frames", sealed_again),
    ("large and odd values read back exactly", large_and_odd),
];

/// Runs every case, each on journals of its own.
pub fn check(open: Open<'_>) -> Result<(), Deviation> {
    for (case, run) in CASES {
        run(open).map_err(|seen| Deviation { case, seen })?;
    }
    Ok(())
}

fn said(error: CapsuleError) -> String {
    format!("an error: {error}")
}

fn must(holds: bool, seen: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(seen()) }
}

/// Batches that continue each other.
struct Script {
    position: u64,
    heads: Vec<(String, Head)>,
}

impl Script {
    fn new() -> Script {
        Script { position: 0, heads: Vec::new() }
    }

    fn batch(&self) -> Batch {
        Batch { after: self.position, ..Batch::default() }
    }

    fn event(&mut self, batch: &mut Batch, run: &str, kind: &str, payload: &str) -> EventRow {
        let known = self.heads.iter().position(|(name, _)| name == run);
        let head = known.map_or(Head { seq: 0, hash: Digest::ZERO }, |index| self.heads[index].1);
        self.position += 1;
        let mut row = EventRow {
            position: self.position,
            run: run.to_owned(),
            seq: head.seq + 1,
            uri: event_uri(WORKSPACE, run, head.seq + 1),
            kind: kind.to_owned(),
            at: "2026-11-20T13:15:00.007Z".to_owned(),
            branch: format!("run/{run}"),
            spec: (head.seq % 2 == 0).then(|| "spec-1".to_owned()),
            stage: (head.seq % 2 == 1).then(|| "plan".to_owned()),
            role: None,
            policy_id: "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".to_owned(),
            policy_hash: Digest::of(b"policy"),
            policy_bytes: Digest::of(b"bytes"),
            prev: head.hash,
            hash: Digest::ZERO,
            payload: payload.to_owned(),
        };
        row.hash = row.compute_hash(WORKSPACE);
        let head = Head { seq: row.seq, hash: row.hash };
        match known {
            Some(index) => self.heads[index].1 = head,
            None => self.heads.push((run.to_owned(), head)),
        }
        batch.events.push(row.clone());
        row
    }

    fn blob(&mut self, batch: &mut Batch, bytes: &[u8]) -> BlobRow {
        self.position += 1;
        let row = BlobRow { position: self.position, digest: Digest::of(bytes), bytes: Arc::from(bytes) };
        batch.blobs.push(row.clone());
        row
    }

    fn name(&mut self, batch: &mut Batch, path: &str, digest: Digest) -> NameRow {
        self.position += 1;
        let uri = format!("mv2://{WORKSPACE}/{path}");
        let row = NameRow { position: self.position, uri, digest, media_type: "text/plain".to_owned() };
        batch.names.push(row.clone());
        row
    }
}

fn events(journal: &dyn Journal, query: &EventQuery) -> Result<Vec<EventRow>, String> {
    let mut rows = Vec::new();
    let mut bad = None;
    let read = journal.events(query, &mut |row| {
        match row {
            Ok(row) => rows.push(row),
            Err(row) => bad = Some(format!("{row:?}")),
        }
        Ok(true)
    });
    read.map_err(said)?;
    bad.map_or(Ok(rows), Err)
}

fn frames(journal: &dyn Journal, first: u64, last: u64) -> Result<Vec<FrameRow>, String> {
    let mut rows = Vec::new();
    journal
        .frames(first, last, &mut |row| {
            rows.extend(row);
            Ok(true)
        })
        .map_err(said)?;
    Ok(rows)
}

/// Everything that a reader can see, to tell whether anything changed.
fn state(journal: &dyn Journal) -> Result<(u64, Vec<EventRow>, Vec<FrameRow>, Counts), String> {
    let last = journal.last_position().map_err(said)?;
    let counts = Counts { journal_bytes: 0, ..journal.counts().map_err(said)? };
    Ok((last, events(journal, &EventQuery::default())?, frames(journal, 1, u64::MAX >> 1)?, counts))
}

fn new_is_empty(open: Open<'_>) -> Outcome {
    let journal = open("empty").map_err(said)?;
    let meta = journal.meta().map_err(said)?;
    must(meta.workspace == WORKSPACE, || format!("workspace {}", meta.workspace))?;
    let (last, events, frames, counts) = state(&*journal)?;
    must(last == 0 && events.is_empty() && frames.is_empty(), || format!("position {last}"))?;
    must(counts == Counts::default(), || format!("{counts:?}"))?;
    must(journal.head("run-1").map_err(said)?.is_none(), || "a head".to_owned())?;
    must(journal.event("run-1", 1).map_err(said)?.is_none(), || "an event".to_owned())?;
    must(journal.blob(&Digest::of(b"x")).map_err(said)?.is_none(), || "a blob".to_owned())?;
    must(journal.last_checkpoint().map_err(said)?.is_none(), || "a checkpoint".to_owned())?;
    must(journal.check(10).map_err(said)?.is_empty(), || "damage".to_owned())
}

fn reads_back(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    let blob = script.blob(&mut batch, b"\0\xff bytes");
    let name = script.name(&mut batch, "artifact/run-1/plan/plan.md", blob.digest);
    let first = script.event(&mut batch, "run-1", "RunStarted", "{\"a\":1}");
    let second = script.event(&mut batch, "run-1", "StageTransition", "{\"\u{e9}\":\"\u{1f600}\"}");
    let other = script.event(&mut batch, "run-2", "RunStarted", "[]");
    let mut journal = open("back").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    for journal in [journal, open("back").map_err(said)?] {
        let found = events(&*journal, &EventQuery::default())?;
        must(found == [first.clone(), second.clone(), other.clone()], || format!("{found:?}"))?;
        let found = journal.event("run-1", 2).map_err(said)?;
        must(found == Some(Ok(second.clone())), || format!("{found:?}"))?;
        let found = journal.blob(&blob.digest).map_err(said)?;
        must(found == Some(Ok(blob.clone())), || format!("{found:?}"))?;
        must(journal.has_blob(&blob.digest).map_err(said)?, || "has_blob: false".to_owned())?;
        let found = journal.name(&name.uri).map_err(said)?;
        must(found == Some(Ok(name.clone())), || format!("{found:?}"))?;
        let mut heads = Vec::new();
        journal
            .heads(&mut |row| {
                heads.extend(row);
                Ok(true)
            })
            .map_err(said)?;
        must(heads == script.heads, || format!("{heads:?}"))?;
        let counts = Counts { journal_bytes: 0, ..journal.counts().map_err(said)? };
        let wanted = Counts { runs: 2, events: 3, blobs: 1, names: 1, ..Counts::default() };
        must(counts == wanted, || format!("{counts:?}"))?;
        must(journal.last_position().map_err(said)? == 5, || "another last position".to_owned())?;
        journal.close().map_err(said)?;
    }
    Ok(())
}

fn frames_in_order(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut journal = open("frames").map_err(said)?;
    let mut wanted = Vec::new();
    for round in 0..3_u8 {
        let mut batch = script.batch();
        let event = script.event(&mut batch, "run-1", "ErrorEvent", "{}");
        let blob = script.blob(&mut batch, &[round]);
        let name = script.name(&mut batch, &format!("report/run-1/{}", round + 1), blob.digest);
        journal.commit(&batch).map_err(said)?;
        let uri = format!("mv2://{WORKSPACE}/blob/sha256/{}", blob.digest);
        wanted.extend([
            FrameRow { position: event.position, digest: event.hash, uri: event.uri, media_type: None },
            FrameRow { position: blob.position, digest: blob.digest, uri, media_type: None },
            FrameRow {
                position: name.position,
                digest: name.digest,
                uri: name.uri,
                media_type: Some(name.media_type),
            },
        ]);
    }
    let found = frames(&*journal, 1, 9)?;
    must(found == wanted, || format!("{found:?}"))?;
    let found = frames(&*journal, 3, 5)?;
    must(found == wanted[2..5], || format!("{found:?}"))
}

/// Commits a batch that must be refused with a conflict, and looks that nothing changed.
fn refused(journal: &mut dyn Journal, batch: &Batch) -> Outcome {
    let before = state(journal)?;
    match journal.commit(batch) {
        Err(CapsuleError::Conflict(_)) => {}
        Err(error) => return Err(said(error)),
        Ok(()) => return Err("it was committed".to_owned()),
    }
    must(state(journal)? == before, || "something changed".to_owned())
}

fn stale_position(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    script.event(&mut batch, "run-1", "RunStarted", "{}");
    let mut journal = open("stale").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    refused(&mut *journal, &batch)?;
    let mut ahead = Script { position: 7, heads: script.heads.clone() };
    let mut batch = ahead.batch();
    ahead.event(&mut batch, "run-1", "RunFinished", "{}");
    refused(&mut *journal, &batch)
}

fn forked_run(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    script.event(&mut batch, "run-1", "RunStarted", "{}");
    let mut journal = open("fork").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    let spoils: [fn(&mut EventRow); 3] = [
        |row| row.prev = Digest::of(b"another"),
        |row| (row.seq, row.uri) = (3, event_uri(WORKSPACE, "run-1", 3)),
        |row| (row.seq, row.uri) = (1, event_uri(WORKSPACE, "run-1", 1)),
    ];
    for spoil in spoils {
        let mut script = Script { position: 1, heads: script.heads.clone() };
        let mut batch = script.batch();
        script.event(&mut batch, "run-2", "RunStarted", "{}");
        script.blob(&mut batch, b"beside");
        script.event(&mut batch, "run-1", "RunFinished", "{}");
        spoil(&mut batch.events[1]);
        refused(&mut *journal, &batch)?;
    }
    Ok(())
}

fn stored_once(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    let blob = script.blob(&mut batch, b"once");
    script.name(&mut batch, "policy/1", blob.digest);
    let mut journal = open("once").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    let before = state(&*journal)?;
    let again: [fn(&mut Script, &mut Batch); 2] = [
        |script, batch| drop(script.blob(batch, b"once")),
        |script, batch| drop(script.name(batch, "policy/1", Digest::of(b"other"))),
    ];
    for again in again {
        let mut script = Script { position: 2, heads: Vec::new() };
        let mut batch = script.batch();
        script.event(&mut batch, "run-1", "RunStarted", "{}");
        again(&mut script, &mut batch);
        must(journal.commit(&batch).is_err(), || "it was committed".to_owned())?;
        must(state(&*journal)? == before, || "something changed".to_owned())?;
    }
    Ok(())
}

fn queries(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut journal = open("queries").map_err(said)?;
    let mut rows = Vec::new();
    for number in 0..12 {
        let mut batch = script.batch();
        let (run, kind) = (["a", "b", "c"][number % 3], ["ErrorEvent", "ToolCall"][number % 2]);
        rows.push(script.event(&mut batch, run, kind, "{}"));
        journal.commit(&batch).map_err(said)?;
    }
    let runs = [None, Some("b"), Some("none")];
    let kinds = [None, Some("ToolCall"), Some("Approval")];
    for (run, kind, after) in runs.into_iter().flat_map(|run| kinds.map(|kind| (run, kind, 4))) {
        let query = EventQuery { run: run.map(str::to_owned), kind, after };
        let wanted: Vec<EventRow> = rows
            .iter()
            .filter(|row| run.is_none_or(|run| row.run == run) && kind.is_none_or(|kind| row.kind == kind))
            .filter(|row| row.position > after)
            .cloned()
            .collect();
        let found = events(&*journal, &query)?;
        must(found == wanted, || format!("{query:?}: {} events, not {}", found.len(), wanted.len()))?;
    }
    Ok(())
}

fn reading_ends(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    for _ in 0..5 {
        script.event(&mut batch, "run-1", "ErrorEvent", "{}");
    }
    let mut journal = open("ends").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    let mut seen = 0;
    journal
        .events(&EventQuery::default(), &mut |_| {
            seen += 1;
            Ok(seen < 2)
        })
        .map_err(said)?;
    must(seen == 2, || format!("{seen} events"))?;
    let result = journal.events(&EventQuery::default(), &mut |_| Err(CapsuleError::Closed));
    must(matches!(result, Err(CapsuleError::Closed)), || format!("{result:?}"))?;
    // The journal is as usable as before.
    must(events(&*journal, &EventQuery::default())?.len() == 5, || "other events".to_owned())
}

fn consistent(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut writer = open("consistent").map_err(said)?;
    let mut batch = script.batch();
    script.event(&mut batch, "run-1", "RunStarted", "{}");
    writer.commit(&batch).map_err(said)?;
    let reader = open("consistent").map_err(said)?;
    let mut outcome = Ok(());
    reader
        .consistently(&mut || {
            let before = reader.last_position()?;
            let mut batch = script.batch();
            script.event(&mut batch, "run-1", "RunFinished", "{}");
            writer.commit(&batch)?;
            let after = reader.last_position()?;
            outcome = must((before, after) == (1, 1), || format!("position {before}, then {after}"));
            Ok(())
        })
        .map_err(said)?;
    outcome?;
    let last = reader.last_position().map_err(said)?;
    must(last == 2, || format!("position {last} after the reading"))
}

fn checkpoints_and_seals(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut journal = open("checkpoints").map_err(said)?;
    let (mut checkpoints, mut seals) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let mut batch = script.batch();
        let event = script.event(&mut batch, "run-1", "Checkpoint", "{}");
        let row = CheckpointRow { number, position: event.position, manifest: format!("{number} \u{e9}\n") };
        batch.checkpoint = Some(row.clone());
        let digest = Digest::of(&[1]);
        let seal = SealRow {
            first: number,
            last: number,
            root: digest,
            path: format!("{number}.mv2"),
            file: digest,
        };
        batch.seal = Some(seal.clone());
        journal.commit(&batch).map_err(said)?;
        checkpoints.push(row);
        seals.push(seal);
    }
    let (mut found, mut found_seals) = (Vec::new(), Vec::new());
    journal
        .checkpoints(&mut |row| {
            found.extend(row);
            Ok(true)
        })
        .map_err(said)?;
    journal
        .seals(&mut |row| {
            found_seals.extend(row);
            Ok(true)
        })
        .map_err(said)?;
    must(found == checkpoints, || format!("{found:?}"))?;
    must(found_seals == seals, || format!("{found_seals:?}"))?;
    let last = journal.last_checkpoint().map_err(said)?;
    must(last == checkpoints.pop().map(Ok), || format!("{last:?}"))
}

fn sealed_again(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    script.event(&mut batch, "run-1", "RunStarted", "{}");
    let seal = SealRow {
        first: 1,
        last: 1,
        root: Digest::of(b"root"),
        path: "a".to_owned(),
        file: Digest::of(b"1"),
    };
    batch.seal = Some(seal.clone());
    let mut journal = open("again").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    for other in [SealRow { last: 2, ..seal.clone() }, SealRow { root: Digest::of(b"other"), ..seal.clone() }]
    {
        refused(&mut *journal, &Batch { seal: Some(other), ..script.batch() })?;
    }
    let anew = SealRow { path: "b".to_owned(), file: Digest::of(b"2"), ..seal };
    journal.commit(&Batch { seal: Some(anew.clone()), ..script.batch() }).map_err(said)?;
    let mut found = Vec::new();
    journal
        .seals(&mut |row| {
            found.extend(row);
            Ok(true)
        })
        .map_err(said)?;
    must(found == [anew], || format!("{found:?}"))
}

fn large_and_odd(open: Open<'_>) -> Outcome {
    let mut script = Script::new();
    let mut batch = script.batch();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let blobs = [script.blob(&mut batch, &large), script.blob(&mut batch, b"")];
    let payload = format!("\"{}\"", "x\u{20ac}\\u0000'%_--".repeat(100_000));
    let event = script.event(&mut batch, "run-1", "ErrorEvent", &payload);
    let mut journal = open("large").map_err(said)?;
    journal.commit(&batch).map_err(said)?;
    journal.close().map_err(said)?;
    let journal = open("large").map_err(said)?;
    for blob in blobs {
        let found = journal.blob(&blob.digest).map_err(said)?;
        must(found == Some(Ok(blob)), || "another blob".to_owned())?;
    }
    let found = journal.event("run-1", 1).map_err(said)?;
    must(found == Some(Ok(event)), || "another event".to_owned())
}
