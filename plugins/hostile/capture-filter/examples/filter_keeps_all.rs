//! Keeps everything, whatever the mode: the host must not keep more than the mode permits.

use hostile_capture_filter::{Hostile, Item, Verdict, keep};

struct Guest;

impl Hostile for Guest {
    fn filter(items: Vec<Item>) -> Vec<Verdict> {
        items.iter().map(|_| keep()).collect()
    }
}

hostile_capture_filter::export!(Guest);
