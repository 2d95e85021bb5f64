//! `sluice run` as its users meet it: arguments, files, a full disk, signals.

use crate::support::{SLUICE, Workspace, copy, ran, repository};
use serde_json::Value;
use sluice_loopback::{Behaviour, Loopback, Options, Route, Rule};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const SPEC: &str = "docs/examples/link-shortener.md";

fn spec() -> PathBuf {
    repository().join(SPEC)
}

/// A workspace whose policy keeps what models were asked and answered.
fn workspace() -> Workspace {
    let workspace = Workspace::authored();
    workspace.edit("model_policy.toml", "mode = \"prompts-only\"", "mode = \"full-io\"");
    workspace
}

fn run(workspace: &Workspace, words: &str) -> Command {
    let mut command = workspace.command();
    command.args(["--json", "run"]).arg(spec()).args(words.split_whitespace());
    command
}

/// A copy of a workspace with a finished run, and that run. Made once.
pub fn finished() -> (Workspace, String) {
    static MADE: OnceLock<(Workspace, String)> = OnceLock::new();
    let (made, run) = MADE.get_or_init(|| {
        let workspace = workspace();
        let document = ran(&mut run(&workspace, "--loopback"), "").exits(0).json();
        let run = document["run_id"].as_str().unwrap().to_owned();
        (workspace, run)
    });
    let workspace = Workspace::empty();
    copy(&made.root(), &workspace.root());
    (workspace, run.clone())
}

fn stages(workspace: &Workspace, run: &str) -> Vec<Value> {
    let listed = workspace.json(&format!("capsule events --run {run} --type StageTransition --limit 100"));
    listed.exits(0).json()["events"].as_array().unwrap().clone()
}

#[test]
fn the_document_and_the_files_tell_the_same() {
    let workspace = workspace();
    let out = workspace.path("made/out");
    let mut command = run(&workspace, "--loopback --spec-id links-1 --out");
    let document = ran(command.arg(&out), "").exits(0).json();
    let run = document["run_id"].as_str().unwrap();
    assert!(run.starts_with("run-"), "{document}");
    assert_eq!((&document["unlocked"], &document["merged"]), (&true.into(), &true.into()));
    assert_eq!(
        (document["checkpoints"].as_u64(), document["stages"].as_array().unwrap().len()),
        (Some(8), 6)
    );
    // The shape of a call is the same in each stage, and scanned once.
    let scans = |name: &str| document["scans"][name].as_u64().unwrap();
    assert!(0 < scans("remembered") && scans("remembered") < scans("fields"), "{}", document["scans"]);
    for stage in document["stages"].as_array().unwrap() {
        assert_eq!(
            (&stage["done"], &stage["loopback"], &stage["attempts"]),
            (&true.into(), &true.into(), &1.into())
        );
        assert!(stage["model"].is_string() && stage["tokens"].as_u64().unwrap() > 100, "{stage}");
    }
    let sum: u64 =
        document["stages"].as_array().unwrap().iter().map(|s| s["cost_micro_usd"].as_u64().unwrap()).sum();
    assert_eq!(document["cost_micro_usd"], sum);
    for name in ["plan.md", "tasks.md", "patch-01.diff", "validation.md", "audit.md", "unlock.md"] {
        let artifacts = document["artifacts"].as_array().unwrap();
        let artifact = artifacts.iter().find(|artifact| artifact["name"] == name).unwrap();
        let bytes = fs::read(out.join(name)).unwrap();
        assert_eq!(artifact["bytes"], bytes.len());
        let uri = artifact["uri"].as_str().unwrap();
        assert_eq!(workspace.run(&format!("capsule resolve-uri {uri}")).exits(0).stdout, bytes, "{name}");
    }
    let events = workspace.events();
    assert!(events.iter().all(|event| event["spec_id"] == "links-1" || event["type"] == "Checkpoint"));
    let report = workspace.json(&format!("replay {run}")).exits(0).json();
    assert_eq!((&report["mismatched"], report["stages"].as_array().unwrap().len()), (&0.into(), 6));
    workspace.json("capsule verify").exits(0);
    // Each mark is sealed, and the sealed files alone prove the same.
    let sealed = workspace.path(".speckit/capsule");
    let elsewhere = Workspace::empty();
    let mut files = 0;
    for file in
        crate::support::files(&sealed).iter().filter(|file| file.extension().is_some_and(|e| e == "mv2"))
    {
        fs::copy(file, elsewhere.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
        files += 1;
    }
    assert_eq!(files, 8);
    let mut replay = crate::support::command(SLUICE, &elsewhere.home());
    replay.args(["--json", "replay", run, "--sealed"]).arg(elsewhere.root());
    let brought = ran(&mut replay, "").exits(0).json();
    for what in ["matched", "mismatched", "events", "signed_up_to", "stages"] {
        assert_eq!(brought[what], report[what], "{what}");
    }
    // The same on a screen: a table, and how to go on.
    let mut command = workspace.command();
    let said = ran(command.arg("run").arg(spec()).arg("--loopback"), "").exits(0);
    for word in ["stage", "implement", "patch-01.diff", "verdict   unlock", "replay    sluice replay run-"] {
        assert!(said.text().contains(word), "{word}: {}", said.text());
    }
    assert!(said.stderr.contains("run: run-"), "{}", said.stderr);
}

#[test]
fn what_is_no_specification_is_refused_before_anything_is_made() {
    let workspace = workspace();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("empty.md", b" \n\n".to_vec(), "is empty"),
        ("large.md", b"A line of a specification.\n".repeat(400_000), "too large"),
        ("binary.md", vec![0x7f, b'E', b'L', b'F', 0xff, 0xfe, 0x00], "not UTF-8"),
        ("zero.md", b"text \0 text".to_vec(), "zero bytes"),
    ];
    for (name, bytes, told) in cases {
        fs::write(workspace.path(name), bytes).unwrap();
        let mut command = workspace.command();
        let ran = ran(command.args(["--json", "run", "--loopback"]).arg(workspace.path(name)), "").exits(1);
        let failure = ran.error();
        assert_eq!(failure.code, "bad-spec", "{name}");
        assert!(failure.message.contains(told) && !failure.hint.is_empty(), "{name}: {}", failure.message);
    }
    workspace.json("run none.md --loopback").exits(2).error();
    assert!(!workspace.path(".speckit").exists(), "nothing was made");
}

