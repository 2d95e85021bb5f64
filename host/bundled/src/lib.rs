//! The reference plugins' bytes, built from `plugins/` by a nested cargo (see `build.rs`).
//!
//! *Invariant*: these bytes have no standing of their own. The plugin room admits them like any other artifact, under
//! the pin of a compiled policy; `plugins.lock` at the root says which bytes a release ships, and
//! `tests/lock.rs` holds the build to it.

use sluice_core::PluginKind;

#[cfg(feature = "hostile")]
pub mod hostile;

/// A plugin that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// What follows `bundled:` in a policy: `router`, `router-thrift`, `redactor`, …
    pub name: &'static str,
    /// Its kind.
    pub kind: PluginKind,
    /// The component.
    pub bytes: &'static [u8],
}

macro_rules! component {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm"))
    };
}
#[cfg(feature = "hostile")]
use component;

/// `bundled:router`: policy order, moved by health, budget and earlier outcomes.
pub const ROUTER: &[u8] = component!("router");
/// `bundled:router-thrift`: the cheapest candidate that can serve.
pub const ROUTER_THRIFT: &[u8] = component!("router-thrift");
/// `bundled:redactor`: finds secrets.
pub const REDACTOR: &[u8] = component!("redactor");
/// `bundled:redactor-strict`: the same rules, and whatever else looks random.
pub const REDACTOR_STRICT: &[u8] = component!("redactor-strict");
/// `bundled:capture-filter`: drops what came from files that hold secrets.
pub const CAPTURE_FILTER: &[u8] = component!("capture-filter");
/// `bundled:health-probe`: the models list and a one-token chat.
pub const HEALTH_PROBE: &[u8] = component!("health-probe");

/// All of them, sorted by name.
pub const ALL: &[Bundled] = &[
    Bundled { name: "capture-filter", kind: PluginKind::CaptureFilter, bytes: CAPTURE_FILTER },
    Bundled { name: "health-probe", kind: PluginKind::HealthProbe, bytes: HEALTH_PROBE },
    Bundled { name: "redactor", kind: PluginKind::Redactor, bytes: REDACTOR },
    Bundled { name: "redactor-strict", kind: PluginKind::Redactor, bytes: REDACTOR_STRICT },
    Bundled { name: "router", kind: PluginKind::Router, bytes: ROUTER },
    Bundled { name: "router-thrift", kind: PluginKind::Router, bytes: ROUTER_THRIFT },
];

/// The plugin of that name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    ALL.iter().find(|bundled| bundled.name == name)
}
