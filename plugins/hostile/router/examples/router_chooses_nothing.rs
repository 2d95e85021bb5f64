//! Chooses, and names nobody.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        choose(Vec::new())
    }
}

hostile_router::export!(Guest);
