//! What belongs here: what a checkpoint says and covers.

use super::*;
use crate::checkpoint::{self, CheckpointWalk};
use crate::lock::WriterLock;
use crate::{CapsuleError, FlawKind, Identity, SignedCheckpoint, SqliteJournal, Statement, lock_path};
use sluice_core::canonical;
use sluice_core::merkle::MerkleTree;

#[test]
fn statements_cover_everything_and_follow_each_other() {
    let capsule = sample();
    let reader = capsule.reader();
    let read = |number: u64| -> crate::SignedCheckpoint {
        let bytes = reader.resolve(&uri(&format!("checkpoint/cp-{number}"))).unwrap().bytes;
        serde_json::from_slice(&bytes).unwrap()
    };
    let (one, two) = (read(1), read(2));
    assert_eq!((one.statement.first, one.statement.previous), (1, Digest::ZERO));
    assert_eq!(two.statement.first, one.statement.last + 1);
    assert_eq!(two.statement.previous, one.digest().unwrap());
    for signed in [&one, &two] {
        let statement = &signed.statement;
        let mut tree = MerkleTree::default();
        for frame in reader.frames(statement.first, statement.last).unwrap() {
            tree.push(frame.line().as_bytes());
        }
        assert_eq!(tree.root(), statement.root);
        let head = reader.resolve(&uri(&format!("event/{}/{}", statement.run_id, statement.seq))).unwrap();
        assert_eq!(head.digest, statement.head);
    }
    let report = reader.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    assert_eq!(
        (report.runs, report.events, report.blobs, report.names, report.checkpoints),
        (2, 15, 3, 3, 2)
    );
    // After the last statement: its own event, and two more.
    assert_eq!((report.frames, report.signed_frames), (21, 18));
    assert_eq!(report.identity, Identity::KeyFile);
}

#[test]
fn a_verified_run_says_how_far_signatures_reach() {
    let capsule = sample();
    let reader = capsule.reader();
    let a = reader.run_events(&run("run-a")).unwrap();
    assert_eq!((a.events.len(), a.signed_through), (7, 7), "its last event is the checkpoint itself");
    assert_eq!(a.head, a.events[6].hash);
    let b = reader.run_events(&run("run-b")).unwrap();
    assert_eq!((b.events.len(), b.signed_through), (8, 6), "two events came after the last checkpoint");
    let names: Vec<_> = b.checkpoints.iter().map(|one| (one.uri.to_string(), one.label.as_str())).collect();
    assert_eq!(names, [("mv2://ws/checkpoint/cp-1".to_owned(), "stage plan")]);

    let unsigned = Capsule::new();
    let writer = unsigned.writer();
    put_policy(&writer);
    append(&writer, "run-1", json!({}));
    assert_eq!(unsigned.reader().run_events(&run("run-1")).unwrap().signed_through, 0);
}

#[test]
fn the_chain_of_checkpoints_goes_on_after_reopening() {
    let capsule = sample();
    for number in 3..6 {
        let writer = capsule.writer();
        append(&writer, "run-c", json!({"n": number}));
        let event = writer.checkpoint(&run("run-c"), "again", at(30), &policy()).wait().unwrap();
        assert_eq!(event.payload["statement"]["number"], json!(number));
    }
    let report = capsule.reader().verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    assert_eq!((report.checkpoints, report.frames - report.signed_frames), (5, 1));
}

/// What only the key's holder could do: statements that are signed, and do not follow each other.
#[test]
fn a_signed_statement_has_to_follow_the_one_before() {
    type Spoil = fn(&mut Statement);
    let spoils: [(FlawKind, Spoil); 8] = [
        (FlawKind::CheckpointChain, |statement| statement.previous = Digest::of(b"another")),
        (FlawKind::CheckpointChain, |statement| statement.first += 1),
        (FlawKind::CheckpointChain, |statement| statement.last = 1000),
        (FlawKind::CheckpointChain, |statement| statement.last = statement.first - 1),
        (FlawKind::Missing, |statement| {
            (statement.number, statement.checkpoint) = (3, "cp-3".into());
        }),
        (FlawKind::Unreadable, |statement| statement.checkpoint = "cp-3".into()),
        (FlawKind::Unreadable, |statement| statement.format = "sluicegate-checkpoint-2".into()),
        (FlawKind::Key, |statement| statement.public_key = "01".repeat(32).parse().unwrap()),
    ];
    let capsule = sample();
    let (key, reader) = (capsule.key(), capsule.reader());
    let statement = |number: u64| {
        let bytes = reader.resolve(&uri(&format!("checkpoint/cp-{number}"))).unwrap().bytes;
        serde_json::from_slice::<SignedCheckpoint>(&bytes).unwrap().statement
    };
    let row = |statement: Statement, position: u64| {
        let signed = SignedCheckpoint::sign(&key, statement).unwrap();
        let payload = String::from_utf8(canonical::to_bytes(&signed).unwrap()).unwrap();
        checkpoint::event_row(&signed, position, Digest::ZERO, payload)
    };
    for (kind, spoil) in spoils {
        let mut walk = CheckpointWalk::new(WORKSPACE, key.public_key());
        assert_eq!(walk.step(&row(statement(1), 16)).1, None);
        let mut sound = walk.clone();
        assert_eq!(sound.step(&row(statement(2), 19)).1, None);
        let mut spoilt = statement(2);
        spoil(&mut spoilt);
        let (_, flaw) = walk.step(&row(spoilt, 19));
        assert_eq!(flaw.map(|flaw| flaw.kind), Some(kind));
    }
}

