//! Money in micro-USD, tokens, and what a call costs. Integers only.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What a price counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriceUnit {
    /// Tokens of the prompt that were not served from a cache.
    InputToken,
    /// Tokens of the prompt that were served from a cache.
    CachedInputToken,
    /// Tokens of the answer, reasoning included.
    OutputToken,
}

impl PriceUnit {
    /// The contract's spelling.
    pub const fn code(self) -> &'static str {
        match self {
            PriceUnit::InputToken => "input-token",
            PriceUnit::CachedInputToken => "cached-input-token",
            PriceUnit::OutputToken => "output-token",
        }
    }
}

/// Micro-USD for a million units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// What is counted.
    pub unit: PriceUnit,
    /// Micro-USD per million of it: $3.00 per million tokens is 3,000,000.
    pub micro_usd_per_million: u64,
}

/// Tokens of one call, as the server counted them, in one convention: the three do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens not served from a cache.
    pub input_tokens: u64,
    /// Prompt tokens served from a cache.
    pub cached_input_tokens: u64,
    /// Answer tokens, reasoning included.
    pub output_tokens: u64,
}

impl Usage {
    /// All tokens of the call.
    pub fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.cached_input_tokens).saturating_add(self.output_tokens)
    }

    /// What this usage costs, rounded up to a whole micro-USD. `None` where a unit that was used has no
    /// price: an unknown price is never read as 0. Cached input without a price of its own costs what
    /// input costs.
    pub fn cost(&self, prices: &[Price]) -> Option<MicroUsd> {
        let price =
            |unit| prices.iter().find(|p| p.unit == unit).map(|p| u128::from(p.micro_usd_per_million));
        let part = |count: u64, price: Option<u128>| match (count, price) {
            (0, _) => Some(0),
            (count, Some(price)) => Some(u128::from(count) * price),
            (_, None) => None,
        };
        let input = price(PriceUnit::InputToken);
        let total = part(self.input_tokens, input)?
            + part(self.cached_input_tokens, price(PriceUnit::CachedInputToken).or(input))?
            + part(self.output_tokens, price(PriceUnit::OutputToken))?;
        u64::try_from(total.div_ceil(1_000_000)).ok().map(MicroUsd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SONNET: [Price; 3] = [
        Price { unit: PriceUnit::InputToken, micro_usd_per_million: 3_000_000 },
        Price { unit: PriceUnit::CachedInputToken, micro_usd_per_million: 300_000 },
        Price { unit: PriceUnit::OutputToken, micro_usd_per_million: 15_000_000 },
    ];

    #[test]
    fn cost_rounds_up_and_never_guesses() {
        let usage = Usage { input_tokens: 1000, cached_input_tokens: 10, output_tokens: 200 };
        assert_eq!(usage.cost(&SONNET), Some(MicroUsd(6003)));
        assert_eq!(Usage { input_tokens: 1, ..Usage::default() }.cost(&SONNET), Some(MicroUsd(3)));
        assert_eq!(usage.cost(&SONNET[..1]), None, "output was used and has no price");
        assert_eq!(Usage::default().cost(&[]), Some(MicroUsd(0)));
        assert_eq!(MicroUsd(6003).to_string(), "$0.006003");
    }
}
