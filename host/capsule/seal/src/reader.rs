//! Reads sealed files. Everything is verified when the file is opened, on the bytes that are served later.

use crate::container::WRAPPER;
use crate::error::SealError;
use crate::layout;
use crate::limits::{FILE_BYTES_MAX, FRAMES_LISTED_MAX, PIECE_BYTES_MAX};
use crate::manifest::{Entry, Listing, Manifest};
use crate::plan::pieces;
use sluice_core::Digest;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What identifies a sealed file, and what a seal record keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// Merkle root over the frames' lines: what the file is known by.
    pub merkle_root: Digest,
    /// Frames, the manifest not counted.
    pub frames: u64,
    /// Last position of the journal in it.
    pub last_seq: u64,
}

/// What is wrong with a sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// There is none.
    Missing,
    /// The container around the frames.
    Container(&'static str),
    /// The manifest.
    Manifest(&'static str),
    /// Frames whose bytes do not match their digests.
    Frames(Which),
    /// It is whole, but not what was expected.
    Unexpected(Which),
    /// It is whole, but not the file that was recorded.
    NotTheRecorded(&'static str),
    /// Its frames are whole, but Memvid does not read it as it was written.
    Unreadable(String),
}

/// Some frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Their URIs, the first [`FRAMES_LISTED_MAX`].
    pub uris: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl Which {
    pub(crate) fn of(uris: Vec<&str>) -> Option<Which> {
        let listed = uris.iter().take(FRAMES_LISTED_MAX).map(|uri| crate::frame::shown(uri)).collect();
        (!uris.is_empty()).then_some(Which { uris: listed, count: uris.len() })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.uris.first().map_or("", String::as_str);
        match self.count {
            1 => write!(f, "frame `{first}`"),
            count => write!(f, "{count} frames, the first `{first}`"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Missing => f.write_str("it is not there"),
            Damage::Container(what) | Damage::Manifest(what) | Damage::NotTheRecorded(what) => {
                f.write_str(what)
            }
            Damage::Frames(which) => write!(f, "not as they were sealed: {which}"),
            Damage::Unexpected(which) => write!(f, "not what was expected: {which}"),
            Damage::Unreadable(what) => write!(f, "memvid does not read it: {what}"),
        }
    }
}

/// Content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// The bytes, which match the frame's digest.
    Bytes(Cow<'a, [u8]>),
    /// The content with this digest is in no frame of this file.
    Elsewhere(Digest),
}

/// An open sealed file: in memory, verified, and independent of what happens to the file.
pub struct SealedReader {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: Digest,
    listing: Listing,
    /// Where each frame's first piece begins in `bytes`, its wrapper byte included.
    pub(crate) starts: Vec<usize>,
    by_uri: HashMap<String, usize>,
    /// The first frame that stores the content with this digest.
    by_digest: HashMap<Digest, usize>,
}

impl fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedReader({}, {} frames)", self.path.display(), self.listing.entries.len())
    }
}

impl SealedReader {
    /// Reads the file once, for reading only and without a lock, so also from read-only media, and verifies
    /// container, manifest, every frame and the root.
    ///
    /// # Errors
    /// [`SealError::Damaged`] says what does not hold; [`SealError::File`] that the file could not be read.
    pub fn open(path: &Path) -> Result<SealedReader, SealError> {
        let damaged = |damage| SealError::Damaged { path: path.to_owned(), damage };
        let bytes = match read(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(damaged(Damage::Container("it is too large, or not an ordinary file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(Damage::Missing)),
            Err(error) => return Err(SealError::file("read", path)(error)),
        };
        let (listing, starts) = examine(&bytes).map_err(damaged)?;
        let entries = listing.entries.iter().enumerate();
        let by_uri = entries.clone().map(|(index, entry)| (entry.uri.clone(), index)).collect();
        let stored = entries.rev().filter(|(_, entry)| entry.size.is_some());
        let by_digest = stored.map(|(index, entry)| (entry.sha256, index)).collect();
        let sha256 = Digest::of(&bytes);
        Ok(SealedReader { path: path.to_owned(), bytes, sha256, listing, starts, by_uri, by_digest })
    }

    /// What a seal record keeps of it.
    pub fn sealed(&self) -> Sealed {
        Sealed {
            path: self.path.clone(),
            sha256: self.sha256,
            size: self.bytes.len() as u64,
            merkle_root: self.listing.root,
            frames: self.listing.entries.len() as u64,
            last_seq: self.listing.manifest.last,
        }
    }

    /// What the file says of itself. Only the root is verified here; whether `signature` is that of
    /// `public_key` over `statement`, and what the statement covers, is for the capsule room to tell.
    pub fn manifest(&self) -> &Manifest {
        &self.listing.manifest
    }

    /// The frames in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.listing.entries
    }

    /// The leaves of the root, in order. Those of all segments of a checkpoint together are the leaves of the
    /// root that the checkpoint signed.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.listing.entries.iter().map(Entry::line)
    }

    /// A frame by its name.
    pub fn get(&self, uri: &str) -> Option<(&Entry, Content<'_>)> {
        let index = *self.by_uri.get(uri)?;
        Some((&self.listing.entries[index], self.content(index)))
    }

    /// The content with this digest, if a frame of this file stores it.
    pub fn by_digest(&self, sha256: &Digest) -> Option<Cow<'_, [u8]>> {
        self.by_digest.get(sha256).and_then(|index| self.body(*index))
    }

    /// All frames in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, Content<'_>)> {
        self.listing.entries.iter().enumerate().map(|(index, entry)| (entry, self.content(index)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.listing
    }

    fn content(&self, index: usize) -> Content<'_> {
        let sha256 = self.listing.entries[index].sha256;
        let body = self.body(index).or_else(|| self.by_digest(&sha256));
        body.map_or(Content::Elsewhere(sha256), Content::Bytes)
    }

    /// What the frame itself stores.
    pub(crate) fn body(&self, index: usize) -> Option<Cow<'_, [u8]>> {
        let size = self.listing.entries[index].size?;
        unwrap(&self.bytes[self.starts[index]..], size)
    }
}

