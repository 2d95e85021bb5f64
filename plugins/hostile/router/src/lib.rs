//! What the hostile routers in `examples/` share: everything they do not do wrong.

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "router",
        pub_export_macro: true,
        default_bindings_module: "hostile_router::bindings",
    });
}

pub use bindings::exports::sluicegate::plugin::routing::{Candidate, Choice, Facts, Outcome, Verdict};
pub use bindings::sluicegate::plugin::types::{Fault, FaultCode};

use bindings::exports::sluicegate::plugin::{about, routing};

/// A router that does one thing wrong; what it does not say is done right.
pub trait Hostile {
    const KIND: &'static str = "router";

    fn route(facts: Facts, candidates: Vec<Candidate>) -> Outcome;

    fn decline(_: &Facts) -> Option<Fault> {
        None
    }
}

impl<T: Hostile> about::Guest for T {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-router".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: T::KIND.to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl<T: Hostile> routing::Guest for T {
    fn route(_config: String, facts: Facts, candidates: Vec<Candidate>) -> Result<Outcome, Fault> {
        match T::decline(&facts) {
            Some(fault) => Err(fault),
            None => Ok(T::route(facts, candidates)),
        }
    }
}

/// A proper answer that names these candidates.
pub fn choose(ids: Vec<String>) -> Outcome {
    let choice = |candidate| Choice {
        candidate,
        reasoning_effort: None,
        timeout_ms: None,
        output_tokens_max: None,
        ext: Vec::new(),
    };
    Outcome {
        verdict: Verdict::Choose(ids.into_iter().map(choice).collect()),
        reason: "hostile".to_owned(),
        sentence: "A hostile router says so.".to_owned(),
        evidence: Vec::new(),
        ext: Vec::new(),
    }
}

/// Exports the guest where it is built as a component; elsewhere only looks at it.
#[macro_export]
macro_rules! export {
    ($guest:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!($guest with_types_in $crate::bindings);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn($crate::Facts, Vec<$crate::Candidate>) -> $crate::Outcome = <$guest as $crate::Hostile>::route;
    };
}
