//! `filter`.

use super::{code, ext, require};
use sluice_core::FaultCode;
use sluice_core::contract::capture_filter::FilterVerdict;

/// The verdicts, if they keep the contract: one an item, in the order of the items.
pub(crate) fn verdicts(verdicts: Vec<FilterVerdict>, items: usize) -> Result<Vec<FilterVerdict>, FaultCode> {
    require(verdicts.len() == items)?;
    for verdict in &verdicts {
        code(&verdict.reason)?;
        ext(&verdict.ext)?;
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::contract::capture_filter::FilterAction;

    #[test]
    fn each_rule_is_kept() {
        let sound = FilterVerdict { action: FilterAction::Keep, reason: "clean".into(), ext: vec![] };
        assert!(verdicts(vec![sound.clone()], 1).is_ok());
        let broken = [
            ("too few", vec![], 1),
            ("too many", vec![sound.clone(), sound.clone()], 1),
            ("no reason", vec![FilterVerdict { reason: String::new(), ..sound.clone() }], 1),
            ("a large ext", vec![FilterVerdict { ext: vec![("x".repeat(1025), String::new())], ..sound }], 1),
        ];
        for (what, value, items) in broken {
            assert_eq!(verdicts(value, items), Err(FaultCode::BrokenContract), "{what}");
        }
    }
}
