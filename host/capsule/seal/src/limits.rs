//! Every limit of this room, with its reason.

/// Bytes of a sealed file. Memvid gives a new file 50 MiB, and the unsigned way to lift that is deprecated;
/// the rest is room for an estimate to be wrong.
pub const FILE_BYTES_MAX: u64 = 40 << 20;

/// Bytes of one frame: a plugin made from Python is 18 MB, and nothing else comes near. What is left of
/// [`FILE_BYTES_MAX`] is Memvid's own write-ahead region and tables.
pub const FRAME_BYTES_MAX: u64 = 32 << 20;

/// Bytes of one piece. A larger body is stored in several, each committed by itself: so the write-ahead
/// region, which stays in the file, is 4 MiB and not twice the body.
pub const PIECE_BYTES_MAX: u64 = (4 << 20) - (16 << 10);

/// Frames of one file: keeps the manifest within one piece and opening within tens of milliseconds.
pub const FRAMES_PER_FILE_MAX: usize = 16_384;

/// Bytes of a frame's URI. Logical URIs have at most about 300.
pub const URI_BYTES_MAX: usize = 512;

/// Bytes of a frame's kind: an event type, or `blob`, `name`.
pub const KIND_BYTES_MAX: usize = 64;

/// Bytes of a media type.
pub const MEDIA_TYPE_BYTES_MAX: usize = 128;

/// Bytes of the checkpoint's statement: a document of fixed fields and a label.
pub const STATEMENT_BYTES_MAX: usize = 16 << 10;

/// Bytes of a sealed file's name.
pub const NAME_BYTES_MAX: usize = 100;

/// Latest second that a frame may carry: the end of year 9999, as for every recorded instant.
pub const AT_SECONDS_MAX: i64 = 253_402_300_799;

/// Damaged or unexpected frames that a verdict lists; all are counted.
pub const FRAMES_LISTED_MAX: usize = 100;
