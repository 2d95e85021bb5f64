//! One writer over all processes of a machine.
//!
//! The lock is the `flock` on the file; the text in it only tells people who holds it. So a file that a
//! crash left behind locks nothing, and the next writer takes it over.

use crate::error::CapsuleError;
use crate::limits::LOCK_TEXT_BYTES_MAX;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sluice_core::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// How often a lock file is tried that was replaced meanwhile, or is held without a name.
const ATTEMPTS_MAX: u32 = 8;

/// Pause between attempts at a lock that is held without a name.
const NAMELESS_WAIT: Duration = Duration::from_millis(5);

/// Longest `who` in a lock file, in characters.
const WHO_CHARS_MAX: usize = 200;

/// Held as long as this lives.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
}

impl WriterLock {
    /// Takes the lock, or says who holds it.
    pub fn acquire(path: &Path, who: &str) -> Result<WriterLock, CapsuleError> {
        let fail = |error| CapsuleError::file("lock", path, error);
        for _ in 0..ATTEMPTS_MAX {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
                .map_err(fail)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Somebody may have removed the file between open and lock: then we hold a lock on nothing.
                Ok(()) if !same_file(&file, path) => {}
                Ok(()) => {
                    write_text(&mut file, who).map_err(fail)?;
                    return Ok(WriterLock { file });
                }
                Err(Errno::WOULDBLOCK) => match holder(&mut file) {
                    Some(holder) => return Err(CapsuleError::Locked(holder)),
                    // Held without a name: a writer that has only just begun, or a reader's probe
                    // (`is_held`), which is over at once.
                    None => std::thread::sleep(NAMELESS_WAIT),
                },
                Err(errno) => return Err(fail(errno.into())),
            }
        }
        Err(CapsuleError::Locked("by a process that does not say its name".to_owned()))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // The text goes first. Should that fail, a stale text without a lock misleads nobody: it is only
        // read by those who were refused the lock.
        let _ = self.file.set_len(0);
    }
}

/// Whether a writer is at work. The question takes a shared lock for a moment; a writer that begins in that
/// moment tries again.
pub(crate) fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.ino() == named.ino() && held.dev() == named.dev(),
        _ => false,
    }
}

fn write_text(file: &mut File, who: &str) -> std::io::Result<()> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let who: String = who.chars().filter(|c| !c.is_control()).take(WHO_CHARS_MAX).collect();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "pid {} on host `{host}`: {who}", std::process::id())?;
    file.flush()
}

/// The text in the lock file, and since when it stands there; `None` where there is no text.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(LOCK_TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    let since = file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let since = Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?);
    let text = text.trim();
    (!text.is_empty()).then(|| format!("{text}, since {since}"))
}
