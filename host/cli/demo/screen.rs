//! The demo's screen: 100 columns, plain text, read in a minute.

use super::calls::{Played, Told};
use super::proof::Proof;
use super::spec::SPEC;
use super::{Verdict, redactions};
use crate::snapshots::Store;
use crate::table::{WIDTH, clip, columns, count, thousands, wrap};
use crate::workspace::Workspace;
use sluice_core::MicroUsd;
use sluice_core::record::{AttemptOutcome, Finding};
use std::collections::BTreeSet;
use std::path::Path;

/// Where the text beside a heading begins.
const INDENT: usize = 11;

/// Draws it.
pub fn draw(
    workspace: &Workspace,
    played: &Played,
    proof: &Proof,
    verdict: &Verdict,
    program: &str,
) -> String {
    let mut screen = Screen(String::new());
    screen.0.push_str(&rule("Sluicegate: a small specification, six governed calls, one secret"));
    screen.say("ASKED", &asked());
    screen.table("CALLS", &calls(played));
    screen.say_on(&escalated(played));
    screen.say("REDACTED", &redacted(played, proof, verdict));
    screen.say("RESTORED", &restored(played));
    screen.say("REPLAYED", &replayed(proof, verdict));
    what_if(&mut screen, played, proof, verdict);
    record(&mut screen, workspace, played, proof);
    next(&mut screen, workspace, played, program);
    screen.0
}

struct Screen(String);

impl Screen {
    /// A heading and a paragraph beside it.
    fn say(&mut self, heading: &str, text: &str) {
        self.lines(heading, &wrap(text, WIDTH - INDENT));
    }

    /// A heading and a table beside it.
    fn table(&mut self, heading: &str, rows: &[Vec<String>]) {
        let table = columns(rows);
        let lines: Vec<String> = table.lines().map(|line| clip(line, WIDTH - INDENT)).collect();
        self.lines(heading, &lines);
    }

    fn lines(&mut self, heading: &str, lines: &[String]) {
        if !heading.is_empty() {
            self.0.push('\n');
        }
        for (at, line) in lines.iter().enumerate() {
            let heading = if at == 0 { heading } else { "" };
            self.0.push_str(format!("{heading:<INDENT$}{line}").trim_end());
            self.0.push('\n');
        }
    }
}

fn rule(title: &str) -> String {
    let line: String = std::iter::repeat_n('─', WIDTH.saturating_sub(title.chars().count() + 4)).collect();
    format!("── {title} {line}\n")
}

fn asked() -> String {
    let lines = SPEC.lines().count();
    format!(
        "An architect, an implementer and a judge take a specification of {lines} lines (a link shortener) through \
         six stages. Somebody left an access token in it. The two model servers, \"cloud\" and \"reflex\" \
         (a local one), are loopback stand-ins on this machine: real HTTP, invented answers, nothing paid."
    )
}

/// One row an attempt, so that an escalation is seen where it happened.
fn calls(played: &Played) -> Vec<Vec<String>> {
    let cells = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![cells(["stage", "who asked", "went to", "because", "came to"])];
    for told in &played.calls {
        for (at, attempt) in told.reply.attempts.iter().enumerate() {
            let (stage, role) = if at == 0 { (told.stage.code(), told.role.code()) } else { ("", "") };
            let came_to = match (attempt.outcome, told.reply.cost) {
                (AttemptOutcome::Ok, Some(cost)) => cost.to_string(),
                (outcome, _) => outcome.code().to_owned(),
            };
            rows.push(cells([stage, role, &attempt.candidate, &attempt.reason, &came_to]));
        }
    }
    rows.push(cells(["", "", "", "had it been real", &played.spent.to_string()]));
    rows
}

/// What the rows with more than one attempt mean.
fn escalated(played: &Played) -> String {
    let mut text = String::new();
    for told in played.calls.iter().filter(|told| told.reply.attempts.len() > 1) {
        let attempts = &told.reply.attempts;
        let failed = &attempts[0];
        text.push_str(&format!(
            "In stage {} the local model failed {} ({}), as often as policy lets it try; the cloud took over. ",
            told.stage,
            count(attempts.len() as u64 - 1, "time"),
            failed.outcome.code(),
        ));
    }
    text.push_str("Each decision was on disk before its request left.");
    text
}

fn findings(told: &Told) -> impl Iterator<Item = &Finding> {
    told.reply.findings.iter().chain(&told.reply.response_findings)
}

