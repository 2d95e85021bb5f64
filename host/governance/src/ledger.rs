//! What a run has come to, and what follows from it by policy alone: sums, budget marks, escalation. Live
//! keeps a ledger as it goes, replay derives the same one from the events.

use sluice_core::contract::router::{Budget, EarlierAttempt};
use sluice_core::record::{AttemptOutcome, BudgetThreshold, Escalation, ModelCallEnvelope, RunFinished};
use sluice_core::{MicroUsd, Usage};
use sluice_policy::PolicySnapshot;
use sluice_policy::snapshot::Budgets;
use std::collections::BTreeSet;

/// Sums of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Highest call number seen.
    pub calls: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Sum of known costs.
    pub spent: MicroUsd,
    /// Sum of known tokens.
    pub tokens: u64,
    /// Marks crossed so far: (budget, permille).
    crossed: BTreeSet<(&'static str, u32)>,
}

impl Ledger {
    /// What the router is told of the budget before an attempt.
    pub fn budget(&self, budgets: &Budgets) -> Budget {
        Budget {
            spent_micro_usd: self.spent.0,
            remaining_micro_usd: budgets.run_micro_usd_max.map(|max| max.saturating_sub(self.spent.0)),
            spent_tokens: self.tokens,
            remaining_tokens: budgets.run_tokens_max.map(|max| max.saturating_sub(self.tokens)),
        }
    }

    /// Adds one attempt and tells which marks it crossed.
    pub fn spend(&mut self, budgets: &Budgets, envelope: &ModelCallEnvelope) -> Vec<BudgetThreshold> {
        self.calls = self.calls.max(envelope.call);
        self.attempts += 1;
        self.spent.0 = self.spent.0.saturating_add(envelope.cost.unwrap_or_default().0);
        self.tokens = self.tokens.saturating_add(envelope.usage.map_or(0, |usage| usage.total()));
        let sums = [
            ("cost", self.spent.0, budgets.run_micro_usd_max),
            ("tokens", self.tokens, budgets.run_tokens_max),
        ];
        let mut crossed = Vec::new();
        for (budget, spent, limit) in sums {
            let Some(limit) = limit.filter(|limit| *limit > 0) else { continue };
            let permille = u128::from(spent) * 1000 / u128::from(limit);
            for mark in &budgets.marks_permille {
                if permille >= u128::from(*mark) && self.crossed.insert((budget, *mark)) {
                    let (call, budget, mark_permille) = (envelope.call, budget.to_owned(), *mark);
                    crossed.push(BudgetThreshold { call, budget, mark_permille, spent, limit });
                }
            }
        }
        crossed
    }

    /// The last event's payload.
    pub fn finished(&self, outcome: &str) -> RunFinished {
        RunFinished {
            outcome: outcome.to_owned(),
            calls: self.calls,
            attempts: self.attempts,
            cost: self.spent,
            tokens: self.tokens,
        }
    }
}

/// What the snapshot's prices make of a usage.
pub fn cost(policy: &PolicySnapshot, candidate: &str, usage: Option<&Usage>) -> Option<MicroUsd> {
    usage?.cost(&policy.model_config.models.get(candidate)?.prices)
}

/// One attempt, as later attempts of its call are told.
pub fn earlier(envelope: &ModelCallEnvelope) -> EarlierAttempt {
    EarlierAttempt {
        attempt: envelope.attempt,
        candidate: envelope.candidate.clone(),
        kind: envelope.outcome.code().to_owned(),
        retryable: envelope.outcome.retryable(),
        duration_ms: envelope.duration_ms,
    }
}

/// What an attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The answer is there.
    Done,
    /// The router is asked again.
    NextAttempt,
    /// No other attempt can help, or none is left.
    GiveUp,
}

/// What follows attempt number `attempt`.
pub fn step(policy: &PolicySnapshot, attempt: u32, outcome: AttemptOutcome) -> Step {
    let is_last = attempt >= policy.governance.escalation.attempts_max;
    match outcome {
        AttemptOutcome::Ok => Step::Done,
        outcome if outcome.retryable() && !is_last => Step::NextAttempt,
        _ => Step::GiveUp,
    }
}

/// The event of a failed attempt; `None` after an answer.
pub fn escalation(policy: &PolicySnapshot, envelope: &ModelCallEnvelope) -> Option<Escalation> {
    let outcome = envelope.outcome;
    let (step, reason) = match step(policy, envelope.attempt, outcome) {
        Step::Done => return None,
        Step::NextAttempt => ("next-attempt", outcome.code()),
        Step::GiveUp if outcome.retryable() => ("given-up", "attempts-exhausted"),
        Step::GiveUp => ("given-up", "not-retryable"),
    };
    Some(Escalation {
        call: envelope.call,
        attempt: envelope.attempt,
        from: envelope.candidate.clone(),
        outcome,
        step: step.to_owned(),
        reason: reason.to_owned(),
    })
}

/// Milliseconds before the attempt after `attempt`: doubled each time, at least what the server asked for,
/// at most what policy allows.
pub fn backoff_ms(policy: &PolicySnapshot, attempt: u32, retry_after_ms: Option<u64>) -> u64 {
    let rules = &policy.governance.escalation;
    let doubled = rules.backoff_ms.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.max(retry_after_ms.unwrap_or(0)).min(rules.backoff_ms_max)
}
