//! Plans a request to another host without naming a scheme.

use hostile_health_probe::{Endpoint, Hostile, Request, get};

struct Guest;

impl Hostile for Guest {
    fn plan(_: Endpoint) -> Vec<Request> {
        vec![get("models", "//elsewhere.example/models")]
    }
}

hostile_health_probe::export!(Guest);
