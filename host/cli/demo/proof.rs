//! What can be said of the run afterwards, from its record alone.

use super::spec::Planted;
use crate::failure::Failure;
use crate::snapshots::{self, Store};
use crate::workspace::Workspace;
use crate::{Context, replay};
use sluice_capsule::Reader;
use sluice_core::record::Escalation;
use sluice_core::{Event, EventKind, PluginKind, RunId};
use sluice_plugin::Artifact;
use sluice_policy::load::Loaded;
use sluice_replay::{Counterfactual, Report};
use std::fs;
use std::path::Path;

/// Everything that the record says.
pub struct Proof {
    /// The policy, both copies verified.
    pub policy: Loaded,
    /// The run's events, chain and signatures checked.
    pub events: Vec<Event>,
    /// Each failed attempt that led to another.
    pub escalations: Vec<Escalation>,
    /// The offline replay.
    pub replay: Report,
    /// What the other router would have done.
    pub other: Counterfactual,
    /// The control: what the run's own router would have done.
    pub control: Counterfactual,
    /// Files and bytes of the workspace that were searched for the token, and whether a trace was found.
    pub searched: Searched,
}

/// The search.
#[derive(Default)]
pub struct Searched {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// A trace was found.
    pub found: bool,
}

/// Walks the run back and looks at everything that was left behind.
pub fn prove(
    context: &Context,
    workspace: &Workspace,
    run: &RunId,
    other: Artifact,
    planted: &Planted,
) -> Result<Proof, Failure> {
    let policy = Store::new(workspace).load_current()?;
    let reader = Reader::open(&workspace.state())?;
    let engine = snapshots::engine(workspace)?;
    context.printer.progress("replaying offline …");
    let replay = replay::prove(&reader, run, &engine, None)?;
    context.printer.progress("asking another router …");
    let what_if = |artifact: Artifact| -> Result<Counterfactual, Failure> {
        let report = replay::prove(&reader, run, &engine, Some(artifact))?;
        let missing = || Failure::could_not("demo", "the replay gave no counterfactual");
        report.counterfactual.ok_or_else(missing)
    };
    let own = policy.snapshot.plugin(PluginKind::Router).map(|pinned| pinned.sha256);
    let own = own.ok_or_else(|| Failure::no("snapshot-refused", "the snapshot pins no router"))?;
    let own = sluice_core::LogicalUri::new(reader.workspace(), sluice_core::uri::Resource::Plugin(own));
    let control = what_if(Artifact::from_bytes(reader.resolve(&own)?.bytes)?)?;
    let other = what_if(other)?;
    let events = reader.run_events(run)?.events;
    context.printer.progress("looking for the token …");
    let mut searched = Searched::default();
    search(workspace.root(), planted, &mut searched)?;
    Ok(Proof {
        escalations: payloads(&events, EventKind::Escalation),
        policy,
        events,
        replay,
        other,
        control,
        searched,
    })
}

/// Payloads of one kind. One that did not read back would have failed the replay.
fn payloads<T: serde::de::DeserializeOwned>(events: &[Event], kind: EventKind) -> Vec<T> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind.filter_map(|event| serde_json::from_value(event.payload.clone()).ok()).collect()
}

fn search(folder: &Path, planted: &Planted, searched: &mut Searched) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("list", folder, &error))?;
        let kind = entry.file_type().map_err(|error| Failure::file("read", &entry.path(), &error))?;
        if kind.is_dir() {
            search(&entry.path(), planted, searched)?;
        } else if kind.is_file() {
            let bytes =
                fs::read(entry.path()).map_err(|error| Failure::file("read", &entry.path(), &error))?;
            searched.files += 1;
            searched.bytes += bytes.len() as u64;
            searched.found |= planted.is_in(&bytes);
        }
    }
    Ok(())
}
