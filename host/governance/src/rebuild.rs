//! What the scan found, put back into the text: once for the record, once for the wire.

use crate::cuts::Cut;
use crate::json::{self, Leaf};
use crate::pieces::Piece;
use crate::protected::Protection;
use crate::redact::{Blocked, Scan};
use crate::restore::Restorer;
use crate::tag::placeholder;
use sluice_core::record::Finding;

/// Puts the cuts back into the body, leaf by leaf in the order of the scan.
pub(crate) struct Rebuild<'a, 'b> {
    scan: &'a Scan<'b>,
    cuts: std::vec::IntoIter<Vec<Cut>>,
    /// What was replaced.
    pub findings: Vec<Finding>,
    /// What was found in protected values.
    pub dropped: Vec<Finding>,
    /// Findings at or above the policy's confidence.
    pub sure: usize,
    pub restorer: Restorer,
    /// Values of the body itself that must not be edited, and hold a finding: where they stand.
    pub protected: Vec<(usize, Protection)>,
}

impl<'a, 'b> Rebuild<'a, 'b> {
    /// `cuts` are those of each leaf, in order.
    pub(crate) fn new(scan: &'a Scan<'b>, cuts: Vec<Vec<Cut>>) -> Rebuild<'a, 'b> {
        let cuts = cuts.into_iter();
        Rebuild {
            scan,
            cuts,
            findings: Vec::new(),
            dropped: Vec::new(),
            sure: 0,
            restorer: Restorer::default(),
            protected: Vec::new(),
        }
    }

    /// `raw` for the record and for the wire.
    pub(crate) fn body(&mut self, raw: &str, pieces: &[Piece]) -> Result<(String, String), Blocked> {
        self.pieces(raw, pieces, true)
    }

    fn pieces(&mut self, raw: &str, pieces: &[Piece], is_body: bool) -> Result<(String, String), Blocked> {
        let (mut record, mut wire) = (Vec::new(), Vec::new());
        for piece in pieces {
            let (for_record, for_wire) = match &piece.nested {
                Some(inner) => {
                    let (r, w) = self.pieces(&piece.leaf.text, inner, false)?;
                    (Some(r).filter(|r| *r != piece.leaf.text), Some(w).filter(|w| *w != piece.leaf.text))
                }
                None => {
                    let cuts = self.cuts.next().unwrap_or_default();
                    match Protection::of(&piece.leaf).filter(|_| !cuts.is_empty()) {
                        Some(protection) => self.protect(protection, &piece.leaf, cuts, is_body)?,
                        None => self.leaf(&piece.leaf, cuts),
                    }
                }
            };
            record.extend(for_record.map(|text| (piece.leaf.at.clone(), text)));
            wire.extend(for_wire.map(|text| (piece.leaf.at.clone(), text)));
        }
        Ok((json::splice(raw, &record), json::splice(raw, &wire)))
    }

    /// A value that is not edited. Inside of a string that is JSON no provider has signed anything: what such a value
    /// is there, nobody knows.
    fn protect(
        &mut self,
        protection: Protection,
        leaf: &Leaf,
        cuts: Vec<Cut>,
        is_body: bool,
    ) -> Result<(Option<String>, Option<String>), Blocked> {
        let counting: Vec<Cut> = cuts.into_iter().filter(|cut| protection.counts(cut)).collect();
        if counting.is_empty() {
            return Ok((None, None));
        }
        if !is_body {
            return Err(Blocked::ProtectedField);
        }
        self.protected.push((leaf.at.start, protection));
        for cut in counting {
            self.sure += usize::from(self.scan.is_sure(&cut));
            let tag = self.scan.tagger.tag(leaf.text[cut.at.clone()].as_bytes());
            self.dropped.push(finding(leaf, cut, tag));
        }
        Ok((None, None))
    }

    /// One leaf with its cuts replaced: for the record, and for the wire; `None` where it stays as it is.
    pub(crate) fn leaf(&mut self, leaf: &Leaf, cuts: Vec<Cut>) -> (Option<String>, Option<String>) {
        if cuts.is_empty() {
            return (None, None);
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
            self.findings.push(finding(leaf, cut, tag));
        }
        record.push_str(&leaf.text[done..]);
        wire.push_str(&leaf.text[done..]);
        (Some(record), Some(wire))
    }
}

fn finding(leaf: &Leaf, cut: Cut, tag: String) -> Finding {
    Finding {
        path: leaf.path.clone(),
        rule: cut.rule,
        start: cut.at.start as u64,
        end: cut.at.end as u64,
        tag,
    }
}
