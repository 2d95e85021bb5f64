//! Takes memory until there is no more.

use hostile_router::{Candidate, Facts, Hostile, Outcome};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        let mut hoard = Vec::new();
        loop {
            // Filling it would run out of fuel before it runs out of memory.
            let mut block = Vec::with_capacity(1 << 20);
            block.push(1_u8);
            hoard.push(core::hint::black_box(block));
        }
    }
}

hostile_router::export!(Guest);
