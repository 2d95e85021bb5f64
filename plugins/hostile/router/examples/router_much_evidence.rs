//! A thousand pairs of evidence.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let ids = candidates.into_iter().map(|candidate| candidate.id).collect();
        Outcome { evidence: vec![("key".to_owned(), "value".to_owned()); 1_000], ..choose(ids) }
    }
}

hostile_router::export!(Guest);
