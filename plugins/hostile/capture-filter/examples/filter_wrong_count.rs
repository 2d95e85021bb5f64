//! One verdict too few.

use hostile_capture_filter::{Hostile, Item, Verdict, keep};

struct Guest;

impl Hostile for Guest {
    fn filter(items: Vec<Item>) -> Vec<Verdict> {
        items.iter().skip(1).map(|_| keep()).collect()
    }
}

hostile_capture_filter::export!(Guest);
