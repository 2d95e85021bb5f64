//! Plans a request above the base URL.

use hostile_health_probe::{Endpoint, Hostile, Request, get};

struct Guest;

impl Hostile for Guest {
    fn plan(_: Endpoint) -> Vec<Request> {
        vec![get("models", "../../admin")]
    }
}

hostile_health_probe::export!(Guest);