#[test]
fn a_place_for_artefacts_that_is_none_is_refused_before_anything_is_asked() {
    let workspace = workspace();
    fs::write(workspace.path("file"), "x").unwrap();
    for out in ["file", "file/below"] {
        let mut command = run(&workspace, "--loopback --out");
        let failure = ran(command.arg(workspace.path(out)), "").exits(2).error();
        assert_eq!(failure.code, "bad-out", "{out}");
        assert!(!failure.hint.is_empty());
    }
    assert!(!workspace.path(".speckit").exists());
}

#[test]
fn what_cannot_be_resumed_is_told_apart() {
    let (workspace, done) = finished();
    let refused = |words: &str| ran(&mut run(&workspace, words), "").exits(1).error();
    let before = workspace.events().len();
    let unknown = refused("--loopback --resume run-none");
    assert_eq!(unknown.code, "not-found");
    let finished = refused(&format!("--loopback --resume {done}"));
    assert_eq!(finished.code, "run-finished");
    assert!(finished.hint.contains("--resume"), "{}", finished.hint);

    // One that was begun by another verb.
    workspace.json("call hello --role architect --stage plan --loopback --run by-call").exits(0);
    assert_eq!(refused("--loopback --resume by-call").code, "other-verb");
    assert!(workspace.events().len() < before + 12, "nothing was added to any run but the call's own");
}

/// The provider's servers are stand-ins of this process, and the program is not told so.
async fn somewhere(workspace: &Workspace) -> Loopback {
    let server = Loopback::start(Options::default()).await.unwrap();
    for url in ["https://api.anthropic.com/v1", "https://api.openai.com/v1"] {
        workspace.edit("model_policy.toml", url, &server.base_url());
    }
    server
}

