//! Sealed files, put together again: found, each verified by itself, brought into order, and refused where one
//! that belongs between them is missing.

use super::{SealedJournal, Stored, bad};
use crate::SEALED_FOLDER;
use crate::checkpoint::{self, STATEMENT_FORMAT, SignedCheckpoint, Statement, checkpoint_id};
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::healing::DAMAGED_PREFIX;
use crate::journal::{BlobRow, CheckpointRow, Journal, Meta, NameRow, SealRow};
use crate::keys::PublicKey;
use crate::ledger::no_canonical_form;
use crate::limits::{SEALED_SET_BYTES_MAX, SEALED_SET_FILES_MAX};
use crate::row::EventRow;
use crate::sealing::blob_uri;
use sluice_core::{Digest, canonical};
use sluice_seal::{Content, Entry, SealedReader};
use std::fs;
use std::path::{Path, PathBuf};

/// One file, as far as it takes part.
struct Part {
    path: PathBuf,
    row: SealRow,
    workspace: String,
    signed: SignedCheckpoint,
    lines: Vec<String>,
    stored: Vec<Stored>,
    bytes: u64,
}

/// Reads the files and folders in `paths` as one capsule.
pub(crate) fn load(paths: &[PathBuf]) -> Result<SealedJournal, CapsuleError> {
    let files = find(paths)?;
    let mut parts: Vec<Part> = Vec::with_capacity(files.len());
    let mut bytes = 0;
    for path in &files {
        bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
        if bytes > SEALED_SET_BYTES_MAX {
            let what = "the sealed files together".to_owned();
            return Err(CapsuleError::TooLarge { what, size: bytes, max: SEALED_SET_BYTES_MAX });
        }
        parts.push(part(path)?);
    }
    let parts = in_order(parts)?;
    join(parts)
}

/// The files that are meant: those named, and those in the folders named.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CapsuleError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        // A folder of sealed files, the capsule's, or the state folder.
        let inside = [path.join("capsule").join(SEALED_FOLDER), path.join(SEALED_FOLDER), path.clone()];
        let folder = inside.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| path.clone());
        let before = files.len();
        let fail = |error| CapsuleError::file("list", &folder, error);
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".mv2") && !name.starts_with('.') && !name.starts_with(DAMAGED_PREFIX) {
                files.push(folder.join(name));
            }
        }
        if files.len() == before {
            return Err(CapsuleError::SealedGap(format!("there is no `.mv2` in `{}`", folder.display())));
        }
    }
    if files.len() > SEALED_SET_FILES_MAX {
        let (size, max) = (files.len() as u64, SEALED_SET_FILES_MAX as u64);
        return Err(CapsuleError::TooLarge { what: "the number of sealed files".to_owned(), size, max });
    }
    if files.is_empty() {
        return Err(CapsuleError::SealedGap("none was named".to_owned()));
    }
    Ok(files)
}

/// Reads one file: verified by its own reader, its checkpoint's signature checked.
fn part(path: &Path) -> Result<Part, CapsuleError> {
    let reader = SealedReader::open(path)?;
    let (sealed, manifest) = (reader.sealed(), reader.manifest());
    let refuse =
        |kind, message: &str| CapsuleError::Flawed(Flaw::new(kind, path.display().to_string(), message));
    let signed = signed(&reader)
        .ok_or_else(|| refuse(FlawKind::Unreadable, "its checkpoint is not one that a writer writes"))?;
    let statement = &signed.statement;
    if !signed.verifies(&statement.public_key) {
        return Err(refuse(FlawKind::Signature, "the signature of its checkpoint does not hold"));
    }
    if manifest.first < statement.first || manifest.last > statement.last {
        return Err(refuse(FlawKind::Unsigned, "it holds more than its checkpoint covers"));
    }
    let frames = reader.iter().zip(manifest.first..);
    let stored =
        frames.map(|((entry, content), at)| stored(&manifest.workspace, entry, &content, at)).collect();
    Ok(Part {
        path: path.to_owned(),
        row: SealRow {
            first: manifest.first,
            last: manifest.last,
            root: sealed.merkle_root,
            path: path.display().to_string(),
            file: sealed.sha256,
        },
        workspace: manifest.workspace.clone(),
        lines: reader.lines().collect(),
        signed,
        stored,
        bytes: sealed.size,
    })
}

/// The checkpoint in a file's manifest, if it is spelled as a writer spells it.
pub(crate) fn signed(reader: &SealedReader) -> Option<SignedCheckpoint> {
    let manifest = reader.manifest();
    let statement: Statement = serde_json::from_str(&manifest.statement).ok()?;
    let same = canonical::to_bytes(&statement).ok()? == manifest.statement.as_bytes();
    let key: PublicKey = manifest.public_key.parse().ok()?;
    let honest = same
        && statement.format == STATEMENT_FORMAT
        && statement.checkpoint == checkpoint_id(statement.number)
        && statement.workspace == manifest.workspace
        && statement.public_key == key
        && statement.first >= 1
        && statement.first <= statement.last;
    honest.then(|| SignedCheckpoint { signature: manifest.signature.clone(), statement })
}

/// A frame as a row. What it is follows from its line, which is signed, and not from what the manifest calls it.
fn stored(workspace: &str, entry: &Entry, content: &Content<'_>, position: u64) -> Stored {
    if let Some(media_type) = &entry.media_type {
        let (uri, digest, media_type) = (entry.uri.clone(), entry.sha256, media_type.clone());
        return Stored::Name(NameRow { position, uri, digest, media_type });
    }
    let bytes = match content {
        Content::Bytes(bytes) => Some(bytes),
        Content::Elsewhere(_) => None,
    };
    if entry.uri == blob_uri(workspace, &entry.sha256) {
        let digest = entry.sha256;
        let row = bytes.map(|bytes| BlobRow { position, digest, bytes: bytes.as_ref().into() });
        return Stored::Blob(row.ok_or_else(|| bad(position, "bytes")));
    }
    let row = bytes.ok_or_else(|| bad(position, "body"));
    Stored::Event(row.and_then(|bytes| EventRow::from_sealed(bytes, position, entry.sha256)))
}

