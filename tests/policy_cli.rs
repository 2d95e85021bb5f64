//! Policies and pins from outside: everything that is wrong at once, nothing written; bytes that changed; snapshots
//! that somebody edited.

use crate::support::{Workspace, demo, repository, sha256};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The repository's policy with five mistakes of five kinds, each with the path under which it is told.
fn mistaken() -> (String, [&'static str; 5]) {
    let text = fs::read_to_string(repository().join("model_policy.toml")).unwrap();
    let mut text = text.replacen("[capture]\nmode = \"prompts-only\"", "[capture]\nmoode = \"none\"", 1);
    for (from, to) in [
        ("schema_permille_min = 1000", "schema_permille_min = \"all\""),
        ("usage = 300", "usage = 400"),
        ("models = [\"anthropic/claude-sonnet-4-20250514\"]", "models = []"),
        ("[prices.\"openai/gpt-4o\"]", "[prices.\"openai/gpt-9\"]"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    (text, ["capture", "routing.reflex.thresholds", "scoring", "routing.cloud.judge", "prices"])
}

fn paths(problems: &Value) -> Vec<&str> {
    let problems = problems.as_array().unwrap();
    for problem in problems {
        for field in ["path", "message", "hint"] {
            assert!(!problem[field].as_str().unwrap().is_empty(), "{field}: {problem}");
        }
    }
    problems.iter().map(|problem| problem["path"].as_str().unwrap()).collect()
}

#[test]
fn every_mistake_is_told_at_once_and_nothing_is_written() {
    let workspace = Workspace::empty();
    let (text, wanted) = mistaken();
    fs::write(workspace.path("model_policy.toml"), text).unwrap();

    let validated = workspace.json("policy validate").exits(1).json();
    assert_eq!(validated["valid"], false);
    let told = paths(&validated["problems"]);
    for path in wanted {
        assert!(told.iter().any(|told| told.starts_with(path)), "{path} is not among {told:?}");
    }

    let compiled = workspace.json("policy compile").exits(1);
    let failure = compiled.error();
    assert_eq!(failure.code, "invalid");
    assert!(!failure.hint.is_empty());
    assert_eq!(paths(&failure.document["problems"]), told);
    for path in &told {
        assert!(compiled.stderr.contains(path), "{path}: {}", compiled.stderr);
    }
    // A call compiles first: it is refused just so.
    let called = workspace.json("call x --role judge --stage audit --loopback").exits(1);
    assert_eq!(paths(&called.error().document["problems"]), told);
    assert!(!workspace.path(".speckit/policies").exists());
    assert_eq!(workspace.json("policy list").json()["snapshots"], Value::Array(Vec::new()));
}

#[test]
fn a_valid_policy_says_which_hash_it_would_have() {
    let workspace = Workspace::authored();
    let validated = workspace.json("policy validate").exits(0).json();
    assert_eq!((&validated["valid"], &validated["problems"]), (&true.into(), &Value::Array(Vec::new())));
    assert!(!workspace.path(".speckit").exists(), "validating writes nothing");
    let compiled = workspace.json("policy compile").exits(0).json();
    assert_eq!(compiled["hash"], validated["hash"]);
    assert_eq!(compiled["compiled"], true);
    // The same sources again are the same snapshot, also under another id and time.
    let again = workspace.json("policy compile").exits(0).json();
    assert_eq!(again["compiled"], false);
    assert_eq!(again["policy_id"], compiled["policy_id"]);
    // The file and the record hold the same bytes.
    let uri = compiled["uri"].as_str().unwrap();
    let kept = workspace.run(&format!("capsule resolve-uri {uri} --out kept.json"));
    kept.exits(0);
    let kept = fs::read(workspace.home().join("kept.json")).unwrap();
    assert_eq!(kept, fs::read(compiled["path"].as_str().unwrap()).unwrap());
    assert_eq!(compiled["bytes_digest"], sha256(&kept));
}

/// The bytes with one more custom section: another plugin file, and still the same component.
fn with_a_section(bytes: &[u8]) -> Vec<u8> {
    [bytes, b"\0\x06\x04note!"].concat()
}

#[test]
fn a_changed_plugin_file_is_refused_until_it_is_locked() {
    let workspace = Workspace::demo();
    let path = workspace.path("plugins/router.wasm");
    let old = fs::read(&path).unwrap();
    let new = with_a_section(&old);
    let before = workspace.json("policy current").exits(0).json();
    fs::write(&path, &new).unwrap();

    let refused = workspace.json("policy compile").exits(1);
    let problem = refused.error().document["problems"][0].clone();
    assert_eq!(problem["path"], "plugins.router.source");
    let message = problem["message"].as_str().unwrap();
    for part in ["plugins.lock", &sha256(&old), &sha256(&new)] {
        assert!(message.contains(part), "{part}: {message}");
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(problem["hint"].as_str().unwrap().contains("sluice plugin lock"));
    workspace.json("plugin verify").exits(1);
    workspace.json("call x --role judge --stage audit --loopback").exits(1);
    assert_eq!(workspace.json("policy list").json()["snapshots"].as_array().unwrap().len(), 1);

    workspace.json("plugin lock").exits(0);
    workspace.json("plugin verify").exits(0);
    let after = workspace.json("policy compile").exits(0).json();
    assert_ne!(after["hash"], before["hash"]);
    let changes = workspace
        .json(&format!(
            "policy diff {} {}",
            before["policy_id"].as_str().unwrap(),
            after["policy_id"].as_str().unwrap()
        ))
        .exits(0)
        .json();
    assert!(changes["changes"].to_string().contains(&sha256(&new)), "{changes}");
    // What was recorded under the old bytes still replays: they are in the capsule.
    workspace.json(&format!("replay {}", demo().run)).exits(0);
}

#[test]
fn a_spoilt_plugin_file_is_refused_by_its_pin_before_anything_looks_into_it() {
    let workspace = Workspace::demo();
    let path = workspace.path("plugins/redactor.wasm");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let failure = workspace.json("policy compile").exits(1).error();
    let message = failure.document["problems"][0]["message"].to_string();
    assert!(message.contains(&sha256(&bytes)), "{message}");
}

/// Every verb that would use the snapshot says no, with a hint and the snapshot's URI.
#[track_caller]
fn refuses_its_snapshot(workspace: &Workspace) {
    for verb in ["policy current", "policy show current", "call x --role judge --stage audit --loopback"] {
        let ran = workspace.json(verb).exits(1);
        let failure = ran.error();
        assert!(!failure.hint.is_empty(), "{verb}: {}", ran.stderr);
        assert!(failure.document.to_string().contains("mv2://demo/policy/"), "{verb}: {}", ran.text());
        assert!(failure.document["text"].is_null(), "{verb} answered");
    }
    let listed = workspace.json("policy list").exits(1).json();
    assert_eq!(listed["snapshots"][0]["sound"], false);
}

#[test]
fn a_snapshot_file_edited_by_hand_is_refused() {
    for (from, to) in [
        ("\"created_at\": \"2", "\"created_at\": \"1"),
        ("\"policy_version\": \"1.0.0-demo\"", "\"policy_version\": \"1.0.1-demo\""),
        ("{\n", "{ \n"),
    ] {
        let workspace = Workspace::demo();
        let file = workspace.snapshot_file();
        workspace.edit(&file, from, to);
        refuses_its_snapshot(&workspace);
    }
}

#[test]
fn what_the_hint_says_brings_an_edited_snapshot_back() {
    let workspace = Workspace::demo();
    let file = workspace.snapshot_file();
    let before = fs::read(workspace.path(&file)).unwrap();
    workspace.edit(&file, "\"created_at\": \"2", "\"created_at\": \"1");
    let hint = workspace.json("policy current").exits(1).error().hint;
    let command = hint.split('`').nth(1).unwrap();
    let words = command.strip_prefix("sluice ").unwrap().to_owned();
    workspace.run(&words).exits(0);
    assert_eq!(fs::read(workspace.path(&file)).unwrap(), before);
    workspace.json("policy current").exits(0);
}

#[test]
fn snapshot_bytes_edited_in_the_journal_are_refused() {
    let workspace = Workspace::demo();
    let journal = workspace.journal();
    let of_policy = "(SELECT digest FROM names WHERE uri LIKE '%/policy/%')";
    let changed = journal
        .execute(
            &format!(
                "UPDATE blobs SET bytes = CAST(replace(CAST(bytes AS TEXT), '1.0.0-demo', '1.0.1-demo') AS BLOB)
                 WHERE digest = {of_policy}"
            ),
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(journal);
    workspace.json("policy current").exits(1).error();
    workspace.json("call x --role judge --stage audit --loopback").exits(1).error();
    let replayed = workspace.json(&format!("replay {}", demo().run)).exits(1).json();
    assert!(replayed["mismatched"].as_u64().unwrap() > 0);
    let verified = workspace.json("capsule verify").exits(1).json();
    assert_eq!(verified["holds"], false);
}

#[test]
fn the_hash_recomputes_from_a_script_of_twenty_lines() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return;
    }
    let workspace = Workspace::demo();
    let file = workspace.snapshot_file();
    let witness = || {
        let script = repository().join("tests/witness/policy_hash.py");
        let out = Command::new("python3").arg(script).arg(workspace.path(&file)).output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap().trim().to_owned())
    };
    let hash = demo().document["policy"]["hash"].as_str().unwrap().to_owned();
    assert_eq!(witness(), (Some(0), hash.clone()));
    workspace.edit(&file, "1.0.0-demo", "1.0.1-demo");
    let (code, other) = witness();
    assert!(code == Some(1) && other != hash, "{code:?} {other}");
}
