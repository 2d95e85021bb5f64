//! Never returns from the function that runs when it is instantiated, before any call.

use hostile_router::{Candidate, Facts, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        choose(candidates.into_iter().map(|candidate| candidate.id).collect())
    }
}

hostile_router::export!(Guest);

/// What the component linker makes the start function.
#[unsafe(no_mangle)]
#[expect(clippy::empty_loop, reason = "the point")]
extern "C" fn _initialize() {
    loop {}
}
