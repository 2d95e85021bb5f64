//! The one file that names Memvid: writes a `.mv2` by its bulk path, and reads it back.
//!
//! What is asked of Memvid is little, because little of it is safe (docs/sealed-format.md tells what was
//! measured): a new file, frames once, explicit times, bytes that it takes for binary, no update, no vacuum.

use crate::error::SealError;
use memvid_core::types::DocMetadata;
use memvid_core::{Memvid, MemvidError, PutManyOpts, PutOptions};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Stands before every piece. It makes the piece something else than UTF-8: what Memvid takes for text is
/// normalised and cut into chunks, and does not come back as it was.
pub(crate) const WRAPPER: u8 = 0xFF;

/// One Memvid frame: a whole body, or a piece of one.
pub(crate) struct Piece<'a> {
    pub uri: Cow<'a, str>,
    pub kind: &'a str,
    pub media_type: &'a str,
    pub at: i64,
    pub bytes: &'a [u8],
}

/// Pieces between two calls of `begin_batch`: should the region grow against all estimates, Memvid forgets
/// to skip the sync of each record, and this reminds it.
const PIECES_PER_BATCH: usize = 500;

/// Writes `pieces` into the empty file at `path`.
pub(crate) fn write<'a>(
    path: &Path,
    pieces: impl Iterator<Item = Piece<'a>>,
    region_bytes: u64,
    commit_each: bool,
) -> Result<(), SealError> {
    let fail = |source: MemvidError| failed("write", path, source);
    let mut memvid = Memvid::create(path).map_err(fail)?;
    // Sets the flag that the official SDK asks for. The index itself it builds when it opens the file; ours
    // would cost a minute more of compiling, and make two files of the same content differ.
    memvid.enable_lex().map_err(fail)?;
    memvid.begin_batch(batch(region_bytes)).map_err(fail)?;
    let mut wrapped = Vec::new();
    for (index, piece) in pieces.enumerate() {
        if index % PIECES_PER_BATCH == PIECES_PER_BATCH - 1 {
            memvid.begin_batch(batch(0)).map_err(fail)?;
        }
        wrapped.clear();
        wrapped.push(WRAPPER);
        wrapped.extend_from_slice(piece.bytes);
        memvid.put_bytes_with_options(&wrapped, options(&piece)).map_err(fail)?;
        if commit_each {
            memvid.commit_skip_indexes().map_err(fail)?;
        }
    }
    memvid.commit_skip_indexes().map_err(fail)?;
    memvid.finalize_indexes().map_err(fail)?;
    memvid.end_batch().map_err(fail)
}

/// No sync, no checkpoint, no compression: the file counts only once it was read back and synced as a whole.
fn batch(region_bytes: u64) -> PutManyOpts {
    PutManyOpts {
        compression_level: 0,
        disable_auto_checkpoint: true,
        skip_sync: true,
        no_raw: false,
        enable_enrichment: false,
        wal_pre_size_bytes: region_bytes,
        ..PutManyOpts::default()
    }
}

/// Everything that Memvid would otherwise find out from the content or the clock.
fn options(piece: &Piece<'_>) -> PutOptions {
    PutOptions {
        timestamp: Some(piece.at),
        uri: Some(piece.uri.to_string()),
        kind: Some(piece.kind.to_owned()),
        search_text: Some(format!("{} {}", piece.kind, piece.uri)),
        metadata: Some(DocMetadata {
            mime: Some(piece.media_type.to_owned()),
            bytes: Some(piece.bytes.len() as u64),
            ..DocMetadata::default()
        }),
        auto_tag: false,
        extract_dates: false,
        extract_triplets: false,
        instant_index: false,
        ..PutOptions::default()
    }
}

/// Opens the file as Memvid opens it for reading, and compares every frame with `pieces`. Says where the first
/// difference is. Memvid wants the right to write even then: never call this on a sealed file itself.
pub(crate) fn read_back<'a>(
    path: &Path,
    pieces: impl Iterator<Item = Piece<'a>>,
) -> Result<Option<String>, SealError> {
    let fail = |source: MemvidError| failed("read back", path, source);
    let mut memvid = Memvid::open_read_only(path).map_err(fail)?;
    if !memvid.stats().map_err(fail)?.has_lex_index {
        return Ok(Some("the flag that the official SDK asks for is not set".to_owned()));
    }
    let mut count = 0;
    for piece in pieces {
        let differs = || Some(format!("frame `{}` reads otherwise", piece.uri));
        if memvid.frame_count() as u64 <= count {
            return Ok(Some(format!("frame `{}` is missing", piece.uri)));
        }
        let frame = memvid.frame_by_id(count).map_err(fail)?;
        let as_given = frame.uri.as_deref() == Some(&*piece.uri)
            && frame.kind.as_deref() == Some(piece.kind)
            && frame.timestamp == piece.at
            && frame.payload_length == piece.bytes.len() as u64 + 1;
        if !as_given {
            return Ok(differs());
        }
        let payload = memvid.frame_canonical_payload(count).map_err(fail)?;
        if payload.split_first() != Some((&WRAPPER, piece.bytes)) {
            return Ok(differs());
        }
        count += 1;
    }
    let surplus = memvid.frame_count() as u64 - count;
    Ok((surplus > 0).then(|| format!("{surplus} frames too many")))
}

fn failed(doing: &'static str, path: &Path, source: MemvidError) -> SealError {
    SealError::Container { doing, path: path.to_owned(), source: Arc::new(source) }
}
