//! Traps in `filter`.

use hostile_capture_filter::{Hostile, Item, Verdict};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::panic, reason = "the point")]
    fn filter(_: Vec<Item>) -> Vec<Verdict> {
        panic!("a panic is an `unreachable`, and its words are lost")
    }
}

hostile_capture_filter::export!(Guest);
