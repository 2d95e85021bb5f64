//! A run's record, altered. Whoever alters it recomputes the chain; where signatures stand, they name the event, and
//! where they were taken away, what follows from the other events does.

use super::command::finished;
use crate::replay::{Row, cut, rechain};
use crate::support::Workspace;
use rusqlite::Connection;
use serde_json::{Value, json};

/// Makes the checkpoints into events that say nothing, and takes the run's end away from the merge on, which lists
/// them: a chain without any signature.
fn unsign(journal: &Connection, run: &str) {
    let rows = Row::all(journal, run);
    let merge = rows.iter().position(|row| row.kind == "BranchMerged").unwrap();
    cut(journal, run, rows.len() - merge);
    let mut rows = Row::all(journal, run);
    for row in rows.iter_mut().filter(|row| row.kind == "Checkpoint") {
        row.document["type"] = json!("GateDecision");
        row.document["payload"] = json!({});
    }
    rechain(journal, run, &mut rows, 0);
    journal.execute("DELETE FROM checkpoints", []).unwrap();
}

/// Alters the first event of a kind that fits, chains what follows to it, and tells its URI.
fn alter(journal: &Connection, run: &str, kind: &str, place: &str, to: Value) -> String {
    let mut rows = Row::all(journal, run);
    let fits = |row: &Row| row.kind == kind && row.document["payload"].pointer(place).is_some();
    let at = rows.iter().position(fits).unwrap_or_else(|| panic!("no {kind} with {place}"));
    let altered = rows[at].document["payload"].pointer_mut(place).unwrap();
    assert_ne!(*altered, to, "nothing is altered");
    *altered = to;
    rechain(journal, run, &mut rows, at);
    rows[at].uri().to_owned()
}

#[track_caller]
fn refuted(workspace: &Workspace, run: &str, event: &str) {
    let report = workspace.json(&format!("replay {run}")).exits(1).json();
    let named = report["mismatches"].as_array().unwrap().iter().any(|found| found["event"] == event);
    assert!(named, "{event} is not named in {report}");
}

#[test]
fn an_altered_stage_is_named_by_its_signature() {
    let (workspace, run) = finished();
    let event = alter(&workspace.journal(), &run, "StageTransition", "/step/begin/context/tokens", json!(1));
    refuted(&workspace, &run, &event);
}

#[test]
fn an_altered_stage_without_a_signature_is_derived_again_and_named() {
    let cases = [
        ("StageTransition", "/step/begin/context/tokens", json!(1)),
        ("StageTransition", "/step/begin/context/budget_tokens", json!(1_000_000)),
        (
            "StageTransition",
            "/step/begin/context/left_out",
            json!([{ "section": "x", "tokens": 1, "bytes": 1 }]),
        ),
        ("StageTransition", "/step/begin/inputs/0/commitment", json!("0".repeat(64))),
        ("StageTransition", "/step/begin/mode_asked", json!("reflex")),
        ("StageTransition", "/step/begin/after", json!("tasks")),
        ("StageTransition", "/attempt", json!(7)),
        ("StageTransition", "/stage", json!("unlock")),
        ("StageTransition", "/role", json!("judge")),
        ("StageTransition", "/step/end/call", json!(2)),
        ("StageTransition", "/step/end/loopback", json!(false)),
        ("StageTransition", "/step/end/artifacts", json!([])),
        ("StageTransition", "/step/end/artifacts/0/bytes", json!(1)),
        ("StageTransition", "/step/end/verdict/verdict", json!("refuse")),
        ("StageTransition", "/step/end/verdict/reasons", json!(["because"])),
        ("PatchApply", "/outcome/applied/added", json!(77)),
        ("PatchApply", "/path", json!("elsewhere.md")),
        ("PatchApply", "/outcome", json!({ "refused": { "code": "path-outside" } })),
    ];
    for (kind, place, to) in cases {
        let (workspace, run) = finished();
        let journal = workspace.journal();
        unsign(&journal, &run);
        let event = alter(&journal, &run, kind, place, to);
        drop(journal);
        println!("{kind} {place}");
        refuted(&workspace, &run, &event);
    }
    // The control: without a signature, and with nothing altered, it replays.
    let (workspace, run) = finished();
    unsign(&workspace.journal(), &run);
    let report = workspace.json(&format!("replay {run}")).exits(0).json();
    assert_eq!(report["signed_up_to"], 0);
}

#[test]
fn an_altered_merge_is_named() {
    let (workspace, run) = finished();
    let journal = workspace.journal();
    // Only the last two checkpoints stand behind the merge: with them gone it is unsigned.
    let rows = Row::all(&journal, &run);
    let merge = rows.iter().position(|row| row.kind == "BranchMerged").unwrap();
    cut(&journal, &run, rows.len() - merge - 1);
    journal.execute("DELETE FROM checkpoints WHERE number > 6", []).unwrap();
    workspace.json(&format!("replay {run}")).exits(0);
    for (place, to) in [
        ("/count", json!(1)),
        ("/mode", json!("full")),
        ("/root", json!("0".repeat(64))),
        ("/artifacts", json!([])),
        ("/into", json!("elsewhere")),
    ] {
        let mut rows = Row::all(&journal, &run);
        let (last, kept) = (rows.len() - 1, rows[rows.len() - 1].document["payload"].clone());
        *rows[last].document["payload"].pointer_mut(place).unwrap() = to;
        rechain(&journal, &run, &mut rows, last);
        refuted(&workspace, &run, rows[last].uri());
        rows[last].document["payload"] = kept;
        rechain(&journal, &run, &mut rows, last);
    }
}

#[test]
fn an_artefact_that_is_exchanged_is_found() {
    let (workspace, run) = finished();
    let journal = workspace.journal();
    let other = b"# Another plan\n";
    let digest = sluice_core::Digest::of(other);
    let of_plan = "(SELECT digest FROM names WHERE uri LIKE '%/plan/plan.md')";
    let sql = format!("UPDATE blobs SET bytes = ?1, digest = ?2 WHERE digest = {of_plan}");
    assert_eq!(journal.execute(&sql, rusqlite::params![other, digest.as_bytes()]).unwrap(), 1);
    let sql = "UPDATE names SET digest = ?1 WHERE uri LIKE '%/plan/plan.md'";
    assert_eq!(journal.execute(sql, [digest.as_bytes()]).unwrap(), 1);
    drop(journal);
    let report = workspace.json(&format!("replay {run}")).exits(1).json();
    let told = report["mismatches"].to_string();
    assert!(told.contains("plan.md") && told.contains("committed to"), "{told}");
}
