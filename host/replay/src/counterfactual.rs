//! "What would another router have done?": each recorded decision asked again, with the same facts and
//! candidates.

use crate::policies::Policies;
use serde::Serialize;
use sluice_core::contract::about::PluginRef;
use sluice_core::record::{ModelCallEnvelope, RouteVerdictTaken, RoutingDecision};
use sluice_core::{Event, EventKind, LogicalUri, MicroUsd, PluginKind, Usage};
use sluice_governance::ledger;
use sluice_plugin::{Artifact, PluginEngine, PluginError};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One decision that would have been another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The recorded decision.
    pub event: LogicalUri,
    /// Number of the call.
    pub call: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// Role and stage, as recorded.
    pub role: String,
    /// Stage.
    pub stage: String,
    /// What was done: a candidate, `refuse` or `needs-approval`.
    pub from: String,
    /// What would have been done.
    pub to: String,
    /// Why it was.
    pub from_reason: String,
    /// Why it would have been.
    pub to_reason: String,
    /// What the attempt cost, where known.
    pub from_cost: Option<MicroUsd>,
    /// What the same tokens would have cost there.
    pub to_cost: Option<MicroUsd>,
}

/// What another router would have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counterfactual {
    /// The other router.
    pub router: PluginRef,
    /// Decisions asked again.
    pub decisions: u64,
    /// Those that would have been others.
    pub changed: Vec<Change>,
}

impl Counterfactual {
    pub(crate) fn write_markdown(&self, out: &mut String) {
        let router = &self.router;
        let _ = writeln!(
            out,
            "\n## What `{} {}` would have done\n\n{} of {} decisions would have been others.",
            router.name,
            router.version,
            self.changed.len(),
            self.decisions
        );
        if self.changed.is_empty() {
            return;
        }
        let _ = writeln!(
            out,
            "\n| call | stage | was | would be | why | cost | would cost |\n|---|---|---|---|---|---|---|"
        );
        let cost = |cost: Option<MicroUsd>| cost.map_or("unknown".into(), |cost| cost.to_string());
        for change in &self.changed {
            let _ = writeln!(
                out,
                "| {}.{} | {} | {} | {} | {} | {} | {} |",
                change.call,
                change.attempt,
                change.stage,
                change.from,
                change.to,
                change.to_reason,
                cost(change.from_cost),
                cost(change.to_cost)
            );
        }
    }
}

fn name(verdict: &RouteVerdictTaken) -> String {
    match verdict {
        RouteVerdictTaken::Call(chosen) => chosen.candidate.clone(),
        RouteVerdictTaken::Refuse => "refuse".into(),
        RouteVerdictTaken::NeedsApproval => "needs-approval".into(),
    }
}

/// Asks `artifact` about every recorded decision. Events that do not read back are the exact proof's matter.
pub(crate) fn ask(
    events: &[Event],
    policies: &mut Policies<'_>,
    engine: &PluginEngine,
    artifact: &Artifact,
) -> Result<Counterfactual, PluginError> {
    let usages = usages(events);
    let limits = sluice_core::PluginLimits::default_for(PluginKind::Router);
    let router = engine.load_router(artifact, artifact.digest(), limits)?;
    let mut found = Counterfactual { router: router.plugin_ref().clone(), decisions: 0, changed: Vec::new() };
    for event in events.iter().filter(|event| event.kind == EventKind::RoutingDecision) {
        let Ok(recorded) = serde_json::from_value::<RoutingDecision>(event.payload.clone()) else { continue };
        let Ok(governor) = policies.governor(&event.policy) else { continue };
        let governor = governor.clone().with_router(router.clone());
        let other = governor.route(recorded.call, recorded.facts.clone(), recorded.candidates.clone());
        found.decisions += 1;
        if other.verdict == recorded.verdict {
            continue;
        }
        let usage = usages.get(&(recorded.call, recorded.attempt));
        let policy = &governor.policy().snapshot;
        let price = |candidate: &str| ledger::cost(policy, candidate, usage);
        found.changed.push(Change {
            event: event.uri.clone(),
            call: recorded.call,
            attempt: recorded.attempt,
            role: recorded.facts.role.clone(),
            stage: recorded.facts.stage.clone(),
            from: name(&recorded.verdict),
            to: name(&other.verdict),
            from_reason: recorded.reason,
            to_reason: other.reason,
            from_cost: price(&name(&recorded.verdict)),
            to_cost: price(&name(&other.verdict)),
        });
    }
    Ok(found)
}

fn usages(events: &[Event]) -> BTreeMap<(u64, u32), Usage> {
    events
        .iter()
        .filter(|event| event.kind == EventKind::ModelCallEnvelope)
        .filter_map(|event| serde_json::from_value::<ModelCallEnvelope>(event.payload.clone()).ok())
        .filter_map(|envelope| Some(((envelope.call, envelope.attempt), envelope.usage?)))
        .collect()
}
