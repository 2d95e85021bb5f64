//! The first piece of a sealed file: what the file is, and what it holds.
//!
//! Text form: `sluicegate-seal-1 <bytes> <sha256>`, a newline, and that many bytes of canonical JSON with that
//! digest. So it can be found and checked before anything of it is interpreted.

use crate::error::SealError;
use crate::frame::{Frame, fields_problem, line};
use crate::limits::{FRAME_BYTES_MAX, FRAMES_PER_FILE_MAX, STATEMENT_BYTES_MAX};
use serde::{Deserialize, Serialize};
use sluice_core::digest::from_hex;
use sluice_core::merkle::MerkleTree;
use sluice_core::{Digest, RunId, canonical};
use std::collections::HashSet;

/// What the text form begins with.
pub const SEAL_FORMAT: &str = "sluicegate-seal-1";

/// The name of the manifest among the file's frames. Not a logical URI: it names nothing outside.
pub const MANIFEST_URI: &str = "sluicegate:seal";

/// Largest integer that every JSON reader takes back as it was.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What the caller says of a sealed file. None of it is under the Merkle root; what is signed of it stands in
/// `statement`, whose signature the capsule room checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The workspace.
    pub workspace: String,
    /// The run whose checkpoint led to the seal.
    pub run: RunId,
    /// First position of the journal in this file.
    pub first: u64,
    /// Last position of the journal in this file: `last - first + 1` frames.
    pub last: u64,
    /// 1-based number among the files that one checkpoint was sealed into.
    pub segment: u32,
    /// How many files these are.
    pub segments: u32,
    /// Merkle root of the file sealed before; zeros for the first.
    pub previous: Digest,
    /// The checkpoint's statement: the very text that is signed.
    pub statement: String,
    /// Ed25519 over `statement`: 128 hex digits.
    pub signature: String,
    /// Whose signature: 64 hex digits.
    pub public_key: String,
}

/// A frame as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Seconds since 1970.
    pub at: i64,
    /// `event`, `blob`, `name` …
    pub kind: String,
    /// Part of what is recorded for a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Bytes that the frame stores; absent where the content lies in another frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its name.
    pub uri: String,
}

impl Entry {
    /// See [`Frame::line`].
    pub fn line(&self) -> String {
        line(&self.sha256, &self.uri, self.media_type.as_deref())
    }
}

impl From<&Frame> for Entry {
    fn from(frame: &Frame) -> Entry {
        Entry {
            at: frame.at,
            kind: frame.kind.clone(),
            media_type: frame.media_type.clone(),
            sha256: frame.sha256,
            size: frame.stored().map(|body| body.len() as u64),
            uri: frame.uri.clone(),
        }
    }
}

/// The JSON, with the keys of [`Manifest`] and two more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    first: u64,
    frames: Vec<Entry>,
    last: u64,
    previous: Digest,
    public_key: String,
    root: Digest,
    run: RunId,
    segment: u32,
    segments: u32,
    signature: String,
    statement: String,
    workspace: String,
}

/// A manifest with its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub manifest: Manifest,
    pub entries: Vec<Entry>,
    pub root: Digest,
}

impl Listing {
    /// Lists `frames`, whose fields were checked.
    pub fn new(manifest: &Manifest, frames: &[Frame]) -> Result<Listing, SealError> {
        let entries: Vec<Entry> = frames.iter().map(Entry::from).collect();
        let listing = Listing { manifest: manifest.clone(), root: root(&entries), entries };
        match listing.problem() {
            Some(problem) => Err(SealError::BadManifest { problem }),
            None => Ok(listing),
        }
    }

    /// The text form.
    pub fn to_text(&self) -> Result<Vec<u8>, SealError> {
        let manifest = self.manifest.clone();
        let json = canonical::to_bytes(&Stored {
            first: manifest.first,
            frames: self.entries.clone(),
            last: manifest.last,
            previous: manifest.previous,
            public_key: manifest.public_key,
            root: self.root,
            run: manifest.run,
            segment: manifest.segment,
            segments: manifest.segments,
            signature: manifest.signature,
            statement: manifest.statement,
            workspace: manifest.workspace,
        })
        .map_err(|_| SealError::BadManifest { problem: "it has no canonical form" })?;
        let mut text = format!("{SEAL_FORMAT} {} {}\n", json.len(), Digest::of(&json)).into_bytes();
        text.extend_from_slice(&json);
        Ok(text)
    }

