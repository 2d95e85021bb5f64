//! A sentence of 100 KB: less than may cross the boundary, and more than a sentence may have.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let ids = candidates.into_iter().map(|candidate| candidate.id).collect();
        Outcome { sentence: "a".repeat(100_000), ..choose(ids) }
    }
}

hostile_router::export!(Guest);
