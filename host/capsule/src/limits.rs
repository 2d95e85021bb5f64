//! Every limit of this room, with its reason.

/// Canonical bytes of one event. The largest honest payload is a model call kept in full; providers cap
/// bodies far below this.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// Bytes of one blob: what one sealed file can hold. What is recorded can be sealed; a plugin made from Python has
/// 18 MB.
pub const BLOB_BYTES_MAX: usize = 32 << 20;

/// Events of one append, and of one commit: with 1 KB events a commit stays around a megabyte, so that the
/// first of a group does not wait long for the last.
pub const EVENTS_PER_GROUP_MAX: usize = 1024;

/// Bytes of one commit, unless a single request is larger: bounds the transaction and its write-ahead log.
pub const GROUP_BYTES_MAX: usize = 32 << 20;

/// Requests that may wait. At 10,000 events a second this is under half a second of delay; beyond that a
/// caller is better off refusing work.
pub const QUEUE_REQUESTS_MAX: usize = 4096;

/// Bytes that may wait: room for two of the largest blobs beside ordinary events.
pub const QUEUE_BYTES_MAX: usize = 256 << 20;

/// Levels of a payload. JSON readers stop at 128, and the event wraps the payload in one more.
pub const PAYLOAD_DEPTH_MAX: usize = 96;

/// Frames that one checkpoint signs; more take several checkpoints. Bounds the manifest to about 10 MB.
pub const FRAMES_PER_CHECKPOINT_MAX: u64 = 1 << 16;

/// Bytes of a checkpoint's label.
pub const LABEL_BYTES_MAX: usize = 128;

/// Events of one page of a listing.
pub const EVENTS_PER_PAGE_MAX: usize = 10_000;

/// Payload bytes of one page of a listing: a page ends early rather than grow past this.
pub const PAGE_BYTES_MAX: usize = 64 << 20;

/// Payload bytes of a run that is read whole, for replay.
pub const RUN_BYTES_MAX: usize = 1 << 30;

/// Replay reports of one run.
pub const REPORTS_PER_RUN_MAX: u64 = 10_000;

/// Flaws that one verification lists; all are counted.
pub const FLAWS_LISTED_MAX: usize = 100;

/// Heads of runs that the writer remembers; past this it asks the journal again.
pub const HEADS_REMEMBERED_MAX: usize = 4096;

/// Bytes of a key file: version, 64 hex digits, end of line.
pub const KEY_FILE_BYTES_MAX: u64 = 128;

/// Bytes of a lock's text that a refused writer repeats.
pub const LOCK_TEXT_BYTES_MAX: u64 = 1024;

/// Bytes of sealed files that are read when a capsule is opened for writing, the newest first: about 20 ms. Of the
/// others only the presence is looked at; `verify` and `heal` read them all.
pub const SEALED_BYTES_READ_AT_OPEN: u64 = 16 << 20;

/// Bytes of sealed files that are read into memory as one capsule.
pub const SEALED_SET_BYTES_MAX: u64 = 1 << 30;

/// Sealed files of one capsule that is read from them: 4,096 checkpoints are years of runs.
pub const SEALED_SET_FILES_MAX: usize = 4096;
