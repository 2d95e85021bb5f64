//! A reasoning effort that does not exist, no time at all, and more tokens than there are.

use hostile_router::{Candidate, Facts, Hostile, Outcome, Verdict, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let mut outcome = choose(candidates.into_iter().map(|candidate| candidate.id).collect());
        if let Verdict::Choose(choices) = &mut outcome.verdict {
            for choice in choices {
                choice.reasoning_effort = Some("godlike".to_owned());
                choice.timeout_ms = Some(0);
                choice.output_tokens_max = Some(u64::MAX);
            }
        }
        outcome
    }
}

hostile_router::export!(Guest);
