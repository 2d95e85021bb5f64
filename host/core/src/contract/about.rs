//! What a plugin says of itself.

use crate::{Digest, PluginKind};
use serde::{Deserialize, Serialize};

/// `about.describe`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Kebab-case label.
    pub name: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// Which interface it exports.
    pub kind: PluginKind,
    /// Optional abilities.
    pub capabilities: Vec<String>,
    /// JSON Schema of its configuration, as JSON text.
    pub config_schema: String,
}

/// Which plugin answered: stands in every event that rests on a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRef {
    /// Its kind.
    pub kind: PluginKind,
    /// Its name, from its own description.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component's bytes.
    pub digest: Digest,
}
