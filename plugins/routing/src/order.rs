//! In which order those that stand are tried.

use crate::config::Config;
use crate::contract::Facts;
use crate::screen::{self, REFLEX, Standing};

/// What decides between two candidates of the same tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The policy's own order.
    Policy,
    /// The lower estimate; policy order where equal. An unknown price comes last.
    Cost,
}

/// Better first; derived order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// A local endpoint that met every condition. It stays first after a failure that is worth repeating: its
    /// attempts are counted by a rule of their own.
    Reflex,
    /// Healthy, or never probed.
    Fresh,
    /// Answers, but slowly or in part.
    Degraded,
    /// Failed in this call in a way that may pass.
    Failed,
    /// The probe says no. Last, not passed over: a probe can be wrong or old, and a call that is refused for it
    /// would be lost for certain.
    Unhealthy,
    /// Failed in this call for good.
    FailedForGood,
}

impl Tier {
    pub fn of(standing: &Standing<'_>) -> Tier {
        let health = standing.candidate.health.state.as_str();
        match standing.failed {
            _ if standing.candidate.mode == REFLEX => Tier::Reflex,
            Some(attempt) if !screen::worth_repeating(attempt) => Tier::FailedForGood,
            _ if health == "unhealthy" => Tier::Unhealthy,
            Some(_) => Tier::Failed,
            None if health == "degraded" => Tier::Degraded,
            None => Tier::Fresh,
        }
    }

    /// What a person reads in the evidence of a candidate that stands behind others.
    pub fn code(self) -> &'static str {
        match self {
            Tier::Reflex => "reflex",
            Tier::Fresh => "fresh",
            Tier::Degraded => "degraded",
            Tier::Failed => "failed",
            Tier::Unhealthy => "unhealthy",
            Tier::FailedForGood => "failed-for-good",
        }
    }
}

/// Best first.
pub fn arrange<'a>(
    order: Order,
    config: &Config,
    facts: &Facts,
    mut standing: Vec<Standing<'a>>,
) -> Vec<Standing<'a>> {
    let attempts = |one: &Standing<'_>| {
        facts.earlier.iter().filter(|attempt| attempt.candidate == one.candidate.id).count()
    };
    standing.sort_by_cached_key(|one| {
        let cost = match order {
            Order::Policy => 0,
            Order::Cost => one.estimate_micro_usd.unwrap_or(u64::MAX),
        };
        (Tier::of(one), attempts(one), preference(config, one), cost, one.position)
    });
    standing
}

/// Position in `prefer` of the first entry that names the candidate; behind all entries where none does.
pub fn preference(config: &Config, one: &Standing<'_>) -> usize {
    let candidate = one.candidate;
    let named = |name: &String| [&candidate.id, &candidate.provider, &candidate.model].contains(&name);
    config.prefer.iter().position(named).unwrap_or(config.prefer.len())
}
