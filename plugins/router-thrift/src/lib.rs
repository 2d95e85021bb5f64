//! Another router under the same rules: the cheapest candidate that can serve, first. Real, and an alternative to ask a counterfactual with.
//!
//! Only glue: the rules are in `routing`, where they are tested natively.
#![cfg(target_arch = "wasm32")]

use routing::bindings::sluicegate::plugin::types::Fault;
use routing::contract::{Candidate, Facts, Outcome};
use routing::{Order, about, contract};

struct Plugin;

impl about::Guest for Plugin {
    fn describe() -> about::Description {
        routing::describe(env!("CARGO_PKG_NAME"))
    }
}

impl contract::Guest for Plugin {
    fn route(config: String, facts: Facts, candidates: Vec<Candidate>) -> Result<Outcome, Fault> {
        routing::decide(Order::Cost, &config, &facts, &candidates)
    }
}

routing::bindings::export!(Plugin with_types_in routing::bindings);
