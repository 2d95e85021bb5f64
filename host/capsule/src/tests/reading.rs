//! What belongs here: listing, resolving, and reading where little is permitted.

use super::*;
use crate::lock::is_held;
use crate::sqlite::SqliteJournal;
use crate::sqlite::access::{Access, wal_path};
use crate::{CapsuleError, EventFilter, Identity, lock_path};
use sluice_core::canonical;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[test]
fn runs_and_pages_of_events() {
    let capsule = sample();
    let reader = capsule.reader();
    let runs = reader.runs().unwrap();
    let lines: Vec<(&str, u64, EventKind)> =
        runs.iter().map(|run| (run.run_id.as_str(), run.events, run.last_type)).collect();
    assert_eq!(lines, [("run-a", 7, EventKind::Checkpoint), ("run-b", 8, EventKind::RoutingDecision)]);
    assert_eq!((runs[0].first_at, runs[0].last_at), (at(0), at(20)));

    let mut filter = EventFilter { limit: 4, ..EventFilter::default() };
    let mut paged = Vec::new();
    loop {
        let page = reader.events(&filter).unwrap();
        assert!(page.events.len() <= 4);
        paged.extend(page.events);
        match page.next {
            Some(next) => filter.after = next,
            None => break,
        }
    }
    assert_eq!(paged, reader.events(&EventFilter::default()).unwrap().events);
    assert_eq!(paged.len(), 15);
    let filter =
        EventFilter { run: Some(run("run-b")), kind: Some(EventKind::Checkpoint), ..EventFilter::default() };
    let found = reader.events(&filter).unwrap().events;
    assert_eq!(
        found.iter().map(|event| event.uri.to_string()).collect::<Vec<_>>(),
        ["mv2://ws/event/run-b/5"]
    );
}

#[test]
fn every_kind_of_uri_resolves_to_checked_bytes() {
    let capsule = sample();
    let reader = capsule.reader();
    let plugin = Digest::of(b"\0asm router");
    let policy = reader.resolve(&uri(&format!("policy/{}", policy_id()))).unwrap();
    assert_eq!((&*policy.bytes, &*policy.media_type), (POLICY_BYTES, "application/json"));
    let found = reader.resolve(&uri(&format!("plugin/sha256/{plugin}"))).unwrap();
    assert_eq!(
        (&*found.bytes, &*found.media_type, found.digest),
        (&b"\0asm router"[..], "application/wasm", plugin)
    );
    assert_eq!(reader.resolve(&uri(&format!("blob/sha256/{plugin}"))).unwrap().bytes, b"\0asm router");
    assert_eq!(reader.resolve(&uri("artifact/run-a/plan/plan.md")).unwrap().bytes, b"# Plan");
    let event = reader.resolve(&uri("event/run-a/1")).unwrap();
    let parsed: Event = serde_json::from_slice(&event.bytes).unwrap();
    assert_eq!((parsed.hash, canonical::to_bytes(&parsed).unwrap()), (event.digest, event.bytes));
    let checkpoint = reader.resolve(&uri("checkpoint/cp-2")).unwrap();
    let checkpoint: crate::SignedCheckpoint = serde_json::from_slice(&checkpoint.bytes).unwrap();
    assert_eq!(checkpoint.statement.label, "run end");
    assert!(checkpoint.verifies(&capsule.key().public_key()));
}

#[test]
fn what_is_not_there_is_not_found() {
    let capsule = sample();
    let reader = capsule.reader();
    let zero = Digest::ZERO;
    let paths = [
        "policy/00000000-0000-4000-8000-000000000000".to_owned(),
        "event/run-a/8".to_owned(),
        "event/none/1".to_owned(),
        "artifact/run-a/plan/other.md".to_owned(),
        format!("blob/sha256/{zero}"),
        format!("plugin/sha256/{zero}"),
        // Stored, but never as a plugin.
        format!("plugin/sha256/{}", Digest::of(b"# Plan")),
        "checkpoint/cp-3".to_owned(),
        "checkpoint/cp-01".to_owned(),
        "report/run-a/1".to_owned(),
    ];
    for path in paths {
        let error = reader.resolve(&uri(&path)).unwrap_err();
        assert!(matches!(error, CapsuleError::NotFound(_)), "{path}: {error}");
    }
    let error = reader.resolve(&"mv2://other/event/run-a/1".parse().unwrap()).unwrap_err();
    assert!(matches!(error, CapsuleError::ForeignWorkspace { .. }), "{error}");
    assert!(matches!(reader.run_events(&run("none")), Err(CapsuleError::NotFound(_))));
}

