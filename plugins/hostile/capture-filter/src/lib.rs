//! What the hostile capture filters in `examples/` share: everything they do not do wrong.

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "capture-filter",
        pub_export_macro: true,
        default_bindings_module: "hostile_capture_filter::bindings",
    });
}

pub use bindings::exports::sluicegate::plugin::filtering::{Action, Item, Verdict};

use bindings::exports::sluicegate::plugin::{about, filtering};
use bindings::sluicegate::plugin::types::Fault;

/// A filter that does one thing wrong.
pub trait Hostile {
    fn filter(items: Vec<Item>) -> Vec<Verdict>;
}

impl<T: Hostile> about::Guest for T {
    fn describe() -> about::Description {
        about::Description {
            name: "hostile-capture-filter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: "capture-filter".to_owned(),
            capabilities: Vec::new(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            ext: Vec::new(),
        }
    }
}

impl<T: Hostile> filtering::Guest for T {
    fn filter(_config: String, _mode: String, items: Vec<Item>) -> Result<Vec<Verdict>, Fault> {
        Ok(T::filter(items))
    }
}

/// Keeps an item.
pub fn keep() -> Verdict {
    Verdict { action: Action::Keep, reason: "hostile".to_owned(), ext: Vec::new() }
}

/// Exports the guest where it is built as a component; elsewhere only looks at it.
#[macro_export]
macro_rules! export {
    ($guest:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!($guest with_types_in $crate::bindings);
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(Vec<$crate::Item>) -> Vec<$crate::Verdict> = <$guest as $crate::Hostile>::filter;
    };
}
