//! A body, string by string: which of them are scanned, and which were before.

use crate::author::Origin;
use crate::excluded;
use crate::json::{self, JsonError, Leaf, Slot};
use crate::memo::{Clean, Memo};
use crate::origin::{self, is_under};
use crate::redact::Direction;
use sluice_core::Digest;

/// JSON texts inside strings (tool arguments) are opened this deep.
const NESTING_MAX: usize = 3;

/// One string on its way through: a leaf of the body, or of a JSON text inside a leaf.
pub(crate) struct Piece {
    pub leaf: Leaf,
    /// The JSON text inside, where there is one; its pieces are scanned instead of the whole.
    pub nested: Option<Vec<Piece>>,
    /// What the memo knows it under, if nothing is found in it.
    key: Option<Digest>,
}

/// The strings of a body that have to be looked at.
pub(crate) struct Pieces {
    pub all: Vec<Piece>,
    /// The others: nothing was found in them before.
    pub clean: Clean,
}

impl Pieces {
    /// Finds them. `told` is the way that the body goes, or nothing where the redactor is to be told nothing of who
    /// wrote it. `remembered` is the memo of the run, and a digest of what else the scan depends on.
    pub(crate) fn of(
        raw: &str,
        told: Option<Direction>,
        remembered: Option<(&Memo, Digest)>,
    ) -> Result<Pieces, JsonError> {
        let slots = json::slots(raw)?;
        let excluded = excluded::pointers(raw, &slots);
        let origins = told.map(|direction| origin::of(direction, raw, &slots)).unwrap_or_default();
        let origins = origins.into_iter().chain(std::iter::repeat_with(Origin::default));
        let mut pieces = Pieces { all: Vec::new(), clean: Clean::default() };
        for (slot, origin) in slots.into_iter().zip(origins) {
            // Keys give a body its shape: they are scanned like any text, and stay.
            let is_value = slot.key.is_some();
            let is_excluded = is_value && excluded.iter().any(|at| is_under(&slot.path, at));
            let key = remembered
                .filter(|_| !is_excluded)
                .map(|(memo, scan)| (memo, key_of(scan, raw, &slot, &origin)));
            match key.and_then(|(memo, key)| memo.clean(&key)) {
                Some(clean) => pieces.clean = pieces.clean.and(clean),
                None => {
                    let mut leaf = Leaf { excluded: is_excluded, origin, ..slot.read(raw) };
                    if told.is_some() && leaf.origin.media_type.is_none() {
                        leaf.origin.media_type = origin::of_data_url(leaf.key.as_deref(), &leaf.text);
                    }
                    let key = key.map(|(_, key)| key);
                    pieces.all.push(Piece { key, ..Piece::of(leaf, NESTING_MAX, told.is_some()) });
                }
            }
        }
        Ok(pieces)
    }

    /// The leaves that are scanned, in order.
    pub(crate) fn flat(&self) -> Vec<&Leaf> {
        let mut flat = Vec::new();
        self.all.iter().for_each(|piece| piece.flatten(&mut flat));
        flat
    }

    /// Remembers the pieces without a finding; `found` says of each leaf of [`Pieces::flat`] whether it has one.
    pub(crate) fn remember(&self, memo: &Memo, mut found: impl Iterator<Item = bool>) {
        for piece in &self.all {
            let mut leaves = Vec::new();
            piece.flatten(&mut leaves);
            let findings = found.by_ref().take(leaves.len()).filter(|found| *found).count();
            if let (Some(key), 0) = (piece.key, findings) {
                memo.put_clean(key, Clean::of(&leaves));
            }
        }
    }
}

impl Piece {
    /// Opens JSON texts inside strings. What does not parse is a string like any other. Whoever wrote a string wrote
    /// what is inside.
    fn of(mut leaf: Leaf, depth: usize, is_told: bool) -> Piece {
        let looks_nested = depth > 0 && !leaf.excluded && leaf.text.trim_start().starts_with(['{', '[']);
        let nested = if looks_nested { json::leaves(&leaf.text).ok() } else { None };
        // A list of numbers has no leaves of its own: then the text itself is what is scanned.
        if is_told && leaf.origin.media_type.is_none() && nested.as_ref().is_some_and(Vec::is_empty) {
            leaf.origin.media_type = Some(origin::JSON.into());
        }
        let nested = nested.filter(|inner| !inner.is_empty());
        let inside = |mut inner: Leaf| {
            inner.path.insert_str(0, &leaf.path);
            inner.origin = Origin { media_type: None, ..leaf.origin.clone() };
            Piece::of(inner, depth - 1, is_told)
        };
        let nested = nested.map(|leaves| leaves.into_iter().map(inside).collect());
        Piece { leaf, nested, key: None }
    }

    fn flatten<'a>(&'a self, out: &mut Vec<&'a Leaf>) {
        match &self.nested {
            Some(inner) => inner.iter().for_each(|piece| piece.flatten(out)),
            None => out.push(&self.leaf),
        }
    }
}

/// The string as it is written stands for the string: what is not yet read need not be.
fn key_of(scan: Digest, raw: &str, slot: &Slot, origin: &Origin) -> Digest {
    let key = slot.key.as_deref();
    let written = &raw.as_bytes()[slot.at.clone()];
    let (tool, media_type) = (origin.tool.as_deref(), origin.media_type.as_deref());
    let is_some = [key, tool, media_type].map(|text| u8::from(text.is_some()));
    // In one byte who wrote it and which of the three there are; then those that there are.
    let kinds = [is_some[0] | is_some[1] << 1 | is_some[2] << 2 | (origin.author as u8) << 3];
    let [key, tool, media_type] = [key, tool, media_type].map(|text| text.unwrap_or_default().as_bytes());
    match is_some {
        [_, 0, 0] => Digest::of_parts(&[scan.as_bytes(), slot.path.as_bytes(), &kinds, key, written]),
        _ => {
            Digest::of_parts(&[scan.as_bytes(), slot.path.as_bytes(), &kinds, key, written, tool, media_type])
        }
    }
}