/// The files by what they hold, each once, without a gap from the first position on.
fn in_order(mut parts: Vec<Part>) -> Result<Vec<Part>, CapsuleError> {
    parts.sort_by_key(|part| (part.row.first, part.row.last));
    // The same file twice, from a folder and by name.
    parts.dedup_by(|two, one| {
        (two.row.first, two.row.last, two.row.root) == (one.row.first, one.row.last, one.row.root)
    });
    let gap = |text: String| Err(CapsuleError::SealedGap(text));
    let (mut covered, mut number) = (0, 0);
    for (index, part) in parts.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &parts[before]);
        if let Some(other) = before.filter(|before| before.workspace != part.workspace) {
            let (one, two) = (other.path.display(), part.path.display());
            return gap(format!(
                "`{one}` is of workspace `{}`, `{two}` of `{}`",
                other.workspace, part.workspace
            ));
        }
        let statement = &part.signed.statement;
        if let Some(other) =
            before.filter(|before| before.signed.statement.public_key != statement.public_key)
        {
            let (one, two) = (other.path.display(), part.path.display());
            return gap(format!("`{one}` and `{two}` are signed with different keys"));
        }
        if let Some(other) = before.filter(|_| part.row.first <= covered) {
            let (one, two) = (other.path.display(), part.path.display());
            return gap(format!("`{one}` and `{two}` both hold position {}, and differ", part.row.first));
        }
        if part.row.first != covered + 1 {
            return gap(missing(number, before, statement, covered + 1, part.row.first - 1));
        }
        (covered, number) = (part.row.last, statement.number);
    }
    match parts.last() {
        Some(last) if last.row.last != last.signed.statement.last => {
            let statement = &last.signed.statement;
            gap(missing(number, Some(last), statement, covered + 1, statement.last))
        }
        _ => Ok(parts),
    }
}

/// Which file is missing, in words: `statement` is that of the file behind the gap.
fn missing(number: u64, before: Option<&Part>, statement: &Statement, first: u64, last: u64) -> String {
    // A checkpoint before the gap whose own files do not reach its end.
    let own = before.filter(|before| before.row.last < before.signed.statement.last);
    let of = match own {
        Some(own) => format!("a file of `{}` is", own.signed.statement.checkpoint),
        None if statement.number > number + 2 => {
            format!(
                "the files of `{}` to `{}` are",
                checkpoint_id(number + 1),
                checkpoint_id(statement.number - 1)
            )
        }
        None if statement.number > number + 1 => format!("the file of `{}` is", checkpoint_id(number + 1)),
        None => format!("a file of `{}` is", statement.checkpoint),
    };
    format!("{of} missing, with positions {first} to {last}")
}

/// One journal out of the files.
fn join(parts: Vec<Part>) -> Result<SealedJournal, CapsuleError> {
    let mut checkpoints: Vec<(SignedCheckpoint, String)> = Vec::new();
    let (mut stored, mut seals, mut bytes, mut meta) = (Vec::new(), Vec::new(), 0, None);
    for part in parts {
        meta.get_or_insert_with(|| Meta {
            workspace: part.workspace.clone(),
            public_key: part.signed.statement.public_key,
        });
        let mut lines = part.lines.join("\n");
        lines.push('\n');
        match checkpoints.last_mut() {
            Some((signed, text)) if *signed == part.signed => text.push_str(&lines),
            _ => checkpoints.push((part.signed, lines)),
        }
        stored.extend(part.stored);
        seals.push(part.row);
        bytes += part.bytes;
    }
    let meta = meta.ok_or_else(|| CapsuleError::SealedGap("none was named".to_owned()))?;
    let mut journal = SealedJournal::new(meta, stored, seals, bytes);
    for (signed, manifest) in checkpoints {
        let position = own_event(&mut journal, &signed)?;
        journal.checkpoints.push(CheckpointRow { number: signed.statement.number, position, manifest });
    }
    Ok(journal)
}

/// Where the checkpoint's own event is. It comes after what it covers: in a later file, or, for the last ones, in
/// none. There it is made again: every field of it follows from the signed statement.
fn own_event(journal: &mut SealedJournal, signed: &SignedCheckpoint) -> Result<u64, CapsuleError> {
    let statement = &signed.statement;
    let (run, seq) = (statement.run_id.as_str(), statement.seq.saturating_add(1));
    if let Some(Ok(row)) = journal.find_event(run, seq) {
        // Whether it is this checkpoint is for the reader to find out, as in any journal.
        return Ok(row.position);
    }
    let follows =
        journal.head(run)?.is_some_and(|head| head.seq == statement.seq && head.hash == statement.head);
    if !follows {
        let text = format!(
            "`{}` was signed together with later checkpoints, whose files are missing",
            statement.checkpoint
        );
        return Err(CapsuleError::SealedGap(text));
    }
    let payload = canonical::to_bytes(signed).map_err(no_canonical_form)?;
    let payload = String::from_utf8_lossy(&payload).into_owned();
    let position = journal.end() + 1;
    let mut row = checkpoint::event_row(signed, position, Digest::ZERO, payload);
    row.hash = row.compute_hash(&journal.meta.workspace);
    journal.push(Stored::Event(Ok(row)));
    Ok(position)
}
