//! The room at its seam: real files, real processes, real damage.

mod checkpoints;
mod damage;
mod engine;
mod failures;
mod healing;
mod hooked;
mod locking;
mod making;
mod properties;
mod reading;
mod sealing;
mod sealing_faults;
mod tampering;
mod unsealed;
mod witness;
mod writing;

use crate::{Reader, WorkspaceKey, Writer, init, journal_path};
use serde_json::{Value, json};
use sluice_core::secret::{Guard, NoGuard};
use sluice_core::uri::Resource;
use sluice_core::{
    Digest, Event, EventDraft, EventKind, LogicalUri, PolicyBinding, PolicyId, RunId, Timestamp,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) const WORKSPACE: &str = "ws";
pub(super) const POLICY_BYTES: &[u8] = b"{\"policy\":true}";

/// A capsule in a scratch folder.
pub(super) struct Capsule {
    dir: tempfile::TempDir,
}

impl Capsule {
    pub fn new() -> Capsule {
        let capsule = Capsule { dir: tempfile::tempdir().unwrap() };
        init(&capsule.state(), WORKSPACE, &mut fixed_entropy(7)).unwrap();
        capsule
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join(".speckit")
    }

    pub fn db(&self) -> PathBuf {
        journal_path(&self.state())
    }

    pub fn writer(&self) -> Writer {
        Writer::open(&self.state(), Arc::new(NoGuard), "a test").unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.state()).unwrap()
    }

    pub fn key(&self) -> WorkspaceKey {
        WorkspaceKey::load(&self.state()).unwrap()
    }

    /// Another capsule with the same bytes, to be spoilt.
    pub fn copy(&self) -> Capsule {
        let copy = Capsule { dir: tempfile::tempdir().unwrap() };
        copy_tree(&self.state(), &copy.state());
        copy
    }

    /// The journal, past this room's checks: as somebody with an editor for SQLite sees it.
    pub fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.db()).unwrap()
    }
}

pub(super) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy_tree(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

pub(super) fn fixed_entropy(byte: u8) -> impl FnMut(&mut [u8]) -> std::io::Result<()> {
    move |bytes| {
        bytes.fill(byte);
        Ok(())
    }
}

pub(super) fn run(name: &str) -> RunId {
    name.parse().unwrap()
}

pub(super) fn uri(path: &str) -> LogicalUri {
    format!("mv2://{WORKSPACE}/{path}").parse().unwrap()
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_180_500_000 + seconds * 1000)
}

pub(super) fn policy_id() -> PolicyId {
    "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse().unwrap()
}

pub(super) fn policy() -> PolicyBinding {
    PolicyBinding {
        id: policy_id(),
        uri: LogicalUri::new(WORKSPACE, Resource::Policy(policy_id())),
        hash: Digest::of(b"content hash"),
        bytes: Digest::of(POLICY_BYTES),
    }
}

pub(super) fn draft(run_id: &str, kind: EventKind, payload: Value) -> EventDraft {
    EventDraft {
        kind,
        run_id: run(run_id),
        spec_id: None,
        stage: None,
        role: None,
        at: at(0),
        policy: policy(),
        payload,
    }
}

pub(super) fn put_policy(writer: &Writer) {
    writer.put_policy(policy_id(), POLICY_BYTES).wait().unwrap();
}

/// Appends one event and waits.
pub(super) fn append(writer: &Writer, run_id: &str, payload: Value) -> Event {
    writer.append(vec![draft(run_id, EventKind::RoutingDecision, payload)]).wait().unwrap().remove(0)
}

/// A capsule with two runs, a plugin, an artefact and two checkpoints; `run-a` ends in a checkpoint, `run-b`
/// has two events after the last one.
pub(super) fn sample() -> Capsule {
    // Made once, with all its synced commits, and copied for each test.
    static SAMPLE: OnceLock<Capsule> = OnceLock::new();
    SAMPLE.get_or_init(made_sample).copy()
}

fn made_sample() -> Capsule {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    writer.put_plugin(&b"\0asm router"[..]).wait().unwrap();
    let plugins = json!({"plugins": [{"digest": Digest::of(b"\0asm router")}]});
    writer.append(vec![draft("run-a", EventKind::PolicySnapshotRef, plugins)]).wait().unwrap();
    for number in 0..4 {
        append(&writer, "run-a", json!({"choose": format!("model-{number}")}));
        append(&writer, "run-b", json!({"choose": format!("other-{number}")}));
    }
    writer.put_artifact(&run("run-a"), sluice_core::Stage::Plan, "plan.md", &b"# Plan"[..]).wait().unwrap();
    writer.checkpoint(&run("run-b"), "stage plan", at(10), &policy()).wait().unwrap();
    append(&writer, "run-a", json!({"choose": "model-4"}));
    append(&writer, "run-b", json!({"choose": "other-4"}));
    writer.checkpoint(&run("run-a"), "run end", at(20), &policy()).wait().unwrap();
    append(&writer, "run-b", json!({"choose": "other-5"}));
    append(&writer, "run-b", json!({"choose": "other-6"}));
    writer.close().unwrap();
    capsule
}

/// An engine on the real disk.
pub(super) fn engine(opener: crate::clerk::Opener, frames_per_checkpoint: u64) -> crate::writer::Engine {
    crate::writer::Engine { opener, frames_per_checkpoint, door: Arc::new(sluice_seal::Disk) }
}

/// Knows one value.
pub(super) struct Knows(pub &'static str);

impl Guard for Knows {
    fn finds_secret(&self, bytes: &[u8]) -> bool {
        bytes.windows(self.0.len()).any(|window| window == self.0.as_bytes())
    }

    fn mask(&self, text: &str) -> String {
        text.replace(self.0, "[known]")
    }
}
