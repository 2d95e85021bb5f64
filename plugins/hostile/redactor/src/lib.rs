//! What the hostile redactors in `examples/` share: everything they do not do wrong.

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "redactor",
        pub_export_macro: true,
        default_bindings_module: "hostile_redactor::bindings",
    });
}

pub use bindings::exports::sluicegate::plugin::redaction::{Content, Field, FieldResult, Rule, Span};
pub use bindings::sluicegate::plugin::types::{Fault, FaultCode};

use bindings::exports::sluicegate::plugin::{about, redaction};

/// A redactor that does one thing wrong; what it does not say is done right.
pub trait Hostile {
    const KIND: &'static str = "redactor";

    fn scan(fields: Vec<Field>) -> Vec<FieldResult>;

    fn decline(_: &[Field]) -> Option<Fault> {
        None
    }

    fn rules() -> Vec<Rule> {
        vec![rule()]
    }
}

impl<T: Hostile> about::Guest for T {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-redactor".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: T::KIND.to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl<T: Hostile> redaction::Guest for T {
    fn rules(_config: String) -> Result<Vec<Rule>, Fault> {
        Ok(T::rules())
    }

    fn scan(_config: String, fields: Vec<Field>) -> Result<Vec<FieldResult>, Fault> {
        match T::decline(&fields) {
            Some(fault) => Err(fault),
            None => Ok(T::scan(fields)),
        }
    }
}

/// The one rule.
pub fn rule() -> Rule {
    Rule {
        id: "planted".to_owned(),
        title: "A rule".to_owned(),
        severity: "high".to_owned(),
        ext: Vec::new(),
    }
}

/// A span of the one rule.
pub fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32, rule: "planted".to_owned(), confidence_permille: 900 }
}

/// No finding.
pub fn nothing(settled: usize) -> FieldResult {
    FieldResult { spans: Vec::new(), settled: settled as u32, carry: Vec::new() }
}

/// A result per field, settled in full, with the spans that `find` gives for its bytes.
pub fn spans(fields: &[Field], find: impl Fn(&[u8]) -> Vec<Span>) -> Vec<FieldResult> {
    let result = |field| FieldResult { spans: find(bytes(field)), ..nothing(bytes(field).len()) };
    fields.iter().map(result).collect()
}

/// The field's content.
pub fn bytes(field: &Field) -> &[u8] {
    match &field.content {
        Content::Text(text) | Content::Reference(text) => text.as_bytes(),
        Content::Bytes(bytes) => bytes,
    }
}

/// Exports the guest where it is built as a component; elsewhere only looks at it.
#[macro_export]
macro_rules! export {
    ($guest:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!($guest with_types_in $crate::bindings);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(Vec<$crate::Field>) -> Vec<$crate::FieldResult> = <$guest as $crate::Hostile>::scan;
    };
}
