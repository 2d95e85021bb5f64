//! One transaction a batch.

use super::{SqliteJournal, storage};
use crate::error::CapsuleError;
use crate::journal::{Batch, Head, SealRow};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sluice_core::Digest;
use std::collections::HashMap;

const INSERT_EVENT: &str = "INSERT INTO events(position, run, seq, uri, type, at, branch, spec, stage, role, \
    policy_id, policy_hash, policy_bytes, prev, hash, payload) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
const INSERT_BLOB: &str = "INSERT INTO blobs(position, digest, bytes) VALUES (?1, ?2, ?3)";
const INSERT_NAME: &str = "INSERT INTO names(position, uri, digest, media_type) VALUES (?1, ?2, ?3, ?4)";
const INSERT_CHECKPOINT: &str = "INSERT INTO checkpoints(number, position, manifest) VALUES (?1, ?2, ?3)";
// A file that was written anew keeps its place and its root, and may have other bytes.
const PUT_SEAL: &str = "INSERT INTO seals(first, last, root, path, file) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT(first) DO UPDATE SET path = excluded.path, file = excluded.file \
    WHERE last = excluded.last AND root = excluded.root";
const PUT_HEAD: &str = "INSERT INTO heads(run, seq, hash) VALUES (?1, ?2, ?3) \
    ON CONFLICT(run) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";

pub(super) const HEAD: &str = "SELECT seq, hash FROM heads WHERE run = ?1";
pub(super) const LAST_POSITION: &str = "SELECT max(coalesce((SELECT max(position) FROM events), 0), \
    coalesce((SELECT max(position) FROM blobs), 0), coalesce((SELECT max(position) FROM names), 0))";

impl SqliteJournal {
    pub(super) fn commit_batch(&mut self, batch: &Batch) -> Result<(), CapsuleError> {
        let commit = |error| storage("commit", error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(commit)?;
        continues(&transaction, batch)?;
        let heads = new_heads(&transaction, batch)?;
        insert(&transaction, batch, &heads).map_err(commit)?;
        batch.seal.as_ref().map_or(Ok(()), |seal| put_seal(&transaction, seal))?;
        transaction.commit().map_err(commit)
    }
}

/// Refuses a batch that was made for another state of the journal.
fn continues(connection: &Connection, batch: &Batch) -> Result<(), CapsuleError> {
    let last: i64 = connection
        .prepare_cached(LAST_POSITION)
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(|error| storage("commit", error))?;
    if as_i64(batch.after) == last {
        return Ok(());
    }
    Err(CapsuleError::Conflict(format!("its last position is {last}, not {}", batch.after)))
}

/// Where each run of the batch stands after it, having checked that each event follows the one before.
fn new_heads<'b>(connection: &Connection, batch: &'b Batch) -> Result<HashMap<&'b str, Head>, CapsuleError> {
    let mut heads: HashMap<&str, Head> = HashMap::new();
    for event in &batch.events {
        let before = match heads.get(event.run.as_str()) {
            Some(head) => Some(*head),
            None => head(connection, &event.run).map_err(|error| storage("commit", error))?,
        };
        let before = before.unwrap_or(Head { seq: 0, hash: Digest::ZERO });
        if event.seq != before.seq + 1 || event.prev != before.hash {
            let text = format!("run `{}` stands at event {}", event.run, before.seq);
            return Err(CapsuleError::Conflict(text));
        }
        heads.insert(&event.run, Head { seq: event.seq, hash: event.hash });
    }
    Ok(heads)
}

pub(super) fn head(connection: &Connection, run: &str) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached(HEAD)?
        .query_row([run], |row| {
            let hash: [u8; 32] = row.get(1)?;
            Ok(Head { seq: row.get::<_, i64>(0)?.unsigned_abs(), hash: Digest::from_bytes(hash) })
        })
        .optional()
}

fn insert(transaction: &Transaction<'_>, batch: &Batch, heads: &HashMap<&str, Head>) -> rusqlite::Result<()> {
    for blob in &batch.blobs {
        transaction.prepare_cached(INSERT_BLOB)?.execute(params![
            as_i64(blob.position),
            blob.digest.as_bytes(),
            &*blob.bytes
        ])?;
    }
    for name in &batch.names {
        transaction.prepare_cached(INSERT_NAME)?.execute(params![
            as_i64(name.position),
            name.uri,
            name.digest.as_bytes(),
            name.media_type
        ])?;
    }
    if !batch.events.is_empty() {
        let mut statement = transaction.prepare_cached(INSERT_EVENT)?;
        for event in &batch.events {
            statement.execute(params![
                as_i64(event.position),
                event.run,
                as_i64(event.seq),
                event.uri,
                event.kind,
                event.at,
                event.branch,
                event.spec,
                event.stage,
                event.role,
                event.policy_id,
                event.policy_hash.as_bytes(),
                event.policy_bytes.as_bytes(),
                event.prev.as_bytes(),
                event.hash.as_bytes(),
                event.payload,
            ])?;
        }
    }
    for (run, head) in heads {
        transaction.prepare_cached(PUT_HEAD)?.execute(params![
            run,
            as_i64(head.seq),
            head.hash.as_bytes()
        ])?;
    }
    if let Some(checkpoint) = &batch.checkpoint {
        transaction.prepare_cached(INSERT_CHECKPOINT)?.execute(params![
            as_i64(checkpoint.number),
            as_i64(checkpoint.position),
            checkpoint.manifest
        ])?;
    }
    Ok(())
}

fn put_seal(transaction: &Transaction<'_>, seal: &SealRow) -> Result<(), CapsuleError> {
    let commit = |error| storage("commit", error);
    let changed = transaction
        .prepare_cached(PUT_SEAL)
        .and_then(|mut statement| {
            statement.execute(params![
                as_i64(seal.first),
                as_i64(seal.last),
                seal.root.as_bytes(),
                seal.path,
                seal.file.as_bytes()
            ])
        })
        .map_err(commit)?;
    if changed == 1 {
        return Ok(());
    }
    Err(CapsuleError::Conflict(format!(
        "a sealed file with other frames is recorded from position {}",
        seal.first
    )))
}

/// SQLite's integers are signed. Positions count events: none ever comes near the limit.
pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
