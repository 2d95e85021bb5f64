//! What belongs here: commits that fail. What was acknowledged stays, what was not is answered, and the
//! writer goes on as soon as it can.

use super::hooked::Hooked;
use super::*;
use crate::journal::{Batch, BlobRow, Journal};
use crate::lock::WriterLock;
use crate::sqlite::SqliteJournal;
use crate::{CapsuleError, lock_path};
use std::sync::Mutex;

/// When the next commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Never,
    /// The engine recorded nothing.
    Before,
    /// The engine recorded everything, and failed to say so.
    After,
    /// No space left.
    Full,
    /// The writer's thread dies.
    Panic,
}

#[derive(Debug)]
struct Plan {
    commit: When,
    /// So many openings fail.
    openings: u32,
}

fn broken() -> CapsuleError {
    CapsuleError::storage("commit", std::io::Error::other("the cable was pulled"))
}

fn commit(plan: &Mutex<Plan>, journal: &mut SqliteJournal, batch: &Batch) -> Result<(), CapsuleError> {
    let when = std::mem::replace(&mut plan.lock().unwrap().commit, When::Never);
    match when {
        When::Never => journal.commit(batch),
        When::Before => Err(broken()),
        When::After => journal.commit(batch).and(Err(broken())),
        When::Panic => panic!("a test wants this thread to die"),
        When::Full => {
            journal.limit_pages(0);
            journal.commit(batch)
        }
    }
}

fn faulty(capsule: &Capsule) -> (Writer, Arc<Mutex<Plan>>) {
    let plan = Arc::new(Mutex::new(Plan { commit: When::Never, openings: 0 }));
    let (path, shared) = (capsule.db(), Arc::clone(&plan));
    let opener = Box::new(move |in_doubt| {
        let mut plan = shared.lock().unwrap();
        if plan.openings > 0 {
            plan.openings -= 1;
            return Err(broken());
        }
        let inner = if in_doubt { SqliteJournal::reopen(&path)? } else { SqliteJournal::open(&path)? };
        let plan = Arc::clone(&shared);
        let commit =
            Box::new(move |journal: &mut SqliteJournal, batch: &Batch| commit(&plan, journal, batch));
        Ok(Box::new(Hooked { inner, commit }) as Box<dyn Journal>)
    });
    let lock = WriterLock::acquire(&lock_path(&capsule.state()), "a test").unwrap();
    let writer =
        Writer::start(&capsule.state(), capsule.key(), Arc::new(NoGuard), lock, engine(opener, 1 << 16))
            .unwrap();
    put_policy(&writer);
    (writer, plan)
}

fn try_append(writer: &Writer, payload: Value) -> Result<u64, CapsuleError> {
    let events = writer.append(vec![draft("run-1", EventKind::ToolCall, payload)]).wait()?;
    Ok(events[0].seq)
}

#[test]
fn a_failed_commit_loses_nothing_and_the_chain_goes_on() {
    // What follows a failure that recorded nothing takes its place; what follows one that recorded
    // everything goes behind it.
    for (when, next) in [(When::Before, 2), (When::Full, 2), (When::After, 3)] {
        let capsule = Capsule::new();
        let (writer, plan) = faulty(&capsule);
        assert_eq!(try_append(&writer, json!({"n": 1})).unwrap(), 1);
        plan.lock().unwrap().commit = when;
        let error = try_append(&writer, json!({"n": 2, "more": "x".repeat(100_000)})).unwrap_err();
        assert!(error.retryable() && error.hint().is_some(), "{error}");
        assert_eq!(matches!(error, CapsuleError::Full), when == When::Full, "{error}");
        assert_eq!(try_append(&writer, json!({"n": 3})).unwrap(), next, "{when:?}");
        writer.checkpoint(&run("run-1"), "end", at(1), &policy()).wait().unwrap();
        writer.close().unwrap();
        let reader = capsule.reader();
        assert_eq!(reader.run_events(&run("run-1")).unwrap().signed_through, next + 1);
        let report = reader.verify().unwrap();
        assert!(report.is_sound(), "{when:?}: {:?}", report.flaws);
    }
}

