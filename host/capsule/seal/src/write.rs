//! Writes sealed files: once, verified, then named.

use crate::container::{self, Piece};
use crate::door::FileDoor;
use crate::error::SealError;
use crate::frame::{Frame, shown};
use crate::heal::sweep_name;
use crate::limits::{NAME_BYTES_MAX, PIECE_BYTES_MAX};
use crate::manifest::{Listing, MANIFEST_URI, Manifest};
use crate::plan::Load;
use crate::reader::{Sealed, SealedReader};
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

/// What a temporary file's name begins with. Memvid's own temporaries put another `.` in front.
pub(crate) const TEMP_PREFIX: &str = ".sealing-";

/// What a sealed file's name ends with.
const ENDING: &str = ".mv2";

/// Media type of a frame that has none of its own.
const PLAIN_BYTES: &str = "application/octet-stream";

/// Writes `frames` into `<dir>/<name>`: a temporary file in the same folder, read back through Memvid and
/// verified frame by frame, read-only, synced, renamed, its folder synced. After an error the same call can be
/// made again; if the file is there already and holds the same, that is a success.
///
/// One caller at a time in a folder: whoever holds the capsule's writer lock.
///
/// # Errors
/// Inputs that a reader would not take back, or too much for one file (see [`crate::plan`]); a disk that does
/// not keep what it is given; a file of that name that holds something else.
pub fn write_once(
    dir: &Path,
    name: &str,
    frames: &[Frame],
    manifest: &Manifest,
    door: &dyn FileDoor,
) -> Result<Sealed, SealError> {
    check_name(name)?;
    check_frames(frames)?;
    let load = Load::of(frames);
    if !load.fits() {
        return Err(SealError::TooMuch { frames: frames.len(), size: load.file_bytes() });
    }
    let listing = Listing::new(manifest, frames)?;
    if dir.join(name).symlink_metadata().is_ok() {
        return adopt(dir, name, &listing, door);
    }
    sweep_name(dir, name, door)?;
    build(dir, name, frames, &listing, &load, door).inspect_err(|_| {
        // What cannot be removed now is removed by the next attempt, or when the capsule is opened.
        let _ = sweep_name(dir, name, door);
    })
}

fn build(
    dir: &Path,
    name: &str,
    frames: &[Frame],
    listing: &Listing,
    load: &Load,
    door: &dyn FileDoor,
) -> Result<Sealed, SealError> {
    let (temp, path) = (dir.join(format!("{TEMP_PREFIX}{name}")), dir.join(name));
    let text = listing.to_text()?;
    let at = frames.last().map_or(0, |frame| frame.at);
    let pieces = || manifest_piece(&text, at).chain(frames.iter().flat_map(frame_pieces));
    door.create_temp(&temp).map_err(SealError::file("create", &temp))?;
    container::write(&temp, pieces(), load.region_bytes(), load.in_pieces())?;
    let problem = container::read_back(&temp, pieces())?;
    let written = SealedReader::open(&temp)?;
    let problem =
        problem.or_else(|| (written.listing() != listing).then(|| "its manifest differs".to_owned()));
    if let Some(problem) = problem {
        return Err(SealError::NotAsWritten { path: temp, problem });
    }
    door.protect(&temp).map_err(SealError::file("protect", &temp))?;
    door.fsync(&temp).map_err(SealError::file("sync", &temp))?;
    door.rename(&temp, &path).map_err(SealError::file("rename", &temp))?;
    door.fsync_dir(dir).map_err(SealError::file("sync", dir))?;
    Ok(Sealed { path, ..written.sealed() })
}

/// A file that is there already was named by an attempt that failed, or crashed, after the rename.
fn adopt(dir: &Path, name: &str, listing: &Listing, door: &dyn FileDoor) -> Result<Sealed, SealError> {
    let path = dir.join(name);
    let there = SealedReader::open(&path)?;
    if there.listing() != listing {
        return Err(SealError::Exists(path));
    }
    door.fsync(&path).map_err(SealError::file("sync", &path))?;
    door.fsync_dir(dir).map_err(SealError::file("sync", dir))?;
    Ok(there.sealed())
}

fn check_name(name: &str) -> Result<(), SealError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let ok = name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.len() > ENDING.len()
        && name.ends_with(ENDING)
        && name.bytes().all(plain);
    if ok { Ok(()) } else { Err(SealError::BadName(shown(name))) }
}

fn check_frames(frames: &[Frame]) -> Result<(), SealError> {
    let mut names = HashSet::with_capacity(frames.len());
    for frame in frames {
        frame.check()?;
        if !names.insert(frame.uri.as_str()) {
            return Err(SealError::Duplicate(shown(&frame.uri)));
        }
    }
    if frames.is_empty() { Err(SealError::Empty) } else { Ok(()) }
}

pub(crate) fn manifest_piece(text: &[u8], at: i64) -> impl Iterator<Item = Piece<'_>> {
    let uri = Cow::Borrowed(MANIFEST_URI);
    std::iter::once(Piece { uri, kind: "seal", media_type: "application/json", at, bytes: text })
}

fn frame_pieces(frame: &Frame) -> impl Iterator<Item = Piece<'_>> {
    let media_type = frame.media_type.as_deref().unwrap_or(PLAIN_BYTES);
    let body = frame.stored().unwrap_or_default();
    cut(body).map(move |(number, bytes)| Piece {
        uri: piece_uri(&frame.uri, number),
        kind: &frame.kind,
        media_type,
        at: frame.at,
        bytes,
    })
}

/// A body in pieces: one without a number, or several numbered from 1.
pub(crate) fn cut(body: &[u8]) -> impl Iterator<Item = (Option<usize>, &[u8])> {
    let size = usize::try_from(PIECE_BYTES_MAX).unwrap_or(usize::MAX);
    let whole = (body.len() <= size).then_some((None, body));
    let pieces = body.chunks(size).enumerate().map(|(index, piece)| (Some(index + 1), piece));
    let in_pieces = whole.is_none();
    whole.into_iter().chain(pieces.filter(move |_| in_pieces))
}

/// `<uri>`, or `<uri>#<number>`.
pub(crate) fn piece_uri(uri: &str, number: Option<usize>) -> Cow<'_, str> {
    number.map_or(Cow::Borrowed(uri), |number| Cow::Owned(format!("{uri}#{number}")))
}
