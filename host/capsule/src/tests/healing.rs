//! What belongs here: sealed files after a crash, a bad disk or a hand; put right from the journal, and told.

use super::sealing::{later, names, sealed_dir, sealed_sample};
use super::*;
use crate::{FlawKind, SealRow};
use sluice_seal::{Disk, SealedReader, write_once};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn file(capsule: &Capsule, name: &str) -> PathBuf {
    sealed_dir(capsule).join(name)
}

/// Puts other bytes in a sealed file's place.
pub(super) fn replace(path: &Path, alter: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    alter(&mut bytes);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// One bit in the content of the first event, where it is stored; Memvid's write-ahead region before holds a copy
/// that nobody reads.
pub(super) fn flip(path: &Path) {
    replace(path, |bytes| {
        let region = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
        let payloads = 4096 + usize::try_from(region).unwrap();
        let at = bytes[payloads..].windows(10).position(|window| window == b"\"payload\":").unwrap();
        bytes[payloads + at + 12] ^= 1;
    });
}

fn forget(capsule: &Capsule, number: u64) {
    let changed =
        capsule.sql().execute("DELETE FROM seals WHERE path = ?1", [format!("sealed/cp-{number}.mv2")]);
    assert_eq!(changed.unwrap(), 1);
}

fn rows(capsule: &Capsule) -> Vec<SealRow> {
    capsule.reader().seals().unwrap()
}

/// Both files are there, as they were at first, and everything holds.
fn whole(capsule: &Capsule) {
    let wanted = sealed_sample();
    assert_eq!(rows(capsule), rows(&wanted));
    for name in ["cp-1.mv2", "cp-2.mv2"] {
        assert_eq!(fs::read(file(capsule, name)).unwrap(), fs::read(file(&wanted, name)).unwrap(), "{name}");
    }
    let report = capsule.reader().verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    assert_eq!((report.sealed_files, report.sealed_frames), (2, 18));
}

#[test]
fn temporaries_are_swept_and_told() {
    let capsule = sealed_sample();
    for name in [".sealing-cp-3.mv2", "..sealing-cp-3.mv2.Ab3dEf"] {
        fs::write(file(&capsule, name), b"half").unwrap();
    }
    let writer = capsule.writer();
    let healed = writer.healed();
    assert_eq!(healed.swept.len(), 2);
    assert_eq!(healed.lines().len(), 2);
    assert!(healed.lines()[0].contains(".sealing-cp-3.mv2"), "{:?}", healed.lines());
    assert_eq!(names(&sealed_dir(&capsule)), ["cp-1.mv2", "cp-2.mv2"]);
    drop(writer);
    assert!(capsule.writer().healed().is_empty(), "once is enough");
    whole(&capsule);
}

#[test]
fn a_whole_file_without_a_record_is_recorded() {
    let capsule = sealed_sample();
    forget(&capsule, 2);
    assert!(capsule.reader().verify().unwrap().is_sound(), "between rename and record nothing is wrong");
    let healed = capsule.writer().healed();
    assert_eq!(healed.recorded, [file(&capsule, "cp-2.mv2")]);
    assert!(healed.discarded.is_empty() && healed.rebuilt.is_empty() && healed.problems.is_empty());
    whole(&capsule);
}

#[test]
fn a_file_without_a_record_that_does_not_hold_the_journal_is_discarded_and_sealed_again() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 4] = [
        ("not as they were sealed", flip),
        ("its end is missing", |path| {
            replace(path, |bytes| {
                let end = bytes.len() - 8;
                bytes.truncate(end);
            });
        }),
        ("it is too short", |path| replace(path, Vec::clear)),
        // The frames of the journal, and a manifest that says something else of them.
        ("is not what the journal says", |path| {
            let reader = SealedReader::open(path).unwrap();
            let frames: Vec<sluice_seal::Frame> = reader
                .iter()
                .map(|(entry, content)| sluice_seal::Frame {
                    uri: entry.uri.clone(),
                    kind: entry.kind.clone(),
                    media_type: entry.media_type.clone(),
                    at: entry.at,
                    sha256: entry.sha256,
                    body: match content {
                        sluice_seal::Content::Bytes(bytes) if entry.size.is_some() => {
                            sluice_seal::Body::Here(bytes.as_ref().into())
                        }
                        _ => sluice_seal::Body::Elsewhere,
                    },
                })
                .collect();
            let manifest = sluice_seal::Manifest { previous: Digest::of(b"x"), ..reader.manifest().clone() };
            fs::remove_file(path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            write_once(path.parent().unwrap(), name, &frames, &manifest, &Disk).unwrap();
        }),
    ];
    for (says, spoil) in spoils {
        let capsule = sealed_sample();
        forget(&capsule, 2);
        spoil(&file(&capsule, "cp-2.mv2"));
        let healed = capsule.writer().healed();
        assert_eq!(healed.discarded.len(), 1, "{says}: {healed:?}");
        assert!(healed.discarded[0].1.contains(says), "wanted {says}: {healed:?}");
        assert!(healed.recorded.is_empty() && healed.problems.is_empty(), "{healed:?}");
        whole(&capsule);
    }
}

