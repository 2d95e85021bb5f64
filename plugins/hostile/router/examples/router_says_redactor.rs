//! Exports a router and says that it is a redactor.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    const KIND: &'static str = "redactor";

    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        choose(candidates.into_iter().map(|candidate| candidate.id).collect())
    }
}

hostile_router::export!(Guest);
