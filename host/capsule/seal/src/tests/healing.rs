//! What a crash leaves is told from what was sealed.

use super::{NAME, mixed, names, seal};
use crate::{Disk, SealedReader, leftovers, sweep};
use std::fs;

#[test]
fn temporaries_of_ours_and_of_memvid_are_swept_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), &mixed());
    let gone = ["..sealing-cp-2.mv2.Ab3dEf", ".sealing-cp-2.mv2", ".sealing-cp-9.mv2"];
    let stay = [".hidden", "cp-3.mv2", "journal.db", "sealing-cp-2.mv2"];
    for name in gone.iter().chain(&stay) {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    let found: Vec<_> = gone.iter().map(|name| dir.path().join(name)).collect();
    assert_eq!(leftovers(dir.path()).unwrap(), found);
    assert_eq!(sweep(dir.path(), &Disk).unwrap(), found);
    assert_eq!(names(dir.path()), [".hidden", NAME, "cp-3.mv2", "journal.db", "sealing-cp-2.mv2"]);
    assert!(sweep(dir.path(), &Disk).unwrap().is_empty());
    assert_eq!(SealedReader::open(&sealed.path).unwrap().sealed(), sealed);
}

#[test]
fn sealing_sweeps_its_own_leftovers_and_not_those_of_another_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".sealing-cp-1.mv2", "..sealing-cp-1.mv2.Ab3dEf", ".sealing-cp-11.mv2"] {
        fs::write(dir.path().join(name), b"half").unwrap();
    }
    seal(dir.path(), &mixed());
    assert_eq!(names(dir.path()), [".sealing-cp-11.mv2", NAME]);
}

#[test]
fn a_write_that_was_cut_short_anywhere_does_not_read_as_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(seal(dir.path(), &mixed()).path).unwrap();
    let half = dir.path().join("half.mv2");
    for cut in [0, 4096, 70_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&half, &whole[..cut]).unwrap();
        assert!(SealedReader::open(&half).is_err(), "{cut} bytes");
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = leftovers(&dir.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().starts_with("cannot list"), "{error}");
}
