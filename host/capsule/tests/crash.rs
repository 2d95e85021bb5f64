//! Kills a writer again and again, while it records and while it seals, and looks that everything it acknowledged
//! is there and whole: in the journal, and what was sealed also in the sealed files alone.
//!
//! Without the test harness, because the writer has to be a process of its own: this program runs itself
//! with `write <state>`, reads the acknowledgements, and kills it (SIGKILL) after some of them, while more
//! are on their way.

#![expect(clippy::print_stdout, reason = "the writing process tells the watching one what was acknowledged")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test without the harness is not under cfg(test)"
)]

use serde_json::json;
use sluice_capsule::{Reader, Writer, init, os_entropy};
use sluice_core::secret::NoGuard;
use sluice_core::uri::Resource;
use sluice_core::{Digest, EventDraft, EventKind, LogicalUri, PolicyBinding, PolicyId, RunId, Timestamp};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How often the writer is killed.
const KILLS: u8 = 12;

const WORKSPACE: &str = "crash";
const POLICY_BYTES: &[u8] = b"{}";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, verb, state] if verb == "write" => write_for_ever(Path::new(state)),
        _ => watch(),
    }
}

fn policy() -> PolicyBinding {
    let id: PolicyId = "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse().unwrap();
    PolicyBinding {
        id,
        uri: LogicalUri::new(WORKSPACE, Resource::Policy(id)),
        hash: Digest::of(b"hash"),
        bytes: Digest::of(POLICY_BYTES),
    }
}

fn draft(run: &str, number: u64, size: usize) -> EventDraft {
    EventDraft {
        kind: EventKind::ModelCallEnvelope,
        run_id: run.parse().unwrap(),
        spec_id: None,
        stage: None,
        role: None,
        at: Timestamp::from_millis(1_795_180_500_000),
        policy: policy(),
        payload: json!({"number": number, "text": "x".repeat(size)}),
    }
}

/// Appends in groups of one to six, from two threads, with blobs and checkpoints between, and prints a line
/// for each acknowledgement after it came.
fn write_for_ever(state: &Path) {
    let writer = Writer::open(state, Arc::new(NoGuard), "the crash test").unwrap();
    let healed = writer.healed();
    assert!(healed.problems.is_empty() && healed.discarded.is_empty(), "{healed:?}");
    for (what, count) in [("swept", healed.swept.len()), ("recorded", healed.recorded.len())] {
        say(&format!("healed {what} {count}"));
    }
    writer.put_policy(policy().id, POLICY_BYTES).wait().unwrap();
    std::thread::scope(|scope| {
        for run in ["run-a", "run-b"] {
            let writer = &writer;
            scope.spawn(move || {
                for number in 0_u64.. {
                    let group =
                        (0..=number % 6).map(|_| draft(run, number, 300 * (number as usize % 7))).collect();
                    for event in writer.append(group).wait().unwrap() {
                        say(&format!("event {} {}", event.uri, event.hash));
                    }
                    if number % 5 == 0 {
                        let bytes = format!("{run} {number}").repeat(2000).into_bytes();
                        let digest = Digest::of(&bytes);
                        let uri = writer.put_blob(bytes).wait().unwrap();
                        say(&format!("blob {uri} {digest}"));
                    }
                    if number % 9 == 8 {
                        let run: RunId = run.parse().unwrap();
                        let at = Timestamp::from_millis(0);
                        let event = writer.checkpoint(&run, "now and then", at, &policy()).wait().unwrap();
                        say(&format!("event {} {}", event.uri, event.hash));
                        for row in writer.seal(at).unwrap() {
                            say(&format!("sealed {} {}", row.last, row.root));
                        }
                    }
                }
            });
        }
    });
}

