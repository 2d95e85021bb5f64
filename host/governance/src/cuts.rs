//! Spans that are going to be replaced.

use crate::excluded::EXCLUDED_PATH_RULE;
use std::ops::Range;

/// A span that is going to be replaced.
#[derive(Clone)]
pub(crate) struct Cut {
    pub at: Range<usize>,
    pub rule: String,
    pub confidence_permille: u32,
    /// Holds a value that the host's guard knows: replaced wherever it goes.
    pub known: bool,
}

impl Cut {
    /// All of a leaf that is left out for its path.
    pub(crate) fn whole(text: &str) -> Cut {
        let rule = EXCLUDED_PATH_RULE.to_owned();
        Cut { at: 0..text.len(), rule, confidence_permille: 1000, known: false }
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
