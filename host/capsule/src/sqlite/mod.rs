//! The journal on SQLite: one file and its write-ahead log. Bundled, so that the SQLite whose durability was
//! tested is the one that runs.

pub(crate) mod access;
mod read;
mod write;

use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::journal::Meta;
use crate::keys::PublicKey;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `slce`: tells `file(1)` and us that this database is a Sluicegate journal.
pub(crate) const APPLICATION_ID: i32 = 0x736c_6365;

/// Version of the tables. Another one is refused.
pub(crate) const VERSION: i32 = 1;

/// How long to wait for SQLite's own locks, which are only held for moments.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Bytes that a write-ahead log is cut to once it was copied into the database.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Every object of the database, as `sqlite_schema` stores it. A journal with anything more (a view or a
/// trigger that shows readers something else) or anything less is refused. `docs/capsule-format.md` says
/// what each column means.
pub(crate) const SCHEMA: &[(&str, &str)] = &[
    ("meta", "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"),
    (
        "events",
        "CREATE TABLE events(position INTEGER PRIMARY KEY, run TEXT NOT NULL, seq INTEGER NOT NULL, \
         uri TEXT NOT NULL, type TEXT NOT NULL, at TEXT NOT NULL, branch TEXT NOT NULL, spec TEXT, stage TEXT, \
         role TEXT, policy_id TEXT NOT NULL, policy_hash BLOB NOT NULL, policy_bytes BLOB NOT NULL, \
         prev BLOB NOT NULL, hash BLOB NOT NULL, payload TEXT NOT NULL) STRICT",
    ),
    ("events_by_run", "CREATE UNIQUE INDEX events_by_run ON events(run, seq)"),
    ("events_by_type", "CREATE INDEX events_by_type ON events(type)"),
    (
        "blobs",
        "CREATE TABLE blobs(position INTEGER PRIMARY KEY, digest BLOB NOT NULL, bytes BLOB NOT NULL) STRICT",
    ),
    ("blobs_by_digest", "CREATE UNIQUE INDEX blobs_by_digest ON blobs(digest)"),
    (
        "names",
        "CREATE TABLE names(position INTEGER PRIMARY KEY, uri TEXT NOT NULL, digest BLOB NOT NULL, \
         media_type TEXT NOT NULL) STRICT",
    ),
    ("names_by_uri", "CREATE UNIQUE INDEX names_by_uri ON names(uri)"),
    (
        "heads",
        "CREATE TABLE heads(run TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        "checkpoints",
        "CREATE TABLE checkpoints(number INTEGER PRIMARY KEY, position INTEGER NOT NULL, \
         manifest TEXT NOT NULL) STRICT",
    ),
    (
        "seals",
        "CREATE TABLE seals(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, root BLOB NOT NULL, \
         path TEXT NOT NULL, file BLOB NOT NULL) STRICT",
    ),
];

/// A journal in a SQLite database.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Connection,
    path: PathBuf,
    meta: Meta,
    /// Where the files read lie, if they are a private copy: removed with the journal.
    _copy: Option<tempfile::TempDir>,
}

impl SqliteJournal {
    /// Makes an empty journal at `path`, where there must be none. Closed and durable when this returns.
    pub fn create(path: &Path, meta: &Meta) -> Result<(), CapsuleError> {
        // Made by us first, so that its mode does not depend on the umask.
        crate::files::write_new_private(path, b"")?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let made = || -> rusqlite::Result<()> {
            for_writing(&connection)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            for (_, sql) in SCHEMA {
                connection.execute_batch(sql)?;
            }
            let insert = "INSERT INTO meta(key, value) VALUES (?1, ?2)";
            connection.execute(insert, ("workspace", &meta.workspace))?;
            connection.execute(insert, ("public_key", meta.public_key.to_string()))?;
            connection.execute_batch("COMMIT")
        };
        made().map_err(|error| storage("make the tables", error))?;
        connection.close().map_err(|(_, error)| storage("close", error))?;
        crate::files::sync_file(path)
    }

