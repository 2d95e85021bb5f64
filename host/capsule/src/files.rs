//! The one door to files other than the journal itself, so that tests can make any step fail on command.

use crate::error::CapsuleError;
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A folder that only its owner enters. One that is there already is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), CapsuleError> {
    step()
        .and_then(|()| DirBuilder::new().mode(0o700).create(path))
        .or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists if path.is_dir() => Ok(()),
            _ => Err(error),
        })
        .map_err(|error| CapsuleError::file("create", path, error))
}

/// A folder and those above it.
pub(crate) fn create_dir_all(path: &Path) -> Result<(), CapsuleError> {
    step().and_then(|()| fs::create_dir_all(path)).map_err(|error| CapsuleError::file("create", path, error))
}

/// A file of mode 0600 that was not there before, durable when this returns (its folder is not: see
/// [`sync_dir`]).
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), CapsuleError> {
    step()
        .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))
        .and_then(|mut file| {
            step()?;
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|error| CapsuleError::file("write", path, error))
}

/// What an opened file is and holds.
pub(crate) struct FileBytes {
    pub bytes: zeroize::Zeroizing<Vec<u8>>,
    pub regular: bool,
    /// Permission bits.
    pub mode: u32,
}

/// Reads a small file without following a link, with the permissions of the very file that was read.
/// `Ok(None)` where there is none.
pub(crate) fn read_private(path: &Path, bytes_max: u64) -> Result<Option<FileBytes>, CapsuleError> {
    let fail = |error| CapsuleError::file("read", path, error);
    let flags = i32::from_ne_bytes(OFlags::NOFOLLOW.bits().to_ne_bytes());
    let file = match step().and_then(|()| OpenOptions::new().read(true).custom_flags(flags).open(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let metadata = file.metadata().map_err(fail)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(fail)?;
    Ok(Some(FileBytes { bytes, regular: metadata.is_file(), mode: metadata.mode() & 0o7777 }))
}

/// Permission bits of a file or folder.
pub(crate) fn mode(path: &Path) -> Result<u32, CapsuleError> {
    step()
        .and_then(|()| fs::metadata(path))
        .map(|metadata| metadata.mode() & 0o7777)
        .map_err(|error| CapsuleError::file("read", path, error))
}

/// Makes a folder's entries durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), CapsuleError> {
    step()
        .and_then(|()| File::open(path))
        .and_then(|dir| dir.sync_all())
        .map_err(|error| CapsuleError::file("sync", path, error))
}

/// Makes a file's bytes durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), CapsuleError> {
    step()
        .and_then(|()| OpenOptions::new().write(true).open(path))
        .and_then(|file| file.sync_all())
        .map_err(|error| CapsuleError::file("sync", path, error))
}

/// Gives a file its final name.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), CapsuleError> {
    step().and_then(|()| fs::rename(from, to)).map_err(|error| CapsuleError::file("rename", from, error))
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), CapsuleError> {
    match step().and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CapsuleError::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Copies a file; `false` where there is none.
pub(crate) fn copy_if_there(from: &Path, to: &Path) -> Result<bool, CapsuleError> {
    match step().and_then(|()| fs::copy(from, to)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CapsuleError::file("copy", from, error)),
    }
}

/// Bytes of a file; 0 where there is none.
pub(crate) fn size(path: &Path) -> Result<u64, CapsuleError> {
    match step().and_then(|()| fs::metadata(path)) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(CapsuleError::file("read", path, error)),
    }
}

#[cfg(not(test))]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use faults::step;

/// Steps that fail on command, in the thread that asked for it.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets `steps` steps pass and fails the next one, as a disk without space would.
    pub(crate) fn fail_after(steps: u32) {
        LEFT.set(Some(steps));
    }

    /// No more failures. Says whether one came.
    pub(crate) fn calm() -> bool {
        LEFT.replace(None) == Some(u32::MAX)
    }

    pub(super) fn step() -> io::Result<()> {
        match LEFT.get() {
            None | Some(u32::MAX) => Ok(()),
            Some(0) => {
                LEFT.set(Some(u32::MAX));
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
