//! Rows as they lie there. A cell that its column cannot hold makes a [`BadRow`], never a guess.

use super::write::{LAST_POSITION, as_i64, head};
use super::{SqliteJournal, access::wal_path, storage};
use crate::error::CapsuleError;
use crate::files;
use crate::journal::{
    BadRow, Batch, BlobRow, CheckpointRow, Counts, Each, EventQuery, FrameRow, Head, Journal, Meta, NameRow,
    Row, SealRow,
};
use crate::row::EventRow;
use rusqlite::types::{ToSql, ValueRef};
use sluice_core::Digest;
use std::sync::Arc;

const EVENT_COLUMNS: &str = "position, run, seq, uri, type, at, branch, spec, stage, role, policy_id, policy_hash, \
    policy_bytes, prev, hash, payload";

/// The three tables merged by position; each is read in the order of its key, so nothing is sorted.
const FRAMES: &str = "SELECT position, hash, 'e', uri, NULL FROM events WHERE position BETWEEN ?1 AND ?2 \
    UNION ALL SELECT position, digest, 'b', NULL, NULL FROM blobs WHERE position BETWEEN ?1 AND ?2 \
    UNION ALL SELECT position, digest, 'n', uri, media_type FROM names WHERE position BETWEEN ?1 AND ?2 \
    ORDER BY 1";

const COUNTS: &str = "SELECT (SELECT count(*) FROM heads), (SELECT count(*) FROM events), \
    (SELECT count(*) FROM blobs), (SELECT count(*) FROM names), (SELECT count(*) FROM checkpoints), \
    (SELECT count(*) FROM seals)";

/// The cells of one row.
struct Cells<'r> {
    row: &'r rusqlite::Row<'r>,
    table: &'static str,
}

impl Cells<'_> {
    fn bad(&self, column: &'static str) -> BadRow {
        let position = match self.row.get_ref(0) {
            Ok(ValueRef::Integer(position)) => position.unsigned_abs(),
            _ => 0,
        };
        BadRow { table: self.table, position, column }
    }

    fn number(&self, index: usize, column: &'static str) -> Row<u64> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Integer(number)) => u64::try_from(number).map_err(|_| self.bad(column)),
            _ => Err(self.bad(column)),
        }
    }

    fn optional_text(&self, index: usize, column: &'static str) -> Row<Option<String>> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Null) => Ok(None),
            Ok(ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(self.bad(column)),
            },
            _ => Err(self.bad(column)),
        }
    }

    fn text(&self, index: usize, column: &'static str) -> Row<String> {
        self.optional_text(index, column)?.ok_or_else(|| self.bad(column))
    }

    fn bytes(&self, index: usize, column: &'static str) -> Row<&[u8]> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Blob(bytes)) => Ok(bytes),
            _ => Err(self.bad(column)),
        }
    }

    fn digest(&self, index: usize, column: &'static str) -> Row<Digest> {
        let bytes: [u8; 32] = self.bytes(index, column)?.try_into().map_err(|_| self.bad(column))?;
        Ok(Digest::from_bytes(bytes))
    }
}

fn event_row(cells: &Cells<'_>) -> Row<EventRow> {
    Ok(EventRow {
        position: cells.number(0, "position")?,
        run: cells.text(1, "run")?,
        seq: cells.number(2, "seq")?,
        uri: cells.text(3, "uri")?,
        kind: cells.text(4, "type")?,
        at: cells.text(5, "at")?,
        branch: cells.text(6, "branch")?,
        spec: cells.optional_text(7, "spec")?,
        stage: cells.optional_text(8, "stage")?,
        role: cells.optional_text(9, "role")?,
        policy_id: cells.text(10, "policy_id")?,
        policy_hash: cells.digest(11, "policy_hash")?,
        policy_bytes: cells.digest(12, "policy_bytes")?,
        prev: cells.digest(13, "prev")?,
        hash: cells.digest(14, "hash")?,
        payload: cells.text(15, "payload")?,
    })
}

fn blob_row(cells: &Cells<'_>) -> Row<BlobRow> {
    Ok(BlobRow {
        position: cells.number(0, "position")?,
        digest: cells.digest(1, "digest")?,
        bytes: Arc::from(cells.bytes(2, "bytes")?),
    })
}

