//! Snapshots and plugins out of the capsule, loaded once each.

use sluice_capsule::Reader;
use sluice_core::uri::Resource;
use sluice_core::{Digest, LogicalUri, PolicyBinding, PolicyId};
use sluice_governance::Governor;
use sluice_plugin::{Artifact, PluginEngine};
use sluice_policy::snapshot::PinnedPlugin;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a binding does not hold, in a sentence.
pub(crate) type Broken = String;

pub(crate) struct Policies<'a> {
    reader: &'a Reader,
    engine: &'a PluginEngine,
    loaded: BTreeMap<PolicyId, Result<Governor, Broken>>,
}

impl<'a> Policies<'a> {
    pub(crate) fn new(reader: &'a Reader, engine: &'a PluginEngine) -> Policies<'a> {
        Policies { reader, engine, loaded: BTreeMap::new() }
    }

    /// The governor that an event was made under, where the stored snapshot and plugins are what the event
    /// says.
    pub(crate) fn governor(&mut self, binding: &PolicyBinding) -> Result<&Governor, Broken> {
        if !self.loaded.contains_key(&binding.id) {
            let governor = load(self.reader, self.engine, binding);
            self.loaded.insert(binding.id, governor);
        }
        let governor = match self.loaded.get(&binding.id) {
            Some(Ok(governor)) => governor,
            Some(Err(broken)) => return Err(broken.clone()),
            None => return Err("the policy is not loaded".into()),
        };
        let policy = governor.policy();
        if policy.snapshot.hash != binding.hash || policy.bytes_digest != binding.bytes {
            return Err(format!(
                "the event names policy hash {}, the capsule holds another",
                binding.hash.short()
            ));
        }
        Ok(governor)
    }
}

fn load(reader: &Reader, engine: &PluginEngine, binding: &PolicyBinding) -> Result<Governor, Broken> {
    let stored = reader.resolve(&binding.uri).map_err(|error| told("the policy snapshot", &error))?;
    if Digest::of(&stored.bytes) != binding.bytes {
        return Err("the stored policy snapshot is not the one that the event names".into());
    }
    let policy =
        sluice_policy::load::load(&stored.bytes).map_err(|error| told("the policy snapshot", &error))?;
    let workspace = binding.uri.workspace.clone();
    let mut fetch = |pinned: &PinnedPlugin| -> Result<Artifact, Box<dyn std::error::Error + Send + Sync>> {
        let uri = LogicalUri::new(&workspace, Resource::Plugin(pinned.sha256));
        Ok(Artifact::from_bytes(reader.resolve(&uri)?.bytes)?)
    };
    Governor::load(engine, Arc::new(policy), &mut fetch).map_err(|error| told("a plugin", &error))
}

/// An error and its causes, on one line.
fn told(what: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
