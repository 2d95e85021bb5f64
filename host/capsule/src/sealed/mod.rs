//! A capsule read from its sealed files alone: no journal, no key, nothing that has to be written.
//!
//! It is one more storage engine, so that everything which a reader checks of a journal (chains, manifests,
//! checkpoints, signatures, references) is checked of sealed files by the very same code.

pub(crate) mod check;
mod load;

use crate::error::CapsuleError;
use crate::journal::{
    BadRow, Batch, BlobRow, CheckpointRow, Counts, Each, EventQuery, FrameRow, Head, Journal, Meta, NameRow,
    Row, SealRow,
};
use crate::row::EventRow;
use crate::sealing::blob_uri;
use sluice_core::Digest;
use std::collections::{BTreeMap, HashMap};

pub(crate) use load::{load, signed};

/// One frame.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all frames are events: a box for each would only cost")]
enum Stored {
    Event(Row<EventRow>),
    Blob(Row<BlobRow>),
    Name(NameRow),
}

/// Sealed files in memory.
pub(crate) struct SealedJournal {
    meta: Meta,
    /// The frame at position `index + 1`.
    stored: Vec<Stored>,
    /// Indexes of each run's events, in the order of `seq`.
    runs: BTreeMap<String, Vec<usize>>,
    blobs: HashMap<Digest, usize>,
    names: HashMap<String, usize>,
    checkpoints: Vec<CheckpointRow>,
    seals: Vec<SealRow>,
    /// Bytes of the files.
    bytes: u64,
}

impl SealedJournal {
    /// Frames whose positions are their order, without gap.
    fn new(meta: Meta, stored: Vec<Stored>, seals: Vec<SealRow>, bytes: u64) -> SealedJournal {
        let mut journal = SealedJournal {
            meta,
            stored: Vec::with_capacity(stored.len()),
            runs: BTreeMap::new(),
            blobs: HashMap::new(),
            names: HashMap::new(),
            checkpoints: Vec::new(),
            seals,
            bytes,
        };
        stored.into_iter().for_each(|one| journal.push(one));
        for indexes in journal.runs.values_mut() {
            // As recorded they are in order; a journal gives them in order whatever was recorded.
            indexes.sort_by_key(|index| match &journal.stored[*index] {
                Stored::Event(Ok(row)) => row.seq,
                _ => u64::MAX,
            });
        }
        journal
    }

    fn push(&mut self, one: Stored) {
        let index = self.stored.len();
        match &one {
            Stored::Event(Ok(row)) => match self.runs.get_mut(&row.run) {
                Some(indexes) => indexes.push(index),
                None => drop(self.runs.insert(row.run.clone(), vec![index])),
            },
            Stored::Blob(Ok(row)) => drop(self.blobs.entry(row.digest).or_insert(index)),
            Stored::Name(row) => drop(self.names.entry(row.uri.clone()).or_insert(index)),
            Stored::Event(Err(_)) | Stored::Blob(Err(_)) => {}
        }
        self.stored.push(one);
    }

    fn event_at(&self, index: usize) -> Option<&Row<EventRow>> {
        match self.stored.get(index) {
            Some(Stored::Event(row)) => Some(row),
            _ => None,
        }
    }

    fn find_event(&self, run: &str, seq: u64) -> Option<&Row<EventRow>> {
        let indexes = self.runs.get(run)?;
        let of = |index: &usize| self.event_at(*index).and_then(|row| row.as_ref().ok()).map(|row| row.seq);
        let at = indexes.binary_search_by_key(&Some(seq), of).ok()?;
        self.event_at(indexes[at])
    }

    fn end(&self) -> u64 {
        self.stored.len() as u64
    }

    fn frame(&self, position: u64) -> Option<Row<FrameRow>> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        let row = match self.stored.get(index)? {
            Stored::Event(row) => {
                row.clone().map(|row| FrameRow { position, digest: row.hash, uri: row.uri, media_type: None })
            }
            Stored::Blob(row) => row.as_ref().map_err(Clone::clone).map(|row| FrameRow {
                position,
                digest: row.digest,
                uri: blob_uri(&self.meta.workspace, &row.digest),
                media_type: None,
            }),
            Stored::Name(row) => Ok(FrameRow {
                position,
                digest: row.digest,
                uri: row.uri.clone(),
                media_type: Some(row.media_type.clone()),
            }),
        };
        Some(row)
    }
}

/// Hands rows over until the taker has had enough.
fn give<T>(rows: impl Iterator<Item = Row<T>>, each: Each<'_, T>) -> Result<(), CapsuleError> {
    for row in rows {
        if !each(row)? {
            break;
        }
    }
    Ok(())
}

impl Journal for SealedJournal {
    fn meta(&self) -> Result<Meta, CapsuleError> {
        Ok(self.meta.clone())
    }

    fn commit(&mut self, _: &Batch) -> Result<(), CapsuleError> {
        Err(CapsuleError::ReadOnly)
    }

