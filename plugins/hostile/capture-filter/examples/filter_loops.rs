//! Never returns from `filter`.

use hostile_capture_filter::{Hostile, Item, Verdict};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::empty_loop, reason = "the point")]
    fn filter(_: Vec<Item>) -> Vec<Verdict> {
        loop {}
    }
}

hostile_capture_filter::export!(Guest);
