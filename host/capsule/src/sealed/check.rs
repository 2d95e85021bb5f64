//! Sealed files against their records, the journal, and what was signed.

use super::load;
use crate::SEALED_FOLDER;
use crate::checkpoint::Statement;
use crate::error::CapsuleError;
use crate::flaw::{Flaw, FlawKind};
use crate::healing::{file_name, sealed_names};
use crate::journal::{Journal, SealRow};
use crate::keys::PublicKey;
use crate::ledger::bad_row;
use crate::sealing::seals;
use sluice_core::canonical;
use sluice_seal::{SealError, SealedReader};
use std::collections::BTreeMap;
use std::path::Path;

/// What is held against each other.
pub(crate) struct Check<'c> {
    /// The capsule's folder.
    pub capsule: &'c Path,
    pub journal: &'c dyn Journal,
    pub workspace: &'c str,
    pub key: PublicKey,
    /// The statements whose signature holds, by number.
    pub statements: &'c BTreeMap<u64, Statement>,
    pub flag: &'c mut dyn FnMut(Flaw),
}

/// How much is sealed, and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    pub files: u64,
    /// Every frame up to this position is in a sealed file that holds.
    pub through: u64,
}

impl Check<'_> {
    /// Looks at every file that has a record, and at those without that say something about the journal.
    pub fn run(&mut self) -> Result<Sound, CapsuleError> {
        let recorded = seals(self.journal)?;
        let (mut sound, mut covered, mut whole) = (Sound::default(), 0, true);
        for row in &recorded {
            if row.first != covered + 1 || row.last < row.first {
                let message =
                    format!("it is recorded from position {}, after one that ends at {covered}", row.first);
                self.flaw(FlawKind::Index, &row.path, message);
                whole = false;
            }
            covered = row.last;
            let holds = self.file(row)?;
            sound.files += u64::from(holds);
            whole &= holds;
            if whole {
                sound.through = row.last;
            }
        }
        self.newer_than_the_journal(&recorded)?;
        Ok(sound)
    }

    fn flaw(&mut self, kind: FlawKind, uri: &str, message: impl Into<String>) -> bool {
        (self.flag)(Flaw::new(kind, uri, message));
        false
    }

    fn file(&mut self, row: &SealRow) -> Result<bool, CapsuleError> {
        let Some(name) = file_name(row) else {
            return Ok(self.flaw(
                FlawKind::Index,
                &row.path,
                "it is not a file of the folder of sealed files",
            ));
        };
        let reader = match SealedReader::open(&self.capsule.join(SEALED_FOLDER).join(name)) {
            Ok(reader) => reader,
            Err(SealError::Damaged { damage, .. }) => {
                return Ok(self.flaw(FlawKind::Seal, &row.path, damage.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let sealed = reader.sealed();
        if sealed.merkle_root != row.root {
            return Ok(self.flaw(FlawKind::Seal, &row.path, "it has another root than the one recorded"));
        }
        let mut holds = true;
        if sealed.sha256 != row.file {
            let message = "its frames are those recorded, but other bytes of the file are not";
            holds = self.flaw(FlawKind::Seal, &row.path, message);
        }
        if !self.is_signed(&reader, row) {
            let message = "what it says of itself is not what a checkpoint of the journal signed";
            holds = self.flaw(FlawKind::Seal, &row.path, message);
        }
        Ok(self.same_frames(&reader, row)? && holds)
    }

    /// Whether the file's statement is the one that the journal holds, and covers what the file holds.
    fn is_signed(&self, reader: &SealedReader, row: &SealRow) -> bool {
        let manifest = reader.manifest();
        let Some(signed) = load::signed(reader) else { return false };
        let text = |statement: &Statement| canonical::to_bytes(statement).ok();
        let known = self.statements.get(&signed.statement.number);
        known.is_some_and(|known| text(known) == text(&signed.statement))
            && signed.verifies(&self.key)
            && (manifest.first, manifest.last) == (row.first, row.last)
            && signed.statement.first <= row.first
            && row.last <= signed.statement.last
            && manifest.workspace == self.workspace
    }

    /// Frame by frame what the journal holds.
    fn same_frames(&mut self, reader: &SealedReader, row: &SealRow) -> Result<bool, CapsuleError> {
        let mut flaw = None;
        let mut lines = reader.entries().iter().zip(reader.lines());
        self.journal.frames(row.first, row.last, &mut |frame| {
            let frame = match frame {
                Ok(frame) => frame,
                // The journal's own damage, told with the rest of it.
                Err(bad) => {
                    flaw = Some(bad_row(&bad));
                    return Ok(false);
                }
            };
            let differs = match lines.next() {
                Some((_, line)) if line == frame.line() => return Ok(true),
                Some((entry, _)) => {
                    format!("it holds `{}` where the journal holds `{}`", entry.uri, frame.uri)
                }
                None => format!("it lacks `{}`", frame.uri),
            };
            let altered = "; one of the two was altered";
            flaw = Some(Flaw::new(FlawKind::Seal, &row.path, format!("{differs}{altered}")));
            Ok(false)
        })?;
        if flaw.is_none() && lines.next().is_some() {
            let message = "it holds more than the journal does at these positions";
            flaw = Some(Flaw::new(FlawKind::Seal, &row.path, message));
        }
        let same = flaw.is_none();
        flaw.into_iter().for_each(|flaw| (self.flag)(flaw));
        Ok(same)
    }

    /// A sealed file of a checkpoint that the journal does not have shows that the journal was longer.
    fn newer_than_the_journal(&mut self, recorded: &[SealRow]) -> Result<(), CapsuleError> {
        let dir = self.capsule.join(SEALED_FOLDER);
        if !dir.is_dir() {
            return Ok(());
        }
        let last = self.statements.keys().next_back().copied().unwrap_or(0);
        for (name, number) in sealed_names(&dir)? {
            if number <= last || recorded.iter().any(|row| file_name(row) == Some(name.as_str())) {
                continue;
            }
            let reader = SealedReader::open(&dir.join(&name)).ok();
            let signed = reader.as_ref().and_then(load::signed).filter(|signed| signed.verifies(&self.key));
            if let Some(signed) = signed.filter(|signed| signed.statement.workspace == self.workspace) {
                let message = format!(
                    "it holds what {} signed, and the journal has no such checkpoint: the journal was cut, or is an older copy",
                    signed.statement.checkpoint
                );
                self.flaw(FlawKind::Missing, &format!("{SEALED_FOLDER}/{name}"), message);
            }
        }
        Ok(())
    }
}
