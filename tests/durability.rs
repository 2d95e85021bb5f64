//! The program against a full disk and `kill -9`: what was acknowledged is there, whole and verified.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const POLICY: &str = include_str!("../model_policy.toml");

/// A scratch workspace with the default policy.
fn workspace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model_policy.toml"), POLICY).unwrap();
    dir
}

/// The program, in a workspace, with an environment that holds nothing of ours.
fn sluice(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null());
    command
}

fn call(dir: &Path, text: &str) -> Command {
    let mut command = sluice(dir);
    command.args([
        "--json",
        "call",
        text,
        "--role",
        "architect",
        "--stage",
        "plan",
        "--loopback",
        "--run",
        "x",
    ]);
    command
}

fn json(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&out.stdout), stderr(out)))
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The capsule verifies, and every acknowledged call is in it, with its envelope.
fn holds(dir: &Path, acknowledged: &[Value]) {
    let verified = sluice(dir).args(["--json", "capsule", "verify"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}{}", json(&verified), stderr(&verified));
    for reply in acknowledged {
        for uri in ["decision", "envelope"] {
            let uri = reply[uri].as_str().unwrap();
            let found = sluice(dir).args(["--json", "capsule", "resolve-uri", uri]).output().unwrap();
            assert_eq!(found.status.code(), Some(0), "{uri}: {}", stderr(&found));
        }
    }
}

/// No file may grow beyond a limit that the answer's record would need: the same as a full disk, without one.
#[test]
fn on_a_full_disk_the_call_fails_and_what_was_acknowledged_stays() {
    let dir = workspace();
    let first = call(dir.path(), "Plan this.").output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let acknowledged = [json(&first)];

    // The log of the journal starts anew with each process: a mebibyte is room for what is recorded before a call
    // of this length leaves, and none for its text. Without the trap the limit would kill instead of failing the
    // write.
    let prompt = "A long prompt.\n".repeat(95_000);
    let limited = call(dir.path(), "-");
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(script).arg(limited.get_program()).args(limited.get_args());
    bash.current_dir(dir.path()).env_clear().env("HOME", dir.path());
    let mut child = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, prompt.as_bytes()).unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
    let told = json(&out);
    assert!(told["error"]["message"].is_string() && told.get("text").is_none(), "{told}");
    assert_eq!(told["error"]["code"], "capsule", "{told}");
    assert!(told["error"]["hint"].is_string(), "{told}");

    holds(dir.path(), &acknowledged);
    let after = call(dir.path(), "Plan this, now that there is room.").output().unwrap();
    assert_eq!(after.status.code(), Some(0), "{}", stderr(&after));
    holds(dir.path(), &[json(&after)]);
}

/// Kills the child once the journal's log has grown to `bytes`, or lets it end where it never does.
fn kill_at(dir: &Path, mut child: Child, bytes: u64) -> Output {
    let log = dir.join(".speckit/capsule/journal.db-wal");
    loop {
        let length = fs::metadata(&log).map_or(0, |meta| meta.len());
        if length >= bytes {
            child.kill().unwrap();
            break;
        }
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    child.wait_with_output().unwrap()
}

#[test]
fn after_kill_9_every_acknowledged_call_is_there() {
    let dir = workspace();
    let first = call(dir.path(), "Plan this.").output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let mut acknowledged = vec![json(&first)];
    let mut killed = 0;
    for bytes in [1, 5_000, 20_000, 40_000, 60_000] {
        let child =
            call(dir.path(), "Plan this.").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = kill_at(dir.path(), child, bytes);
        if out.status.code().is_none() {
            killed += 1;
        }
        if let Ok(reply) = serde_json::from_slice::<Value>(&out.stdout) {
            acknowledged.push(reply);
        }
        holds(dir.path(), &acknowledged);
    }
    assert!(killed >= 3, "only {killed} of 5 were killed on their way");
    let last = call(dir.path(), "Plan this.").output().unwrap();
    assert_eq!(last.status.code(), Some(0), "{}", stderr(&last));
    acknowledged.push(json(&last));
    holds(dir.path(), &acknowledged);
    let replayed = sluice(dir.path()).args(["--json", "replay", "x"]).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", json(&replayed));
}
