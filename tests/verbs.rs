//! Verbs from outside: exit status, what goes to which stream, runs that go on and end, missing keys, two writers.

use crate::support::{SLUICE, Workspace, command, demo, ran};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn each_way_to_ask_wrongly_exits_two_and_says_so_in_one_document() {
    let workspace = Workspace::demo();
    for words in [
        "frobnicate",
        "--frobnicate",
        "call",
        "call x --role king --stage plan",
        "call x --role judge --stage lunch",
        "call x --role judge --stage audit --tag nokey --loopback",
        "policy",
        "policy frobnicate",
        "capsule events --type Rumour",
        "capsule events --limit 0",
        "capsule resolve-uri nonsense",
        "capsule resolve-uri mv2://demo/policy/not-a-uuid",
        "capsule resolve-uri https://example.org/",
        "replay ../../etc/passwd",
        "replay",
    ] {
        let failure = workspace.json(words).exits(2).error();
        assert_eq!(failure.code, "usage", "{words}: {}", failure.message);
        assert!(!failure.hint.is_empty(), "{words}: {}", failure.message);
        let plain = workspace.run(words).exits(2);
        assert!(plain.stderr.contains("error: ") && plain.stderr.contains("hint: "), "{}", plain.stderr);
        assert!(plain.stdout.is_empty(), "{words}: {}", plain.text());
    }
}

#[test]
fn what_is_not_there_is_told_with_a_hint() {
    let workspace = Workspace::demo();
    let unknown = workspace.json("replay run-x").exits(2).error();
    assert_eq!(unknown.code, "not-found");
    assert!(unknown.message.contains("run-x") && unknown.hint.contains("capsule stats"));
    let lines = workspace.run("replay run-x").exits(2);
    assert!(lines.stdout.is_empty() && lines.stderr.contains("hint: "), "{}", lines.stderr);
    workspace.json("capsule events --run run-x").exits(2).error();
    workspace.json("capsule resolve-uri mv2://demo/event/run-x/1").exits(2).error();
    let none = workspace.json("why mv2://demo/event/run-x/1").exits(2).error();
    assert!(none.hint.contains("capsule stats"), "{}", none.hint);
    let none = workspace.json(&format!("why mv2://demo/event/{}/9999", demo().run)).exits(2).error();
    assert!(none.hint.contains("capsule events --run"), "{}", none.hint);
    assert!(!workspace.json("policy show 00000000").exits(1).error().hint.is_empty());

    let nowhere = Workspace::empty();
    let mut call = command(SLUICE, &nowhere.home());
    let failure = ran(call.args(["--json", "policy", "current"]), "").exits(2).error();
    assert_eq!(failure.code, "no-workspace");
    assert!(failure.hint.contains("sluice demo"));
    nowhere.json("policy compile").exits(2).error();
    nowhere.json("capsule stats").exits(2).error();
}

#[test]
fn help_is_an_answer_and_json_is_one_document_everywhere() {
    let workspace = Workspace::demo();
    let help = workspace.run("--help").exits(0);
    assert!(help.text().contains("Exit status") && help.stderr.is_empty());
    for words in [
        "--help",
        "--version",
        "policy list",
        "policy current",
        "policy show current",
        "policy validate",
        "plugin list",
        "plugin verify",
        "plugin inspect bundled:router",
        "capsule stats",
        "capsule events",
        "capsule verify",
        "capsule checkpoints",
        "speckit policy list",
    ] {
        let answered = workspace.json(words).exits(0);
        assert!(answered.json().is_object(), "{words}");
        let plain = workspace.run(words).exits(0).stdout;
        assert!(serde_json::from_slice::<Value>(&plain).is_err(), "{words} prints a document unasked");
    }
}

fn payloads(workspace: &Workspace, run: &str, kind: &str) -> Vec<Value> {
    let words = format!("capsule events --run {run} --type {kind} --limit 1000");
    let document = workspace.json(&words).exits(0).json();
    document["events"].as_array().unwrap().iter().map(|event| event["payload"].clone()).collect()
}

#[test]
fn a_named_run_goes_on_in_one_chain() {
    let workspace = Workspace::demo();
    let call = "call hello --role implementer --stage implement --run two --loopback";
    let first = workspace.json(call).exits(0).json();
    let second = workspace.json(call).exits(0).json();
    assert_eq!((&first["run_id"], &second["run_id"]), (&json!("two"), &json!("two")));
    assert_eq!((&first["call"], &second["call"]), (&json!(1), &json!(2)));
    assert_eq!(first["loopback"], true);
    assert!(first["text"].as_str().unwrap().starts_with("[loopback]"));

    let events = workspace.json("capsule events --run two --limit 1000").exits(0).json();
    let mut prev = json!("0".repeat(64));
    for (at, event) in events["events"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&event["seq"], &event["prev"]), (&json!(at + 1), &prev));
        prev = event["hash"].clone();
    }
    assert_eq!(payloads(&workspace, "two", "RunStarted").len(), 1);
    let report = workspace.json("replay two").exits(0).json();
    assert_eq!((&report["mismatched"], &report["signed_up_to"]), (&json!(0), &report["events"]));
    workspace.json("capsule verify").exits(0);
}

