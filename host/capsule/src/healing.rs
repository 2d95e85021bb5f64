//! What a crash, a disk or a hand did to the sealed files, put right out of the journal.

use crate::error::CapsuleError;
use crate::journal::SealRow;
use crate::limits::SEALED_BYTES_READ_AT_OPEN;
use crate::sealing::{Order, Sealing, Segment, in_a_row, seals};
use crate::{SEALED_FOLDER, checkpoint};
use sluice_core::Digest;
use sluice_seal::{Expected, SealError, Verdict};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What was found wrong with the sealed files, and what was done about it. None of it is an error by itself: the
/// journal holds everything, and the record goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Healed {
    /// Temporary files of an interrupted seal: removed.
    pub swept: Vec<PathBuf>,
    /// Files that an interrupted seal had named and not recorded: held against the journal, found to hold just
    /// that, recorded.
    pub recorded: Vec<PathBuf>,
    /// Files without a record that did not hold what the journal holds, and what was wrong with each: removed, and
    /// sealed again.
    pub discarded: Vec<(PathBuf, String)>,
    /// Recorded files that were missing or damaged, and what was wrong with each: written again from the journal. A
    /// damaged one is kept beside, as `damaged-<name>`.
    pub rebuilt: Vec<(PathBuf, String)>,
    /// What could not be put right, and why.
    pub problems: Vec<(PathBuf, String)>,
}

impl Healed {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Healed::default()
    }

    /// A sentence for each thing, for a person.
    pub fn lines(&self) -> Vec<String> {
        let swept = self
            .swept
            .iter()
            .map(|path| format!("removed what an interrupted seal left: `{}`", path.display()));
        let recorded = self
            .recorded
            .iter()
            .map(|path| format!("an interrupted seal was whole, and is recorded now: `{}`", path.display()));
        let told =
            |what: &str, (path, why): &(PathBuf, String)| format!("{what} `{}`: {why}", path.display());
        let discarded = self.discarded.iter().map(|one| told("removed, to be sealed again:", one));
        let rebuilt = self.rebuilt.iter().map(|one| told("written again from the journal:", one));
        let problems = self.problems.iter().map(|one| told("not put right:", one));
        swept.chain(recorded).chain(discarded).chain(rebuilt).chain(problems).collect()
    }

    pub(crate) fn add(&mut self, other: Healed) {
        self.swept.extend(other.swept);
        self.recorded.extend(other.recorded);
        self.discarded.extend(other.discarded);
        self.rebuilt.extend(other.rebuilt);
        self.problems.extend(other.problems);
    }

    pub(crate) fn problem(&mut self, path: &Path, error: &dyn Error) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        self.problems.push((path.to_owned(), text));
    }
}

/// How closely recorded files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The newest are read, of the others only the presence is looked at: for every opening.
    Newest,
    /// All are read.
    All,
}

