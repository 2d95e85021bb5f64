//! What belongs here: what is sealed, when, and what the journal says of it.

use super::*;
use crate::lock::WriterLock;
use crate::{CapsuleError, SqliteJournal, Statement, lock_path};
use sluice_seal::SealedReader;
use std::os::unix::fs::PermissionsExt;

pub(super) fn later() -> Timestamp {
    at(1_000_000)
}

/// Two runs, two checkpoints, both sealed; two events after.
pub(super) fn sealed_sample() -> Capsule {
    static SAMPLE: OnceLock<Capsule> = OnceLock::new();
    let made = || {
        let capsule = sample();
        capsule.writer().seal(later()).unwrap();
        capsule
    };
    SAMPLE.get_or_init(made).copy()
}

pub(super) fn sealed_dir(capsule: &Capsule) -> PathBuf {
    capsule.state().join("capsule/sealed")
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn statement(capsule: &Capsule, number: u64) -> Statement {
    let bytes = capsule.reader().resolve(&uri(&format!("checkpoint/cp-{number}"))).unwrap().bytes;
    serde_json::from_slice::<crate::SignedCheckpoint>(&bytes).unwrap().statement
}

#[test]
fn each_checkpoint_becomes_a_file_with_the_root_that_it_signed() {
    let capsule = sample();
    let writer = capsule.writer();
    let rows = writer.seal(later()).unwrap();
    assert_eq!(rows, capsule.reader().seals().unwrap());
    assert_eq!(names(&sealed_dir(&capsule)), ["cp-1.mv2", "cp-2.mv2"]);
    let reader = capsule.reader();
    let mut previous = Digest::ZERO;
    for (row, number) in rows.iter().zip(1..) {
        let statement = statement(&capsule, number);
        assert_eq!((row.first, row.last, row.root), (statement.first, statement.last, statement.root));
        let path = capsule.state().join("capsule").join(&row.path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        let file = SealedReader::open(&path).unwrap();
        assert_eq!((file.sealed().sha256, file.sealed().merkle_root), (row.file, row.root));
        let manifest = file.manifest();
        assert_eq!(manifest.previous, previous);
        assert_eq!(manifest.public_key, capsule.key().public_key().to_string());
        assert_eq!(manifest.statement.as_bytes(), sluice_core::canonical::to_bytes(&statement).unwrap());
        previous = row.root;
        // Frame by frame what the journal has.
        let lines: Vec<String> =
            reader.frames(row.first, row.last).unwrap().iter().map(|f| f.line()).collect();
        assert_eq!(file.lines().collect::<Vec<_>>(), lines);
        for (entry, content) in file.iter() {
            let resolved = reader.resolve(&entry.uri.parse().unwrap()).unwrap();
            assert_eq!(resolved.digest, entry.sha256, "{}", entry.uri);
            assert!(entry.kind != "blob" || content == sluice_seal::Content::Bytes(resolved.bytes.into()));
        }
    }
    assert!(writer.seal(later()).unwrap().is_empty(), "everything is sealed");
    assert!(writer.healed().is_empty(), "{:?}", writer.healed());
}

#[test]
fn the_content_of_an_event_is_what_its_hash_is_made_from() {
    let capsule = sealed_sample();
    let file = SealedReader::open(&sealed_dir(&capsule).join("cp-1.mv2")).unwrap();
    let event = capsule.reader().run_events(&run("run-a")).unwrap().events.remove(0);
    let mut value = serde_json::to_value(&event).unwrap();
    value.as_object_mut().unwrap().remove("hash");
    let (entry, content) = file.get(&event.uri.to_string()).unwrap();
    let text = sluice_core::canonical::to_string(&value).unwrap();
    assert_eq!(content, sluice_seal::Content::Bytes(text.into_bytes().into()));
    assert_eq!((entry.kind.as_str(), entry.at), ("PolicySnapshotRef", event.at.millis() / 1000));
}

#[test]
fn only_what_is_signed_is_sealed_and_only_up_to_the_given_time() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    assert!(writer.seal(later()).unwrap().is_empty());
    put_policy(&writer);
    append(&writer, "run-1", json!({}));
    assert!(writer.seal(later()).unwrap().is_empty(), "nothing is signed");
    assert!(!sealed_dir(&capsule).exists());
    for second in [10, 20] {
        writer.checkpoint(&run("run-1"), "x", at(second), &policy()).wait().unwrap();
    }
    assert_eq!(writer.seal(at(10)).unwrap().len(), 1);
    let (event, rows) = writer.checkpoint_and_seal(&run("run-1"), "end", at(30), &policy()).unwrap();
    assert_eq!((event.seq, rows.len()), (4, 2));
    assert_eq!(names(&sealed_dir(&capsule)), ["cp-1.mv2", "cp-2.mv2", "cp-3.mv2"]);
    let writer = {
        drop(writer);
        capsule.writer()
    };
    assert!(writer.healed().is_empty());
    assert!(writer.seal(later()).unwrap().is_empty());
}

#[test]
fn what_is_too_much_for_one_file_becomes_several() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    append(&writer, "run-1", json!({"n": 1}));
    // More than one piece: a file of its own.
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let blob = writer.put_blob(large.clone()).wait().unwrap();
    append(&writer, "run-1", json!({"n": 2}));
    let (_, rows) = writer.checkpoint_and_seal(&run("run-1"), "end", at(1), &policy()).unwrap();
    assert_eq!(names(&sealed_dir(&capsule)), ["cp-1-1of3.mv2", "cp-1-2of3.mv2", "cp-1-3of3.mv2"]);
    let ranges: Vec<(u64, u64)> = rows.iter().map(|row| (row.first, row.last)).collect();
    assert_eq!(ranges, [(1, 3), (4, 4), (5, 5)]);
    let file = SealedReader::open(&capsule.state().join("capsule").join(&rows[1].path)).unwrap();
    let (_, content) = file.get(&blob.to_string()).unwrap();
    assert_eq!(content, sluice_seal::Content::Bytes(large.into()));
    let lines: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            SealedReader::open(&capsule.state().join("capsule").join(&row.path))
                .unwrap()
                .lines()
                .collect::<Vec<_>>()
        })
        .collect();
    let mut tree = sluice_core::merkle::MerkleTree::default();
    lines.iter().for_each(|line| tree.push(line.as_bytes()));
    assert_eq!(tree.root(), statement(&capsule, 1).root);
}