#[test]
fn a_finished_run_takes_no_more_calls() {
    let workspace = Workspace::demo();
    let before = workspace.events().len();
    let call = format!("call x --role judge --stage audit --loopback --run {}", demo().run);
    let refused = workspace.json(&call).exits(1).error();
    assert_eq!(refused.code, "run-finished");
    assert!(refused.hint.contains("--run"));
    assert_eq!(workspace.events().len(), before);
    // A call without a name ends its run.
    let run =
        workspace.json("call x --role judge --stage audit --loopback").exits(0).json()["run_id"].clone();
    let run = run.as_str().unwrap();
    assert_eq!(payloads(&workspace, run, "RunFinished")[0]["outcome"], "ok");
    workspace.json(&format!("call x --role judge --stage audit --loopback --run {run}")).exits(1).error();
}

/// A call that has no key, here and where there is no network: it ends before it would need one.
#[test]
fn a_missing_key_is_named_and_nothing_is_invented() {
    let isolated =
        Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success());
    if !isolated {
        println!("the half without a network is skipped: `unshare -rn` is not permitted here");
    }
    for program in [SLUICE, "unshare"].into_iter().take(1 + usize::from(isolated)) {
        let workspace = Workspace::authored();
        let mut call = command(program, &workspace.home());
        if program == "unshare" {
            call.args(["-rn", SLUICE]);
        }
        call.arg("-C").arg(workspace.root()).args(["--json", "call", "hello", "--role", "judge"]);
        let ran = ran(call.args(["--stage", "audit"]), "").exits(2);
        let failure = ran.error();
        assert_eq!(failure.code, "missing-key");
        assert!(failure.document.to_string().contains("ANTHROPIC_API_KEY"), "{}", ran.text());
        assert!(ran.stderr.contains("ANTHROPIC_API_KEY") && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert!(failure.document["text"].is_null());

        let run = failure.document["run_id"].as_str().unwrap();
        let attempts = failure.document["attempts"].as_array().unwrap();
        let envelopes = payloads(&workspace, run, "ModelCallEnvelope");
        assert!(!attempts.is_empty());
        assert_eq!(envelopes.len(), attempts.len());
        for (attempt, envelope) in attempts.iter().zip(&envelopes) {
            assert_eq!(attempt["outcome"], "missing-key");
            assert_eq!(envelope["outcome"], "missing-key");
            for absent in ["response", "usage", "cost"] {
                assert!(envelope[absent].is_null(), "{absent}: {envelope}");
            }
        }
        // After the last attempt the router was asked again, and refused: an attempt without a decision is none.
        let decisions = payloads(&workspace, run, "RoutingDecision");
        let made = decisions.iter().filter(|decision| decision["verdict"].get("call").is_some()).count();
        assert_eq!(made, attempts.len(), "{decisions:?}");
        assert_eq!(payloads(&workspace, run, "RunFinished")[0]["outcome"], "failed");
        workspace.json(&format!("replay {run}")).exits(0);
    }
}

#[test]
fn a_second_writer_is_refused_and_told_who_writes() {
    let workspace = Workspace::demo();
    // An endpoint that takes a connection and says nothing: whoever waits for it holds the lock meanwhile.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    workspace.edit("model_policy.toml", "http://127.0.0.1:3008/v1", &format!("http://127.0.0.1:{port}/v1"));
    let mut holder = workspace
        .command()
        .args(["call", "hello", "--role", "architect", "--stage", "plan", "--run", "held"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (accepted, connection) = mpsc::channel();
    std::thread::spawn(move || accepted.send(listener.accept()));
    let connection = connection.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();

    let refused = workspace.json("call x --role judge --stage audit --loopback").exits(2);
    let failure = refused.error();
    assert_eq!(failure.code, "capsule-locked");
    assert!(failure.message.contains(&format!("pid {}", holder.id())), "{}", failure.message);
    assert!(!failure.hint.is_empty());
    for reading in ["capsule stats", "capsule events", "capsule verify", "policy current", "plugin verify"] {
        workspace.json(reading).exits(0);
    }
    workspace.json(&format!("replay {}", demo().run)).exits(0);

    // A writer that is killed leaves no lock, and nothing that was acknowledged is gone.
    holder.kill().unwrap();
    holder.wait().unwrap();
    drop(connection);
    assert_eq!(payloads(&workspace, "held", "RoutingDecision").len(), 1);
    workspace.json("capsule verify").exits(0);
    workspace.json("call x --role judge --stage audit --loopback").exits(0);
}

#[test]
fn a_known_secret_of_the_environment_does_not_come_out() {
    let workspace = Workspace::demo();
    let value = "wharf-lantern-misty-41";
    let mut call = workspace.command();
    call.env("HARBOUR_TOKEN", value).args(["--json", "call", "--role", "architect", "--stage", "plan"]);
    let answered = ran(call.args(["--loopback", &format!("the token is {value}.")]), "").exits(0);
    assert!(!answered.text().contains(value) && !answered.stderr.contains(value), "{}", answered.text());
    assert!(answered.json()["redactions"].as_u64().unwrap() >= 1);
    let journal = std::fs::read(workspace.journal_path()).unwrap();
    assert!(!journal.windows(value.len()).any(|window| window == value.as_bytes()));
    // The control: without the variable the same words are words.
    let mut call = workspace.command();
    call.args(["--json", "call", "--role", "architect", "--stage", "plan"]);
    let answered = ran(call.args(["--loopback", &format!("the token is {value}.")]), "").exits(0);
    assert_eq!(answered.json()["redactions"], 0);
    let journal = std::fs::read(workspace.journal_path()).unwrap();
    assert!(journal.windows(value.len()).any(|window| window == value.as_bytes()));
}
