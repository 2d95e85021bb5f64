//! A candidate that policy does not allow, in front of those that it does.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let mut ids = vec!["elsewhere/exfiltrator".to_owned()];
        ids.extend(candidates.into_iter().map(|candidate| candidate.id));
        choose(ids)
    }
}

hostile_router::export!(Guest);