#[test]
fn a_recorded_file_that_is_missing_or_damaged_is_written_again_byte_for_byte() {
    type Spoil = fn(&Capsule);
    let spoils: [(&str, usize, Spoil); 4] = [
        ("it is not there", 1, |capsule| fs::remove_file(file(capsule, "cp-1.mv2")).unwrap()),
        ("it is not there", 2, |capsule| fs::remove_dir_all(sealed_dir(capsule)).unwrap()),
        ("not as they were sealed", 1, |capsule| flip(&file(capsule, "cp-2.mv2"))),
        // In a part of the container that holds nothing of ours.
        ("other bytes of the file are not", 1, |capsule| {
            replace(&file(capsule, "cp-2.mv2"), |bytes| bytes[5000] ^= 1)
        }),
    ];
    for (says, count, spoil) in spoils {
        let capsule = sealed_sample();
        spoil(&capsule);
        assert!(!capsule.reader().verify().unwrap().is_sound(), "{says}");
        let healed = capsule.writer().healed();
        assert_eq!(healed.rebuilt.len(), count, "{healed:?}");
        assert!(healed.rebuilt[0].1.contains(says), "wanted {says}: {healed:?}");
        assert!(healed.problems.is_empty() && healed.discarded.is_empty(), "{healed:?}");
        let damaged = file(&capsule, "damaged-cp-2.mv2");
        assert_eq!(damaged.exists(), says != "it is not there", "the damaged one is kept as evidence");
        whole(&capsule);
    }
}

#[test]
fn a_rebuilt_file_with_other_bytes_takes_the_records_place() {
    // As another version of the container's library would write it.
    let capsule = sealed_sample();
    capsule.sql().execute_batch("UPDATE seals SET file = zeroblob(32) WHERE first = 1").unwrap();
    let flaws = capsule.reader().verify().unwrap().flaws;
    assert_eq!((flaws.len(), flaws[0].kind, flaws[0].uri.as_str()), (1, FlawKind::Seal, "sealed/cp-1.mv2"));
    assert_eq!(capsule.writer().healed().rebuilt.len(), 1);
    whole(&capsule);
}

#[test]
fn what_the_journal_no_longer_holds_is_not_touched() {
    let capsule = sealed_sample();
    flip(&file(&capsule, "cp-1.mv2"));
    capsule.sql().execute_batch("UPDATE blobs SET bytes = X'00' WHERE position = 3").unwrap();
    let before = fs::read(file(&capsule, "cp-1.mv2")).unwrap();
    let writer = capsule.writer();
    let healed = writer.healed();
    assert_eq!((healed.problems.len(), healed.rebuilt.len()), (1, 0), "{healed:?}");
    assert!(healed.problems[0].1.contains("its content is not what was signed"), "{healed:?}");
    assert_eq!(fs::read(file(&capsule, "cp-1.mv2")).unwrap(), before);
    // The record goes on.
    append(&writer, "run-c", json!({}));
}