/// Reads a whole file; `None` where that is out of the question.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Asked before opening: opening a pipe would wait for someone to write into it.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= FILE_BYTES_MAX).then_some(bytes))
}

/// Verifies a file: its list, and where each frame begins.
pub(crate) fn examine(file: &[u8]) -> Result<(Listing, Vec<usize>), Damage> {
    let payloads = layout::payloads(file).map_err(Damage::Container)?;
    let (mut at, file) = (payloads.start, &file[..payloads.end]);
    let text = match file[at..].split_first() {
        Some((&WRAPPER, text)) => text,
        _ => return Err(Damage::Manifest("it has no manifest")),
    };
    let (listing, used) = Listing::from_text(text).map_err(Damage::Manifest)?;
    at += 1 + used;
    let mut starts = Vec::with_capacity(listing.entries.len());
    let mut bad = Vec::new();
    for entry in &listing.entries {
        let size = entry.size.unwrap_or(0);
        let rest = file.get(at..).ok_or(Damage::Container("it ends before its last frame"))?;
        starts.push(at);
        match unwrap(rest, size) {
            Some(body) if entry.size.is_none() || Digest::of(&body) == entry.sha256 => (),
            _ => bad.push(entry.uri.as_str()),
        }
        // Frames are at most 32 MiB, and there are at most 16,384 of them: no overflow.
        at += usize::try_from(size + pieces(size)).unwrap_or(usize::MAX);
    }
    match Which::of(bad) {
        Some(which) => Err(Damage::Frames(which)),
        None => Ok((listing, starts)),
    }
}

/// A body of `size` bytes out of its pieces, each behind its wrapper byte.
fn unwrap(mut from: &[u8], size: u64) -> Option<Cow<'_, [u8]>> {
    let size = usize::try_from(size).ok()?;
    let piece_max = usize::try_from(PIECE_BYTES_MAX).ok()?;
    let mut body = Cow::Borrowed(&[][..]);
    while body.is_empty() || body.len() < size {
        let (wrapper, rest) = from.split_first()?;
        let piece = rest.get(..piece_max.min(size - body.len()))?;
        if *wrapper != WRAPPER {
            return None;
        }
        from = &rest[piece.len()..];
        if piece.len() == size {
            return Some(Cow::Borrowed(piece));
        }
        body.to_mut().extend_from_slice(piece);
    }
    Some(body)
}
