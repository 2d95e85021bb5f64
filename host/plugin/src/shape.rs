//! What the contract says of a returned value by itself: counts, ranges, lengths, codes. Whether a candidate is
//! allowed or a rule known is for governance, which knows the policy.
//!
//! Each check is bounded by the size of the value, which the transfer limit bounds.

mod about;
mod capture_filter;
mod health_probe;
mod redactor;
mod router;

pub(crate) use about::description;
pub(crate) use capture_filter::verdicts;
pub(crate) use health_probe::{judgement, plan};
pub(crate) use redactor::{results, rules};
pub(crate) use router::outcome;

use sluice_core::FaultCode;
use sluice_core::contract::is_code;

/// Most pairs of an `ext`, and most bytes of each text in it.
const EXT_PAIRS_MAX: usize = 64;
const EXT_TEXT_BYTES_MAX: usize = 1 << 10;

/// Most pairs of evidence, and most bytes of each text in it. Also of a sentence and a title.
const EVIDENCE_PAIRS_MAX: usize = 32;
const SENTENCE_BYTES_MAX: usize = 240;

/// Largest integer that the record can hold (see `sluice_core::canonical`). A plugin that says "no limit" with
/// the largest u64 means the same.
const RECORDED_MAX: u64 = (1 << 53) - 1;

/// The value keeps the contract, or it is [`FaultCode::BrokenContract`].
type Kept = Result<(), FaultCode>;

fn require(kept: bool) -> Kept {
    if kept { Ok(()) } else { Err(FaultCode::BrokenContract) }
}

fn ext(pairs: &[(String, String)]) -> Kept {
    short_pairs(pairs, EXT_PAIRS_MAX, EXT_TEXT_BYTES_MAX)
}

fn evidence(pairs: &[(String, String)]) -> Kept {
    short_pairs(pairs, EVIDENCE_PAIRS_MAX, SENTENCE_BYTES_MAX)
}

fn short_pairs(pairs: &[(String, String)], pairs_max: usize, bytes_max: usize) -> Kept {
    require(
        pairs.len() <= pairs_max
            && pairs.iter().all(|(key, value)| key.len() <= bytes_max && value.len() <= bytes_max),
    )
}

fn code(text: &str) -> Kept {
    require(is_code(text))
}