fn name_row(cells: &Cells<'_>) -> Row<NameRow> {
    Ok(NameRow {
        position: cells.number(0, "position")?,
        uri: cells.text(1, "uri")?,
        digest: cells.digest(2, "digest")?,
        media_type: cells.text(3, "media_type")?,
    })
}

fn checkpoint_row(cells: &Cells<'_>) -> Row<CheckpointRow> {
    Ok(CheckpointRow {
        position: cells.number(0, "position")?,
        number: cells.number(1, "number")?,
        manifest: cells.text(2, "manifest")?,
    })
}

impl SqliteJournal {
    fn each<T>(
        &self,
        table: &'static str,
        sql: &str,
        parameters: &[&dyn ToSql],
        convert: impl Fn(&Cells<'_>) -> Row<T>,
        each: Each<'_, T>,
    ) -> Result<(), CapsuleError> {
        let read = |error| storage("read", error);
        let mut statement = self.connection.prepare_cached(sql).map_err(read)?;
        let mut rows = statement.query(parameters).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            if !each(convert(&Cells { row, table }))? {
                break;
            }
        }
        Ok(())
    }

    fn one<T>(
        &self,
        table: &'static str,
        sql: &str,
        parameters: &[&dyn ToSql],
        convert: impl Fn(&Cells<'_>) -> Row<T>,
    ) -> Result<Option<Row<T>>, CapsuleError> {
        let mut found = None;
        self.each(table, sql, parameters, convert, &mut |row| {
            found = Some(row);
            Ok(false)
        })?;
        Ok(found)
    }
}

impl Journal for SqliteJournal {
    fn meta(&self) -> Result<Meta, CapsuleError> {
        Ok(self.meta.clone())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CapsuleError> {
        self.commit_batch(batch)
    }

    fn last_position(&self) -> Result<u64, CapsuleError> {
        self.connection
            .prepare_cached(LAST_POSITION)
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
            .map(i64::unsigned_abs)
            .map_err(|error| storage("read", error))
    }

    fn head(&self, run: &str) -> Result<Option<Head>, CapsuleError> {
        head(&self.connection, run).map_err(|error| storage("read", error))
    }

    fn heads(&self, each: Each<'_, (String, Head)>) -> Result<(), CapsuleError> {
        let sql = "SELECT seq, hash, run FROM heads ORDER BY run";
        let convert = |cells: &Cells<'_>| {
            let head = Head { seq: cells.number(0, "seq")?, hash: cells.digest(1, "hash")? };
            Ok((cells.text(2, "run")?, head))
        };
        self.each("heads", sql, &[], convert, each)
    }

    fn events(&self, query: &EventQuery, each: Each<'_, EventRow>) -> Result<(), CapsuleError> {
        let mut sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE position > ?1");
        let after = as_i64(query.after);
        let mut parameters: Vec<&dyn ToSql> = vec![&after];
        if let Some(kind) = &query.kind {
            parameters.push(kind);
            sql.push_str(&format!(" AND type = ?{}", parameters.len()));
        }
        if let Some(run) = &query.run {
            parameters.push(run);
            sql.push_str(&format!(" AND run = ?{} ORDER BY seq", parameters.len()));
        } else {
            sql.push_str(" ORDER BY position");
        }
        self.each("events", &sql, &parameters, event_row, each)
    }

    fn event(&self, run: &str, seq: u64) -> Result<Option<Row<EventRow>>, CapsuleError> {
        let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE run = ?1 AND seq = ?2");
        self.one("events", &sql, &[&run, &as_i64(seq)], event_row)
    }

