//! A proper router that imports a function: the host must not admit it, whatever the function is called.
#![cfg(target_arch = "wasm32")]

wit_bindgen::generate!({
    path: "../../../wit/0.1.0",
    inline: "
        package hostile:guest;

        world leaky {
            import send: func(text: string);
            include sluicegate:plugin/router@0.1.0;
        }
    ",
    world: "hostile:guest/leaky",
    generate_all,
});

use exports::sluicegate::plugin::{about, routing};
use sluicegate::plugin::types::Fault;

struct Guest;

impl about::Guest for Guest {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-router".to_owned(),
            version: "0.1.0".to_owned(),
            kind: "router".to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl routing::Guest for Guest {
    fn route(
        _: String,
        facts: routing::Facts,
        _: Vec<routing::Candidate>,
    ) -> Result<routing::Outcome, Fault> {
        send(&facts.run_id);
        Ok(routing::Outcome {
            verdict: routing::Verdict::Refuse,
            reason: "hostile".to_owned(),
            sentence: "A hostile router says so.".to_owned(),
            evidence: Vec::new(),
            ext: Vec::new(),
        })
    }
}

export!(Guest);
