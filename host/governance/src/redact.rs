//! Redaction: leaves out, spans back, placeholders in. The plugin finds; the host owns the bytes.

use crate::author::Origin;
use crate::cuts::{Cut, joined};
use crate::excluded;
use crate::guard::{KNOWN_VALUE_RULE, KnownValues};
use crate::json::{self, Leaf};
use crate::memo::{Clean, Memo};
use crate::origin;
use crate::pieces::Pieces;
use crate::protected::{self, Protection};
use crate::rebuild::Rebuild;
use crate::restore::Restorer;
use crate::tag::{Tagger, placeholder};
use sluice_core::contract::redactor::{Content, Field, FieldResult, Span};
use sluice_core::record::Finding;
use sluice_core::{Digest, Egress, FaultCode, Guard, Protected};
use sluice_plugin::Redactor;
use std::collections::BTreeSet;

/// Largest body that is scanned; a larger one is refused, never sent unscanned.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// Most findings that are listed; a body with more is blocked, since its record would have no bound.
const FINDINGS_MAX: usize = 10_000;

/// Which way a text goes, as the contract spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To a model.
    Request,
    /// From a model.
    Response,
    /// Into the record.
    Record,
}

impl Direction {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Response => "response",
            Direction::Record => "record",
        }
    }
}

/// A text that was scanned, in both forms it goes on in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// With every finding replaced: the only form that is ever stored.
    pub record: String,
    /// With the findings replaced that policy wants replaced in what leaves.
    pub wire: String,
    /// What was found, and replaced.
    pub findings: Vec<Finding>,
    /// What was found in values that are not edited: the blocks around them are left out.
    pub dropped: Vec<Finding>,
    /// Strings scanned.
    pub fields: u64,
    /// Bytes scanned, unescaped.
    pub bytes: u64,
    /// Fuel of the redactor.
    pub fuel_used: u64,
    /// What was replaced in `wire`, for whoever may put it back.
    pub restorer: Restorer,
}

/// Why a text may not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The redactor gave no usable answer.
    #[error("the redactor failed: {0}")]
    Redactor(FaultCode),
    /// Policy blocks texts with findings.
    #[error("policy blocks text with secrets: {0} found")]
    ByPolicy(usize),
    /// A finding inside a value that must not be edited.
    #[error("a secret inside a protected field")]
    ProtectedField,
    /// Not the JSON that it should be.
    #[error("the body is not JSON")]
    NotJson(#[source] json::JsonError),
    /// Larger than [`BODY_BYTES_MAX`], or more than 10,000 findings.
    #[error("the text is too large to scan")]
    TooLarge,
    /// A known value was still there after redaction: a defect, caught by the last look.
    #[error("a known secret survived redaction")]
    Survivor,
}

/// What to scan with, and what to do about findings.
pub struct Scan<'a> {
    /// The pinned plugin.
    pub redactor: &'a Redactor,
    /// Its configuration, as JSON text.
    pub config: &'a str,
    /// Ids that the snapshot says it has.
    pub rules: &'a BTreeSet<String>,
    /// The host's own known values.
    pub guard: &'a KnownValues,
    /// Tags of the run.
    pub tagger: &'a Tagger,
    /// What policy says of findings in what leaves.
    pub egress: Egress,
    /// Findings below this are replaced in the record and left alone on the wire.
    pub confidence_permille_min: u32,
    /// What policy says of findings in values that are not edited.
    pub protected: Protected,
    /// What was scanned before in the same run.
    pub memo: Option<&'a Memo>,
}