impl Sealing<'_> {
    /// Puts right what can be put right. What cannot is a problem in the report: it does not keep the writer from
    /// recording.
    pub fn heal(&mut self, depth: Depth) {
        let dir = self.dir();
        if dir.is_dir() {
            match sluice_seal::sweep(&dir, self.door) {
                Ok(swept) => self.healed.swept.extend(swept),
                Err(error) => self.healed.problem(&dir, &error),
            }
            if let Err(error) = self.unrecorded(&dir) {
                self.healed.problem(&dir, &error);
            }
        }
        if let Err(error) = self.recorded(depth) {
            self.healed.problem(&dir, &error);
        }
    }

    /// Files that have a sealed file's name and no record.
    fn unrecorded(&mut self, dir: &Path) -> Result<(), CapsuleError> {
        let recorded = seals(self.journal)?;
        let known = |name: &str| recorded.iter().any(|row| file_name(row) == Some(name));
        let strays: Vec<(PathBuf, u64)> = sealed_names(dir)?
            .into_iter()
            .filter(|(name, _)| !known(name))
            .map(|(name, number)| (dir.join(name), number))
            .collect();
        if strays.is_empty() {
            return Ok(());
        }
        let through = recorded.last().map_or(0, |row| row.last);
        let pending = self.checkpoints(through)?;
        let is_pending = |number: u64| pending.iter().any(|signed| signed.statement.number == number);
        let newest = strays.iter().map(|(_, number)| *number).filter(|number| is_pending(*number)).max();
        if let Some(newest) = newest {
            // Sealing up to there judges each of them on its way.
            self.seal(|statement| statement.number <= newest)?;
        }
        let recorded = seals(self.journal)?;
        let last = self.last_number()?;
        for (path, number) in strays {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !path.exists() || recorded.iter().any(|row| file_name(row) == Some(name.as_str())) {
                continue;
            }
            let why = if number > last {
                "it is of a checkpoint that the journal does not hold: the journal was cut, or is an older copy"
            } else {
                "no record names it"
            };
            self.healed.problems.push((path, why.to_owned()));
        }
        Ok(())
    }

    fn last_number(&self) -> Result<u64, CapsuleError> {
        let last = self.journal.last_checkpoint()?.transpose().map_err(crate::ledger::unreadable)?;
        Ok(last.map_or(0, |row| row.number))
    }

    /// Files that have a record, the newest first.
    fn recorded(&mut self, depth: Depth) -> Result<(), CapsuleError> {
        let recorded = seals(self.journal)?;
        if let Err(error) = in_a_row(&recorded, self.journal.last_position()?) {
            self.healed.problem(&self.dir(), &error);
        }
        let mut read = 0;
        for index in (0..recorded.len()).rev() {
            let row = &recorded[index];
            let Some(name) = file_name(row) else {
                let path = self.capsule.join(SEALED_FOLDER);
                self.healed.problems.push((path, "a record does not name a file of this folder".to_owned()));
                continue;
            };
            let path = self.dir().join(name);
            let size = path.metadata().map_or(0, |metadata| metadata.len());
            read += size;
            // One file is always read, however large: a crash is most likely to have met the newest.
            let look = depth == Depth::All || size == 0 || read <= SEALED_BYTES_READ_AT_OPEN || read == size;
            if !look {
                continue;
            }
            let verdict = sluice_seal::inspect(&path, Expected::Record { root: row.root, file: row.file });
            let done = match verdict {
                Ok(Verdict::Intact(_)) => Ok(()),
                Ok(Verdict::Damaged(damage)) => self.rebuild(&recorded, index, &path, &damage.to_string()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = done {
                self.healed.problem(&path, &error);
            }
        }
        Ok(())
    }

    /// Writes a recorded file again. Nothing is touched before it is known that the journal still has what it held.
    fn rebuild(
        &mut self,
        recorded: &[SealRow],
        index: usize,
        path: &Path,
        why: &str,
    ) -> Result<(), CapsuleError> {
        let row = &recorded[index];
        let signed = self.checkpoints(row.first.saturating_sub(1))?;
        let signed = signed
            .first()
            .filter(|signed| signed.statement.first <= row.first && signed.statement.last >= row.last);
        let signed =
            signed.ok_or_else(|| CapsuleError::NotFound(format!("the checkpoint of `{}`", row.path)))?;
        let statement = &signed.statement;
        let frames = self.signed_frames(statement)?;
        let at = |position: u64| usize::try_from(position - statement.first).unwrap_or(usize::MAX);
        let frames = frames.get(at(row.first)..=at(row.last)).unwrap_or_default();
        let mut tree = sluice_core::merkle::MerkleTree::default();
        frames.iter().for_each(|frame| tree.push(frame.line().as_bytes()));
        if tree.root() != row.root {
            let text = format!("the record of `{}` has another root than its frames", row.path);
            return Err(CapsuleError::Conflict(text));
        }
        let of_checkpoint = |one: &&SealRow| one.first >= statement.first && one.last <= statement.last;
        let segment = Segment {
            number: recorded[..index].iter().filter(of_checkpoint).count() + 1,
            count: recorded.iter().filter(of_checkpoint).count(),
        };
        let name = file_name(row).unwrap_or_default().to_owned();
        let previous = index.checked_sub(1).map_or(Digest::ZERO, |before| recorded[before].root);
        let order = Order { signed, segment, previous, frames, name: name.clone() };
        drop(self.frames(order.frames, statement.at)?);
        if path.symlink_metadata().is_ok() {
            let aside = self.dir().join(format!("{DAMAGED_PREFIX}{name}"));
            let moved = self.door.rename(path, &aside);
            moved.map_err(|error| CapsuleError::file("set aside", path, error))?;
        }
        let written = self.write(&order)?;
        if written != *row {
            (self.record)(written)?;
        }
        self.healed.rebuilt.push((path.to_owned(), why.to_owned()));
        Ok(())
    }
}

/// What the name of a damaged file is given in front when it is set aside: evidence is not thrown away.
pub(crate) const DAMAGED_PREFIX: &str = "damaged-";

/// The name of a record's file, if the record names one of the folder and nothing else: a journal may come from
/// anyone.
pub(crate) fn file_name(row: &SealRow) -> Option<&str> {
    let name = row.path.strip_prefix(SEALED_FOLDER)?.strip_prefix('/')?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    (!name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)).then_some(name)
}

/// Files in `dir` that are called as sealed files are, with the number of the checkpoint in the name.
pub(crate) fn sealed_names(dir: &Path) -> Result<Vec<(String, u64)>, CapsuleError> {
    let fail = |error| CapsuleError::file("list", dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        let number =
            name.strip_suffix(".mv2").and_then(|stem| match stem.splitn(3, '-').collect::<Vec<_>>()[..] {
                [checkpoint, number] | [checkpoint, number, _] => {
                    checkpoint::checkpoint_number(&format!("{checkpoint}-{number}"))
                }
                _ => None,
            });
        names.extend(number.map(|number| (name.clone(), number)));
    }
    names.sort_by_key(|(name, number)| (*number, name.clone()));
    Ok(names)
}

impl From<SealError> for CapsuleError {
    fn from(error: SealError) -> CapsuleError {
        CapsuleError::Seal(error)
    }
}
