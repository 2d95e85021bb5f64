//! How a reader comes at the files: beside a working writer, from a folder that cannot be written, from a
//! copy that somebody took while a writer was at work.
//!
//! A reader of a write-ahead log needs the log's index beside it (`-shm`) and makes it where it is missing.
//! In a folder that cannot be written it cannot. Then either there is nothing in the log, and the database
//! alone is the whole truth; or there is, and database and log are copied to a private folder and read there.

use super::{SqliteJournal, connect, harden, storage};
use crate::error::CapsuleError;
use crate::files;
use crate::lock;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Through SQLite's own locks; a writer may be at work.
    Shared,
    /// The database alone, which nobody changes.
    Immutable,
    /// Database and log, copied to a private folder.
    Copy,
}

impl SqliteJournal {
    /// Opens for reading, whatever the folder permits.
    pub(crate) fn open_to_read(path: &Path) -> Result<SqliteJournal, CapsuleError> {
        match choose(path)? {
            // A log in a folder that we cannot write may still be shared with a writer of another user, who
            // keeps the index there. Where that does not work, nobody keeps it.
            Access::Copy => match SqliteJournal::open_by(path, Access::Shared) {
                Err(CapsuleError::Storage { .. }) if !lock::is_held(&beside(path, "writer.lock")) => {
                    SqliteJournal::open_by(path, Access::Copy)
                }
                opened => opened,
            },
            access => SqliteJournal::open_by(path, access),
        }
    }

    pub(crate) fn open_by(path: &Path, access: Access) -> Result<SqliteJournal, CapsuleError> {
        match access {
            Access::Shared => {
                let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                SqliteJournal::checked(connection, path, None)
            }
            Access::Immutable => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX
                    | OpenFlags::SQLITE_OPEN_URI;
                let connection = Connection::open_with_flags(immutable_uri(path), flags)
                    .map_err(|error| storage("open", error))?;
                harden(&connection).map_err(|error| storage("open", error))?;
                SqliteJournal::checked(connection, path, None)
            }
            Access::Copy => {
                let folder = tempfile::Builder::new()
                    .prefix("sluice-capsule-")
                    .tempdir()
                    .map_err(|error| CapsuleError::file("copy", path, error))?;
                let copy = folder.path().join("journal.db");
                files::copy_if_there(path, &copy)?;
                files::copy_if_there(&wal_path(path), &wal_path(&copy))?;
                let connection = connect(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                SqliteJournal::checked(connection, path, Some(folder))
            }
        }
    }
}

fn choose(path: &Path) -> Result<Access, CapsuleError> {
    let folder = path.parent().unwrap_or(path);
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok() {
        return Ok(Access::Shared);
    }
    // A writer of another user may be at work although its log is empty at this moment.
    let still = files::size(&wal_path(path))? == 0 && !lock::is_held(&beside(path, "writer.lock"));
    Ok(if still { Access::Immutable } else { Access::Copy })
}

/// `<database>-wal`.
pub(crate) fn wal_path(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// A SQLite URI filename; every byte that could mean something in it is written as `%xx`.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    uri
}
