//! What a storage engine must do. SQLite is the one that ships; `conformance` is the test that any other
//! has to pass. Everything here is raw: rows as they lie there, checked by those who read them.

use crate::error::CapsuleError;
use crate::keys::PublicKey;
use crate::row::EventRow;
use sluice_core::Digest;
use std::sync::Arc;

/// What the journal says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The workspace, as in every URI.
    pub workspace: String,
    /// What checkpoints are signed with: a claim, as long as nobody confirms it.
    pub public_key: PublicKey,
}

/// The last event of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its place in the run.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

/// Bytes by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Place in the journal.
    pub position: u64,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// A name for a blob: policy, plugin, artefact or report. Given once, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRow {
    /// Place in the journal.
    pub position: u64,
    /// The logical URI.
    pub uri: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// `application/json` …
    pub media_type: String,
}

/// Where a checkpoint lies, and the list of frames that its signed root stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// 1-based number in the workspace.
    pub number: u64,
    /// Position of its `Checkpoint` event.
    pub position: u64,
    /// One line a frame: see [`FrameRow::line`].
    pub manifest: String,
}

/// A sealed file that holds a stretch of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SealRow {
    /// First position in it.
    pub first: u64,
    /// Last position in it.
    pub last: u64,
    /// Merkle root over its frames' lines: what identifies it.
    pub root: Digest,
    /// Path, relative to the capsule's folder.
    pub path: String,
    /// SHA-256 of the file as it was sealed.
    pub file: Digest,
}

/// One recorded thing, in the order of recording, by digest: what checkpoints sign and seals store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRow {
    /// Place in the journal.
    pub position: u64,
    /// An event's hash, a blob's digest, or the digest that a name stands for.
    pub digest: Digest,
    /// The logical URI.
    pub uri: String,
    /// For a name: its media type.
    pub media_type: Option<String>,
}

impl FrameRow {
    /// The frame's line in a manifest, and its leaf in the checkpoint's tree:
    /// `<digest> <uri>`, for a name `<digest> <uri> <media type>`.
    pub fn line(&self) -> String {
        match &self.media_type {
            None => format!("{} {}", self.digest, self.uri),
            Some(media_type) => format!("{} {} {media_type}", self.digest, self.uri),
        }
    }
}

/// A row that cannot be read: damaged, or altered into what its column cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Table.
    pub table: &'static str,
    /// Position, where that much can be read; else 0.
    pub position: u64,
    /// The column.
    pub column: &'static str,
}

/// A row, or why it is none.
pub type Row<T> = Result<T, BadRow>;

/// Takes one row after the other; `false` ends the reading.
pub type Each<'a, T> = &'a mut dyn FnMut(Row<T>) -> Result<bool, CapsuleError>;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this run, in the order of `seq`; else of all runs, in the order of recording.
    pub run: Option<String>,
    /// Of this type.
    pub kind: Option<&'static str>,
    /// Recorded after this position.
    pub after: u64,
}

/// What one commit records: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The last position before it. Positions in the batch follow without gap.
    pub after: u64,
    /// In the order of their positions; within a run each follows the one before.
    pub events: Vec<EventRow>,
    /// Not in the journal yet.
    pub blobs: Vec<BlobRow>,
    /// Not in the journal yet; the blob is, or comes with the batch.
    pub names: Vec<NameRow>,
    /// For a batch whose event is a `Checkpoint`.
    pub checkpoint: Option<CheckpointRow>,
    /// A sealed file that was verified. One that is recorded already with the same frames and root was written
    /// anew: path and digest of the file are replaced. With other frames it is a [`CapsuleError::Conflict`].
    pub seal: Option<SealRow>,
}

impl Batch {
    /// Frames in it.
    pub fn frames(&self) -> u64 {
        (self.events.len() + self.blobs.len() + self.names.len()) as u64
    }
}

/// An append-only store of events, blobs and names under one sequence.
///
/// An engine may be shared between a writer and readers in other processes; a reader sees whole commits only.
pub trait Journal: Send {
    /// What the journal says of itself.
    fn meta(&self) -> Result<Meta, CapsuleError>;

    /// Records a batch durably, or changes nothing. A batch that does not continue the journal, be it in
    /// position or in the head of a run, is refused with [`CapsuleError::Conflict`]: so two writers that
    /// slipped past the lock cannot fork a chain. After any other error it is unknown whether the batch was
    /// recorded: the journal must be opened anew and asked.
    fn commit(&mut self, batch: &Batch) -> Result<(), CapsuleError>;

    /// The position of what was recorded last; 0 for an empty journal.
    fn last_position(&self) -> Result<u64, CapsuleError>;

    /// The last event of a run.
    fn head(&self, run: &str) -> Result<Option<Head>, CapsuleError>;

    /// The heads of all runs, in the order of run ids.
    fn heads(&self, each: Each<'_, (String, Head)>) -> Result<(), CapsuleError>;

    /// Events, as they lie there.
    fn events(&self, query: &EventQuery, each: Each<'_, EventRow>) -> Result<(), CapsuleError>;

    /// One event.
    fn event(&self, run: &str, seq: u64) -> Result<Option<Row<EventRow>>, CapsuleError>;

    /// Whether a blob is there; says nothing of its bytes.
    fn has_blob(&self, digest: &Digest) -> Result<bool, CapsuleError>;

    /// A blob's bytes, unchecked.
    fn blob(&self, digest: &Digest) -> Result<Option<Row<BlobRow>>, CapsuleError>;

    /// All blobs, in the order of recording.
    fn blobs(&self, each: Each<'_, BlobRow>) -> Result<(), CapsuleError>;

    /// What a name stands for.
    fn name(&self, uri: &str) -> Result<Option<Row<NameRow>>, CapsuleError>;

    /// All names, in the order of recording.
    fn names(&self, each: Each<'_, NameRow>) -> Result<(), CapsuleError>;

    /// Everything recorded at `first..=last`, by digest, in the order of recording.
    fn frames(&self, first: u64, last: u64, each: Each<'_, FrameRow>) -> Result<(), CapsuleError>;

    /// Checkpoints, in the order of their numbers.
    fn checkpoints(&self, each: Each<'_, CheckpointRow>) -> Result<(), CapsuleError>;

    /// The checkpoint with the highest number.
    fn last_checkpoint(&self) -> Result<Option<Row<CheckpointRow>>, CapsuleError>;

    /// Sealed files, in the order of their first position.
    fn seals(&self, each: Each<'_, SealRow>) -> Result<(), CapsuleError>;

    /// Runs `read` on one unchanging state of the journal, whatever is committed meanwhile.
    fn consistently(&self, read: &mut dyn FnMut() -> Result<(), CapsuleError>) -> Result<(), CapsuleError>;

    /// The engine's own look at its files: what is damaged, in its words, at most `listed_max` of them.
    fn check(&self, listed_max: usize) -> Result<Vec<String>, CapsuleError>;

    /// Counts and sizes, without reading the record.
    fn counts(&self) -> Result<Counts, CapsuleError>;

    /// Ends the engine's work and reports what could not be finished.
    fn close(self: Box<Self>) -> Result<(), CapsuleError>;
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Runs.
    pub runs: u64,
    /// Events of all runs.
    pub events: u64,
    /// Blobs.
    pub blobs: u64,
    /// Names: policies, plugins, artefacts, reports.
    pub names: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Sealed files.
    pub seals: u64,
    /// Bytes of the journal's files.
    pub journal_bytes: u64,
}