    /// Opens for writing. The caller holds the writer's lock.
    pub fn open(path: &Path) -> Result<SqliteJournal, CapsuleError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        for_writing(&connection).map_err(|error| storage("open", error))?;
        SqliteJournal::checked(connection, path, None)
    }

    /// Opens for writing after a commit of which it is not known how it ended. What an interrupted commit left in the write-ahead log may be
    /// in memory only, whatever the disk said: it is copied into the database and synced, or opening fails,
    /// so that no later commit builds on something that a power cut would take away.
    pub fn reopen(path: &Path) -> Result<SqliteJournal, CapsuleError> {
        let journal = SqliteJournal::open(path)?;
        let busy: i64 = journal
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| storage("recover after a failure", error))?;
        if busy != 0 {
            let why = std::io::Error::other("a reader still uses the state before the failure");
            return Err(CapsuleError::storage("recover after a failure", why));
        }
        Ok(journal)
    }

    fn checked(
        connection: Connection,
        path: &Path,
        copy: Option<tempfile::TempDir>,
    ) -> Result<SqliteJournal, CapsuleError> {
        let meta = read_meta(&connection, path)?;
        Ok(SqliteJournal { connection, path: path.to_owned(), meta, _copy: copy })
    }

    /// The path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(crate) fn pragma(&self, name: &str) -> String {
        let value: rusqlite::types::Value =
            self.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        match value {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_pages(&self, more: i64) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update(None, "max_page_count", pages + more).unwrap();
    }
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, CapsuleError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| storage("open", error))?;
    harden(&connection).map_err(|error| storage("open", error))?;
    Ok(connection)
}

/// A capsule may come from anyone: nothing in its schema is run, and damage is looked for.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // More than the statements of this room, so that none is compiled twice.
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn for_writing(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::ExecuteReturnedResults);
    }
    // FULL: each commit is synced before it returns. fullfsync: on macOS, down to the platter.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))
}

fn read_meta(connection: &Connection, path: &Path) -> Result<Meta, CapsuleError> {
    let not = |problem: String| CapsuleError::NotAJournal { path: path.to_owned(), problem };
    let pragma = |name: &str| -> Result<i32, CapsuleError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| storage("open", error))
    };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(not("is not a Sluicegate journal".to_owned()));
    }
    let version = pragma("user_version")?;
    if version != VERSION {
        return Err(not(format!("is a journal of version {version}; this program knows version {VERSION}")));
    }
    let schema = read_schema(connection).map_err(|error| storage("read the schema", error))?;
    let same = schema.len() == SCHEMA.len()
        && SCHEMA.iter().all(|(name, sql)| schema.iter().any(|(n, s)| n == name && s == sql));
    if !same {
        return Err(not("has other tables than a journal of version 1".to_owned()));
    }
    let value = |key: &str| -> Result<String, CapsuleError> {
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .map_err(|_| not(format!("does not say its {key}")))
    };
    let workspace = value("workspace")?;
    let public_key: PublicKey =
        value("public_key")?.parse().map_err(|_| not("does not say its public_key".to_owned()))?;
    if workspace.parse::<sluice_core::RunId>().is_err() {
        return Err(not("has a bad workspace name".to_owned()));
    }
    Ok(Meta { workspace, public_key })
}

fn read_schema(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    // Indexes that SQLite makes by itself have no text and follow from their table.
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// SQLite's error as ours.
pub(crate) fn storage(doing: &'static str, error: rusqlite::Error) -> CapsuleError {
    use rusqlite::Error as E;
    if matches!(
        error,
        E::FromSqlConversionFailure(..)
            | E::InvalidColumnType(..)
            | E::IntegralValueOutOfRange(..)
            | E::Utf8Error(..)
    ) {
        let message = format!("cannot {doing}: a cell holds what its column cannot");
        return CapsuleError::Flawed(Flaw::new(FlawKind::Unreadable, "journal.db", message));
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CapsuleError::Full,
        Some(code @ (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => {
            let what = if code == ErrorCode::NotADatabase { "is not a database" } else { "is damaged" };
            let message = format!("cannot {doing}: the storage engine says that the file {what}");
            CapsuleError::Flawed(Flaw::new(FlawKind::Storage, "journal.db", message))
        }
        _ => CapsuleError::storage(doing, error),
    }
}
