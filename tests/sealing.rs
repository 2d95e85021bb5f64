//! Sealed files from outside: made, listed, verified, healed, and replayed from on a machine that has nothing else.

use crate::support::{SLUICE, Workspace, command, copy, demo, ran};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SEALED: &str = ".speckit/capsule/sealed";

/// The demo's workspace, sealed. Made once; each test has a copy.
fn sealed() -> Workspace {
    static SEALED: OnceLock<Workspace> = OnceLock::new();
    let made = SEALED.get_or_init(|| {
        let workspace = Workspace::demo();
        let answer = workspace.json("capsule seal").exits(0).json();
        assert_eq!(answer["sealed"][0]["path"], "sealed/cp-1.mv2", "{answer}");
        workspace
    });
    let workspace = Workspace::empty();
    copy(&made.root(), &workspace.root());
    workspace
}

fn file(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.path(SEALED).join(name)
}

/// Alters one bit of the first routing decision that the file stores, and returns the event's URI.
fn flip(workspace: &Workspace, name: &str) -> String {
    let (uri, payload): (String, String) = workspace
        .journal()
        .query_row("SELECT uri, payload FROM events WHERE type = 'RoutingDecision' LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let path = file(workspace, name);
    let mut bytes = fs::read(&path).unwrap();
    // The last copy is the one that is read; Memvid's write-ahead region before it holds another.
    let at = bytes.windows(payload.len()).rposition(|window| window == payload.as_bytes()).unwrap();
    bytes[at + payload.len() / 2] ^= 1;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, bytes).unwrap();
    uri
}

/// A folder that holds the sealed files and nothing else, as an auditor takes them along.
fn taken_along(workspace: &Workspace) -> Workspace {
    let laptop = Workspace::empty();
    copy(&workspace.path(SEALED), &laptop.home().join("sealed"));
    laptop
}

/// Runs the program in a folder without a workspace.
fn at_home(laptop: &Workspace, words: &str) -> crate::support::Ran {
    ran(command(SLUICE, &laptop.home()).arg("--json").args(words.split_whitespace()), "")
}

#[test]
fn what_is_signed_is_sealed_once_and_listed() {
    let workspace = sealed();
    let again = workspace.json("capsule seal").exits(0).json();
    assert_eq!((&again["sealed"], &again["healed"]["problems"]), (&json!([]), &json!([])));
    let stats = workspace.json("capsule stats").exits(0).json();
    assert_eq!((&stats["seals"], &stats["sealed_position"]), (&json!(1), &stats["signed_position"]));
    let listed = workspace.json("capsule checkpoints").exits(0).json();
    assert_eq!(listed["seals"][0]["path"], "sealed/cp-1.mv2");
    assert_eq!(listed["seals"][0]["root"], listed["checkpoints"][0]["payload"]["statement"]["root"]);
    let text = workspace.run("capsule checkpoints").exits(0).text();
    assert!(text.contains("sealed/cp-1.mv2"), "{text}");
    let verified = workspace.json("capsule verify").exits(0).json();
    assert_eq!(
        (&verified["sealed_files"], &verified["sealed_frames"]),
        (&json!(1), &stats["sealed_position"])
    );

    workspace.json("call x --role judge --stage audit --loopback").exits(0);
    let text = workspace.run("capsule checkpoints").exits(0).text();
    assert!(text.contains("not sealed"), "{text}");
    let text = workspace.run("capsule seal").exits(0).text();
    assert!(text.contains("sealed/cp-2.mv2"), "{text}");
    let mut words = Command::new("python3");
    words
        .arg(crate::support::repository().join("tests/witness/verify_chain.py"))
        .arg(workspace.path(".speckit"));
    match words.output() {
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout)),
        Err(_) => println!("no python3: the witness was not asked"),
    }
}

#[test]
fn a_run_replays_from_its_sealed_files_alone_and_offline() {
    let workspace = sealed();
    let from_journal = workspace.json(&format!("replay {}", demo().run)).exits(0).json();
    let laptop = taken_along(&workspace);
    let words = format!("replay {} --sealed sealed", demo().run);
    let mut from_files = at_home(&laptop, &words).exits(0).json();
    assert_eq!(from_files["sealed"]["end"], "cp-1");
    from_files.as_object_mut().unwrap().remove("sealed");
    assert_eq!(from_files["key_believed"], "unconfirmed", "nobody vouches for the key");
    let mut wanted = from_journal;
    wanted["key_believed"] = json!("unconfirmed");
    assert_eq!(from_files, wanted);

    let key = workspace.json("capsule stats").exits(0).json()["public_key"].as_str().unwrap().to_owned();
    let words = format!("replay {} --sealed sealed/cp-1.mv2 --public-key {key}", demo().run);
    assert_eq!(at_home(&laptop, &words).exits(0).json()["key_believed"], "expected");
    let words = format!("replay {} --sealed sealed --public-key {}", demo().run, "00".repeat(32));
    let refuted = at_home(&laptop, &words).exits(1).json();
    assert!(refuted["mismatched"].as_u64().unwrap() > 0, "{refuted}");

    for verb in ["capsule verify", "capsule stats", "capsule events --limit 3", "capsule checkpoints"] {
        at_home(&laptop, &format!("{verb} --sealed sealed")).exits(0);
    }
    if !Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success()) {
        println!("the half without a network is skipped: `unshare -rn` is not permitted here");
        return;
    }
    let mut unshare = command("unshare", &laptop.home());
    unshare.args(["-rn", SLUICE, "--json", "replay", &demo().run, "--sealed", "sealed"]);
    ran(&mut unshare, "").exits(0);
}

