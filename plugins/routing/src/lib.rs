//! The rules that both reference routers share.
//!
//! A candidate is **passed over** (it cannot serve this attempt: [`screen`]) or it **stands**, in a tier
//! ([`order`]): fresh before degraded, before failed in this call, before unhealthy. Inside a tier the two
//! routers differ: policy order, or the estimated cost. [`answer`] puts the reason into words.

mod answer;
mod config;
mod cost;
mod order;
mod screen;

/// The contract's types and export macro, generated from `wit/`.
#[expect(missing_docs, reason = "generated; documented in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        world: "router",
        pub_export_macro: true,
        default_bindings_module: "routing::bindings",
        additional_derives: [PartialEq, Eq],
    });
}

pub use bindings::exports::sluicegate::plugin::{about, routing as contract};
pub use config::{Config, SCHEMA};
pub use order::Order;

use bindings::sluicegate::plugin::types::{Fault, FaultCode};
use contract::{Candidate, Facts, Outcome};

/// The whole decision. Pure.
///
/// # Errors
/// `bad-config` where the configuration cannot be used.
pub fn decide(order: Order, config: &str, facts: &Facts, candidates: &[Candidate]) -> Result<Outcome, Fault> {
    let Ok(config) = Config::parse(config) else {
        return Err(Fault { code: FaultCode::BadConfig, ext: Vec::new() });
    };
    let screened = screen::screen(&config, facts, candidates);
    let standing = order::arrange(order, &config, facts, screened.standing);
    Ok(answer::outcome(order, facts, candidates, &standing, &screened.passed_over))
}

/// What `about.describe` says; only the name differs.
pub fn describe(name: &str) -> about::Description {
    about::Description {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: "router".to_owned(),
        capabilities: Vec::new(),
        config_schema: SCHEMA.to_owned(),
        ext: Vec::new(),
    }
}
