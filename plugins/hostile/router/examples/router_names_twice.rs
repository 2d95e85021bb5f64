//! The same candidate twice.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let first = candidates.into_iter().next().map(|candidate| candidate.id);
        choose(first.iter().chain(&first).cloned().collect())
    }
}

hostile_router::export!(Guest);