impl Scan<'_> {
    /// Scans a JSON body.
    pub fn body(&self, direction: Direction, raw: &str) -> Result<Scanned, Blocked> {
        self.body_told(direction, raw, origin::TOLD)
    }

    /// The same, and the redactor is told what a record with this `told` says that it was.
    pub(crate) fn body_told(&self, direction: Direction, raw: &str, told: u64) -> Result<Scanned, Blocked> {
        let (values, dropped, fuel_used) = match self.look(direction, raw, told)? {
            Looked::Whole(scanned) => return Ok(scanned),
            Looked::Protected { values, dropped, fuel_used } => (values, dropped, fuel_used),
        };
        let without = match self.protected {
            Protected::Block => None,
            Protected::Drop => protected::without_blocks(raw, &values),
        };
        match self.look(direction, &without.ok_or(Blocked::ProtectedField)?, told)? {
            Looked::Whole(rest) => Ok(Scanned { dropped, fuel_used: fuel_used + rest.fuel_used, ..rest }),
            Looked::Protected { .. } => Err(Blocked::ProtectedField),
        }
    }

    fn look(&self, direction: Direction, raw: &str, told: u64) -> Result<Looked, Blocked> {
        if raw.len() > BODY_BYTES_MAX {
            return Err(Blocked::TooLarge);
        }
        let remembered = self.memo.map(|memo| (memo, self.depends_on(direction)));
        let pieces =
            Pieces::of(raw, (told > 0).then_some(direction), remembered).map_err(Blocked::NotJson)?;
        let flat = pieces.flat();
        let (mut cuts, fuel_used) = self.find(direction, &flat)?;
        if let Some(memo) = self.memo {
            pieces.remember(memo, cuts.iter().map(|cuts| !cuts.is_empty()));
        }
        for (leaf, cuts) in flat.iter().zip(&mut cuts).filter(|(leaf, _)| leaf.excluded) {
            if !leaf.text.is_empty() && !excluded::is_left_out(&leaf.text) {
                cuts.push(Cut::whole(&leaf.text));
                *cuts = joined(std::mem::take(cuts));
            }
        }
        let scanned = pieces.clean.and(Clean::of(&flat));
        let mut rebuild = Rebuild::new(self, cuts);
        let (record, wire) = rebuild.body(raw, &pieces.all)?;
        self.finish(rebuild, record, wire, scanned, fuel_used)
    }

    /// What a result depends on beside the string itself.
    fn depends_on(&self, direction: Direction) -> Digest {
        let redactor = self.redactor.plugin_ref().digest;
        let (guard, direction) = (self.guard.fingerprint().as_bytes(), direction.code().as_bytes());
        Digest::of_parts(&[redactor.as_bytes(), self.config.as_bytes(), guard, direction])
    }

    /// Scans a text that is not JSON.
    pub fn text(&self, direction: Direction, text: &str) -> Result<Scanned, Blocked> {
        if text.len() > BODY_BYTES_MAX {
            return Err(Blocked::TooLarge);
        }
        let leaf = Leaf {
            path: String::new(),
            key: None,
            at: 0..text.len(),
            text: text.to_owned(),
            excluded: false,
            origin: Origin::default(),
        };
        let flat = [&leaf];
        let (mut cuts, fuel_used) = self.find(direction, &flat)?;
        let mut rebuild = Rebuild::new(self, Vec::new());
        let (record, wire) = rebuild.leaf(&leaf, cuts.pop().unwrap_or_default());
        let (record, wire) =
            (record.unwrap_or_else(|| text.to_owned()), wire.unwrap_or_else(|| text.to_owned()));
        match self.finish(rebuild, record, wire, Clean::of(&flat), fuel_used)? {
            Looked::Whole(scanned) => Ok(scanned),
            Looked::Protected { .. } => Err(Blocked::ProtectedField),
        }
    }

    /// Asks plugin and guard; returns the merged cuts of each leaf, in order.
    fn find(&self, direction: Direction, flat: &[&Leaf]) -> Result<(Vec<Vec<Cut>>, u64), Blocked> {
        let fields: Vec<Field<'_>> = flat.iter().map(|leaf| field(direction, leaf)).collect();
        let (results, fuel_used) = match self.memo {
            Some(memo) => self.scan_new(memo, &fields)?,
            None => self.ask(&fields)?,
        };
        let mut all = Vec::with_capacity(flat.len());
        let mut total = 0;
        for (leaf, result) in flat.iter().zip(results) {
            let cuts = self.cuts(leaf, result.spans)?;
            total += cuts.len();
            all.push(cuts);
        }
        if total > FINDINGS_MAX { Err(Blocked::TooLarge) } else { Ok((all, fuel_used)) }
    }

    /// One result a field, out of the sandbox.
    pub(crate) fn ask(&self, fields: &[Field<'_>]) -> Result<(Vec<FieldResult>, u64), Blocked> {
        let called = self
            .redactor
            .scan(self.config, fields)
            .map_err(|error| Blocked::Redactor(error.fault_code().unwrap_or(FaultCode::HostFailure)))?;
        if called.value.len() != fields.len() {
            return Err(Blocked::Redactor(FaultCode::BrokenContract));
        }
        Ok((called.value, called.fuel_used))
    }

    /// The same, asking only about fields that were not asked about before.
    fn scan_new(&self, memo: &Memo, fields: &[Field<'_>]) -> Result<(Vec<FieldResult>, u64), Blocked> {
        let redactor = self.redactor.plugin_ref().digest;
        let keys: Vec<Digest> = fields.iter().map(|field| Memo::key(redactor, self.config, field)).collect();
        let mut results: Vec<Option<FieldResult>> = keys.iter().map(|key| memo.get(key)).collect();
        let missing = || results.iter().enumerate().filter(|(_, known)| known.is_none()).map(|(at, _)| at);
        let missing: Vec<usize> = missing().collect();
        let mut fuel_used = 0;
        if !missing.is_empty() {
            let new: Vec<Field<'_>> = missing.iter().map(|at| fields[*at].clone()).collect();
            let (found, fuel) = self.ask(&new)?;
            fuel_used = fuel;
            for (at, result) in missing.into_iter().zip(found) {
                memo.put(keys[at], &result);
                results[at] = Some(result);
            }
        }
        Ok((results.into_iter().flatten().collect(), fuel_used))
    }

    fn cuts(&self, leaf: &Leaf, spans: Vec<Span>) -> Result<Vec<Cut>, Blocked> {
        let mut cuts = self.plugin_cuts(&leaf.text, spans)?;
        cuts.extend(self.guard_cuts(&leaf.text));
        Ok(joined(cuts))
    }

    /// The redactor's spans, held against its contract.
    pub(crate) fn plugin_cuts(&self, text: &str, spans: Vec<Span>) -> Result<Vec<Cut>, Blocked> {
        let broken = || Blocked::Redactor(FaultCode::BrokenContract);
        let mut cuts = Vec::with_capacity(spans.len());
        for span in spans {
            let at = span.start as usize..span.end as usize;
            if at.is_empty() || text.get(at.clone()).is_none() || !self.rules.contains(&span.rule) {
                return Err(broken());
            }
            cuts.push(Cut {
                at,
                rule: span.rule,
                confidence_permille: span.confidence_permille,
                known: false,
            });
        }
        cuts.sort_by_key(|cut| (cut.at.start, std::cmp::Reverse(cut.at.end)));
        Ok(cuts)
    }

    /// Known values.
    pub(crate) fn guard_cuts(&self, text: &str) -> Vec<Cut> {
        let known =
            |at| Cut { at, rule: KNOWN_VALUE_RULE.to_owned(), confidence_permille: 1000, known: true };
        self.guard.spans(text.as_bytes()).into_iter().map(known).collect()
    }

    /// What stands in the place of `secret` in what leaves.
    pub(crate) fn on_the_wire(&self, cut: &Cut, secret: &str) -> String {
        match self.replaces(cut) {
            true => placeholder(&cut.rule, &self.tagger.tag(secret.as_bytes())),
            false => secret.to_owned(),
        }
    }

    /// Whether policy replaces it in what leaves. Known values pass nowhere.
    pub(crate) fn replaces(&self, cut: &Cut) -> bool {
        cut.known || (self.egress == Egress::Redact && self.is_sure(cut))
    }

    pub(crate) fn is_sure(&self, cut: &Cut) -> bool {
        cut.confidence_permille >= self.confidence_permille_min
    }

    fn finish(
        &self,
        done: Rebuild<'_, '_>,
        record: String,
        wire: String,
        scanned: Clean,
        fuel_used: u64,
    ) -> Result<Looked, Blocked> {
        if self.egress == Egress::Block && done.sure > 0 {
            return Err(Blocked::ByPolicy(done.sure));
        }
        if !done.protected.is_empty() {
            return Ok(Looked::Protected { values: done.protected, dropped: done.dropped, fuel_used });
        }
        // The last look: known values pass nowhere, whatever policy says of findings.
        let survives = |text: &str| self.guard.finds_secret(text.as_bytes());
        if survives(&record) || (wire != record && survives(&wire)) {
            return Err(Blocked::Survivor);
        }
        Ok(Looked::Whole(Scanned {
            record,
            wire,
            findings: done.findings,
            dropped: Vec::new(),
            fields: scanned.fields,
            bytes: scanned.bytes,
            fuel_used,
            restorer: done.restorer,
        }))
    }
}

/// What came of a look at a text.
enum Looked {
    Whole(Scanned),
    /// Findings in values that are not edited: where these stand, and what was found.
    Protected {
        values: Vec<(usize, Protection)>,
        dropped: Vec<Finding>,
        fuel_used: u64,
    },
}

fn field<'a>(direction: Direction, leaf: &'a Leaf) -> Field<'a> {
    Field {
        path: &leaf.path,
        key: leaf.key.as_deref(),
        direction: direction.code(),
        author: leaf.origin.author.code(),
        tool_name: leaf.origin.tool.as_deref(),
        media_type: leaf.origin.media_type.as_deref().unwrap_or_default(),
        content: Content::Text(&leaf.text),
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}