#[test]
fn a_reader_beside_a_writer_sees_each_commit() {
    let capsule = Capsule::new();
    let reader = capsule.reader();
    let writer = capsule.writer();
    put_policy(&writer);
    for seq in 1..=3 {
        append(&writer, "run-1", json!({}));
        assert_eq!(reader.run_events(&run("run-1")).unwrap().events.len(), seq);
    }
}

/// What an auditor gets who copies the folder while the writer is at work: a database and its log.
fn copied_mid_flight() -> (Capsule, Vec<Event>) {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let events: Vec<Event> = (0..5).map(|n| append(&writer, "run-1", json!({"n": n}))).collect();
    let copy = Capsule { dir: tempfile::tempdir().unwrap() };
    let folder = copy.state().join("capsule");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(capsule.db(), copy.db()).unwrap();
    fs::copy(wal_path(&capsule.db()), wal_path(&copy.db())).unwrap();
    assert!(fs::metadata(wal_path(&copy.db())).unwrap().len() > 0, "nothing is in the log: no test");
    (copy, events)
}

#[test]
fn a_copy_with_its_log_reads_whole_by_every_way() {
    for access in [Access::Shared, Access::Copy] {
        let (copy, events) = copied_mid_flight();
        let reader = Reader::of(Box::new(SqliteJournal::open_by(&copy.db(), access).unwrap())).unwrap();
        assert_eq!(reader.run_events(&run("run-1")).unwrap().events, events, "{access:?}");
        assert!(reader.verify().unwrap().is_sound());
    }
    let (copy, events) = copied_mid_flight();
    let reader = copy.reader();
    assert_eq!(reader.identity, Identity::Unconfirmed, "there is no key file beside it");
    assert_eq!(reader.run_events(&run("run-1")).unwrap().events, events);
}

#[test]
fn a_folder_that_cannot_be_written_reads_all_the_same() {
    // Under root the folder stays writable; the ways are then tried by name, above and below.
    let read_only = |capsule: &Capsule, bits: u32| {
        let folder = capsule.state().join("capsule");
        fs::set_permissions(folder, Permissions::from_mode(bits)).unwrap();
    };
    let whole = sample();
    let before = fs::read(whole.db()).unwrap();
    read_only(&whole, 0o500);
    assert!(whole.reader().verify().unwrap().is_sound());
    read_only(&whole, 0o700);
    let journal = SqliteJournal::open_by(&whole.db(), Access::Immutable).unwrap();
    assert!(Reader::of(Box::new(journal)).unwrap().verify().unwrap().is_sound());
    assert_eq!(fs::read(whole.db()).unwrap(), before, "reading changed the file");

    let (copy, events) = copied_mid_flight();
    read_only(&copy, 0o500);
    assert_eq!(copy.reader().run_events(&run("run-1")).unwrap().events, events);
    read_only(&copy, 0o700);
}

#[test]
fn a_path_with_odd_characters_opens_immutably() {
    let capsule = sample();
    let odd = capsule.dir.path().join("100% odd?name#1 é");
    copy_tree(&capsule.state(), &odd);
    let journal = SqliteJournal::open_by(&odd.join("capsule/journal.db"), Access::Immutable).unwrap();
    assert!(Reader::of(Box::new(journal)).unwrap().verify().unwrap().is_sound());
}

#[test]
fn asking_for_the_lock_does_not_take_it() {
    let capsule = Capsule::new();
    let lock = lock_path(&capsule.state());
    assert!(!is_held(&lock));
    let writer = capsule.writer();
    assert!(is_held(&lock));
    drop(writer);
    assert!(!is_held(&lock));
}
