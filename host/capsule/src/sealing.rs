//! Writes sealed files out of the journal: what a checkpoint signed, and nothing that is not just that.
//!
//! Everything in a sealed file follows from the journal, times included. So a file that was lost is written again
//! byte for byte, and an attempt that was interrupted anywhere can simply be made again.

use crate::checkpoint::{self, SignedCheckpoint, Statement};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::healing::Healed;
use crate::journal::{EventQuery, FrameRow, Journal, SealRow};
use crate::keys::PublicKey;
use crate::ledger::{no_canonical_form, unreadable};
use crate::row::EventRow;
use crate::{SEALED_FOLDER, files, sealed};
use sluice_core::merkle::MerkleTree;
use sluice_core::{Digest, EventKind, Timestamp, canonical};
use sluice_seal::limits::FRAME_BYTES_MAX;
use sluice_seal::{Body, Expected, FileDoor, Frame, Manifest, SealError, SealedReader, Shape, Verdict};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What sealing needs: the journal to read, the folder to write to, and who records what was sealed.
pub(crate) struct Sealing<'a> {
    /// The capsule's folder; sealed files lie in [`SEALED_FOLDER`] of it.
    pub capsule: &'a Path,
    pub journal: &'a dyn Journal,
    pub workspace: &'a str,
    /// What is not signed with this key is not sealed.
    pub key: PublicKey,
    pub door: &'a dyn FileDoor,
    /// Records a file that was verified; durable when it returns.
    pub record: &'a dyn Fn(SealRow) -> Result<(), CapsuleError>,
    /// What had to be put right on the way.
    pub healed: &'a mut Healed,
}

/// A file among those of its checkpoint: 1-based, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub number: usize,
    pub count: usize,
}

impl Segment {
    /// What the file is called: so that a second attempt finds what the first one named.
    pub fn name(self, checkpoint: &str) -> String {
        match self.count {
            1 => format!("{checkpoint}.mv2"),
            count => format!("{checkpoint}-{}of{count}.mv2", self.number),
        }
    }
}

/// One file to write.
pub(crate) struct Order<'o> {
    pub signed: &'o SignedCheckpoint,
    pub segment: Segment,
    /// Root of the file before it.
    pub previous: Digest,
    /// What goes into it, in the order of positions, found to be what was signed.
    pub frames: &'o [FrameRow],
    pub name: String,
}