#[test]
fn an_altered_bit_is_named_and_mended_from_the_journal() {
    let workspace = sealed();
    let event = flip(&workspace, "cp-1.mv2");
    let report = workspace.json("capsule verify").exits(1).json();
    assert_eq!((&report["holds"], &report["flaws"][0]["kind"]), (&json!(false), &json!("seal")));
    assert_eq!(report["flaws"][0]["uri"], "sealed/cp-1.mv2");
    assert!(report["flaws"][0]["message"].as_str().unwrap().contains(&event), "{report}");

    let laptop = taken_along(&workspace);
    let refused = at_home(&laptop, &format!("replay {} --sealed sealed", demo().run)).exits(1).error();
    assert_eq!(refused.code, "record-does-not-hold");
    assert!(refused.message.contains(&event) && !refused.hint.is_empty(), "{}", refused.message);

    let mended = workspace.json("capsule seal").exits(0);
    assert!(mended.stderr.contains("written again from the journal"), "{}", mended.stderr);
    assert_eq!(mended.json()["healed"]["rebuilt"].as_array().unwrap().len(), 1);
    assert!(file(&workspace, "damaged-cp-1.mv2").exists());
    workspace.json("capsule verify").exits(0);
    // What the journal has lost as well is told, and is a no.
    fs::remove_file(file(&workspace, "cp-1.mv2")).unwrap();
    workspace.journal().execute_batch("DELETE FROM blobs WHERE position = 1").unwrap();
    let lost = workspace.json("capsule seal").exits(1);
    assert!(lost.stderr.contains("not put right"), "{}", lost.stderr);
}

#[test]
fn what_is_missing_from_the_files_is_told() {
    let workspace = sealed();
    let call = "call hello --role implementer --stage implement --loopback --run";
    workspace.json(&format!("{call} two")).exits(0);
    workspace.json("capsule seal").exits(0);
    workspace.json(&format!("{call} three")).exits(0);
    let laptop = taken_along(&workspace);
    for run in [demo().run.as_str(), "two"] {
        at_home(&laptop, &format!("replay {run} --sealed sealed")).exits(0);
    }
    let later = at_home(&laptop, "replay three --sealed sealed").exits(2).error();
    assert_eq!(later.code, "not-sealed");
    assert!(
        later.message.ends_with("they end with cp-2") && later.hint.contains("capsule seal"),
        "{}",
        later.message
    );
    let later =
        at_home(&laptop, "capsule resolve-uri mv2://demo/event/three/1 --sealed sealed").exits(2).error();
    assert_eq!(later.code, "not-sealed");

    fs::remove_file(laptop.home().join("sealed/cp-1.mv2")).unwrap();
    let gap = at_home(&laptop, "replay two --sealed sealed").exits(2).error();
    assert_eq!(gap.code, "sealed-gap");
    assert!(gap.message.contains("the file of `cp-1` is missing") && !gap.hint.is_empty(), "{}", gap.message);
    at_home(&laptop, "replay two --sealed nowhere.mv2").exits(1).error();
    at_home(&laptop, "replay two --sealed").exits(2).error();
}

#[test]
fn what_a_crash_left_is_put_right_by_the_next_writer_and_told() {
    let workspace = sealed();
    for name in [".sealing-cp-2.mv2", "..sealing-cp-2.mv2.Ab3dEf"] {
        fs::write(file(&workspace, name), b"half").unwrap();
    }
    assert_eq!(workspace.journal().execute("DELETE FROM seals", []).unwrap(), 1);
    workspace.json("capsule verify").exits(0);
    let called = workspace.json("call x --role judge --stage audit --loopback").exits(0);
    for told in [".sealing-cp-2.mv2", "is recorded now"] {
        assert!(called.stderr.contains(told), "{told}: {}", called.stderr);
    }
    let quiet = workspace.json("call x --role judge --stage audit --loopback").exits(0);
    assert!(!quiet.stderr.contains("seal"), "{}", quiet.stderr);
    let verified = workspace.json("capsule verify").exits(0).json();
    assert_eq!(verified["sealed_files"], 1);
}

/// No file may grow beyond a limit that a sealed file needs: the same as a full disk, without one.
#[test]
fn on_a_full_disk_nothing_is_sealed_and_nothing_is_lost() {
    let workspace = Workspace::demo();
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let mut bash = command("bash", &workspace.home());
    bash.args(["-c", script, SLUICE, "-C"]).arg(workspace.root()).args(["--json", "capsule", "seal"]);
    let failure = ran(&mut bash, "").exits(2).error();
    assert!(!failure.hint.is_empty(), "{}", failure.message);
    let verified = workspace.json("capsule verify").exits(0).json();
    assert_eq!(verified["sealed_files"], 0);
    let left: Vec<PathBuf> = crate::support::files(&workspace.path(SEALED));
    assert!(left.iter().all(|path| hidden(path)), "{left:?}");
    workspace.json("capsule seal").exits(0);
    assert_eq!(crate::support::files(&workspace.path(SEALED)), [file(&workspace, "cp-1.mv2")]);
    workspace.json("capsule verify").exits(0);
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[test]
fn a_writer_at_work_keeps_others_from_sealing_and_nobody_from_reading() {
    let workspace = sealed();
    // The lock is the flock: `flock(1)` holds it as a writer would.
    let lock = workspace.path(".speckit/capsule/writer.lock");
    let Ok(mut holder) = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read x"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        println!("skipped: no flock(1) here");
        return;
    };
    let mut said = [0; 4];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let refused = workspace.json("capsule seal").exits(2).error();
    assert_eq!(refused.code, "capsule-locked");
    let document: Value = workspace.json("capsule verify").exits(0).json();
    assert_eq!(document["sealed_files"], 1);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    workspace.json("capsule seal").exits(0);
}
