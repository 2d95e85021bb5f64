//! What belongs here: every step of sealing that a disk can refuse. The journal stays what it was, nothing
//! half-written has a sealed file's name, and the next attempt succeeds.

use super::hooked::Hooked;
use super::sealing::{later, names, sealed_dir};
use super::*;
use crate::journal::{Batch, Journal};
use crate::lock::WriterLock;
use crate::writer::Engine;
use crate::{CapsuleError, SqliteJournal, lock_path};
use sluice_seal::{Disk, FileDoor};
use std::io;
use std::sync::Mutex;

/// Lets some steps pass, then fails one.
struct Faulty {
    left: Mutex<Option<u32>>,
    /// Whether the failing step does its work all the same, as when power fails right after it.
    after_effect: bool,
}

impl Faulty {
    fn new(pass: u32, after_effect: bool) -> Arc<Faulty> {
        Arc::new(Faulty { left: Mutex::new(Some(pass)), after_effect })
    }

    fn step(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut left = self.left.lock().unwrap();
        match *left {
            Some(0) => {
                *left = None;
                if self.after_effect {
                    work()?;
                }
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some(count) => {
                *left = Some(count - 1);
                work()
            }
            None => work(),
        }
    }

    fn failed(&self) -> bool {
        self.left.lock().unwrap().is_none()
    }
}

impl FileDoor for Faulty {
    fn create_temp(&self, path: &Path) -> io::Result<()> {
        self.step(|| Disk.create_temp(path))
    }
    fn protect(&self, path: &Path) -> io::Result<()> {
        self.step(|| Disk.protect(path))
    }
    fn fsync(&self, path: &Path) -> io::Result<()> {
        self.step(|| Disk.fsync(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| Disk.rename(from, to))
    }
    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(|| Disk.fsync_dir(dir))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|| Disk.remove(path))
    }
}

type Commit = fn(&Mutex<bool>, &mut SqliteJournal, &Batch) -> Result<(), CapsuleError>;

fn honest(_: &Mutex<bool>, journal: &mut SqliteJournal, batch: &Batch) -> Result<(), CapsuleError> {
    journal.commit(batch)
}

fn writer_with(capsule: &Capsule, door: Arc<dyn FileDoor>, commit: Commit) -> Writer {
    let path = capsule.db();
    let failed = Arc::new(Mutex::new(false));
    let opener = Box::new(move |in_doubt| {
        let inner = if in_doubt { SqliteJournal::reopen(&path)? } else { SqliteJournal::open(&path)? };
        let failed = Arc::clone(&failed);
        let commit =
            Box::new(move |journal: &mut SqliteJournal, batch: &Batch| commit(&failed, journal, batch));
        Ok(Box::new(Hooked { inner, commit }) as Box<dyn Journal>)
    });
    let lock = WriterLock::acquire(&lock_path(&capsule.state()), "a test").unwrap();
    let engine = Engine { opener, frames_per_checkpoint: 1 << 16, door };
    Writer::start(&capsule.state(), capsule.key(), Arc::new(NoGuard), lock, engine).unwrap()
}

/// Everything that was recorded is there, and both checkpoints are sealed as they would have been.
fn whole(capsule: &Capsule) {
    let report = capsule.reader().verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    assert_eq!((report.sealed_files, report.sealed_frames), (2, 18));
    assert_eq!(capsule.reader().seals().unwrap(), super::sealing::sealed_sample().reader().seals().unwrap());
    assert_eq!(names(&sealed_dir(capsule)), ["cp-1.mv2", "cp-2.mv2"]);
}

#[test]
fn after_any_failed_step_the_record_holds_and_the_same_writer_seals_on() {
    for after_effect in [false, true] {
        for pass in 0.. {
            let capsule = sample();
            let door = Faulty::new(pass, after_effect);
            let writer = writer_with(&capsule, door.clone(), honest);
            let result = writer.seal(later());
            if !door.failed() {
                assert!(result.is_ok() && pass >= 10, "{pass} steps: {result:?}");
                break;
            }
            let error = result.unwrap_err();
            assert!(error.retryable() && error.hint().is_some(), "step {pass}: {error}");
            let report = capsule.reader().verify().unwrap();
            assert!(report.is_sound(), "step {pass}: {:?}", report.flaws);
            // The record goes on, and so does sealing.
            writer.seal(later()).unwrap();
            assert!(writer.healed().problems.is_empty(), "{:?}", writer.healed());
            whole(&capsule);
        }
    }
}