    /// Reads the text form at the start of `bytes`; returns how many bytes it takes.
    pub fn from_text(bytes: &[u8]) -> Result<(Listing, usize), &'static str> {
        const HEAD_BYTES_MAX: usize = 128;
        let head = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let end = head.iter().position(|b| *b == b'\n').ok_or("it has no manifest")?;
        let words = std::str::from_utf8(&head[..end]).map_err(|_| "it has no manifest")?;
        let (format, size, sha256) = match words.split(' ').collect::<Vec<_>>()[..] {
            [format, size, sha256] => (format, size, sha256),
            _ => return Err("it has no manifest"),
        };
        if format != SEAL_FORMAT {
            return Err("its manifest is of a format that this program does not know");
        }
        let size = size.parse::<usize>().ok().filter(|number| number.to_string() == size);
        let size = size.ok_or("its manifest's size is not a number")?;
        let rest = &bytes[end + 1..];
        let json = rest.get(..size).ok_or("its manifest is cut off")?;
        if Digest::of(json).to_hex() != sha256 {
            return Err("its manifest does not match its digest");
        }
        let stored: Stored =
            serde_json::from_slice(json).map_err(|_| "its manifest is not one that a seal writes")?;
        let listing = Listing::from(stored);
        if let Some(problem) = listing.problem() {
            return Err(problem);
        }
        if root(&listing.entries) != listing.root {
            return Err("its list of frames does not have the root that it states");
        }
        Ok((listing, end + 1 + size))
    }

    /// What is wrong with the manifest or its list; the same for those who write and those who read.
    fn problem(&self) -> Option<&'static str> {
        let manifest = &self.manifest;
        let hex = |text: &str, digits: usize| text.len() == digits && from_hex(text).is_some();
        if manifest.workspace.parse::<RunId>().is_err() {
            return Some("the workspace's name cannot stand in a uri");
        }
        let count = manifest.last.checked_sub(manifest.first).map(|gap| gap + 1);
        if manifest.first == 0 || manifest.last > INTEGER_MAX || count != Some(self.entries.len() as u64) {
            return Some("`first` and `last` do not count the frames");
        }
        if self.entries.len() > FRAMES_PER_FILE_MAX {
            return Some("it lists more frames than one file may hold");
        }
        if manifest.segment == 0 || manifest.segment > manifest.segments {
            return Some("`segment` is not within `segments`");
        }
        if !hex(&manifest.signature, 128) || !hex(&manifest.public_key, 64) {
            return Some("signature or public key is not hex of the right length");
        }
        if manifest.statement.is_empty() || manifest.statement.len() > STATEMENT_BYTES_MAX {
            return Some("the checkpoint's statement is not 1 to 16,384 bytes");
        }
        self.entry_problem()
    }

    fn entry_problem(&self) -> Option<&'static str> {
        let mut names = HashSet::with_capacity(self.entries.len());
        self.entries.iter().find_map(|entry| {
            if !names.insert(entry.uri.as_str()) {
                return Some("it lists a uri twice");
            }
            if entry.size.is_some_and(|size| size > FRAME_BYTES_MAX) {
                return Some("it lists a frame larger than any may be");
            }
            fields_problem(&entry.uri, &entry.kind, entry.media_type.as_deref(), entry.at)
        })
    }
}

impl From<Stored> for Listing {
    fn from(stored: Stored) -> Listing {
        Listing {
            manifest: Manifest {
                workspace: stored.workspace,
                run: stored.run,
                first: stored.first,
                last: stored.last,
                segment: stored.segment,
                segments: stored.segments,
                previous: stored.previous,
                statement: stored.statement,
                signature: stored.signature,
                public_key: stored.public_key,
            },
            entries: stored.frames,
            root: stored.root,
        }
    }
}

fn root(entries: &[Entry]) -> Digest {
    let mut tree = MerkleTree::default();
    entries.iter().for_each(|entry| tree.push(entry.line().as_bytes()));
    tree.root()
}