fn redacted(played: &Played, proof: &Proof, verdict: &Verdict) -> String {
    let marks: BTreeSet<String> = played
        .calls
        .iter()
        .flat_map(findings)
        .map(|finding| sluice_governance::tag::placeholder(&finding.rule, &finding.tag))
        .collect();
    let marks: Vec<String> = marks.into_iter().collect();
    let searched = format!(
        "{} that the servers received and {} of this workspace ({} bytes) were searched for every 8 bytes \
         of it, as they are, in hex, percent and base64",
        count(played.requests, "request"),
        count(proof.searched.files, "file"),
        thousands(proof.searched.bytes),
    );
    let found = if verdict.kept_back { "it is in none of them." } else { "IT WAS FOUND." };
    format!(
        "The token was found {}, and each time {} left in its place. {searched}: {found}",
        count(redactions(played) as u64, "time"),
        marks.join(" or "),
    )
}

/// Which answers gave the caller its own token back.
fn restored(played: &Played) -> String {
    let stages: Vec<&str> =
        played.calls.iter().filter(|told| told.restored).map(|told| told.stage.code()).collect();
    if stages.is_empty() {
        return "No answer repeated the placeholder, so there was nothing to put back.".to_owned();
    }
    format!(
        "The answer in {} repeated the placeholder. The caller, whose token it is, got the token back in its place \
         (security.redaction.restore); the model never saw it, and the record keeps the placeholder.",
        stages.join(", ")
    )
}

fn replayed(proof: &Proof, verdict: &Verdict) -> String {
    let replay = &proof.replay;
    let word = if verdict.replayed { "" } else { "NOT PROVEN. " };
    format!(
        "{word}Offline, with the policy and the plugin bytes out of the record: {} of the four sandboxed plugins \
         made again; {} things compared, {} matched, {} mismatched.",
        count(replay.decisions, "decision"),
        thousands(replay.matched + replay.mismatched),
        thousands(replay.matched),
        thousands(replay.mismatched),
    )
}

fn what_if(screen: &mut Screen, played: &Played, proof: &Proof, verdict: &Verdict) {
    let (other, control) = (&proof.other, &proof.control);
    let known = |cost: Option<MicroUsd>| cost.unwrap_or_default().0;
    let (from, to) = other.changed.iter().fold((0_u64, 0_u64), |(from, to), change| {
        (from + known(change.from_cost), to + known(change.to_cost))
    });
    let would = MicroUsd(played.spent.0.saturating_sub(from).saturating_add(to));
    let first = format!(
        "Had the plugin `{} {}` routed: {} of {} would have gone elsewhere, for {} and not {}.",
        other.router.name,
        other.router.version,
        other.changed.len(),
        count(other.decisions, "attempt"),
        would,
        played.spent
    );
    screen.say("WHAT IF", &first);
    let rows: Vec<Vec<String>> = other
        .changed
        .iter()
        .map(|change| {
            vec![
                format!("  {}", change.stage),
                change.from.clone(),
                "->".into(),
                change.to.clone(),
                change.to_reason.clone(),
            ]
        })
        .collect();
    screen.table("", &rows);
    let control = match (verdict.controlled, control.changed.len()) {
        (true, _) => "The control: the same router asked again changes nothing.".to_owned(),
        (false, n) => format!("THE CONTROL FAILED: the same router asked again changes {n}."),
    };
    screen.say_on(&control);
}

impl Screen {
    /// A paragraph under the one before.
    fn say_on(&mut self, text: &str) {
        self.lines("", &wrap(text, WIDTH - INDENT));
    }
}

fn record(screen: &mut Screen, workspace: &Workspace, played: &Played, proof: &Proof) {
    let snapshot = &proof.policy.snapshot;
    let cells = |name: &str, value: String| vec![name.to_owned(), value];
    let inside = |path: &Path| path.strip_prefix(workspace.root()).unwrap_or(path).display().to_string();
    let events = count(proof.events.len() as u64, "event");
    let rows = vec![
        cells("workspace", workspace.root().display().to_string()),
        cells("capsule", inside(&crate::capsule::capsule_path(workspace))),
        cells("run", format!("{}: {events}, chained by hash and signed", played.run)),
        cells("policy", inside(&Store::new(workspace).path(snapshot.policy_id))),
        cells("its hash", snapshot.hash.to_string()),
    ];
    // Paths are for copying: they are never cut.
    let table = columns(&rows);
    screen.lines("RECORD", &table.lines().map(str::to_owned).collect::<Vec<_>>());
}

fn next(screen: &mut Screen, workspace: &Workspace, played: &Played, program: &str) {
    let at = format!("{program} -C {}", workspace.root().display());
    let lines = [
        format!("{at} why {}", played.run),
        format!("{at} replay {}", played.run),
        format!("{at} policy show"),
    ];
    screen.lines("NEXT", &lines);
}