impl Sealing<'_> {
    /// Where sealed files lie.
    pub fn dir(&self) -> PathBuf {
        self.capsule.join(SEALED_FOLDER)
    }

    /// Seals the checkpoints that are not sealed yet, one after the other, as long as they are `wanted`; returns
    /// what was recorded. After an error, what was sealed before it stays sealed.
    pub fn seal(&mut self, wanted: impl Fn(&Statement) -> bool) -> Result<Vec<SealRow>, CapsuleError> {
        let mut recorded = seals(self.journal)?;
        in_a_row(&recorded, self.journal.last_position()?)?;
        let before = recorded.len();
        let through = recorded.last().map_or(0, |row| row.last);
        for signed in self.checkpoints(through)? {
            if !wanted(&signed.statement) {
                break;
            }
            self.seal_checkpoint(&signed, &mut recorded)?;
        }
        Ok(recorded.split_off(before))
    }

    /// Signed checkpoints that cover anything after `position`, in order, without a gap.
    pub fn checkpoints(&self, position: u64) -> Result<Vec<SignedCheckpoint>, CapsuleError> {
        let mut found: Vec<SignedCheckpoint> = Vec::new();
        // A checkpoint's event stands behind what it covers.
        let query =
            EventQuery { kind: Some(EventKind::Checkpoint.name()), after: position, ..EventQuery::default() };
        self.journal.events(&query, &mut |row| {
            let row = row.map_err(unreadable)?;
            let signed = checkpoint::read(&row, self.workspace).map_err(CapsuleError::Flawed)?;
            if !signed.verifies(&self.key) {
                let message = "its signature does not hold";
                return Err(flawed(FlawKind::Signature, &row.uri, message));
            }
            if signed.statement.last > position {
                found.push(signed);
            }
            Ok(true)
        })?;
        let mut covered = position;
        for statement in found.iter().map(|signed| &signed.statement) {
            // The first may be sealed in part.
            if statement.first > covered + 1 || (covered > position && statement.first != covered + 1) {
                let uri = format!("frames/{}", covered + 1);
                return Err(flawed(FlawKind::Missing, &uri, "no checkpoint that is there covers it"));
            }
            covered = statement.last;
        }
        Ok(found)
    }

    fn seal_checkpoint(
        &mut self,
        signed: &SignedCheckpoint,
        recorded: &mut Vec<SealRow>,
    ) -> Result<(), CapsuleError> {
        let statement = &signed.statement;
        let frames = self.signed_frames(statement)?;
        let done = recorded.iter().filter(|row| row.first >= statement.first).count();
        let sealed =
            recorded.last().map_or(0, |row| row.last).saturating_sub(statement.first.saturating_sub(1));
        let frames = &frames[usize::try_from(sealed).unwrap_or(usize::MAX).min(frames.len())..];
        let files = sluice_seal::plan(self.shapes(frames)?)?;
        for (index, range) in files.iter().enumerate() {
            let segment = Segment { number: done + index + 1, count: done + files.len() };
            let order = Order {
                signed,
                segment,
                previous: recorded.last().map_or(Digest::ZERO, |row| row.root),
                frames: &frames[range.clone()],
                name: segment.name(&statement.checkpoint),
            };
            let row = self.write(&order)?;
            (self.record)(row.clone())?;
            recorded.push(row);
        }
        Ok(())
    }

    /// What a checkpoint covers, as the journal has it, if that is what was signed.
    pub fn signed_frames(&self, statement: &Statement) -> Result<Vec<FrameRow>, CapsuleError> {
        let mut frames: Vec<FrameRow> = Vec::new();
        let mut tree = MerkleTree::default();
        self.journal.frames(statement.first, statement.last, &mut |row| {
            let frame = row.map_err(unreadable)?;
            tree.push(frame.line().as_bytes());
            frames.push(frame);
            Ok(true)
        })?;
        if tree.root() == statement.root
            && frames.len() as u64 == (statement.last + 1).saturating_sub(statement.first)
        {
            return Ok(frames);
        }
        let uri = format!("mv2://{}/checkpoint/{}", self.workspace, statement.checkpoint);
        Err(flawed(
            FlawKind::Unsigned,
            &uri,
            "what is recorded is not what it signed: nothing of it is sealed",
        ))
    }

    /// How much room each of these frames takes. Their content is read and forgotten: a checkpoint may cover more
    /// than fits into memory.
    fn shapes(&self, frames: &[FrameRow]) -> Result<Vec<Shape>, CapsuleError> {
        let texts = |frame: &FrameRow| frame.uri.len() + frame.media_type.as_ref().map_or(0, String::len);
        let mut shapes: Vec<Shape> =
            frames.iter().map(|frame| Shape { text_bytes: texts(frame) as u64, body_bytes: None }).collect();
        self.contents(frames, &mut |index, content| {
            let (kind, size) = match &content {
                Content::Event(row) => (row.kind.as_str(), row.sealed_bytes(self.workspace)),
                Content::Blob(bytes) => (BLOB, bytes.len() as u64),
            };
            if size > FRAME_BYTES_MAX {
                let what = format!("`{}`, for a sealed file,", frames[index].uri);
                return Err(CapsuleError::TooLarge { what, size, max: FRAME_BYTES_MAX });
            }
            shapes[index].text_bytes += kind.len() as u64;
            shapes[index].body_bytes = Some(size);
            Ok(())
        })?;
        for (frame, shape) in frames.iter().zip(&mut shapes) {
            if frame.media_type.is_some() {
                shape.text_bytes += NAME.len() as u64;
            }
        }
        Ok(shapes)
    }

    /// Writes one file, or takes the one that an interrupted attempt left, if it holds just this.
    pub fn write(&mut self, order: &Order<'_>) -> Result<SealRow, CapsuleError> {
        let dir = self.dir();
        self.ensure_dir(&dir)?;
        let statement = &order.signed.statement;
        let (Some(first), Some(last)) = (order.frames.first(), order.frames.last()) else {
            return Err(SealError::Empty.into());
        };
        let manifest = Manifest {
            workspace: self.workspace.to_owned(),
            run: statement.run_id.clone(),
            first: first.position,
            last: last.position,
            segment: u32::try_from(order.segment.number).unwrap_or(u32::MAX),
            segments: u32::try_from(order.segment.count).unwrap_or(u32::MAX),
            previous: order.previous,
            statement: signed_text(statement)?,
            signature: order.signed.signature.clone(),
            public_key: self.key.to_string(),
        };
        let frames = self.frames(order.frames, statement.at)?;
        let (path, was_there) = self.judge(&dir, order)?;
        let sealed = match sluice_seal::write_once(&dir, &order.name, &frames, &manifest, self.door) {
            // It holds the frames, and says something else of them than the journal does.
            Err(SealError::Exists(_) | SealError::Damaged { .. }) if was_there => {
                self.not_signed_otherwise(&path, statement)?;
                self.discard(&path, "what it says of its frames is not what the journal says")?;
                sluice_seal::write_once(&dir, &order.name, &frames, &manifest, self.door)?
            }
            written => written?,
        };
        Ok(SealRow {
            first: manifest.first,
            last: manifest.last,
            root: sealed.merkle_root,
            path: format!("{SEALED_FOLDER}/{}", order.name),
            file: sealed.sha256,
        })
    }

    /// Looks at a file without a record that stands where one is to be written: whether it is there and of use.
    fn judge(&mut self, dir: &Path, order: &Order<'_>) -> Result<(PathBuf, bool), CapsuleError> {
        let path = dir.join(&order.name);
        if path.symlink_metadata().is_err() {
            return Ok((path, false));
        }
        let expected: Vec<(String, Digest)> =
            order.frames.iter().map(|frame| (frame.uri.clone(), frame.digest)).collect();
        match sluice_seal::inspect(&path, Expected::Frames(&expected))? {
            Verdict::Intact(_) => {
                self.healed.recorded.push(path.clone());
                Ok((path, true))
            }
            Verdict::Damaged(damage) => {
                self.not_signed_otherwise(&path, &order.signed.statement)?;
                self.discard(&path, &damage.to_string())?;
                Ok((path, false))
            }
        }
    }

    /// A whole file with another statement under our own signature is not what a crash left: it shows that the
    /// journal was another one once, and is not removed.
    fn not_signed_otherwise(&self, path: &Path, statement: &Statement) -> Result<(), CapsuleError> {
        let other = SealedReader::open(path).ok().as_ref().and_then(sealed::signed);
        let other = other.filter(|signed| signed.verifies(&self.key) && signed.statement != *statement);
        other.map_or(Ok(()), |_| Err(SealError::Exists(path.to_owned()).into()))
    }

    fn discard(&mut self, path: &Path, why: &str) -> Result<(), CapsuleError> {
        sluice_seal::discard(path, self.door)?;
        self.healed.recorded.retain(|recorded| recorded != path);
        self.healed.discarded.push((path.to_owned(), why.to_owned()));
        Ok(())
    }

    fn ensure_dir(&self, dir: &Path) -> Result<(), CapsuleError> {
        if !dir.is_dir() {
            files::create_private_dir(dir)?;
        }
        // An empty one may be what an attempt left that could not sync it.
        let has_files = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if has_files { Ok(()) } else { files::sync_dir(self.capsule) }
    }

    /// The frames with their content. Bytes and names have no time of their own: theirs is the checkpoint's, so
    /// that the same file can be written again.
    pub fn frames(&self, rows: &[FrameRow], at: Timestamp) -> Result<Vec<Frame>, CapsuleError> {
        let mut frames: Vec<Frame> = rows
            .iter()
            .map(|row| Frame {
                uri: row.uri.clone(),
                kind: if row.media_type.is_some() { NAME } else { BLOB }.to_owned(),
                media_type: row.media_type.clone(),
                at: at.millis() / 1000,
                sha256: row.digest,
                body: Body::Elsewhere,
            })
            .collect();
        self.contents(rows, &mut |index, content| {
            let frame = &mut frames[index];
            let bytes: Arc<[u8]> = match content {
                Content::Event(row) => {
                    frame.kind.clone_from(&row.kind);
                    frame.at = row.at.parse::<Timestamp>().map_or(0, |at| at.millis() / 1000);
                    row.sealed_body(self.workspace).into()
                }
                Content::Blob(bytes) => bytes,
            };
            if Digest::of(&bytes) != frame.sha256 {
                let message = "its content is not what was signed";
                return Err(flawed(FlawKind::Content, &frame.uri, message));
            }
            frame.body = Body::Here(bytes);
            Ok(())
        })?;
        match frames.iter().find(|frame| frame.media_type.is_none() && frame.body == Body::Elsewhere) {
            None => Ok(frames),
            Some(frame) => Err(flawed(FlawKind::Missing, &frame.uri, "its content is missing")),
        }
    }

    /// Hands over the content of each of these frames that has any of its own, with the frame's index.
    fn contents(
        &self,
        frames: &[FrameRow],
        each: &mut dyn FnMut(usize, Content<'_>) -> Result<(), CapsuleError>,
    ) -> Result<(), CapsuleError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        let query = EventQuery { after: first.position - 1, ..EventQuery::default() };
        self.journal.events(&query, &mut |row| {
            let row = row.map_err(unreadable)?;
            if row.position > last.position {
                return Ok(false);
            }
            let index = usize::try_from(row.position - first.position).unwrap_or(usize::MAX);
            if frames.get(index).is_some_and(|frame| frame.uri == row.uri) {
                each(index, Content::Event(&row))?;
            }
            Ok(true)
        })?;
        for (index, frame) in frames.iter().enumerate() {
            if frame.media_type.is_none() && frame.uri == blob_uri(self.workspace, &frame.digest) {
                let row = self.journal.blob(&frame.digest)?.transpose().map_err(unreadable)?;
                row.map_or(Ok(()), |row| each(index, Content::Blob(row.bytes)))?;
            }
        }
        Ok(())
    }
}

