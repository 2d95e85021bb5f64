//! `sluice why`: a decision, or all of a run's, in words.

use crate::Context;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::table::{WIDTH, clip, columns, wrap};
use serde_json::json;
use sluice_capsule::Reader;
use sluice_core::record::{Origin, RouteVerdictTaken, RoutingDecision};
use sluice_core::uri::Resource;
use sluice_core::{Event, EventKind, LogicalUri, RunId};

/// `sluice why`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The URI of a RoutingDecision, or a run
    what: String,
}

/// Carries it out.
pub fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    let reader = Reader::open(&workspace.state())?;
    if args.what.starts_with("mv2://") {
        let uri: LogicalUri = args.what.parse().map_err(|error| bad(&error))?;
        let Resource::Event(run, seq) = &uri.resource else {
            return Err(Failure::could_not("usage", format!("`{uri}` is not an event"))
                .hint("want mv2://<workspace>/event/<run>/<seq>, as `sluice call` prints it"));
        };
        let events = crate::capsule::run_events(&reader, run)?;
        let event = events.iter().find(|event| event.seq == *seq);
        let event = event.ok_or_else(|| {
            Failure::could_not("not-found", format!("no event `{uri}`"))
                .hint(format!("`sluice capsule events --run {run}` lists them"))
        })?;
        let Some(decision) = decision(event) else {
            let message = format!("`{uri}` is a {}, not a RoutingDecision", event.kind);
            return Err(Failure::could_not("usage", message)
                .hint(format!("`sluice why {run}` tells every decision of its run")));
        };
        return Ok(Answer::yes(document(&uri, &decision), told(&uri, &decision)));
    }
    let run: RunId = args.what.parse().map_err(|error| bad(&error))?;
    let events = crate::capsule::run_events(&reader, &run)?;
    let decisions: Vec<(LogicalUri, RoutingDecision)> =
        events.iter().filter_map(|event| Some((event.uri.clone(), decision(event)?))).collect();
    let text: Vec<String> = decisions.iter().map(|(uri, decision)| told(uri, decision)).collect();
    let documents: Vec<_> = decisions.iter().map(|(uri, decision)| document(uri, decision)).collect();
    Ok(Answer::yes(json!({ "run_id": run, "decisions": documents }), text.join("\n")))
}

fn bad(error: &dyn std::error::Error) -> Failure {
    Failure::of(crate::failure::Exit::CouldNot, "usage", error)
        .hint("give a run's id or an event's URI, as `sluice call` prints them")
}

fn decision(event: &Event) -> Option<RoutingDecision> {
    let is_decision = event.kind == EventKind::RoutingDecision;
    is_decision.then(|| serde_json::from_value(event.payload.clone()).ok()).flatten()
}

fn verdict(decision: &RoutingDecision) -> String {
    match &decision.verdict {
        RouteVerdictTaken::Call(chosen) => chosen.candidate.clone(),
        RouteVerdictTaken::Refuse => "refused".to_owned(),
        RouteVerdictTaken::NeedsApproval => "needs approval".to_owned(),
    }
}

fn document(uri: &LogicalUri, decision: &RoutingDecision) -> serde_json::Value {
    json!({
        "decision": uri,
        "call": decision.call,
        "attempt": decision.attempt,
        "role": decision.facts.role,
        "stage": decision.facts.stage,
        "verdict": verdict(decision),
        "reason": decision.reason,
        "sentence": decision.sentence,
        "origin": decision.origin,
        "evidence": decision.evidence,
        "candidates": decision.candidates.iter().map(|candidate| &candidate.id).collect::<Vec<_>>(),
        "router": decision.plugin,
    })
}

fn told(uri: &LogicalUri, decision: &RoutingDecision) -> String {
    let facts = &decision.facts;
    let mut text = format!(
        "call {}, attempt {}: {} in {} -> {}\n",
        decision.call,
        decision.attempt,
        facts.role,
        facts.stage,
        verdict(decision)
    );
    for line in wrap(&format!("{}: {}", decision.reason, decision.sentence), WIDTH - 2) {
        text.push_str(&format!("  {line}\n"));
    }
    let who = match decision.origin {
        Origin::Plugin => format!(
            "{} {} ({})",
            decision.plugin.name,
            decision.plugin.version,
            decision.plugin.digest.short()
        ),
        Origin::PolicyOrder => "the router gave no usable answer: policy order".to_owned(),
        Origin::Host => "the host: policy allows no model".to_owned(),
    };
    let allowed: Vec<&str> = decision.candidates.iter().map(|candidate| candidate.id.as_str()).collect();
    let mut rows = vec![vec!["  decided by".into(), who], vec!["  allowed were".into(), allowed.join(", ")]];
    for earlier in &facts.earlier {
        rows.push(vec![
            format!("  attempt {}", earlier.attempt),
            format!("{}: {}", earlier.candidate, earlier.kind),
        ]);
    }
    for (key, value) in &decision.evidence {
        rows.push(vec![format!("  {}", clip(key, 28)), value.clone()]);
    }
    rows.push(vec!["  recorded as".into(), uri.to_string()]);
    text.push_str(&columns(&rows));
    text
}