#[test]
fn after_any_failed_step_and_a_crash_the_next_writer_heals() {
    for after_effect in [false, true] {
        for pass in 0.. {
            let capsule = sample();
            let door = Faulty::new(pass, after_effect);
            let writer = writer_with(&capsule, door.clone(), honest);
            let failed = writer.seal(later()).is_err();
            drop(writer);
            if !failed {
                break;
            }
            // As a crash would leave it: the temporary file too.
            std::fs::write(sealed_dir(&capsule).join(".sealing-cp-2.mv2"), b"half").unwrap();
            let writer = capsule.writer();
            let healed = writer.healed();
            assert_eq!(healed.swept.len(), 1, "step {pass}: {healed:?}");
            assert!(healed.problems.is_empty() && healed.discarded.is_empty(), "step {pass}: {healed:?}");
            writer.seal(later()).unwrap();
            whole(&capsule);
        }
    }
}

#[test]
fn after_any_failed_step_of_healing_the_record_goes_on_and_the_next_writer_heals() {
    for pass in 0.. {
        let capsule = super::sealing::sealed_sample();
        let dir = sealed_dir(&capsule);
        // One of each: a temporary, a damaged file, a file without a record.
        std::fs::write(dir.join(".sealing-cp-3.mv2"), b"half").unwrap();
        super::healing::flip(&dir.join("cp-1.mv2"));
        capsule.sql().execute_batch("DELETE FROM seals WHERE first > 1").unwrap();
        super::healing::flip(&dir.join("cp-2.mv2"));
        let door = Faulty::new(pass, false);
        let writer = writer_with(&capsule, door.clone(), honest);
        if !door.failed() {
            let healed = writer.healed();
            assert!(healed.problems.is_empty() && pass >= 12, "{pass} steps: {healed:?}");
            assert_eq!((healed.swept.len(), healed.discarded.len(), healed.rebuilt.len()), (1, 1, 1));
            break;
        }
        assert_eq!(writer.healed().problems.len(), 1, "step {pass}: {:?}", writer.healed());
        append(&writer, "run-c", json!({"pass": pass}));
        drop(writer);
        let writer = capsule.writer();
        assert!(writer.healed().problems.is_empty(), "step {pass}: {:?}", writer.healed());
        writer.seal(later()).unwrap();
        std::fs::remove_file(dir.join("damaged-cp-1.mv2")).unwrap();
        whole(&capsule);
    }
}

fn cable() -> CapsuleError {
    CapsuleError::storage("commit", io::Error::other("the cable was pulled"))
}

/// Whether this is the first record of a seal.
fn first_seal(failed: &Mutex<bool>, batch: &Batch) -> bool {
    batch.seal.is_some() && !std::mem::replace(&mut failed.lock().unwrap(), true)
}

#[test]
fn a_seal_whose_record_fails_is_recorded_by_the_next_attempt() {
    let commits: [Commit; 3] = [
        |failed, journal, batch| if first_seal(failed, batch) { Err(cable()) } else { journal.commit(batch) },
        // It was recorded, and nobody was told.
        |failed, journal, batch| {
            let fails = first_seal(failed, batch);
            journal.commit(batch)?;
            if fails { Err(cable()) } else { Ok(()) }
        },
        |failed, journal, batch| {
            if first_seal(failed, batch) { Err(CapsuleError::Full) } else { journal.commit(batch) }
        },
    ];
    for commit in commits {
        let capsule = sample();
        let writer = writer_with(&capsule, Arc::new(Disk), commit);
        assert!(writer.seal(later()).unwrap_err().retryable());
        assert!(capsule.reader().verify().unwrap().is_sound());
        writer.seal(later()).unwrap();
        assert!(writer.healed().discarded.is_empty());
        whole(&capsule);
    }
}

#[test]
fn a_folder_that_cannot_be_made_or_synced_is_an_error_and_not_a_loss() {
    for step in 0..2 {
        let capsule = sample();
        let writer = capsule.writer();
        crate::files::faults::fail_after(step);
        let result = writer.seal(later());
        assert!(crate::files::faults::calm());
        assert!(matches!(result, Err(CapsuleError::File { .. })), "{result:?}");
        writer.seal(later()).unwrap();
        whole(&capsule);
    }
    // Where there is a file in its place.
    let capsule = sample();
    std::fs::write(sealed_dir(&capsule), b"x").unwrap();
    let writer = capsule.writer();
    assert!(matches!(writer.seal(later()), Err(CapsuleError::File { .. })));
    append(&writer, "run-c", json!({}));
}
