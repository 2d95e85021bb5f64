//! A reason that is no code.

use hostile_capture_filter::{Hostile, Item, Verdict, keep};

struct Guest;

impl Hostile for Guest {
    fn filter(items: Vec<Item>) -> Vec<Verdict> {
        items.iter().map(|_| Verdict { reason: "No Code!".to_owned(), ..keep() }).collect()
    }
}

hostile_capture_filter::export!(Guest);
