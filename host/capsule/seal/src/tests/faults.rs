//! Every step of the door fails once, before or after it took effect.

use super::{NAME, listed, manifest, mixed, names, seal};
use crate::{
    Disk, Expected, FileDoor, SealError, SealedReader, Verdict, discard, inspect, sweep, write_once,
};
use std::io;
use std::path::Path;
use std::sync::Mutex;

/// Lets some steps pass, then fails one.
struct Faulty {
    left: Mutex<Option<u32>>,
    /// Whether the failing step does its work all the same, as when power fails right after it.
    after_effect: bool,
    steps: Mutex<Vec<&'static str>>,
}

impl Faulty {
    fn new(pass: u32, after_effect: bool) -> Faulty {
        Faulty { left: Mutex::new(Some(pass)), after_effect, steps: Mutex::new(Vec::new()) }
    }

    fn step(&self, name: &'static str, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.steps.lock().unwrap().push(name);
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

    fn steps(&self) -> Vec<&'static str> {
        self.steps.lock().unwrap().clone()
    }
}

impl FileDoor for Faulty {
    fn create_temp(&self, path: &Path) -> io::Result<()> {
        self.step("create", || Disk.create_temp(path))
    }
    fn protect(&self, path: &Path) -> io::Result<()> {
        self.step("protect", || Disk.protect(path))
    }
    fn fsync(&self, path: &Path) -> io::Result<()> {
        self.step("sync", || Disk.fsync(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", || Disk.rename(from, to))
    }
    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step("sync folder", || Disk.fsync_dir(dir))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", || Disk.remove(path))
    }
}

#[test]
fn the_steps_come_in_the_order_that_makes_them_worth_something() {
    let dir = tempfile::tempdir().unwrap();
    let door = Faulty::new(u32::MAX, false);
    write_once(dir.path(), NAME, &mixed(), &manifest(&mixed()), &door).unwrap();
    assert_eq!(door.steps(), ["create", "protect", "sync", "rename", "sync folder"]);
}

#[test]
fn after_any_failed_step_a_retry_succeeds_and_nothing_half_written_is_named() {
    let all = mixed();
    for after_effect in [false, true] {
        for pass in 0.. {
            let dir = tempfile::tempdir().unwrap();
            // A crash before left something, so that the first step is a removal.
            std::fs::write(dir.path().join(".sealing-cp-1.mv2"), b"half").unwrap();
            let door = Faulty::new(pass, after_effect);
            let result = write_once(dir.path(), NAME, &all, &manifest(&all), &door);
            if !door.failed() {
                assert!(result.is_ok() && pass == 6, "{pass} steps: {result:?}");
                break;
            }
            let error = result.unwrap_err();
            assert!(matches!(error, SealError::File { .. }) && error.retryable(), "{error}");
            if dir.path().join(NAME).exists() {
                let verdict = inspect(&dir.path().join(NAME), Expected::Frames(&listed(&all))).unwrap();
                assert!(matches!(verdict, Verdict::Intact(_)), "step {pass}: {verdict:?}");
            }
            let sealed = seal(dir.path(), &all);
            assert_eq!(SealedReader::open(&sealed.path).unwrap().sealed(), sealed, "step {pass}");
            assert_eq!(names(dir.path()), [NAME], "step {pass}");
        }
    }
}

#[test]
fn a_clean_up_that_fails_too_leaves_what_the_next_attempt_removes() {
    struct NoRemoving;
    impl FileDoor for NoRemoving {
        fn create_temp(&self, path: &Path) -> io::Result<()> {
            Disk.create_temp(path)
        }
        fn protect(&self, path: &Path) -> io::Result<()> {
            Disk.protect(path)
        }
        fn fsync(&self, _: &Path) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            Disk.rename(from, to)
        }
        fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
            Disk.fsync_dir(dir)
        }
        fn remove(&self, _: &Path) -> io::Result<()> {
            Err(io::Error::from(io::ErrorKind::PermissionDenied))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let error = write_once(dir.path(), NAME, &mixed(), &manifest(&mixed()), &NoRemoving).unwrap_err();
    // The first failure is the one that is told, not the clean-up's.
    assert!(error.to_string().starts_with("cannot sync"), "{error}");
    assert_eq!(names(dir.path()), [".sealing-cp-1.mv2"]);
    assert!(sweep(dir.path(), &NoRemoving).is_err());
    seal(dir.path(), &mixed());
    assert_eq!(names(dir.path()), [NAME]);
}

#[test]
fn discarding_is_durable_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for pass in 0..2 {
        let sealed = seal(dir.path(), &mixed());
        assert!(discard(&sealed.path, &Faulty::new(pass, false)).is_err());
        discard(&sealed.path, &Disk).unwrap();
        assert!(names(dir.path()).is_empty());
    }
    discard(&dir.path().join(NAME), &Disk).unwrap();
}
