//! Five requests in a round of four.

use hostile_health_probe::{Endpoint, Hostile, Request, get};

struct Guest;

impl Hostile for Guest {
    fn plan(_: Endpoint) -> Vec<Request> {
        ["a", "b", "c", "d", "e"].map(|id| get(id, "models")).into()
    }
}

hostile_health_probe::export!(Guest);
