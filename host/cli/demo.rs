//! `sluice demo`: the whole story on one screen. A scratch workspace, a specification with a token in it, six
//! governed calls, a replay, another router asked what it would have done.

mod calls;
mod proof;
mod screen;
mod spec;

use crate::Context;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::snapshots;
use crate::workspace::{LOCK_FILE, POLICY_FILE, Workspace, private_folder, replace_file};
use calls::Played;
use proof::Proof;
use serde_json::{Value, json};
use sluice_policy::PluginLock;
use spec::Planted;
use std::fs;
use std::path::{Path, PathBuf};

/// `sluice demo`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workspace to make; without it a new temporary folder. It is kept either way
    #[arg(long, visible_alias = "keep", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The router to ask "what if": a file, or bundled:<name>
    #[arg(long, value_name = "FILE")]
    router: Option<String>,
}

/// The workspace's name in URIs.
const NAME: &str = "demo";

/// What a run without the demo's own faults has to say: each is a no.
pub struct Verdict {
    /// Replay matched in everything.
    pub replayed: bool,
    /// Nothing of the token was received or stored.
    pub kept_back: bool,
    /// The run's own router changed nothing.
    pub controlled: bool,
}

impl Verdict {
    fn of(played: &Played, proof: &Proof) -> Verdict {
        Verdict {
            replayed: proof.replay.is_proof(),
            kept_back: !played.leaked && !proof.searched.found,
            controlled: proof.control.changed.is_empty(),
        }
    }

    fn all(&self) -> bool {
        self.replayed && self.kept_back && self.controlled
    }
}

/// Carries it out.
pub fn run(context: &Context, args: Args) -> Result<Answer, Failure> {
    let other = args.router.as_deref().unwrap_or("bundled:router-thrift");
    let other = crate::sources::fetch_named(other, &context.edge.folder)?;
    let workspace = make(context, args.dir.as_deref())?;
    let planted = Planted::new();
    let played = calls::play(context, &workspace, &planted).map_err(|failure| {
        context.printer.say(format!("the workspace is kept: {}", workspace.root().display()));
        failure.with("workspace", json!(workspace.root()))
    })?;
    let proof = proof::prove(context, &workspace, &played.run, other, &planted)?;
    let verdict = Verdict::of(&played, &proof);
    let program = if context.edge.variable("CARGO").is_some() { "cargo run -q --" } else { "sluice" };
    let text = screen::draw(&workspace, &played, &proof, &verdict, program);
    Ok(Answer::of(verdict.all(), document(&workspace, &played, &proof, &verdict), text))
}

/// Writes the workspace: policy, plugin files and their lock, the specification without the token.
fn make(context: &Context, dir: Option<&Path>) -> Result<Workspace, Failure> {
    let root = folder(context, dir)?;
    let workspace = Workspace::at(root.clone());
    let plugins = root.join("plugins");
    private_folder(&plugins)?;
    for bundled in sluice_bundled::ALL {
        replace_file(&plugins.join(format!("{}.wasm", bundled.name)), bundled.bytes, 0o644)?;
    }
    replace_file(&workspace.policy_file(), spec::POLICY.as_bytes(), 0o644)?;
    replace_file(&root.join("SPEC.md"), spec::SPEC.as_bytes(), 0o644)?;
    snapshots::init_capsule(&context.edge, &workspace, NAME)?;
    lock(&workspace)?;
    Ok(workspace)
}

fn folder(context: &Context, dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(dir) = dir else {
        let made = tempfile::Builder::new().prefix("sluice-demo-").tempdir();
        return made.map(tempfile::TempDir::keep).map_err(|error| {
            Failure::could_not("file", "cannot make a temporary folder")
                .because(&error)
                .hint("name one with `--dir DIR`")
        });
    };
    let root = context.edge.folder.join(dir);
    private_folder(&root)?;
    let mut entries = fs::read_dir(&root).map_err(|error| Failure::file("list", &root, &error))?;
    if entries.next().is_some() {
        return Err(Failure::could_not("not-empty", format!("not an empty folder: `{}`", root.display()))
            .hint("the demo overwrites nothing: name a new folder"));
    }
    fs::canonicalize(&root).map_err(|error| Failure::file("open", &root, &error))
}

/// Pins the plugin files, as `sluice plugin lock` does.
fn lock(workspace: &Workspace) -> Result<(), Failure> {
    let authored = sluice_policy::parse(spec::POLICY)
        .map_err(|problems| Failure::problems("the demo's policy", &problems))?;
    let engine = snapshots::engine(workspace)?;
    let mut lock = PluginLock::default();
    for wanted in &authored.plugins {
        let artifact = crate::sources::fetch(workspace, &wanted.source)?;
        lock.insert(&crate::sources::facts_of(&engine, wanted, &artifact)?);
    }
    debug_assert_eq!(workspace.lock_file(), workspace.root().join(LOCK_FILE));
    debug_assert_eq!(workspace.policy_file(), workspace.root().join(POLICY_FILE));
    replace_file(&workspace.lock_file(), lock.to_string().as_bytes(), 0o644)
}

fn document(workspace: &Workspace, played: &Played, proof: &Proof, verdict: &Verdict) -> Value {
    let snapshot = &proof.policy.snapshot;
    let calls: Vec<Value> = played.calls.iter().map(call).collect();
    json!({
        "run_id": played.run,
        "workspace": workspace.root(),
        "policy": {
            "policy_id": snapshot.policy_id,
            "hash": snapshot.hash,
            "path": snapshots::Store::new(workspace).path(snapshot.policy_id),
        },
        "plugins": crate::policy::plugins_json(snapshot),
        "calls": calls,
        "redactions": redactions(played),
        "restored": played.calls.iter().filter(|told| told.restored).count(),
        "escalations": proof.escalations.len(),
        "cost_micro_usd": played.spent,
        "replay": {
            "matched": proof.replay.matched,
            "mismatched": proof.replay.mismatched,
            "decisions": proof.replay.decisions,
            "events": proof.replay.events,
            "mismatches": proof.replay.mismatches,
        },
        "counterfactual": proof.other,
        "control": proof.control,
        "secret": {
            "requests_searched": played.requests,
            "files_searched": proof.searched.files,
            "bytes_searched": proof.searched.bytes,
            "found": !verdict.kept_back,
        },
        "capsule": { "path": crate::capsule::capsule_path(workspace), "events": proof.events.len() },
    })
}

fn call(told: &calls::Told) -> Value {
    let reply = &told.reply;
    json!({
        "call": reply.call,
        "role": told.role,
        "stage": told.stage,
        "provider": reply.provider,
        "model": reply.model,
        "mode": reply.mode,
        "attempt": reply.attempts.len(),
        "attempts": reply.attempts.iter().map(crate::call::attempt_json).collect::<Vec<_>>(),
        "reason": reply.reason,
        "sentence": reply.sentence,
        "redactions": reply.findings.len() + reply.response_findings.len(),
        "restored": told.restored,
        "cost_micro_usd": reply.cost,
        "loopback": reply.loopback,
        "decision": reply.decision,
    })
}

/// Findings in everything that was asked and answered.
fn redactions(played: &Played) -> usize {
    played.calls.iter().map(|told| told.reply.findings.len() + told.reply.response_findings.len()).sum()
}
