//! Redaction: leaves out, spans back, placeholders in. The plugin finds; the host owns the bytes.

use crate::excluded::{self, EXCLUDED_PATH_RULE};
use crate::guard::{KNOWN_VALUE_RULE, KnownValues};
use crate::json::{self, Leaf};
use crate::memo::Memo;
use crate::restore::Restorer;
use crate::tag::{Tagger, placeholder};
use sluice_core::contract::redactor::{Content, Field, FieldResult, Span};
use sluice_core::record::Finding;
use sluice_core::{Digest, Egress, FaultCode, Guard};
use sluice_plugin::Redactor;
use std::collections::BTreeSet;
use std::ops::Range;

/// JSON texts inside strings (tool arguments) are opened this deep.
const NESTING_MAX: usize = 3;

/// Largest body that is scanned; a larger one is refused, never sent unscanned.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// Most findings that are listed; a body with more is blocked, since its record would have no bound.
const FINDINGS_MAX: usize = 10_000;

/// Values under these keys are signed or looked up by their provider: an edit would break the session, so a
/// finding inside one blocks instead.
const PROTECTED_KEYS: &[&str] = &["signature", "thoughtSignature", "encrypted_content", "model"];

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
    /// What was found.
    pub findings: Vec<Finding>,
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
    /// What was scanned before in the same run.
    pub memo: Option<&'a Memo>,
}

/// One string on its way through: a leaf of the body, or of a JSON text inside a leaf.
struct Piece {
    leaf: Leaf,
    /// The JSON text inside, where there is one; its pieces are scanned instead of the whole.
    nested: Option<Vec<Piece>>,
}

/// A span that is going to be replaced.
#[derive(Clone)]
pub(crate) struct Cut {
    pub at: Range<usize>,
    pub rule: String,
    confidence_permille: u32,
    /// Holds a value that the host's guard knows: replaced wherever it goes.
    known: bool,
}

impl Cut {
    /// All of a leaf that is left out for its path.
    fn whole(leaf: &Leaf) -> Cut {
        let rule = EXCLUDED_PATH_RULE.to_owned();
        Cut { at: 0..leaf.text.len(), rule, confidence_permille: 1000, known: false }
    }
}

impl Scan<'_> {
    /// Scans a JSON body.
    pub fn body(&self, direction: Direction, raw: &str) -> Result<Scanned, Blocked> {
        if raw.len() > BODY_BYTES_MAX {
            return Err(Blocked::TooLarge);
        }
        let leaves = json::leaves(raw).map_err(Blocked::NotJson)?;
        let excluded = excluded::pointers(&leaves);
        let pieces = pieces(leaves, "", NESTING_MAX, &excluded);
        let mut flat = Vec::new();
        flatten(&pieces, &mut flat);
        let (mut cuts, fuel_used) = self.find(direction, &flat)?;
        for (leaf, cuts) in flat.iter().zip(&mut cuts).filter(|(leaf, _)| leaf.excluded) {
            if !leaf.text.is_empty() && !excluded::is_left_out(&leaf.text) {
                cuts.push(Cut::whole(leaf));
                *cuts = joined(std::mem::take(cuts));
            }
        }
        let mut done = Done {
            scan: self,
            cuts: cuts.into_iter(),
            findings: Vec::new(),
            sure: 0,
            restorer: Restorer::default(),
        };
        let (record, wire) = done.rebuild(raw, &pieces)?;
        self.finish(done, record, wire, &flat, fuel_used)
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
        };
        let flat = [&leaf];
        let (mut cuts, fuel_used) = self.find(direction, &flat)?;
        let mut done = Done {
            scan: self,
            cuts: Vec::new().into_iter(),
            findings: Vec::new(),
            sure: 0,
            restorer: Restorer::default(),
        };
        let (record, wire) = done.replace(&leaf, cuts.pop().unwrap_or_default())?;
        let (record, wire) =
            (record.unwrap_or_else(|| text.to_owned()), wire.unwrap_or_else(|| text.to_owned()));
        self.finish(done, record, wire, &flat, fuel_used)
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
    fn replaces(&self, cut: &Cut) -> bool {
        cut.known || (self.egress == Egress::Redact && self.is_sure(cut))
    }

    fn is_sure(&self, cut: &Cut) -> bool {
        cut.confidence_permille >= self.confidence_permille_min
    }

    fn finish(
        &self,
        done: Done<'_, '_>,
        record: String,
        wire: String,
        flat: &[&Leaf],
        fuel_used: u64,
    ) -> Result<Scanned, Blocked> {
        if self.egress == Egress::Block && done.sure > 0 {
            return Err(Blocked::ByPolicy(done.sure));
        }
        // The last look: known values pass nowhere, whatever policy says of findings.
        let survives = |text: &str| self.guard.finds_secret(text.as_bytes());
        if survives(&record) || (wire != record && survives(&wire)) {
            return Err(Blocked::Survivor);
        }
        Ok(Scanned {
            record,
            wire,
            findings: done.findings,
            fields: flat.len() as u64,
            bytes: flat.iter().map(|leaf| leaf.text.len() as u64).sum(),
            fuel_used,
            restorer: done.restorer,
        })
    }
}

fn field<'a>(direction: Direction, leaf: &'a Leaf) -> Field<'a> {
    Field {
        path: &leaf.path,
        key: leaf.key.as_deref(),
        direction: direction.code(),
        author: "",
        tool_name: None,
        media_type: "",
        content: Content::Text(&leaf.text),
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}