async fn in_background(mut command: Command) -> crate::support::Ran {
    tokio::task::spawn_blocking(move || ran(&mut command, "")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_unlocks_nothing_and_a_run_stays_with_its_servers() {
    let workspace = workspace();
    let server = somewhere(&workspace).await;
    let refused = in_background(run(&workspace, "")).await.exits(1).error();
    assert_eq!(refused.code, "stand-in");
    let begun = refused.document["run_id"].as_str().unwrap().to_owned();
    assert!(!refused.hint.is_empty());
    // Five stages were asked for, and the sixth was not.
    assert_eq!(server.requests_on(Route::Chat) + server.requests_on(Route::Messages), 5);
    assert_eq!(stages(&workspace, &begun).len(), 10);
    workspace.json(&format!("replay {begun}")).exits(0);

    let refused = ran(&mut run(&workspace, &format!("--loopback --resume {begun}")), "").exits(1).error();
    assert_eq!(refused.code, "other-server");
    assert!(refused.hint.contains("--loopback"), "{}", refused.hint);
    // Nor does it go on with another text or under another id.
    let other = workspace.path("other.md");
    fs::write(&other, "# Something else\n").unwrap();
    let mut command = workspace.command();
    command.args(["--json", "run"]).arg(&other).args(["--resume", &begun]);
    assert_eq!(ran(&mut command, "").exits(1).error().code, "other-spec");
    // Nor does another verb put a call among its stages.
    let call =
        workspace.json(&format!("call hello --role judge --stage unlock --run {begun}")).exits(1).error();
    assert_eq!(call.code, "run-staged");
    let words = format!("--spec-id another --resume {begun}");
    assert_eq!(ran(&mut run(&workspace, &words), "").exits(1).error().code, "other-spec");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_exits_one_and_says_how_to_go_on() {
    let cases = [
        (Behaviour::Leak("\u{1}\u{2}".to_owned()), "answer-unusable", "control characters"),
        (Behaviour::Flood(1 << 20), "answer-unusable", "too long"),
        (Behaviour::Fail(400), "no-answer", "stage plan stopped"),
        (Behaviour::Garbage, "no-answer", "stage plan stopped"),
    ];
    for (behaviour, code, told) in cases {
        let workspace = workspace();
        let server = somewhere(&workspace).await;
        server.add_rule(Rule::new(behaviour.clone()));
        let failure = in_background(run(&workspace, "")).await.exits(1).error();
        assert_eq!(failure.code, code, "{behaviour:?}: {}", failure.message);
        assert!(failure.message.contains(told), "{behaviour:?}: {}", failure.message);
        let begun = failure.document["run_id"].as_str().unwrap();
        assert!(failure.hint.contains(&format!("--resume {begun}")), "{behaviour:?}: {}", failure.hint);
        assert_eq!(stages(&workspace, begun).len(), 2, "{behaviour:?}: a begin and a stop");
        workspace.json(&format!("replay {begun}")).exits(0);
    }
}

#[test]
fn a_missing_key_is_said_and_nothing_is_invented() {
    let workspace = workspace();
    let failure = ran(&mut run(&workspace, ""), "").exits(2).error();
    assert_eq!(failure.code, "missing-key");
    assert!(failure.message.contains("stage plan"), "{}", failure.message);
    assert!(failure.hint.contains("--resume"), "{}", failure.hint);
}

/// No file may grow beyond a limit: the same as a full disk, without one. The longer the specification, the sooner the
/// journal's log is full; a mebibyte is what the sandbox itself needs.
#[test]
fn where_the_record_cannot_be_written_the_run_stops_and_goes_on_later() {
    let mut stopped_at = BTreeSet::new();
    for kilobytes in [60, 200, 400, 800] {
        // With its code cache and its policy made: what is left to write is the run's own.
        let (workspace, _) = finished();
        let text = "A line of a long specification, which says nothing at all.\n\n".repeat(kilobytes * 17);
        fs::write(workspace.path("long.md"), text).unwrap();
        let run = |words: &str| {
            let mut command = workspace.command();
            command.args(["--json", "run"]).arg(workspace.path("long.md")).args(words.split_whitespace());
            command
        };
        let limited = run("--loopback");
        let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
        let mut bash = crate::support::command("bash", &workspace.home());
        bash.arg("-c").arg(script).arg(limited.get_program()).args(limited.get_args());
        let failure = ran(&mut bash, "").exits(2).error();
        assert_eq!(failure.code, "capsule", "{kilobytes}: {}", failure.message);
        let begun = failure.document["run_id"].as_str().unwrap().to_owned();
        assert!(failure.hint.contains(&format!("--resume {begun}")), "{}", failure.hint);
        workspace.json("capsule verify").exits(0);
        let before = workspace.events();
        stopped_at.insert(stages(&workspace, &begun).len());

        ran(&mut run(&format!("--loopback --resume {begun}")), "").exits(0);
        assert_eq!(workspace.events()[..before.len()], before[..], "nothing was lost");
        workspace.json(&format!("replay {begun}")).exits(0);
        workspace.json("capsule verify").exits(0);
    }
    assert!(stopped_at.len() >= 2, "each limit stopped the run at the same place: {stopped_at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_it_and_says_how_to_go_on() {
    let workspace = workspace();
    let server = somewhere(&workspace).await;
    server.add_rule(Rule::new(Behaviour::Ok).times(2));
    server.add_rule(Rule::new(Behaviour::Stall(std::time::Duration::from_secs(3_600))).times(1));
    for (at, signal) in ["INT", "TERM"].into_iter().enumerate() {
        if at == 1 {
            server.add_rule(Rule::new(Behaviour::Ok).times(2));
            server.add_rule(Rule::new(Behaviour::Stall(std::time::Duration::from_secs(3_600))).times(1));
        }
        let mut command = run(&workspace, "");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let want = 3 * (at as u64 + 1);
        while server.requests_on(Route::Chat) + server.requests_on(Route::Messages) < want {
            tokio::task::yield_now().await;
        }
        let mut kill = Command::new("kill");
        assert!(kill.arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap().success());
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(2), "{signal}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["error"]["code"], "interrupted", "{document}");
        let begun = document["run_id"].as_str().unwrap();
        assert!(
            document["error"]["hint"].as_str().unwrap().contains(&format!("--resume {begun}")),
            "{document}"
        );
        let last = stages(&workspace, begun).last().unwrap().clone();
        assert_eq!(last["payload"]["step"]["stop"]["code"], "interrupted", "{last}");
        workspace.json("capsule verify").exits(0);
        workspace.json(&format!("replay {begun}")).exits(0);
    }
}

#[test]
fn a_command_runs_where_policy_lists_it_and_a_policy_that_changes_is_adopted_at_the_next_boundary() {
    let workspace = workspace();
    let policy = workspace.path("model_policy.toml");
    // The command sees the patched folder, and nothing of the environment; it prints a secret, and it changes the
    // policy behind the run's back.
    let token = crate::rig::token();
    let (head, tail) = token.split_at(20);
    let script = format!(
        "cat loopback.md; env | sort; echo {head}\"\"{tail}; sed -i 's/unlock = 2_000/unlock = 1_900/' {}; exit 3",
        policy.display()
    );
    fs::write(workspace.path("check.sh"), script).unwrap();
    let section = format!(
        "[pipeline]\nvalidate_command = [\"/bin/sh\", \"{}\"]\nvalidate_timeout_ms = 60_000\n\n[capture]\nmode",
        workspace.path("check.sh").display()
    );
    workspace.edit("model_policy.toml", "[capture]\nmode", &section);
    assert!(fs::read_to_string(&policy).unwrap().contains("unlock = 2_000"), "the test knows the policy");
    let document = ran(&mut run(&workspace, "--loopback"), "").exits(0).json();
    let begun = document["run_id"].as_str().unwrap();

    let events = workspace.events();
    let of = |kind: &str| -> Vec<&Value> { events.iter().filter(|event| event["type"] == kind).collect() };
    let result = &of("ToolResult")[0]["payload"];
    assert_eq!(result["ended"], "exit 3");
    let uri = result["output"]["uri"].as_str().unwrap();
    let page = workspace.run(&format!("capsule resolve-uri {uri}")).exits(0).text();
    assert!(page.contains("[loopback] ") && page.contains("[REDACTED:"), "{page}");
    assert!(!page.contains(&token) && !page.contains("HOME=/root"), "{page}");
    let adopted = of("PolicySnapshotRef");
    let occasions: Vec<&str> =
        adopted.iter().map(|event| event["payload"]["occasion"].as_str().unwrap()).collect();
    assert_eq!(occasions, ["run-start", "stage-boundary"]);
    let transitions = of("StageTransition");
    let hash = |at: usize| transitions[at]["policy"]["hash"].clone();
    assert_eq!(hash(0), hash(7), "Validate ends under the policy that it began under");
    assert_ne!(hash(7), hash(8), "Audit begins under the new one");
    workspace.json(&format!("replay {begun}")).exits(0);
}

#[test]
fn help_names_what_it_takes() {
    let workspace = Workspace::empty();
    let help = ran(crate::support::command(SLUICE, &workspace.home()).args(["run", "--help"]), "").exits(0);
    for word in ["--spec-id", "--risk", "--out", "--resume", "--merge", "--loopback[=<WHERE>]"] {
        assert!(help.text().contains(word), "{word}");
    }
}
