//! Who is passed over, and why.
//!
//! The rules for a local ("reflex") endpoint are all conditions of one sentence: it may serve the implementer in
//! the stage implement, while it is known to be healthy, after a bakeoff that met the thresholds, for a task that
//! suits it, unless the risk is high, the caller asked for cloud, or it has had its attempts.

use crate::config::Config;
use crate::contract::{Candidate, EarlierAttempt, Facts};
use crate::cost;

/// The mode of local endpoints.
pub const REFLEX: &str = "reflex";
/// The role that is never served locally and always with high reasoning.
pub const JUDGE: &str = "judge";

/// A candidate that can serve this attempt.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub candidate: &'a Candidate,
    /// Position in policy order.
    pub position: usize,
    /// See [`cost::estimate_micro_usd`].
    pub estimate_micro_usd: Option<u64>,
    /// The last failure of this candidate in this call.
    pub failed: Option<&'a EarlierAttempt>,
}

/// A candidate that cannot, with a kebab-case code and what it was measured against.
#[derive(Debug, Clone)]
pub struct PassedOver<'a> {
    pub candidate: &'a Candidate,
    pub code: &'static str,
    pub detail: String,
}

/// Every candidate is in exactly one of the two, in policy order.
pub struct Screened<'a> {
    pub standing: Vec<Standing<'a>>,
    pub passed_over: Vec<PassedOver<'a>>,
}

pub fn screen<'a>(config: &Config, facts: &'a Facts, candidates: &'a [Candidate]) -> Screened<'a> {
    let mut screened = Screened { standing: Vec::new(), passed_over: Vec::new() };
    let reflex_attempts = reflex_attempts(facts, candidates);
    for (position, candidate) in candidates.iter().enumerate() {
        let estimate_micro_usd = cost::estimate_micro_usd(facts, candidate);
        let failed = facts.earlier.iter().rev().find(|attempt| attempt.candidate == candidate.id);
        let refused = capability(facts, candidate)
            .or_else(|| {
                if candidate.mode == REFLEX {
                    reflex(facts, candidate, failed, reflex_attempts)
                } else {
                    None
                }
            })
            .or_else(|| context(facts, candidate))
            .or_else(|| budget(config, facts, estimate_micro_usd));
        match refused {
            None => screened.standing.push(Standing { candidate, position, estimate_micro_usd, failed }),
            Some((code, detail)) => {
                screened.passed_over.push(PassedOver { candidate, code, detail });
            }
        }
    }
    screened
}

/// Whether this attempt has to be made with high reasoning.
pub fn needs_high_reasoning(facts: &Facts) -> bool {
    facts.role == JUDGE || facts.needs.high_reasoning
}

/// Whether the same endpoint could answer the same request another time. The other kinds (`auth`, `not-found`,
/// `bad-request`, `refused`, `cancelled`, and any this router does not know) say the same thing again.
pub fn worth_repeating(attempt: &EarlierAttempt) -> bool {
    attempt.retryable
        && matches!(
            attempt.kind.as_str(),
            "timeout" | "unreachable" | "overloaded" | "server-error" | "bad-answer"
        )
}

fn reflex_attempts(facts: &Facts, candidates: &[Candidate]) -> usize {
    let is_reflex =
        |id: &str| candidates.iter().any(|candidate| candidate.mode == REFLEX && candidate.id == id);
    facts.earlier.iter().filter(|attempt| is_reflex(&attempt.candidate)).count()
}

