//! How a run is told: its end as a table and a document, its stops as one failure with the way to go on.

use super::{Args, StandIn};
use crate::Context;
use crate::failure::{Exit, Failure};
use crate::printer::Answer;
use crate::session::Session;
use crate::table::{columns, count, thousands};
use crate::workspace::Workspace;
use serde_json::{Value, json};
use sluice_core::RunId;
use sluice_gateway::CallFailure;
use sluice_pipeline::{Ended, Outcome, StageSummary, Stop};
use std::error::Error;

/// A run that came to its end.
pub fn outcome(context: &Context, workspace: &Workspace, args: &Args, outcome: &Outcome) -> Answer {
    let unlocked = outcome.verdict.unlocks();
    if !unlocked {
        context.printer.say("the judge refuses: the change does not go in");
    }
    Answer::of(unlocked, document(workspace, args, outcome), text(workspace, args, outcome))
}

fn document(workspace: &Workspace, args: &Args, outcome: &Outcome) -> Value {
    let summary = &outcome.summary;
    let artifacts: Vec<Value> = summary
        .stages
        .iter()
        .flat_map(|stage| &stage.artifacts)
        .map(|artifact| {
            let path = args.out.as_ref().map(|out| out.join(&artifact.name));
            json!({
                "stage": artifact.stage,
                "name": artifact.name,
                "uri": artifact.uri,
                "bytes": artifact.bytes,
                "path": path,
            })
        })
        .collect();
    json!({
        "run_id": outcome.run_id,
        "stages": summary.stages,
        "artifacts": artifacts,
        "cost_micro_usd": summary.cost_micro_usd,
        "scans": { "fields": outcome.scans.0, "remembered": outcome.scans.1 },
        "checkpoints": summary.checkpoints,
        "verdict": outcome.verdict.verdict,
        "reasons": outcome.verdict.reasons,
        "unlocked": outcome.verdict.unlocks(),
        "merged": summary.merged,
        "capsule": crate::capsule::capsule_path(workspace),
    })
}