/// Opens JSON texts inside strings. What does not parse is a string like any other.
fn pieces(leaves: Vec<Leaf>, prefix: &str, depth: usize, excluded: &[String]) -> Vec<Piece> {
    leaves
        .into_iter()
        .map(|mut leaf| {
            leaf.path.insert_str(0, prefix);
            // Keys give a body its shape: they are scanned like any text, and stay.
            leaf.excluded =
                !leaf.path.contains("/#key/") && excluded.iter().any(|at| is_under(&leaf.path, at));
            let looks_nested = depth > 0 && !leaf.excluded && leaf.text.trim_start().starts_with(['{', '[']);
            let nested = if looks_nested { json::leaves(&leaf.text).ok() } else { None };
            // A list of numbers has no leaves of its own: then the text itself is what is scanned.
            let nested = nested.filter(|inner| !inner.is_empty());
            let nested = nested.map(|inner| pieces(inner, &leaf.path, depth - 1, &[]));
            Piece { leaf, nested }
        })
        .collect()
}

/// Whether a pointer leads into, or to, the value at another.
fn is_under(path: &str, at: &str) -> bool {
    path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn flatten<'a>(pieces: &'a [Piece], out: &mut Vec<&'a Leaf>) {
    for piece in pieces {
        match &piece.nested {
            Some(inner) => flatten(inner, out),
            None => out.push(&piece.leaf),
        }
    }
}

/// Overlapping spans become one: the union, under the rule of the surest (of equals, the longest) part. So do two
/// of one rule that touch: a stream that was cut between them could not tell them from one.
pub(crate) fn joined(mut cuts: Vec<Cut>) -> Vec<Cut> {
    cuts.sort_by_key(|cut| (cut.at.start, std::cmp::Reverse(cut.at.end)));
    let mut merged: Vec<(Cut, usize)> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let length = cut.at.len();
        match merged.last_mut() {
            Some((last, best))
                if cut.at.start < last.at.end || (cut.at.start == last.at.end && cut.rule == last.rule) =>
            {
                last.at.end = last.at.end.max(cut.at.end);
                last.known |= cut.known;
                if (cut.confidence_permille, length) > (last.confidence_permille, *best) {
                    last.rule = cut.rule;
                    last.confidence_permille = cut.confidence_permille;
                    *best = length;
                }
            }
            _ => merged.push((cut, length)),
        }
    }
    merged.into_iter().map(|(cut, _)| cut).collect()
}

/// Puts the cuts back into the body, leaf by leaf in the order of the scan.
struct Done<'a, 'b> {
    scan: &'a Scan<'b>,
    cuts: std::vec::IntoIter<Vec<Cut>>,
    findings: Vec<Finding>,
    /// Findings at or above the policy's confidence.
    sure: usize,
    restorer: Restorer,
}

impl Done<'_, '_> {
    /// `raw` for the record and for the wire.
    fn rebuild(&mut self, raw: &str, pieces: &[Piece]) -> Result<(String, String), Blocked> {
        let (mut record, mut wire) = (Vec::new(), Vec::new());
        for piece in pieces {
            let (for_record, for_wire) = match &piece.nested {
                Some(inner) => {
                    let (r, w) = self.rebuild(&piece.leaf.text, inner)?;
                    (Some(r).filter(|r| *r != piece.leaf.text), Some(w).filter(|w| *w != piece.leaf.text))
                }
                None => {
                    let cuts = self.cuts.next().unwrap_or_default();
                    self.replace(&piece.leaf, cuts)?
                }
            };
            record.extend(for_record.map(|text| (piece.leaf.at.clone(), text)));
            wire.extend(for_wire.map(|text| (piece.leaf.at.clone(), text)));
        }
        Ok((json::splice(raw, &record), json::splice(raw, &wire)))
    }

    /// One leaf with its cuts replaced: for the record, and for the wire; `None` where it stays as it is.
    fn replace(&mut self, leaf: &Leaf, cuts: Vec<Cut>) -> Result<(Option<String>, Option<String>), Blocked> {
        if cuts.is_empty() {
            return Ok((None, None));
        }
        if leaf.key.as_deref().is_some_and(|key| PROTECTED_KEYS.contains(&key)) {
            return Err(Blocked::ProtectedField);
        }
        let (mut record, mut wire) = (String::new(), String::new());
        let mut done = 0;
        for cut in cuts {
            let secret = &leaf.text[cut.at.clone()];
            let between = &leaf.text[done..cut.at.start];
            let tag = self.scan.tagger.tag(secret.as_bytes());
            let mark = placeholder(&cut.rule, &tag);
            record.push_str(between);
            record.push_str(&mark);
            wire.push_str(between);
            self.sure += usize::from(self.scan.is_sure(&cut));
            let replaced = self.scan.replaces(&cut);
            wire.push_str(if replaced { &mark } else { secret });
            if replaced && !cut.known {
                self.restorer.remember(&mark, secret);
            }
            done = cut.at.end;
            self.findings.push(Finding {
                path: leaf.path.clone(),
                rule: cut.rule,
                start: cut.at.start as u64,
                end: cut.at.end as u64,
                tag,
            });
        }
        record.push_str(&leaf.text[done..]);
        wire.push_str(&leaf.text[done..]);
        Ok((Some(record), Some(wire)))
    }
}
