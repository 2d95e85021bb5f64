//! How much goes into one file. Estimates err upwards; a test holds them against the files that are written.

use crate::error::SealError;
use crate::frame::{Frame, Shape};
use crate::limits::{
    FILE_BYTES_MAX, FRAME_BYTES_MAX, FRAMES_PER_FILE_MAX, PIECE_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use std::ops::Range;

/// Memvid's header.
const HEADER_BYTES: u64 = 4096;

/// Memvid's smallest write-ahead region.
const REGION_BYTES_MIN: u64 = 64 << 10;

/// Room that must stay free in the region: where less than a record's head is left, Memvid puts the mark that
/// ends the log at the region's start, over the record that lies there.
const REGION_BYTES_FREE: u64 = 4096;

/// What Memvid adds to a piece in the write-ahead region: measured 340 bytes, the texts three times at most (they
/// stand in the search text too), and twice the media type of a frame that has none of its own.
const RECORD_BYTES: u64 = 400;
const RECORD_TEXTS: u64 = 3;

/// What it adds in its table of contents and time index: the same, 16 bytes for the time, and a title that it
/// makes from the URI.
const TABLE_BYTES: u64 = 420;
const TABLE_TEXTS: u64 = 4;

/// A frame in the manifest without its texts: keys, digest, time, size.
const ENTRY_BYTES: u64 = 160;

/// The manifest without its list, the footer, and empty tables.
const FIXED_BYTES: u64 = 4096 + 2 * STATEMENT_BYTES_MAX as u64;

/// What a file under construction holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    frames: usize,
    /// Bytes of the bodies.
    stored: u64,
    /// Memvid frames.
    pieces: u64,
    /// Bytes of the texts.
    texts: u64,
    /// A body of more than one piece is sealed alone, piece by piece.
    in_pieces: bool,
}

impl Load {
    pub fn of<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Load {
        let mut load = Load::default();
        frames.into_iter().for_each(|frame| load.add(&frame.shape()));
        load
    }

    #[cfg(test)]
    pub fn of_shapes(shapes: &[Shape]) -> Load {
        shapes.iter().fold(Load::default(), |load, shape| load.with(shape))
    }

    fn add(&mut self, shape: &Shape) {
        let body = shape.body_bytes.unwrap_or(0);
        self.frames += 1;
        self.stored += body;
        self.pieces += pieces(body);
        self.texts += shape.text_bytes * pieces(body);
        self.in_pieces |= body > PIECE_BYTES_MAX;
    }

    fn with(mut self, shape: &Shape) -> Load {
        self.add(shape);
        self
    }

    /// Whether every piece is committed by itself.
    pub fn in_pieces(&self) -> bool {
        self.in_pieces
    }

    fn manifest_bytes(&self) -> u64 {
        FIXED_BYTES + self.frames as u64 * ENTRY_BYTES + self.texts
    }

    /// Bytes of the write-ahead region that takes everything between two commits without growing: when it
    /// grows, Memvid moves the whole file and forgets that it was told not to sync each record.
    pub fn region_bytes(&self) -> u64 {
        let records = if self.in_pieces {
            let text = self.texts.checked_div(self.pieces).unwrap_or(0);
            PIECE_BYTES_MAX.max(self.manifest_bytes()) + RECORD_BYTES + RECORD_TEXTS * text
        } else {
            self.stored + self.manifest_bytes() + (self.pieces + 1) * RECORD_BYTES + RECORD_TEXTS * self.texts
        };
        (records + REGION_BYTES_FREE).next_power_of_two().max(REGION_BYTES_MIN)
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        let tables = (self.pieces + 1) * TABLE_BYTES + TABLE_TEXTS * self.texts;
        HEADER_BYTES + self.region_bytes() + self.stored + self.pieces + self.manifest_bytes() + tables
    }

    pub fn fits(&self) -> bool {
        self.frames <= FRAMES_PER_FILE_MAX
            && self.manifest_bytes() <= PIECE_BYTES_MAX
            && self.file_bytes() <= FILE_BYTES_MAX
            && !(self.in_pieces && self.frames > 1)
    }
}

/// Pieces that a body is stored in; an empty one takes a piece too.
pub(crate) fn pieces(body_bytes: u64) -> u64 {
    body_bytes.div_ceil(PIECE_BYTES_MAX).max(1)
}

/// Splits a sequence of frames into files, as few as fit when each takes as many as it can. The ranges follow
/// one another without gap. The same shapes always give the same ranges.
///
/// # Errors
/// [`SealError::FrameTooLarge`] names the first frame that no file can hold by its index.
pub fn plan(shapes: impl IntoIterator<Item = Shape>) -> Result<Vec<Range<usize>>, SealError> {
    let mut files = Vec::new();
    let mut start = 0;
    let mut load = Load::default();
    let mut count = 0;
    for shape in shapes {
        if let Some(size) = shape.body_bytes.filter(|size| *size > FRAME_BYTES_MAX) {
            return Err(SealError::FrameTooLarge {
                uri: format!("frame {count}"),
                size,
                max: FRAME_BYTES_MAX,
            });
        }
        let with = load.with(&shape);
        if with.fits() || load.frames == 0 {
            load = with;
        } else {
            files.push(start..count);
            start = count;
            load = Load::default().with(&shape);
        }
        count += 1;
    }
    if load.frames > 0 {
        files.push(start..count);
    }
    Ok(files)
}