fn text(workspace: &Workspace, args: &Args, outcome: &Outcome) -> String {
    let summary = &outcome.summary;
    let cells = |cells: [&str; 6]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![cells(["stage", "model", "attempts", "tokens", "cost", "artefact"])];
    rows.extend(summary.stages.iter().map(row));
    let mut text = columns(&rows);
    let verdict = &outcome.verdict;
    text.push_str(&format!("\nverdict   {}\n", verdict.verdict));
    for reason in &verdict.reasons {
        text.push_str(&format!("          {}\n", reason.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10}{value}\n"));
    line("cost", summary.cost_micro_usd.to_string());
    line("run", format!("{}, {}", outcome.run_id, count(summary.checkpoints, "checkpoint")));
    line("capsule", crate::capsule::capsule_path(workspace).display().to_string());
    if let Some(out) = &args.out {
        line("artefacts", out.display().to_string());
    }
    line("replay", format!("sluice replay {}", outcome.run_id));
    text
}

fn row(stage: &StageSummary) -> Vec<String> {
    let label = if stage.loopback { " (loopback)" } else { "" };
    let names: Vec<&str> = stage.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    let shown = match names.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        [first, .., last] if names.len() > 2 => format!("{first} … {last}"),
        both => both.join(", "),
    };
    vec![
        stage.stage.code().to_owned(),
        format!("{}{label}", stage.model.as_deref().unwrap_or("-")),
        stage.attempts.to_string(),
        thousands(stage.tokens),
        stage.cost_micro_usd.to_string(),
        shown,
    ]
}

/// A run that stopped before its end.
pub fn ended(session: &Session, ended: Ended<Failure>) -> Failure {
    let stop = match ended {
        Ended::Outside(failure) => return failure,
        Ended::Stopped(stop) => *stop,
    };
    let (exit, code) = kind(&stop);
    match stop {
        Stop::Record(error) => error.into(),
        Stop::Start(error) => error.into(),
        Stop::Call { stage, source } => {
            let stopped = format!("stage {stage} stopped");
            let is_record = matches!(source, CallFailure::Record(_));
            let failure = crate::call::told(session, source);
            // No model gave an answer: that is a no to the specification, unless nobody could be asked at all.
            let exit = if is_record || failure.code == "missing-key" { failure.exit } else { Exit::No };
            let message = format!("{stopped}: {}", failure.message);
            Failure { exit, message, ..failure }
        }
        Stop::Answer { code: ref what, .. } => {
            Failure::of(exit, code, &stop as &dyn Error).with("reason", json!(what))
        }
        other => {
            let hint = hint(&other);
            Failure::of(exit, code, &other as &dyn Error).maybe_hint(hint)
        }
    }
}

/// Code of a run that has ended, whose last part is in no sealed file.
const UNSEALED: &str = "unsealed";

fn kind(stop: &Stop) -> (Exit, &'static str) {
    match stop {
        Stop::Answer { .. } => (Exit::No, "answer-unusable"),
        Stop::StandIn => (Exit::No, "stand-in"),
        Stop::Call { .. } => (Exit::No, "no-answer"),
        Stop::Unscanned { .. } => (Exit::No, "blocked"),
        Stop::Interrupted(_) => (Exit::CouldNot, "interrupted"),
        Stop::Unsealed(_) => (Exit::CouldNot, UNSEALED),
        Stop::Record(_) | Stop::Start(_) => (Exit::CouldNot, "capsule"),
        Stop::Scratch { .. } => (Exit::CouldNot, "file"),
        Stop::NoSuchRun(_) => (Exit::No, "not-found"),
        Stop::Finished(_) => (Exit::No, "run-finished"),
        Stop::OtherSpec { .. } => (Exit::No, "other-spec"),
        Stop::OtherVerb { .. } => (Exit::No, "other-verb"),
        Stop::OtherServer { .. } => (Exit::No, "other-server"),
        Stop::NoContent { .. } => (Exit::No, "no-content"),
        Stop::Unreadable { .. } => (Exit::No, "record-does-not-hold"),
    }
}

/// What to do where going on with the same run is not the way, or not the whole of it.
fn hint(stop: &Stop) -> Option<String> {
    let text = match stop {
        Stop::StandIn => "begin a new run with models that are none; this one may go on with nothing else",
        Stop::Unsealed(_) => "`sluice capsule seal` writes it",
        Stop::NoSuchRun(_) => "`sluice capsule stats` lists the runs",
        Stop::Finished(_) => "leave `--resume` out to begin a new run",
        Stop::OtherSpec { .. } => "give the file that the run was begun with, unchanged; or begin a new run",
        Stop::OtherVerb { .. } => "only a run that `sluice run` began has stages to go on with",
        Stop::OtherServer { loopback: true, .. } => "add `--loopback`: its answers are the stand-in's",
        Stop::OtherServer { loopback: false, .. } => "leave `--loopback` out: its answers are models'",
        Stop::NoContent { .. } => "give the folder that holds it: `--out DIR`",
        Stop::Unreadable { .. } => "`sluice capsule verify` says what is damaged",
        _ => return None,
    };
    Some(text.to_owned())
}

/// With the way to go on, where there is a run that can. What else there is to do stands before it.
pub fn resumable(context: &Context, args: &Args, run: Option<&RunId>, failure: Failure) -> Failure {
    let Some(run) = run else { return failure };
    let failure = failure.with("run_id", json!(run));
    if ["stand-in", UNSEALED].contains(&failure.code) {
        return failure;
    }
    let mut line = "sluice".to_owned();
    if let Some(workspace) = &context.workspace {
        line.push_str(&format!(" -C {}", workspace.display()));
    }
    line.push_str(&format!(" run {} --resume {run}", args.spec.display()));
    if let Some(out) = &args.out {
        line.push_str(&format!(" --out {}", out.display()));
    }
    match args.loopback {
        Some(StandIn::All) => line.push_str(" --loopback"),
        Some(StandIn::Cloud) => line.push_str(" --loopback=cloud"),
        None => {}
    }
    let on = format!("`{line}` goes on from there");
    let hint = failure.hint.as_ref().map_or_else(|| on.clone(), |hint| format!("{hint}; then {on}"));
    failure.with("resume", json!(line)).hint(hint)
}
