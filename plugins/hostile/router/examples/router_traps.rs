//! Traps in `route`.

use hostile_router::{Candidate, Facts, Hostile, Outcome};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::panic, reason = "the point")]
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        panic!("a panic is an `unreachable`, and its words are lost")
    }
}

hostile_router::export!(Guest);
