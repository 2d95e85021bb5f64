//! Plans a request to another origin.

use hostile_health_probe::{Endpoint, Hostile, Request, get};

struct Guest;

impl Hostile for Guest {
    fn plan(endpoint: Endpoint) -> Vec<Request> {
        vec![get("models", &format!("https://elsewhere.example/{}", endpoint.model))]
    }
}

hostile_health_probe::export!(Guest);
