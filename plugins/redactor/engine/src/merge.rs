//! Findings that overlap become one, from left to right: what stands further right than is settled never changes
//! what was given out.

use crate::scan::Finding;

/// So near to where a redacted stretch begins, a surer finding gives it its rule. One that begins later begins a
/// stretch of its own, since the rule before it may have been told already.
pub(crate) const JOIN_BYTES_MAX: usize = 32;

/// Findings that overlap, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Negative if it begins before the text.
    pub start: isize,
    pub end: usize,
    pub rule: u16,
    pub confidence: u16,
}

/// The stretches of `findings`, which are sorted, behind one that is open.
pub(crate) fn merge<'f>(open: Option<Stretch>, findings: impl Iterator<Item = &'f Finding>) -> Vec<Stretch> {
    let mut out = Vec::from_iter(open);
    for found in findings {
        let start = found.start as isize;
        let fresh = Stretch { start, end: found.end, rule: found.rule, confidence: found.confidence };
        let Some(last) = out.last_mut().filter(|last| found.start < last.end) else {
            out.push(fresh);
            continue;
        };
        let end = last.end.max(found.end);
        if found.confidence > last.confidence && start - last.start >= JOIN_BYTES_MAX as isize {
            last.end = found.start;
            out.push(Stretch { end, ..fresh });
        } else {
            last.end = end;
            if found.confidence > last.confidence {
                (last.rule, last.confidence) = (found.rule, found.confidence);
            }
        }
    }
    out
}

/// In the order in which [`merge`] takes them, which looks for the surest by itself. Where they end does not count: of
/// some that is not known yet.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|f| (f.start, f.rule));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Tail;

    fn stretches(spans: &[(usize, usize, u16)]) -> Vec<(isize, usize, u16)> {
        let found: Vec<Finding> = spans
            .iter()
            .map(|&(start, end, confidence)| Finding {
                start,
                end,
                rule: confidence,
                confidence,
                tail: Tail::Closed,
            })
            .collect();
        merge(None, found.iter()).iter().map(|s| (s.start, s.end, s.rule)).collect()
    }

    #[test]
    fn a_surer_finding_gives_its_rule_near_the_beginning_and_begins_anew_further_on() {
        assert_eq!(stretches(&[(0, 50, 800), (31, 60, 900)]), [(0, 60, 900)]);
        assert_eq!(stretches(&[(0, 50, 800), (32, 40, 900)]), [(0, 32, 800), (32, 50, 900)]);
        assert_eq!(stretches(&[(0, 50, 900), (40, 60, 800)]), [(0, 60, 900)]);
        assert_eq!(stretches(&[(0, 50, 800), (50, 60, 900)]), [(0, 50, 800), (50, 60, 900)]);
    }
}