#[test]
fn everyone_in_a_failed_group_is_told() {
    let capsule = Capsule::new();
    let (writer, plan) = faulty(&capsule);
    // While the plan is held, the first commit waits for it and the others gather behind.
    let held = plan.lock().unwrap();
    let pending: Vec<_> =
        (0..20).map(|n| writer.append(vec![draft("run-1", EventKind::ToolCall, json!({"n": n}))])).collect();
    let named = writer.put_artifact(&run("run-1"), sluice_core::Stage::Plan, "a.md", &b"x"[..]);
    let mut held = held;
    held.commit = When::Before;
    drop(held);
    let told: Vec<bool> = pending.into_iter().map(|pending| pending.wait().is_err()).collect();
    let told_last = named.wait().is_err();
    assert!(told[0], "the first commit failed");
    // Those not in that group came after, and are recorded as if it had not been.
    let recorded = told.iter().filter(|failed| !**failed).count();
    drop(writer);
    let run = capsule.reader().run_events(&run("run-1"));
    assert_eq!(run.map_or(0, |run| run.events.len()), recorded);
    assert_eq!(capsule.reader().stats().unwrap().counts.names, 1 + u64::from(!told_last));
}

#[test]
fn a_failed_checkpoint_is_not_half_made() {
    for (when, made) in [(When::Before, 1), (When::After, 2)] {
        let capsule = Capsule::new();
        let (writer, plan) = faulty(&capsule);
        try_append(&writer, json!({})).unwrap();
        plan.lock().unwrap().commit = when;
        writer.checkpoint(&run("run-1"), "first", at(1), &policy()).wait().unwrap_err();
        writer.checkpoint(&run("run-1"), "second", at(2), &policy()).wait().unwrap();
        let report = writer.reader().unwrap().verify().unwrap();
        assert!(report.is_sound(), "{:?}", report.flaws);
        assert_eq!(report.checkpoints, made, "{when:?}");
    }
}

#[test]
fn while_the_journal_cannot_be_opened_everything_is_refused() {
    let capsule = Capsule::new();
    let (writer, plan) = faulty(&capsule);
    try_append(&writer, json!({})).unwrap();
    *plan.lock().unwrap() = Plan { commit: When::Before, openings: 3 };
    for _ in 0..4 {
        assert!(try_append(&writer, json!({})).is_err());
    }
    assert_eq!(try_append(&writer, json!({})).unwrap(), 2);
    writer.close().unwrap();
}

#[test]
fn a_writer_whose_thread_died_keeps_nobody_waiting() {
    let capsule = Capsule::new();
    let (writer, plan) = faulty(&capsule);
    try_append(&writer, json!({})).unwrap();
    plan.lock().unwrap().commit = When::Panic;
    let pending: Vec<_> =
        (0..3).map(|_| writer.append(vec![draft("run-1", EventKind::ToolCall, json!({}))])).collect();
    for pending in pending {
        assert!(matches!(pending.wait(), Err(CapsuleError::Closed)));
    }
    assert!(matches!(try_append(&writer, json!({})), Err(CapsuleError::Closed)));
    assert!(writer.close().is_err());
    // The lock went with the thread.
    assert_eq!(append(&capsule.writer(), "run-1", json!({})).seq, 2);
}

#[test]
fn a_journal_that_somebody_else_wrote_to_is_noticed() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    try_append(&writer, json!({"n": 1})).unwrap();
    // Past the lock: another process that does not ask for it.
    let mut intruder = SqliteJournal::open(&capsule.db()).unwrap();
    let position = intruder.last_position().unwrap();
    let bytes: Arc<[u8]> = Arc::from(&b"intruder"[..]);
    let blob = BlobRow { position: position + 1, digest: Digest::of(&bytes), bytes };
    intruder.commit(&Batch { after: position, blobs: vec![blob], ..Batch::default() }).unwrap();
    drop(intruder);
    let error = try_append(&writer, json!({"n": 2})).unwrap_err();
    assert!(matches!(error, CapsuleError::Conflict(_)), "{error}");
    // Read anew, the journal is sound and goes on.
    assert_eq!(try_append(&writer, json!({"n": 2})).unwrap(), 2);
    assert!(writer.reader().unwrap().verify().unwrap().is_sound());
}