/// One write for a whole line, so that a kill leaves whole lines and at most one piece.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn watch() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join(".speckit");
    init(&state, WORKSPACE, &mut os_entropy).unwrap();
    let mut acknowledged: HashMap<LogicalUri, Digest> = HashMap::new();
    let mut seen = Seen::default();
    for kill in 1..=KILLS {
        let mut moment = [0];
        os_entropy(&mut moment).unwrap();
        let lines = run_and_kill(&state, 1 + usize::from(moment[0]));
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["sealed", last, root] => {
                    seen.sealed.insert(last.parse().unwrap(), root.parse().unwrap());
                }
                ["healed", "swept", count] => seen.swept += count.parse::<usize>().unwrap(),
                ["healed", "recorded", count] => seen.recorded += count.parse::<usize>().unwrap(),
                [_, uri, digest] => {
                    acknowledged.insert(uri.parse().unwrap(), digest.parse().unwrap());
                }
                _ => panic!("{line}"),
            }
        }
        let reader = Reader::open(&state).expect("the capsule opens after a kill");
        for (uri, digest) in &acknowledged {
            let found =
                reader.resolve(uri).unwrap_or_else(|error| panic!("kill {kill}: lost {uri}: {error}"));
            assert_eq!(found.digest, *digest, "kill {kill}: {uri} is another");
        }
        let report = reader.verify().unwrap();
        assert!(report.is_sound(), "kill {kill}: {:?}", report.flaws);
        for (last, root) in &seen.sealed {
            let recorded = reader.seals().unwrap().into_iter().find(|row| row.last == *last);
            assert_eq!(recorded.map(|row| row.root), Some(*root), "kill {kill}: a seal was lost");
        }
    }
    seals(&state, &seen);
    let report = Reader::open(&state).unwrap().verify().unwrap();
    assert!(report.checkpoints > 0 && report.events > 200, "too little was written: {report:?}");
    // And the next writer simply goes on.
    let writer = Writer::open(&state, Arc::new(NoGuard), "the crash test").unwrap();
    writer.append(vec![draft("run-a", 0, 1)]).wait().unwrap();
    writer.close().unwrap();
    println!(
        "crash: ok; {KILLS} kills, {} acknowledgements, {} events, {} checkpoints, {} sealed files; \
         swept {}, recorded {} at opening",
        acknowledged.len(),
        report.events,
        report.checkpoints,
        report.sealed_files,
        seen.swept,
        seen.recorded
    );
}

/// What was said of sealing.
#[derive(Default)]
struct Seen {
    /// Root by last position.
    sealed: HashMap<u64, Digest>,
    swept: usize,
    recorded: usize,
}

/// After one last writer the sealed files alone say what the journal says.
fn seals(state: &Path, seen: &Seen) {
    assert!(!seen.sealed.is_empty(), "nothing was sealed");
    let writer = Writer::open(state, Arc::new(NoGuard), "the crash test").unwrap();
    assert!(writer.heal().is_empty(), "opening put everything right");
    writer.checkpoint(&"run-a".parse().unwrap(), "end", Timestamp::from_millis(0), &policy()).wait().unwrap();
    writer.seal(Timestamp::from_millis(0)).unwrap();
    writer.close().unwrap();
    let journal = Reader::open(state).unwrap();
    let sealed = Reader::open_sealed(&[state.to_owned()]).unwrap();
    assert!(sealed.verify().unwrap().is_sound());
    for run in journal.runs().unwrap() {
        let ours = sealed.run_events(&run.run_id).unwrap();
        assert_eq!(
            ours,
            journal
                .run_events(&run.run_id)
                .map(|run| sluice_capsule::VerifiedRun { identity: ours.identity, ..run })
                .unwrap()
        );
    }
    let left: Vec<_> = std::fs::read_dir(state.join("capsule/sealed"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("cp-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Runs the writer until it has acknowledged `count` things, and kills it; every whole line it printed.
fn run_and_kill(state: &Path, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("write")
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    let mut killed = false;
    loop {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        match line.strip_suffix('\n') {
            Some(line) => lines.push(line.to_owned()),
            // The end, or the piece of a line that the kill cut off.
            None => break,
        }
        if lines.len() >= count && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the writer ended by itself after {} lines", lines.len());
    lines
}
