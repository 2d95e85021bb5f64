//! What an attempt may cost.

use crate::contract::{Candidate, Facts};

/// Prices are stated for this many units.
const UNITS_PER_PRICE: u128 = 1_000_000;

/// The most that one attempt can cost, in micro-USD: the estimated input and the whole output allowance, rounded up.
/// `None` where policy states no price for either unit: an unknown price is not zero.
pub fn estimate_micro_usd(facts: &Facts, candidate: &Candidate) -> Option<u64> {
    let price = |unit: &str| {
        candidate
            .prices
            .iter()
            .find(|price| price.unit == unit)
            .map(|price| u128::from(price.micro_usd_per_million))
    };
    // Neither product can overflow: 64 by 64 bits. Their sum can only past 2^127, which two such products do not reach
    // unless both are near 2^128; saturating says so without a proof.
    let input = u128::from(facts.input_tokens) * price("input-token")?;
    let output = u128::from(facts.output_tokens_max) * price("output-token")?;
    let micro_usd = input.saturating_add(output).div_ceil(UNITS_PER_PRICE);
    Some(u64::try_from(micro_usd).unwrap_or(u64::MAX))
}
