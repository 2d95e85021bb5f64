//! What a crash leaves behind, and how to tell what it is worth.
//!
//! Before the rename there is a temporary file: [`sweep`] removes it, and sealing is done again. Between the
//! rename and the journal's seal record there is a sealed file without a record: [`inspect`] says whether it
//! holds what the journal holds; then it is recorded, or [`discard`]ed and sealed again.

use crate::container::{self, Piece};
use crate::door::FileDoor;
use crate::error::SealError;
use crate::reader::{Damage, Sealed, SealedReader, Which};
use crate::write::{TEMP_PREFIX, cut, manifest_piece, piece_uri};
use sluice_core::Digest;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a sealed file is held against.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// What the journal holds: URI and digest of each frame, in order. For a file without a record; so the
    /// whole of what sealing checks is checked, reading through Memvid included.
    Frames(&'a [(String, Digest)]),
    /// What the seal record says.
    Record {
        /// The Merkle root.
        root: Digest,
        /// SHA-256 of the file.
        file: Digest,
    },
}

/// What a sealed file is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds what was expected.
    Intact(Sealed),
    /// It does not.
    Damaged(Damage),
}

/// Temporary files in `dir` that an interrupted seal left, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn leftovers(dir: &Path) -> Result<Vec<PathBuf>, SealError> {
    let fail = |error| SealError::file("list", dir)(error);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if is_leftover(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Ours, or the copy that Memvid makes beside it: `.<name>.<six letters>`.
fn is_leftover(name: &str) -> bool {
    name.strip_prefix('.').is_some_and(|rest| rest.starts_with(TEMP_PREFIX)) || name.starts_with(TEMP_PREFIX)
}

/// Removes [`leftovers`] and returns them. Only for whoever holds the writer lock: another's seal may be at work.
///
/// # Errors
/// A file cannot be removed; some may have been.
pub fn sweep(dir: &Path, door: &dyn FileDoor) -> Result<Vec<PathBuf>, SealError> {
    let found = leftovers(dir)?;
    found.iter().try_for_each(|path| remove(path, door))?;
    Ok(found)
}

/// The same for one seal.
pub(crate) fn sweep_name(dir: &Path, name: &str, door: &dyn FileDoor) -> Result<(), SealError> {
    let (own, memvids) = (format!("{TEMP_PREFIX}{name}"), format!(".{TEMP_PREFIX}{name}."));
    for path in leftovers(dir)? {
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        if *found == own || found.starts_with(&memvids) {
            remove(&path, door)?;
        }
    }
    Ok(())
}

/// Removes a sealed file that is not to be used, durably.
///
/// # Errors
/// It cannot be removed, or the folder cannot be synced.
pub fn discard(path: &Path, door: &dyn FileDoor) -> Result<(), SealError> {
    remove(path, door)?;
    let dir = path.parent().unwrap_or(path);
    door.fsync_dir(dir).map_err(SealError::file("sync", dir))
}

fn remove(path: &Path, door: &dyn FileDoor) -> Result<(), SealError> {
    match door.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SealError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Reads a sealed file and holds it against what it should be.
///
/// # Errors
/// The file is there but cannot be read, or no private copy of it can be made for Memvid.
pub fn inspect(path: &Path, expected: Expected<'_>) -> Result<Verdict, SealError> {
    let reader = match SealedReader::open(path) {
        Ok(reader) => reader,
        Err(SealError::Damaged { damage, .. }) => return Ok(Verdict::Damaged(damage)),
        Err(error) => return Err(error),
    };
    let sealed = reader.sealed();
    let damage = match expected {
        Expected::Record { root, .. } if root != sealed.merkle_root => {
            Some(Damage::NotTheRecorded("it has another root than the one recorded"))
        }
        Expected::Record { file, .. } if file != sealed.sha256 => {
            Some(Damage::NotTheRecorded("its frames are those recorded, but other bytes of the file are not"))
        }
        Expected::Record { .. } => None,
        Expected::Frames(frames) => match unexpected(&reader, frames) {
            Some(which) => Some(Damage::Unexpected(which)),
            None => memvid_reads(path, &reader)?.map(Damage::Unreadable),
        },
    };
    Ok(damage.map_or(Verdict::Intact(sealed), Verdict::Damaged))
}

/// Frames that are missing, too many, in another place, or have another digest.
fn unexpected(reader: &SealedReader, frames: &[(String, Digest)]) -> Option<Which> {
    let entries = reader.entries();
    let there: HashMap<&str, (usize, Digest)> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.uri.as_str(), (index, entry.sha256)))
        .collect();
    let wanted: HashMap<&str, ()> = frames.iter().map(|(uri, _)| (uri.as_str(), ())).collect();
    let differing = frames
        .iter()
        .enumerate()
        .filter(|(index, (uri, sha256))| there.get(uri.as_str()) != Some(&(*index, *sha256)));
    let surplus = entries.iter().map(|entry| entry.uri.as_str()).filter(|uri| !wanted.contains_key(uri));
    Which::of(differing.map(|(_, (uri, _))| uri.as_str()).chain(surplus).collect())
}

/// Whether Memvid reads the same frames. It opens nothing without the right to write, and would take it: so
/// it is given a copy.
fn memvid_reads(path: &Path, reader: &SealedReader) -> Result<Option<String>, SealError> {
    let fail = |error| SealError::file("copy", path)(error);
    let folder = tempfile::tempdir().map_err(fail)?;
    let copy = folder.path().join("copy.mv2");
    fs::write(&copy, reader.bytes()).map_err(fail)?;
    let text = reader.listing().to_text()?;
    let entries = reader.entries();
    let at = entries.last().map_or(0, |entry| entry.at);
    let bodies: Vec<Cow<'_, [u8]>> =
        (0..entries.len()).map(|index| reader.body(index).unwrap_or_default()).collect();
    let frames = entries.iter().zip(&bodies).flat_map(|(entry, body)| {
        cut(body).map(|(number, bytes)| Piece {
            uri: piece_uri(&entry.uri, number),
            kind: &entry.kind,
            media_type: "",
            at: entry.at,
            bytes,
        })
    });
    match container::read_back(&copy, manifest_piece(&text, at).chain(frames)) {
        Ok(problem) => Ok(problem),
        Err(SealError::Container { source, .. }) => Ok(Some(source.to_string())),
        Err(error) => Err(error),
    }
}
