//! What belongs here: init, the key file, opening what is not a capsule.

use super::*;
use crate::files::faults;
use crate::{CapsuleError, os_entropy};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn init_makes_private_files_and_refuses_to_do_it_twice() {
    let capsule = Capsule::new();
    let state = capsule.state();
    assert_eq!(mode(&state.join("keys")), 0o700);
    assert_eq!(mode(&state.join("keys/workspace.key")), 0o600);
    assert_eq!(mode(&state.join("capsule")), 0o700);
    assert_eq!(mode(&capsule.db()), 0o600);
    let names: Vec<_> =
        fs::read_dir(state.join("capsule")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "journal and lock, nothing half made: {names:?}");
    let key = fs::read(state.join("keys/workspace.key")).unwrap();
    let error = init(&state, WORKSPACE, &mut fixed_entropy(9)).unwrap_err();
    assert!(matches!(error, CapsuleError::AlreadyInitialised(_)), "{error}");
    assert_eq!(fs::read(state.join("keys/workspace.key")).unwrap(), key);
    assert!(capsule.reader().verify().unwrap().is_sound());
}

#[test]
fn a_workspace_name_that_no_uri_can_hold_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["", "A", "a/b", "..", "-x", &"a".repeat(65)] {
        let error = init(&dir.path().join("s"), bad, &mut os_entropy).unwrap_err();
        assert!(matches!(error, CapsuleError::BadWorkspace(_)), "{bad}: {error}");
    }
    assert!(!dir.path().join("s").exists());
}

#[test]
fn an_init_that_failed_at_any_step_can_be_repeated() {
    for step in 0..100 {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join(".speckit");
        faults::fail_after(step);
        let first = init(&state, WORKSPACE, &mut fixed_entropy(1));
        if !faults::calm() {
            first.unwrap();
            assert!(step > 8, "only {step} steps can fail");
            return;
        }
        let error = first.unwrap_err();
        assert!(matches!(error, CapsuleError::File { .. }), "step {step}: {error}");
        let done = init(&state, WORKSPACE, &mut fixed_entropy(1));
        // The last steps only make durable what has its final name already.
        assert!(matches!(done, Ok(_) | Err(CapsuleError::AlreadyInitialised(_))), "step {step}: {done:?}");
        let capsule = Capsule { dir };
        let writer = capsule.writer();
        put_policy(&writer);
        append(&writer, "run-1", json!({}));
        assert!(capsule.reader().verify().unwrap().is_sound(), "step {step}");
    }
    panic!("init has more than 100 steps");
}

#[test]
fn the_log_of_a_journal_that_is_gone_is_not_played_into_a_new_one() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let log = crate::sqlite::access::wal_path(&capsule.db());
    let bytes = fs::read(&log).unwrap();
    writer.close().unwrap();
    fs::remove_file(capsule.db()).unwrap();
    fs::write(&log, bytes).unwrap();
    let error = init(&capsule.state(), WORKSPACE, &mut fixed_entropy(7)).unwrap_err();
    assert!(error.to_string().ends_with("is what is left of a journal that is gone"), "{error}");
    fs::remove_file(&log).unwrap();
    init(&capsule.state(), WORKSPACE, &mut fixed_entropy(7)).unwrap();
    assert_eq!(capsule.reader().stats().unwrap().last_position, 0);
}

#[test]
fn without_random_bytes_there_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("s");
    let error = init(&state, WORKSPACE, &mut |_| Err(std::io::Error::other("none"))).unwrap_err();
    assert!(matches!(error, CapsuleError::Entropy(_)));
    assert!(!state.join("keys/workspace.key").exists());
}

#[test]
fn a_key_file_that_others_can_read_is_not_used() {
    let capsule = Capsule::new();
    let path = capsule.state().join("keys/workspace.key");
    for (bits, file) in [(0o640, &path), (0o604, &path), (0o720, &capsule.state().join("keys"))] {
        fs::set_permissions(file, Permissions::from_mode(bits)).unwrap();
        let error = Writer::open(&capsule.state(), Arc::new(NoGuard), "a test").unwrap_err();
        assert!(matches!(error, CapsuleError::Key { .. }), "{bits:o}: {error}");
        assert!(error.hint().unwrap().starts_with("chmod "), "{:?}", error.hint());
        fs::set_permissions(file, Permissions::from_mode(bits & 0o700)).unwrap();
    }
    capsule.writer();
}