#[test]
fn a_record_that_does_not_fit_is_a_problem_and_names_no_other_file() {
    for sql in [
        "UPDATE seals SET root = zeroblob(32) WHERE first = 1",
        "UPDATE seals SET path = '../../etc/passwd' WHERE first = 1",
        "UPDATE seals SET path = 'sealed/../journal.db' WHERE first = 1",
        "UPDATE seals SET first = 0 WHERE first = 1",
        "UPDATE seals SET last = 9999 WHERE first = 1",
    ] {
        let capsule = sealed_sample();
        capsule.sql().execute_batch(sql).unwrap();
        let found = capsule.reader().verify().unwrap();
        assert!(!found.is_sound(), "{sql}");
        let healed = capsule.writer().healed();
        assert!(!healed.problems.is_empty() && healed.rebuilt.is_empty(), "{sql}: {healed:?}");
        assert!(
            sql.contains("SET path") || sql.contains("SET root") || capsule.writer().seal(later()).is_err()
        );
        assert_eq!(names(&sealed_dir(&capsule)), ["cp-1.mv2", "cp-2.mv2"], "{sql}");
    }
}

#[test]
fn a_sealed_file_shows_that_the_journal_was_cut() {
    let capsule = sealed_sample();
    // Everything behind the first checkpoint, by somebody who forgot the folder beside.
    let cut = "DELETE FROM events WHERE position > (SELECT position FROM checkpoints WHERE number = 1); \
        DELETE FROM checkpoints WHERE number = 2; DELETE FROM seals WHERE first > 1; \
        UPDATE heads SET seq = (SELECT max(seq) FROM events WHERE events.run = heads.run); \
        UPDATE heads SET hash = (SELECT hash FROM events WHERE events.run = heads.run AND events.seq = heads.seq)";
    capsule.sql().execute_batch(cut).unwrap();
    let flaws = capsule.reader().verify().unwrap().flaws;
    let found: Vec<_> = flaws.iter().map(|flaw| (flaw.kind, flaw.uri.as_str())).collect();
    assert_eq!(found, [(FlawKind::Missing, "sealed/cp-2.mv2")], "{flaws:?}");
    let writer = capsule.writer();
    let healed = writer.healed();
    assert!(healed.problems[0].1.contains("the journal was cut"), "{healed:?}");
    assert!(file(&capsule, "cp-2.mv2").exists(), "evidence is not removed");
    // And its name is not given to something else.
    append(&writer, "run-c", json!({}));
    let error = writer.checkpoint_and_seal(&run("run-c"), "x", at(50), &policy()).unwrap_err();
    assert!(matches!(error, crate::CapsuleError::Seal(_)), "{error}");
    assert!(file(&capsule, "cp-2.mv2").exists());
}

#[test]
fn only_the_newest_files_are_read_at_opening_and_heal_reads_all() {
    let capsule = sealed_sample();
    let writer = capsule.writer();
    let mut seed = 1_u64;
    let noise = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    writer.put_blob((0..17_u32 << 20).map(noise).collect::<Vec<u8>>()).wait().unwrap();
    writer.checkpoint_and_seal(&run("run-a"), "large", at(40), &policy()).unwrap();
    drop(writer);
    flip(&file(&capsule, "cp-1.mv2"));
    let writer = capsule.writer();
    assert!(writer.healed().is_empty(), "{:?}", writer.healed());
    let healed = writer.heal();
    assert_eq!(healed.rebuilt.len(), 1, "{healed:?}");
    assert_eq!(writer.healed(), healed);
    // What is missing is seen without reading.
    drop(writer);
    fs::remove_file(file(&capsule, "cp-1.mv2")).unwrap();
    assert_eq!(capsule.writer().healed().rebuilt.len(), 1);
    assert!(capsule.reader().verify().unwrap().is_sound());
    assert!(capsule.writer().seal(later()).unwrap().is_empty());
}
