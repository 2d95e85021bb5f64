//! Traps in `judge`.

use hostile_health_probe::{Hostile, Judgement};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::panic, reason = "the point")]
    fn judge() -> Judgement {
        panic!("a panic is an `unreachable`, and its words are lost")
    }
}

hostile_health_probe::export!(Guest);
