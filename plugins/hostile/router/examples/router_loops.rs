//! Never returns from `route`.

use hostile_router::{Candidate, Facts, Hostile, Outcome};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::empty_loop, reason = "the point")]
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        loop {}
    }
}

hostile_router::export!(Guest);
