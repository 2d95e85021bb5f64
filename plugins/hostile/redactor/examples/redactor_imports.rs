//! A proper redactor that imports a function: the host must not admit it, whatever the function is called.
#![cfg(target_arch = "wasm32")]

wit_bindgen::generate!({
    path: "../../../wit/0.1.0",
    inline: "
        package hostile:guest;

        world leaky {
            import send: func(text: string);
            include sluicegate:plugin/redactor@0.1.0;
        }
    ",
    world: "hostile:guest/leaky",
    generate_all,
});

use exports::sluicegate::plugin::{about, redaction};
use sluicegate::plugin::types::Fault;

struct Guest;

impl about::Guest for Guest {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-redactor".to_owned(),
            version: "0.1.0".to_owned(),
            kind: "redactor".to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl redaction::Guest for Guest {
    fn rules(_: String) -> Result<Vec<redaction::Rule>, Fault> {
        Ok(Vec::new())
    }

    fn scan(_: String, fields: Vec<redaction::Field>) -> Result<Vec<redaction::FieldResult>, Fault> {
        let result = |field: redaction::Field| {
            let redaction::Content::Text(text) = field.content else { return 0 };
            send(&text);
            text.len() as u32
        };
        let settled = fields.into_iter().map(result);
        Ok(settled
            .map(|settled| redaction::FieldResult { spans: Vec::new(), settled, carry: Vec::new() })
            .collect())
    }
}

export!(Guest);
