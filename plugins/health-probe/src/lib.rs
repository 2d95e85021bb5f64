//! The reference health probe: an endpoint is healthy if its models list names the model **and** a chat of one token
//! is answered within a deadline of its own. The list alone is blind: an SGLang whose scheduler hangs still answers
//! it in three milliseconds, while every chat stalls.
//!
//! Rounds: the models list and the chat; where that leaves a question that one more request can settle (a single
//! timeout, a list that was cut, a token limit under another name), once more; then the verdict.

mod chat;
mod config;
mod models;
mod plan;
mod verdict;

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "health-probe", additional_derives: [PartialEq, Eq] });
}

pub use bindings::exports::sluicegate::plugin::{about, probing};
use bindings::sluicegate::plugin::types::{Fault, FaultCode};
use config::Config;
use probing::{Endpoint, Exchange, Judgement, Past, Request};

/// The first round.
///
/// # Errors
/// `bad-config`; `unsupported` for a dialect that is not known.
pub fn first_round(config: &str, endpoint: &Endpoint, history: &[Past]) -> Result<Vec<Request>, Fault> {
    let config = Config::parse(config, &endpoint.mode).map_err(|_| fault(FaultCode::BadConfig))?;
    plan::first_round(&config, endpoint, history).ok_or(fault(FaultCode::Unsupported))
}

/// A verdict, or the second round.
///
/// # Errors
/// `bad-config`; `unsupported` for a dialect that is not known; `bad-input` where no exchange answers this probe's
/// own requests.
pub fn judge(config: &str, endpoint: &Endpoint, exchanges: &[Exchange]) -> Result<Judgement, Fault> {
    let config = Config::parse(config, &endpoint.mode).map_err(|_| fault(FaultCode::BadConfig))?;
    let dialect = plan::Dialect::of(endpoint).ok_or(fault(FaultCode::Unsupported))?;
    let seen =
        verdict::Seen::new(&config, dialect, &endpoint.model, exchanges).ok_or(fault(FaultCode::BadInput))?;
    let more = plan::second_round(&config, dialect, endpoint, &seen);
    if more.is_empty() {
        Ok(Judgement::Verdict(verdict::verdict(&config, &seen)))
    } else {
        Ok(Judgement::More(more))
    }
}

fn fault(code: FaultCode) -> Fault {
    Fault { code, ext: Vec::new() }
}

/// What `about.describe` says.
pub fn describe() -> about::Description {
    about::Description {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: "health-probe".to_owned(),
        capabilities: Vec::new(),
        config_schema: config::SCHEMA.to_owned(),
        ext: Vec::new(),
    }
}

#[cfg(target_arch = "wasm32")]
mod glue {
    use super::{Endpoint, Exchange, Fault, Judgement, Past, Request, about, bindings, probing};

    struct Plugin;

    impl about::Guest for Plugin {
        fn describe() -> about::Description {
            super::describe()
        }
    }

    impl probing::Guest for Plugin {
        fn plan(config: String, endpoint: Endpoint, history: Vec<Past>) -> Result<Vec<Request>, Fault> {
            super::first_round(&config, &endpoint, &history)
        }

        fn judge(config: String, endpoint: Endpoint, exchanges: Vec<Exchange>) -> Result<Judgement, Fault> {
            super::judge(&config, &endpoint, &exchanges)
        }
    }

    bindings::export!(Plugin with_types_in bindings);
}

#[cfg(test)]
mod tests;
