//! The redactor for runs of high risk: the same rules, and whatever else looks random.
//!
//! Only glue: the rules and the scanner are in `redactor-engine`, where they are tested natively.
#![cfg(target_arch = "wasm32")]

use redacting::contract::{Field, FieldResult, Rule};
use redacting::{Fault, about, contract};

const STRICT: bool = true;

struct Plugin;

impl about::Guest for Plugin {
    fn describe() -> about::Description {
        redacting::describe(env!("CARGO_PKG_NAME"))
    }
}

impl contract::Guest for Plugin {
    fn rules(config: String) -> Result<Vec<Rule>, Fault> {
        redacting::rules(&config, STRICT)
    }

    fn scan(config: String, fields: Vec<Field>) -> Result<Vec<FieldResult>, Fault> {
        redacting::scan(&config, STRICT, &fields)
    }
}

redacting::bindings::export!(Plugin with_types_in redacting::bindings);