/// Records of sealed files follow each other from the first position on, within the journal: on anything else
/// nothing is built.
pub(crate) fn in_a_row(recorded: &[SealRow], end: u64) -> Result<(), CapsuleError> {
    let mut covered = 0;
    for row in recorded {
        if row.first != covered + 1 || row.last < row.first || row.last > end {
            let (first, last) = (row.first, row.last);
            let text =
                format!("`{}` is recorded to hold {first} to {last}, after {covered} of {end}", row.path);
            return Err(CapsuleError::Conflict(text));
        }
        covered = row.last;
    }
    Ok(())
}

/// The text that is signed.
fn signed_text(statement: &Statement) -> Result<String, CapsuleError> {
    let bytes = canonical::to_bytes(statement).map_err(no_canonical_form)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Content of a frame.
enum Content<'c> {
    Event(&'c EventRow),
    Blob(Arc<[u8]>),
}

/// What the manifest calls bytes and names; an event is called by its type.
const BLOB: &str = "blob";
const NAME: &str = "name";

pub(crate) fn blob_uri(workspace: &str, digest: &Digest) -> String {
    format!("mv2://{workspace}/blob/sha256/{digest}")
}

/// The sealed files that the journal knows, in the order of what they hold.
pub(crate) fn seals(journal: &dyn Journal) -> Result<Vec<SealRow>, CapsuleError> {
    let mut seals = Vec::new();
    journal.seals(&mut |row| {
        seals.push(row.map_err(unreadable)?);
        Ok(true)
    })?;
    Ok(seals)
}

fn flawed(kind: FlawKind, uri: &str, message: &str) -> CapsuleError {
    CapsuleError::Flawed(Flaw::new(kind, uri, message))
}