    fn last_position(&self) -> Result<u64, CapsuleError> {
        Ok(self.end())
    }

    fn head(&self, run: &str) -> Result<Option<Head>, CapsuleError> {
        let last = self.runs.get(run).and_then(|indexes| indexes.last());
        let row = last.and_then(|index| self.event_at(*index)).and_then(|row| row.as_ref().ok());
        Ok(row.map(|row| Head { seq: row.seq, hash: row.hash }))
    }

    fn heads(&self, each: Each<'_, (String, Head)>) -> Result<(), CapsuleError> {
        for run in self.runs.keys() {
            if let Some(head) = self.head(run)?
                && !each(Ok((run.clone(), head)))?
            {
                break;
            }
        }
        Ok(())
    }

    fn events(&self, query: &EventQuery, each: Each<'_, EventRow>) -> Result<(), CapsuleError> {
        let wanted = |row: &&Row<EventRow>| match row {
            Ok(row) => row.position > query.after && query.kind.is_none_or(|kind| kind == row.kind),
            Err(bad) => bad.position > query.after,
        };
        match &query.run {
            Some(run) => {
                let indexes = self.runs.get(run).map_or(&[][..], Vec::as_slice);
                let rows = indexes.iter().filter_map(|index| self.event_at(*index));
                give(rows.filter(wanted).cloned(), each)
            }
            None => {
                let from = usize::try_from(query.after).unwrap_or(usize::MAX).min(self.stored.len());
                let rows = (from..self.stored.len()).filter_map(|index| self.event_at(index));
                give(rows.filter(wanted).cloned(), each)
            }
        }
    }

    fn event(&self, run: &str, seq: u64) -> Result<Option<Row<EventRow>>, CapsuleError> {
        Ok(self.find_event(run, seq).cloned())
    }

    fn has_blob(&self, digest: &Digest) -> Result<bool, CapsuleError> {
        Ok(self.blobs.contains_key(digest))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Row<BlobRow>>, CapsuleError> {
        Ok(self.blobs.get(digest).and_then(|index| match &self.stored[*index] {
            Stored::Blob(row) => Some(row.clone()),
            _ => None,
        }))
    }

    fn blobs(&self, each: Each<'_, BlobRow>) -> Result<(), CapsuleError> {
        let rows = self.stored.iter().filter_map(|one| match one {
            Stored::Blob(row) => Some(row.clone()),
            _ => None,
        });
        give(rows, each)
    }

    fn name(&self, uri: &str) -> Result<Option<Row<NameRow>>, CapsuleError> {
        Ok(self.names.get(uri).and_then(|index| match &self.stored[*index] {
            Stored::Name(row) => Some(Ok(row.clone())),
            _ => None,
        }))
    }

    fn names(&self, each: Each<'_, NameRow>) -> Result<(), CapsuleError> {
        let rows = self.stored.iter().filter_map(|one| match one {
            Stored::Name(row) => Some(Ok(row.clone())),
            _ => None,
        });
        give(rows, each)
    }

    fn frames(&self, first: u64, last: u64, each: Each<'_, FrameRow>) -> Result<(), CapsuleError> {
        give((first.max(1)..=last.min(self.end())).filter_map(|position| self.frame(position)), each)
    }

    fn checkpoints(&self, each: Each<'_, CheckpointRow>) -> Result<(), CapsuleError> {
        give(self.checkpoints.iter().cloned().map(Ok), each)
    }

    fn last_checkpoint(&self) -> Result<Option<Row<CheckpointRow>>, CapsuleError> {
        Ok(self.checkpoints.last().cloned().map(Ok))
    }

    fn seals(&self, each: Each<'_, SealRow>) -> Result<(), CapsuleError> {
        give(self.seals.iter().cloned().map(Ok), each)
    }

    fn consistently(&self, read: &mut dyn FnMut() -> Result<(), CapsuleError>) -> Result<(), CapsuleError> {
        // In memory, and nobody writes: it is one state from beginning to end.
        read()
    }

    fn check(&self, _: usize) -> Result<Vec<String>, CapsuleError> {
        // Every file was verified as a whole before it became part of this.
        Ok(Vec::new())
    }

    fn counts(&self) -> Result<Counts, CapsuleError> {
        let count = |is: fn(&Stored) -> bool| self.stored.iter().filter(|one| is(one)).count() as u64;
        Ok(Counts {
            runs: self.runs.len() as u64,
            events: count(|one| matches!(one, Stored::Event(_))),
            blobs: count(|one| matches!(one, Stored::Blob(_))),
            names: count(|one| matches!(one, Stored::Name(_))),
            checkpoints: self.checkpoints.len() as u64,
            seals: self.seals.len() as u64,
            journal_bytes: self.bytes,
        })
    }

    fn close(self: Box<Self>) -> Result<(), CapsuleError> {
        Ok(())
    }
}

fn bad(position: u64, column: &'static str) -> BadRow {
    BadRow { table: "sealed frames", position, column }
}
