//! What the hostile health probes in `examples/` share: everything they do not do wrong.

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "health-probe",
        pub_export_macro: true,
        default_bindings_module: "hostile_health_probe::bindings",
    });
}

pub use bindings::exports::sluicegate::plugin::probing::{Endpoint, Judgement, Request, State, Verdict};

use bindings::exports::sluicegate::plugin::{about, probing};
use bindings::sluicegate::plugin::types::Fault;

/// A probe that does one thing wrong; what it does not say is done right.
pub trait Hostile {
    fn plan(_: Endpoint) -> Vec<Request> {
        vec![get("models", "models")]
    }

    fn judge() -> Judgement {
        Judgement::Verdict(Verdict {
            state: State::Healthy,
            reason: "hostile".to_owned(),
            evidence: Vec::new(),
            recheck_after_ms: 1_000,
            ext: Vec::new(),
        })
    }
}

impl<T: Hostile> about::Guest for T {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-health-probe".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: "health-probe".to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl<T: Hostile> probing::Guest for T {
    fn plan(
        _config: String,
        endpoint: Endpoint,
        _history: Vec<probing::Past>,
    ) -> Result<Vec<Request>, Fault> {
        Ok(T::plan(endpoint))
    }

    fn judge(
        _config: String,
        _endpoint: Endpoint,
        _exchanges: Vec<probing::Exchange>,
    ) -> Result<Judgement, Fault> {
        Ok(T::judge())
    }
}

/// A proper request but for what is handed in.
pub fn get(id: &str, path: &str) -> Request {
    Request {
        id: id.to_owned(),
        method: "GET".to_owned(),
        path: path.to_owned(),
        body: String::new(),
        timeout_ms: 1_000,
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
        const _: fn($crate::Endpoint) -> Vec<$crate::Request> = <$guest as $crate::Hostile>::plan;
    };
}
