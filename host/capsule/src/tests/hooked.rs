//! SQLite with another `commit`, for tests of what follows when an engine fails or lies.

use crate::journal::{
    Batch, BlobRow, CheckpointRow, Counts, Each, EventQuery, FrameRow, Head, Journal, Meta, NameRow, Row,
    SealRow,
};
use crate::row::EventRow;
use crate::{CapsuleError, SqliteJournal};
use sluice_core::Digest;

pub(super) type Commit = Box<dyn FnMut(&mut SqliteJournal, &Batch) -> Result<(), CapsuleError> + Send>;

pub(super) struct Hooked {
    pub inner: SqliteJournal,
    pub commit: Commit,
}

impl Journal for Hooked {
    fn commit(&mut self, batch: &Batch) -> Result<(), CapsuleError> {
        (self.commit)(&mut self.inner, batch)
    }
    fn meta(&self) -> Result<Meta, CapsuleError> {
        self.inner.meta()
    }
    fn last_position(&self) -> Result<u64, CapsuleError> {
        self.inner.last_position()
    }
    fn head(&self, run: &str) -> Result<Option<Head>, CapsuleError> {
        self.inner.head(run)
    }
    fn heads(&self, each: Each<'_, (String, Head)>) -> Result<(), CapsuleError> {
        self.inner.heads(each)
    }
    fn events(&self, query: &EventQuery, each: Each<'_, EventRow>) -> Result<(), CapsuleError> {
        self.inner.events(query, each)
    }
    fn event(&self, run: &str, seq: u64) -> Result<Option<Row<EventRow>>, CapsuleError> {
        self.inner.event(run, seq)
    }
    fn has_blob(&self, digest: &Digest) -> Result<bool, CapsuleError> {
        self.inner.has_blob(digest)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Row<BlobRow>>, CapsuleError> {
        self.inner.blob(digest)
    }
    fn blobs(&self, each: Each<'_, BlobRow>) -> Result<(), CapsuleError> {
        self.inner.blobs(each)
    }
    fn name(&self, uri: &str) -> Result<Option<Row<NameRow>>, CapsuleError> {
        self.inner.name(uri)
    }
    fn names(&self, each: Each<'_, NameRow>) -> Result<(), CapsuleError> {
        self.inner.names(each)
    }
    fn frames(&self, first: u64, last: u64, each: Each<'_, FrameRow>) -> Result<(), CapsuleError> {
        self.inner.frames(first, last, each)
    }
    fn checkpoints(&self, each: Each<'_, CheckpointRow>) -> Result<(), CapsuleError> {
        self.inner.checkpoints(each)
    }
    fn last_checkpoint(&self) -> Result<Option<Row<CheckpointRow>>, CapsuleError> {
        self.inner.last_checkpoint()
    }
    fn seals(&self, each: Each<'_, SealRow>) -> Result<(), CapsuleError> {
        self.inner.seals(each)
    }
    fn consistently(&self, read: &mut dyn FnMut() -> Result<(), CapsuleError>) -> Result<(), CapsuleError> {
        self.inner.consistently(read)
    }
    fn check(&self, listed_max: usize) -> Result<Vec<String>, CapsuleError> {
        self.inner.check(listed_max)
    }
    fn counts(&self) -> Result<Counts, CapsuleError> {
        self.inner.counts()
    }
    fn close(self: Box<Self>) -> Result<(), CapsuleError> {
        Box::new(self.inner).close()
    }
}
