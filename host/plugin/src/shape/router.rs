//! `route`.

use super::{Kept, RECORDED_MAX, SENTENCE_BYTES_MAX, code, evidence, ext, require};
use sluice_core::FaultCode;
use sluice_core::contract::router::{Choice, RouteOutcome, RouteVerdict};

const CHOICES_MAX: usize = 16;
/// A candidate's id is `<provider>/<model>`; one that is longer than this is none that policy knows.
const CANDIDATE_BYTES_MAX: usize = 512;
const REASONING_EFFORTS: [&str; 3] = ["low", "medium", "high"];

/// The outcome, if it keeps the contract.
pub(crate) fn outcome(mut outcome: RouteOutcome) -> Result<RouteOutcome, FaultCode> {
    code(&outcome.reason)?;
    require(outcome.sentence.len() <= SENTENCE_BYTES_MAX)?;
    evidence(&outcome.evidence)?;
    ext(&outcome.ext)?;
    if let RouteVerdict::Choose(choices) = &mut outcome.verdict {
        require((1..=CHOICES_MAX).contains(&choices.len()))?;
        choices.iter_mut().try_for_each(choice)?;
        let twice =
            |(at, one): (usize, &Choice)| choices[..at].iter().any(|other| other.candidate == one.candidate);
        require(!choices.iter().enumerate().any(twice))?;
    }
    Ok(outcome)
}

fn choice(choice: &mut Choice) -> Kept {
    require((1..=CANDIDATE_BYTES_MAX).contains(&choice.candidate.len()))?;
    require(choice.reasoning_effort.as_deref().is_none_or(|effort| REASONING_EFFORTS.contains(&effort)))?;
    choice.output_tokens_max = choice.output_tokens_max.map(|tokens| tokens.min(RECORDED_MAX));
    ext(&choice.ext)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(candidate: &str) -> Choice {
        Choice {
            candidate: candidate.into(),
            reasoning_effort: Some("high".into()),
            timeout_ms: None,
            output_tokens_max: None,
            ext: vec![],
        }
    }

    fn sound() -> RouteOutcome {
        RouteOutcome {
            verdict: RouteVerdict::Choose(vec![chosen("a/b"), chosen("a/c")]),
            reason: "policy-order".into(),
            sentence: "First in policy order.".into(),
            evidence: vec![("risk".into(), "normal".into())],
            ext: vec![],
        }
    }

    fn choices(change: impl FnOnce(&mut Vec<Choice>)) -> RouteOutcome {
        let mut choices = vec![chosen("a/b"), chosen("a/c")];
        change(&mut choices);
        RouteOutcome { verdict: RouteVerdict::Choose(choices), ..sound() }
    }

    #[test]
    fn a_sound_outcome_passes_unchanged() {
        assert_eq!(outcome(sound()), Ok(sound()));
        assert!(outcome(RouteOutcome { verdict: RouteVerdict::Refuse, ..sound() }).is_ok());
    }

    #[test]
    fn each_rule_is_kept() {
        let long = |length: usize| "x".repeat(length);
        let broken = [
            ("no choice", choices(Vec::clear)),
            ("17 choices", choices(|list| *list = (0..17).map(|n| chosen(&format!("a/{n}"))).collect())),
            ("one twice", choices(|list| list.push(chosen("a/b")))),
            ("an empty candidate", choices(|list| list[0].candidate.clear())),
            ("an endless candidate", choices(|list| list[0].candidate = long(513))),
            ("an unknown effort", choices(|list| list[1].reasoning_effort = Some("extreme".into()))),
            ("a large ext", choices(|list| list[1].ext = vec![(long(1025), String::new())])),
            ("no reason", RouteOutcome { reason: String::new(), ..sound() }),
            ("a reason in prose", RouteOutcome { reason: "Because I say so".into(), ..sound() }),
            ("a long sentence", RouteOutcome { sentence: long(241), ..sound() }),
            ("long evidence", RouteOutcome { evidence: vec![("a".into(), long(241))], ..sound() }),
            ("much evidence", RouteOutcome { evidence: vec![("a".into(), "b".into()); 33], ..sound() }),
            ("a long ext", RouteOutcome { ext: vec![("a".into(), "b".into()); 65], ..sound() }),
        ];
        for (what, value) in broken {
            assert_eq!(outcome(value), Err(FaultCode::BrokenContract), "{what}");
        }
    }

    #[test]
    fn a_number_that_the_record_cannot_hold_is_the_largest_that_it_can() {
        let unlimited = choices(|list| list[0].output_tokens_max = Some(u64::MAX));
        let RouteVerdict::Choose(list) = outcome(unlimited).unwrap().verdict else { panic!("no choice") };
        assert_eq!(list[0].output_tokens_max, Some(9_007_199_254_740_991));
    }
}