#[test]
fn a_key_file_that_is_none_is_refused() {
    let capsule = Capsule::new();
    let path = capsule.state().join("keys/workspace.key");
    let good = fs::read_to_string(&path).unwrap();
    let bad = [
        String::new(),
        good.trim().to_owned(),
        good.replace("key-1", "key-2"),
        good.to_uppercase(),
        good[..good.len() - 3].to_owned() + "\n",
        good.clone() + "x",
        "x".repeat(5000),
    ];
    for text in bad {
        fs::write(&path, &text).unwrap();
        let error = WorkspaceKey::load(&capsule.state()).unwrap_err();
        assert!(matches!(error, CapsuleError::Key { .. }), "{error}");
        assert!(!format!("{error} {:?}", error.hint()).contains("0707"), "an error shows the key");
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert!(WorkspaceKey::load(&capsule.state()).is_err());
    fs::remove_file(&path).unwrap();
    let error = WorkspaceKey::load(&capsule.state()).unwrap_err();
    assert!(error.to_string().ends_with("is not there"), "{error}");
}

#[test]
fn keys_derive_by_label_and_show_nothing() {
    let capsule = Capsule::new();
    let key = capsule.key();
    assert_eq!(key.derive("tags"), capsule.key().derive("tags"));
    assert_ne!(key.derive("tags"), key.derive("cache"));
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.public_key().to_string()) && !shown.contains("0707"), "{shown}");
    assert_eq!(key.public_key().to_string().parse(), Ok(key.public_key()));
    // Pinned: a change of label or algorithm would orphan every capsule. HKDF-SHA256(07 * 32), see the docs.
    assert_eq!(
        (sluice_core::digest::to_hex(&key.derive("tags")), key.public_key().to_string()),
        (GOLDEN_DERIVED.to_owned(), GOLDEN_PUBLIC.to_owned())
    );
}

const GOLDEN_DERIVED: &str = "2dcbd3124d109cc23fe576a29ae271647cde9902c2439545303ab7644420baf4";
const GOLDEN_PUBLIC: &str = "46bac23cfe9dbc1783bc0d5e441eaadebf66855960e402241d12629e690656c4";

#[test]
fn signatures_are_checked_strictly() {
    let key = Capsule::new().key();
    let signature = key.sign(b"statement");
    assert!(key.public_key().verifies(b"statement", &signature));
    assert!(!key.public_key().verifies(b"statement.", &signature));
    let mut flipped = signature;
    flipped[40] ^= 1;
    assert!(!key.public_key().verifies(b"statement", &flipped));
    // The identity as key and as R, with S = 0, satisfies the plain equation for every message.
    let weak: crate::PublicKey = format!("01{}", "00".repeat(31)).parse().unwrap();
    let mut forged = [0; 64];
    forged[0] = 1;
    assert!(!weak.verifies(b"anything", &forged));
}

#[test]
fn what_is_no_capsule_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Reader::open(dir.path()).unwrap_err();
    assert!(matches!(error, CapsuleError::NotInitialised(_)), "{error}");
    assert!(error.hint().unwrap().contains("sluice capsule init"));

    let refuse = |spoil: &dyn Fn(&Capsule), says: &str| {
        let capsule = Capsule::new();
        spoil(&capsule);
        let reading = Reader::open(&capsule.state()).unwrap_err();
        let writing = Writer::open(&capsule.state(), Arc::new(NoGuard), "a test").unwrap_err();
        for error in [reading, writing] {
            assert!(error.to_string().contains(says), "{error}; wanted: {says}");
        }
    };
    refuse(
        &|capsule| fs::write(capsule.db(), "not a database, by any measure").unwrap(),
        "is not a database",
    );
    refuse(&|capsule| fs::write(capsule.db(), "").unwrap(), "is not a Sluicegate journal");
    refuse(
        &|capsule| capsule.sql().execute_batch("PRAGMA application_id = 1").unwrap(),
        "not a Sluicegate journal",
    );
    refuse(
        &|capsule| capsule.sql().execute_batch("PRAGMA user_version = 2").unwrap(),
        "is a journal of version 2",
    );
    refuse(
        &|capsule| capsule.sql().execute_batch("DELETE FROM meta WHERE key = 'public_key'").unwrap(),
        "public_key",
    );
    // A view could show readers something else than what is stored.
    let view =
        "ALTER TABLE events RENAME TO hidden; CREATE VIEW events AS SELECT * FROM hidden WHERE seq < 3";
    refuse(&|capsule| capsule.sql().execute_batch(view).unwrap(), "other tables");
    let trigger = "CREATE TRIGGER gone AFTER INSERT ON events BEGIN DELETE FROM events; END";
    refuse(&|capsule| capsule.sql().execute_batch(trigger).unwrap(), "other tables");
}

#[test]
fn a_journal_of_another_key_is_not_written_to() {
    let (ours, theirs) = (Capsule::new(), tempfile::tempdir().unwrap());
    init(&theirs.path().join("s"), WORKSPACE, &mut fixed_entropy(8)).unwrap();
    fs::copy(journal_path(&theirs.path().join("s")), ours.db()).unwrap();
    let error = Writer::open(&ours.state(), Arc::new(NoGuard), "a test").unwrap_err();
    assert!(matches!(error, CapsuleError::ForeignKey { .. }), "{error}");
}