#[test]
fn a_run_without_events_has_nothing_to_sign() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let error = writer.checkpoint(&run("run-1"), "x", at(0), &policy()).wait().unwrap_err();
    assert!(matches!(error, CapsuleError::NotFound(_)), "{error}");
    let long = "x".repeat(129);
    for bad in ["a\nb", &long] {
        let error = writer.checkpoint(&run("run-1"), bad, at(0), &policy()).wait().unwrap_err();
        assert!(matches!(error, CapsuleError::BadName { .. }), "{error}");
    }
    append(&writer, "run-1", json!({}));
}

#[test]
fn more_frames_than_one_checkpoint_takes_make_several() {
    let capsule = Capsule::new();
    let (state, path) = (capsule.state(), capsule.db());
    let open = || {
        let lock = WriterLock::acquire(&lock_path(&state), "a test").unwrap();
        let path = path.clone();
        let opener = Box::new(move |_| Ok(Box::new(SqliteJournal::open(&path)?) as Box<dyn crate::Journal>));
        Writer::start(&state, capsule.key(), Arc::new(NoGuard), lock, engine(opener, 10)).unwrap()
    };
    let writer = open();
    put_policy(&writer);
    for n in 0..23 {
        append(&writer, "run-1", json!({"n": n}));
    }
    // Half of the trees are grown anew from the journal, half as events are placed.
    drop(writer);
    let writer = open();
    for n in 0..12 {
        append(&writer, "run-2", json!({"n": n}));
    }
    let last = writer.checkpoint(&run("run-2"), "end", at(1), &policy()).wait().unwrap();
    assert_eq!(last.payload["statement"]["checkpoint"], json!("cp-4"));
    drop(writer);
    let report = capsule.reader().verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    // 2 frames of the policy, 35 events, and the first three checkpoints' own.
    assert_eq!((report.checkpoints, report.signed_frames, report.frames), (4, 40, 41));
    assert_eq!(capsule.reader().run_events(&run("run-2")).unwrap().signed_through, 16);
}

#[test]
fn what_was_changed_behind_the_writers_back_is_not_signed() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let event = append(&writer, "run-1", json!({"choose": "a"}));
    append(&writer, "run-1", json!({"choose": "b"}));
    super::tampering::rewrite(&capsule, "run-1", event.seq, |row| row.payload = "{\"choose\":\"c\"}".into());
    let error = writer.checkpoint(&run("run-1"), "end", at(1), &policy()).wait().unwrap_err();
    assert!(matches!(&error, CapsuleError::Flawed(_)), "{error}");
    assert!(error.to_string().contains("changed from outside"), "{error}");
    // Nothing was signed, and the writer is not confused: it only cannot sign this.
    assert_eq!(capsule.reader().stats().unwrap().counts.checkpoints, 0);
}

#[test]
fn a_writer_does_not_build_on_a_checkpoint_that_is_not_its_own() {
    let capsule = sample();
    capsule.sql().execute_batch("DELETE FROM events WHERE type = 'Checkpoint' AND run = 'run-a'").unwrap();
    let error = Writer::open(&capsule.state(), Arc::new(NoGuard), "a test").unwrap_err();
    assert!(error.to_string().contains("checkpoint/cp-2"), "{error}");
}

#[test]
fn a_writer_does_not_build_on_a_tail_with_a_gap() {
    // After the last checkpoint stand 19 (its own event), 20 and 21.
    for (sql, named) in [
        ("DELETE FROM events WHERE position = 20", "frames/20"),
        ("UPDATE events SET position = 22 WHERE position = 20; UPDATE heads SET seq = 7", "frames/20"),
        (
            "UPDATE blobs SET position = 20 WHERE position = 1; DELETE FROM events WHERE position = 21",
            "frames/21",
        ),
    ] {
        let capsule = sample();
        capsule.sql().execute_batch(sql).unwrap();
        let error = Writer::open(&capsule.state(), Arc::new(NoGuard), "a test").unwrap_err();
        assert!(error.to_string().contains(named), "{sql}: {error}");
    }
}

#[test]
fn a_writer_does_not_build_on_a_damaged_link() {
    let capsule = sample();
    capsule.sql().execute_batch("UPDATE events SET payload = '{}' WHERE run = 'run-b' AND seq = 8").unwrap();
    let writer = capsule.writer();
    let refused = writer.append(vec![draft("run-b", EventKind::ErrorEvent, json!({}))]).wait().unwrap_err();
    assert!(refused.to_string().contains("mv2://ws/event/run-b/8"), "{refused}");
    assert_eq!(append(&writer, "run-c", json!({})).seq, 1, "other runs go on");
}
