//! What the stages made so far: texts for the contexts to come, and references for the record.

use sluice_context::Inputs;
use sluice_core::record::ArtifactRef;
use sluice_core::{LogicalUri, RunId, Stage};
use sluice_gateway::Gateway;
use std::collections::BTreeMap;

/// Texts and references by name.
#[derive(Debug, Default)]
pub(crate) struct Materials {
    pub inputs: Inputs,
    refs: BTreeMap<String, ArtifactRef>,
}

impl Materials {
    pub fn insert(&mut self, reference: ArtifactRef, text: String) {
        self.inputs.artifacts.insert(reference.name.clone(), text);
        self.refs.insert(reference.name.clone(), reference);
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.inputs.artifacts.get(name).map(String::as_str)
    }

    /// References of what a context is compiled from.
    pub fn references(&self, names: &[&str]) -> Vec<ArtifactRef> {
        names.iter().filter_map(|name| self.refs.get(*name).cloned()).collect()
    }
}

/// What a commitment to an artefact is bound to, besides its run.
fn label(stage: Stage, name: &str) -> String {
    format!("artifact/{stage}/{name}")
}

/// The reference of an artefact; `uri` where its content is in the capsule.
pub(crate) fn reference(
    gateway: &Gateway,
    run: &RunId,
    stage: Stage,
    name: &str,
    text: &str,
    uri: Option<LogicalUri>,
) -> ArtifactRef {
    let (commitment, salt) = gateway.commitment(run, &label(stage, name), text.as_bytes());
    ArtifactRef {
        stage,
        name: name.to_owned(),
        salt: uri.is_some().then_some(salt),
        uri,
        bytes: text.len() as u64,
        commitment,
    }
}

/// Whether `text` is what was committed to.
pub(crate) fn matches(gateway: &Gateway, run: &RunId, reference: &ArtifactRef, text: &str) -> bool {
    let (commitment, _) = gateway.commitment(run, &label(reference.stage, &reference.name), text.as_bytes());
    commitment == reference.commitment
}