    fn has_blob(&self, digest: &Digest) -> Result<bool, CapsuleError> {
        let sql = "SELECT position FROM blobs WHERE digest = ?1";
        Ok(self.one("blobs", sql, &[digest.as_bytes()], |_| Ok(()))?.is_some())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Row<BlobRow>>, CapsuleError> {
        let sql = "SELECT position, digest, bytes FROM blobs WHERE digest = ?1";
        self.one("blobs", sql, &[digest.as_bytes()], blob_row)
    }

    fn blobs(&self, each: Each<'_, BlobRow>) -> Result<(), CapsuleError> {
        self.each("blobs", "SELECT position, digest, bytes FROM blobs ORDER BY position", &[], blob_row, each)
    }

    fn name(&self, uri: &str) -> Result<Option<Row<NameRow>>, CapsuleError> {
        let sql = "SELECT position, uri, digest, media_type FROM names WHERE uri = ?1";
        self.one("names", sql, &[&uri], name_row)
    }

    fn names(&self, each: Each<'_, NameRow>) -> Result<(), CapsuleError> {
        let sql = "SELECT position, uri, digest, media_type FROM names ORDER BY position";
        self.each("names", sql, &[], name_row, each)
    }

    fn frames(&self, first: u64, last: u64, each: Each<'_, FrameRow>) -> Result<(), CapsuleError> {
        let convert = |cells: &Cells<'_>| {
            let (position, digest) = (cells.number(0, "position")?, cells.digest(1, "digest")?);
            let uri = match cells.text(2, "kind")?.as_str() {
                "b" => format!("mv2://{}/blob/sha256/{digest}", self.meta.workspace),
                _ => cells.text(3, "uri")?,
            };
            Ok(FrameRow { position, digest, uri, media_type: cells.optional_text(4, "media_type")? })
        };
        self.each("frames", FRAMES, &[&as_i64(first), &as_i64(last)], convert, each)
    }

    fn checkpoints(&self, each: Each<'_, CheckpointRow>) -> Result<(), CapsuleError> {
        let sql = "SELECT position, number, manifest FROM checkpoints ORDER BY number";
        self.each("checkpoints", sql, &[], checkpoint_row, each)
    }

    fn last_checkpoint(&self) -> Result<Option<Row<CheckpointRow>>, CapsuleError> {
        let sql = "SELECT position, number, manifest FROM checkpoints ORDER BY number DESC LIMIT 1";
        self.one("checkpoints", sql, &[], checkpoint_row)
    }

    fn seals(&self, each: Each<'_, SealRow>) -> Result<(), CapsuleError> {
        let sql = "SELECT first, last, root, path, file FROM seals ORDER BY first";
        let convert = |cells: &Cells<'_>| {
            Ok(SealRow {
                first: cells.number(0, "first")?,
                last: cells.number(1, "last")?,
                root: cells.digest(2, "root")?,
                path: cells.text(3, "path")?,
                file: cells.digest(4, "file")?,
            })
        };
        self.each("seals", sql, &[], convert, each)
    }

    fn consistently(&self, read: &mut dyn FnMut() -> Result<(), CapsuleError>) -> Result<(), CapsuleError> {
        // Rolled back when dropped: it only held the state still.
        let _transaction = self.connection.unchecked_transaction().map_err(|error| storage("read", error))?;
        read()
    }

    fn check(&self, listed_max: usize) -> Result<Vec<String>, CapsuleError> {
        let mut found: Vec<String> = Vec::new();
        let sql = format!("PRAGMA integrity_check({listed_max})");
        let result = self.connection.prepare(&sql).and_then(|mut statement| {
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.for_each(|row| found.push(row.unwrap_or_else(|error| error.to_string())));
            Ok(())
        });
        result.map_err(|error| storage("check", error))?;
        found.retain(|line| line != "ok");
        found.truncate(listed_max);
        Ok(found)
    }

    fn counts(&self) -> Result<Counts, CapsuleError> {
        let counts = self.connection.query_row(COUNTS, [], |row| {
            let at = |index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs);
            Ok(Counts {
                runs: at(0)?,
                events: at(1)?,
                blobs: at(2)?,
                names: at(3)?,
                checkpoints: at(4)?,
                seals: at(5)?,
                journal_bytes: 0,
            })
        });
        let counts = counts.map_err(|error| storage("count", error))?;
        let journal_bytes = files::size(&self.path)? + files::size(&wal_path(&self.path))?;
        Ok(Counts { journal_bytes, ..counts })
    }

    fn close(self: Box<Self>) -> Result<(), CapsuleError> {
        self.connection.close().map_err(|(_, error)| storage("close", error))
    }
}