#[test]
fn several_checkpoints_of_one_request_become_several_files() {
    let capsule = Capsule::new();
    let (state, path) = (capsule.state(), capsule.db());
    let lock = WriterLock::acquire(&lock_path(&state), "a test").unwrap();
    let opener = Box::new(move |_| Ok(Box::new(SqliteJournal::open(&path)?) as Box<dyn crate::Journal>));
    let writer = Writer::start(&state, capsule.key(), Arc::new(NoGuard), lock, engine(opener, 10)).unwrap();
    put_policy(&writer);
    for n in 0..23 {
        append(&writer, "run-1", json!({"n": n}));
    }
    let (_, rows) = writer.checkpoint_and_seal(&run("run-1"), "end", at(1), &policy()).unwrap();
    assert_eq!(rows.iter().map(|row| row.last).collect::<Vec<_>>(), [10, 20, 27]);
}

#[test]
fn what_was_changed_behind_the_signature_is_not_sealed() {
    type Spoil = fn(&Capsule);
    let spoils: [(&str, Spoil); 5] = [
        // With the run's later chain recomputed, down to the checkpoint in it.
        ("event/run-a/7", |capsule| {
            super::tampering::rewrite(capsule, "run-a", 3, |row| {
                row.payload = "{\"choose\":\"mine\"}".into()
            });
        }),
        ("event/run-a/3", |capsule| {
            capsule
                .sql()
                .execute_batch("UPDATE events SET payload = '{}' WHERE run = 'run-a' AND seq = 3")
                .unwrap();
        }),
        ("blob/sha256", |capsule| {
            capsule.sql().execute_batch("UPDATE blobs SET bytes = X'00' WHERE position = 3").unwrap();
        }),
        ("checkpoint/cp-1", |capsule| {
            capsule
                .sql()
                .execute_batch("UPDATE names SET media_type = 'text/html' WHERE position = 2")
                .unwrap();
        }),
        ("event/run-b/5", |capsule| {
            super::tampering::rewrite(capsule, "run-b", 5, |row| {
                row.payload = row.payload.replace("plan", "flan")
            });
        }),
    ];
    for (named, spoil) in spoils {
        let capsule = sample();
        let writer = capsule.writer();
        spoil(&capsule);
        let error = writer.seal(later()).unwrap_err();
        assert!(matches!(&error, CapsuleError::Flawed(_)), "{error}");
        assert!(error.to_string().contains(named), "wanted {named}: {error}");
        assert!(capsule.reader().seals().unwrap().is_empty());
        assert!(!sealed_dir(&capsule).exists() || names(&sealed_dir(&capsule)).is_empty());
    }
}

#[test]
fn the_writer_records_while_others_seal_and_two_who_seal_take_turns() {
    let capsule = sample();
    let writer = capsule.writer();
    let sealed: Vec<usize> = std::thread::scope(|scope| {
        let sealers: Vec<_> = (0..2).map(|_| scope.spawn(|| writer.seal(later()).unwrap().len())).collect();
        for n in 0..20 {
            append(&writer, "run-c", json!({"n": n}));
        }
        sealers.into_iter().map(|sealer| sealer.join().unwrap()).collect()
    });
    assert_eq!(sealed.iter().sum::<usize>(), 2);
    assert_eq!(capsule.reader().seals().unwrap().len(), 2);
    let report = capsule.reader().verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
}

#[test]
fn a_closed_writer_seals_nothing() {
    let capsule = sample();
    let writer = capsule.writer();
    let clone = writer.clone();
    writer.close().unwrap();
    assert!(matches!(clone.seal(later()), Err(CapsuleError::Closed)));
    drop(clone);
    // What the refused seal had named already is judged by the next writer.
    let writer = capsule.writer();
    assert!(writer.healed().problems.is_empty(), "{:?}", writer.healed());
    writer.seal(later()).unwrap();
    assert_eq!(capsule.reader().seals().unwrap().len(), 2);
}
