//! The decision in the contract's words: verdict, reason code, one sentence, evidence.

use crate::contract::{Candidate, Choice, Facts, Outcome, Verdict};
use crate::order::{Order, Tier};
use crate::screen::{self, JUDGE, PassedOver, REFLEX, Standing};
use kit::text::{self, EVIDENCE_BYTES_MAX, pair};

/// Most choices of one answer (`wit/0.1.0/router.wit`).
const CHOICES_MAX: usize = 16;

/// Puts the arranged candidates into an answer; refuses where none can serve.
pub fn outcome(
    order: Order,
    facts: &Facts,
    candidates: &[Candidate],
    standing: &[Standing<'_>],
    passed_over: &[PassedOver<'_>],
) -> Outcome {
    let (verdict, (reason, sentence)) = match standing.first() {
        Some(first) if Tier::of(first) != Tier::FailedForGood => {
            (choose(facts, standing), why(order, facts, candidates, standing, passed_over))
        }
        Some(first) => (Verdict::Refuse, failed_for_good(first)),
        None => (Verdict::Refuse, nobody(passed_over)),
    };
    Outcome {
        verdict,
        reason: reason.to_owned(),
        sentence: text::clip(&sentence, EVIDENCE_BYTES_MAX).to_owned(),
        evidence: evidence(facts, standing, passed_over),
        ext: Vec::new(),
    }
}

fn choose(facts: &Facts, standing: &[Standing<'_>]) -> Verdict {
    let effort = screen::needs_high_reasoning(facts).then(|| "high".to_owned());
    let choice = |one: &Standing<'_>| Choice {
        candidate: one.candidate.id.clone(),
        reasoning_effort: effort.clone(),
        timeout_ms: None,
        output_tokens_max: None,
        ext: Vec::new(),
    };
    Verdict::Choose(standing.iter().take(CHOICES_MAX).map(choice).collect())
}

type Reason = (&'static str, String);

fn failed_for_good(first: &Standing<'_>) -> Reason {
    let kind = first.failed.map_or("", |attempt| attempt.kind.as_str());
    (
        "every-candidate-failed",
        format!("`{}` failed for good ({kind}), and no other is left.", first.candidate.id),
    )
}

/// Among the causes the one that somebody can do most about is named: money, then tokens, then size.
fn nobody(passed_over: &[PassedOver<'_>]) -> Reason {
    if passed_over.is_empty() {
        return ("no-candidates", "Policy allows no candidate for this call.".to_owned());
    }
    let causes: [(&str, &'static str, &str); 6] = [
        ("over-budget", "budget-exhausted", "No candidate fits the money that remains of the run"),
        ("over-call-limit", "over-call-limit", "No candidate fits the configured cost limit of one call"),
        (
            "price-unknown",
            "price-unknown",
            "Money is limited and no candidate has a price to hold against it",
        ),
        (
            "over-token-budget",
            "token-budget-exhausted",
            "The call does not fit the tokens that remain of the run",
        ),
        ("context-too-small", "context-too-small", "The call does not fit any candidate's context window"),
        ("no-high-reasoning", "no-high-reasoning", "No candidate is capable of high reasoning"),
    ];
    for (code, reason, sentence) in causes {
        if let Some(one) = passed_over.iter().find(|one| one.code == code) {
            return (reason, format!("{sentence}: `{}` {}.", one.candidate.id, described(one)));
        }
    }
    let first = &passed_over[0];
    (
        "no-candidate-fits",
        format!("No candidate can serve this call: `{}` {}.", first.candidate.id, described(first)),
    )
}

fn described(one: &PassedOver<'_>) -> String {
    if one.detail.is_empty() {
        one.code.to_owned()
    } else {
        format!("{} ({})", one.code, one.detail.trim_end())
    }
}

fn why(
    order: Order,
    facts: &Facts,
    candidates: &[Candidate],
    standing: &[Standing<'_>],
    passed_over: &[PassedOver<'_>],
) -> Reason {
    let first = &standing[0];
    let id = &first.candidate.id;
    if let Some(reason) = after_failure(facts, candidates, first) {
        return reason;
    }
    if first.candidate.mode == REFLEX {
        return if facts.mode_asked == REFLEX {
            ("reflex-asked", format!("Local was asked for, and `{id}` meets every condition."))
        } else {
            ("reflex-eligible", format!("`{id}` is local, healthy, proven and fit for the task."))
        };
    }
    let reflex = passed_over.iter().find(|one| one.candidate.mode == REFLEX);
    if facts.mode_asked == REFLEX {
        let cause = match reflex {
            Some(one) => format!("`{}` {}", one.candidate.id, described(one)),
            None => "policy allows no local candidate here".to_owned(),
        };
        return ("reflex-not-possible", format!("`{id}`, although local was asked for: {cause}."));
    }
    if facts.role == JUDGE {
        return ("judge-cloud", format!("`{id}` judges: always a cloud model, with high reasoning."));
    }
    if reflex.is_some_and(|one| one.code == "reflex-high-risk") {
        return ("high-risk-cloud", format!("`{id}`: a call of high risk is not served locally."));
    }
    by_order(order, candidates, standing, passed_over)
}

fn after_failure(facts: &Facts, candidates: &[Candidate], first: &Standing<'_>) -> Option<Reason> {
    let last = facts.earlier.last()?;
    let id = &first.candidate.id;
    if last.candidate == *id {
        return Some(("retry", format!("`{id}` again, after {}: no better one is left.", last.kind)));
    }
    let was_reflex = candidates.iter().any(|one| one.mode == REFLEX && one.id == last.candidate);
    if was_reflex && first.candidate.mode != REFLEX {
        let sentence = format!("`{id}` takes over from the local `{}`, after {}.", last.candidate, last.kind);
        return Some(("reflex-to-cloud", sentence));
    }
    Some(("after-failure", format!("`{id}`, after {} of `{}`.", last.kind, last.candidate)))
}

fn by_order(
    order: Order,
    candidates: &[Candidate],
    standing: &[Standing<'_>],
    passed_over: &[PassedOver<'_>],
) -> Reason {
    let first = &standing[0];
    let id = &first.candidate.id;
    if order == Order::Cost {
        return match first.estimate_micro_usd {
            Some(cost) => {
                ("cheapest", format!("`{id}` is the cheapest that can serve: {cost} micro-USD at most."))
            }
            None => ("cheapest", format!("`{id}`: none that can serve has a known price.")),
        };
    }
    // Whoever policy names first among the cloud models, and what kept it back.
    let ahead = candidates[..first.position].iter().find(|one| one.mode != REFLEX);
    let Some(ahead) = ahead else {
        return ("policy-order", format!("`{id}` is first in policy order."));
    };
    if let Some(one) = passed_over.iter().find(|one| one.candidate.id == ahead.id) {
        return ("next-in-policy-order", format!("`{id}` is next: `{}` {}.", ahead.id, described(one)));
    }
    match standing.iter().find(|one| one.candidate.id == ahead.id).map(Tier::of) {
        Some(tier) if tier != Tier::of(first) => {
            ("next-in-policy-order", format!("`{id}` is next: `{}` is {}.", ahead.id, tier.code()))
        }
        _ => ("preferred", format!("`{id}` is preferred by the router's configuration.")),
    }
}

fn evidence(
    facts: &Facts,
    standing: &[Standing<'_>],
    passed_over: &[PassedOver<'_>],
) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(4 + standing.len() + passed_over.len());
    if facts.mode_asked != "auto" {
        pairs.push(pair("mode-asked", &facts.mode_asked));
    }
    if let Some(last) = facts.earlier.last() {
        pairs.push(pair("last-failure", &format!("{}: {}", last.candidate, last.kind)));
    }
    if let Some(first) = standing.first() {
        let estimate =
            first.estimate_micro_usd.map_or("unknown".to_owned(), |micro_usd| micro_usd.to_string());
        pairs.push(pair("estimate-micro-usd", &estimate));
        pairs.push(pair("health", &first.candidate.health.state));
    }
    if let Some(remaining) = facts.budget.remaining_micro_usd {
        pairs.push(pair("remaining-micro-usd", &remaining.to_string()));
    }
    for one in passed_over {
        pairs.push(pair("passed-over", &format!("{}: {}", one.candidate.id, described(one))));
    }
    for one in standing.iter().skip(1) {
        let tier = Tier::of(one);
        if tier > Tier::Fresh {
            pairs.push(pair("moved-behind", &format!("{}: {}", one.candidate.id, tier.code())));
        }
    }
    text::bounded(pairs)
}
