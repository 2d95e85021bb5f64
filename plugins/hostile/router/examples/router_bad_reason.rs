//! A reason that is no code.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let ids = candidates.into_iter().map(|candidate| candidate.id).collect();
        Outcome { reason: "Because I Say So!".to_owned(), ..choose(ids) }
    }
}

hostile_router::export!(Guest);