type Refused = Option<(&'static str, String)>;

fn because(code: &'static str) -> Refused {
    Some((code, String::new()))
}

fn capability(facts: &Facts, candidate: &Candidate) -> Refused {
    // The host leaves out candidates that lack what the call needs. The judge's reasoning is this router's own rule,
    // so it does not rest on the host having been told.
    let can_reason = candidate.capabilities.iter().any(|capability| capability == "high-reasoning");
    if needs_high_reasoning(facts) && candidate.mode != REFLEX && !can_reason {
        return because("no-high-reasoning");
    }
    None
}

fn reflex(facts: &Facts, candidate: &Candidate, failed: Option<&EarlierAttempt>, attempts: usize) -> Refused {
    let rules = &facts.reflex;
    if facts.role != "implementer" {
        return Some(("reflex-not-for-role", facts.role.clone()));
    }
    if facts.stage != "implement" {
        return Some(("reflex-not-for-stage", facts.stage.clone()));
    }
    if facts.mode_asked == "cloud" {
        return because("reflex-cloud-asked");
    }
    if facts.risk == "high" {
        return because("reflex-high-risk");
    }
    // A model that needs to reason hard is not a small local one.
    if facts.needs.high_reasoning {
        return because("reflex-high-reasoning-needed");
    }
    if attempts >= rules.attempts_max as usize {
        return Some(("reflex-attempts-spent", format!("{attempts} of {}", rules.attempts_max)));
    }
    if let Some(attempt) = failed.filter(|attempt| !worth_repeating(attempt)) {
        return Some(("reflex-failed-for-good", attempt.kind.clone()));
    }
    // Unknown is not healthy here: a local server is often simply not running, and finding that out by a call
    // costs the caller the wait.
    if candidate.health.state != "healthy" {
        return Some((
            "reflex-not-healthy",
            format!("{} {}", candidate.health.state, candidate.health.reason),
        ));
    }
    bakeoff(facts, candidate).or_else(|| task(facts))
}

fn bakeoff(facts: &Facts, candidate: &Candidate) -> Refused {
    let rules = &facts.reflex;
    let Some(shown) = candidate.bakeoff.filter(|bakeoff| bakeoff.samples > 0) else {
        return because("reflex-no-bakeoff");
    };
    if shown.p95_ms > rules.p95_ms_max {
        return Some(("reflex-too-slow", format!("p95 {} ms, at most {}", shown.p95_ms, rules.p95_ms_max)));
    }
    if shown.parity_permille < rules.parity_permille_min {
        let detail = format!("{} permille, at least {}", shown.parity_permille, rules.parity_permille_min);
        return Some(("reflex-parity-low", detail));
    }
    if shown.schema_permille < rules.schema_permille_min {
        let detail = format!("{} permille, at least {}", shown.schema_permille, rules.schema_permille_min);
        return Some(("reflex-schema-low", detail));
    }
    None
}

/// Either is enough. A small, local task is what the small model was measured on; an answer bound to a schema is
/// checked by the host, so that a wrong one costs an attempt and never passes as right. A task that is neither could
/// be wrong without anybody noticing.
fn task(facts: &Facts) -> Refused {
    let suits = &facts.suitability;
    if suits.structured_output || suits.bounded_complexity { None } else { because("reflex-task-unsuited") }
}

fn context(facts: &Facts, candidate: &Candidate) -> Refused {
    let needed = facts.input_tokens.saturating_add(facts.output_tokens_max);
    let window = candidate.context_tokens?;
    if needed > window {
        return Some(("context-too-small", format!("{needed} tokens, window {window}")));
    }
    None
}

fn budget(config: &Config, facts: &Facts, estimate_micro_usd: Option<u64>) -> Refused {
    if let Some(remaining) = facts.budget.remaining_tokens {
        let needed = facts.input_tokens.saturating_add(facts.output_tokens_max);
        if needed > remaining {
            return Some(("over-token-budget", format!("{needed} tokens, {remaining} remain")));
        }
    }
    let limits = [
        ("over-budget", facts.budget.remaining_micro_usd),
        ("over-call-limit", config.max_cost_micro_usd_per_call),
    ];
    for (code, limit) in limits {
        let Some(limit) = limit else { continue };
        // Where money is limited, an unknown price cannot be shown to fit.
        let Some(estimate) = estimate_micro_usd else { return because("price-unknown") };
        if estimate > limit {
            return Some((code, format!("{estimate} micro-USD, at most {limit}")));
        }
    }
    None
}
