//! `sluice policy …`: is it valid, what does it compile to, which snapshot is in use, what changed.

use crate::Context;
use crate::evidence;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::snapshots::{self, Standing, Store};
use crate::sources::Sources;
use crate::table::{clip, columns, count};
use crate::workspace::Workspace;
use clap::Subcommand;
use serde_json::{Value, json};
use sluice_core::LogicalUri;
use sluice_core::uri::Resource;
use sluice_policy::PolicySnapshot;
use sluice_policy::load::Loaded;
use std::path::PathBuf;

/// `sluice policy …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say everything that is wrong with the policy; write nothing
    Validate {
        /// Another policy file, judged as if it were the workspace's
        file: Option<PathBuf>,
    },
    /// Compile the policy to a snapshot, store it on disk and in the capsule, and make it current
    Compile,
    /// Show a snapshot
    Show {
        /// Its id, the beginning of its id, or `current`
        #[arg(default_value = "current")]
        id: String,
    },
    /// List the stored snapshots
    List,
    /// Name the current snapshot, after verifying both of its copies
    Current,
    /// What changed from one snapshot to another
    Diff {
        /// Id, beginning of an id, or `current`
        a: String,
        /// Id, beginning of an id, or `current`
        b: String,
    },
}

/// Carries it out.
pub fn run(context: &Context, command: Command) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    match command {
        Command::Validate { file } => validate(context, &workspace, file),
        Command::Compile => compile(context, &workspace),
        Command::Show { id } => show(&workspace, &id),
        Command::List => list(&workspace),
        Command::Current => current(&workspace),
        Command::Diff { a, b } => diff(&workspace, &a, &b),
    }
}

fn validate(context: &Context, workspace: &Workspace, file: Option<PathBuf>) -> Result<Answer, Failure> {
    let mut sources = Sources::read(workspace)?;
    let shown = match &file {
        Some(file) => {
            sources.put(crate::workspace::read_text(&context.edge.folder.join(file))?);
            file.display().to_string()
        }
        None => workspace.policy_file().display().to_string(),
    };
    let engine = snapshots::engine(workspace)?;
    match snapshots::compile(&context.edge, workspace, &engine, &sources) {
        Ok(standing) => {
            let hash = standing.snapshot().hash;
            let document = json!({ "valid": true, "problems": [], "hash": hash });
            Ok(Answer::yes(document, format!("`{shown}` is valid; it would compile to hash {hash}")))
        }
        Err(problems) => {
            let mut text = format!("`{shown}`: {}\n", count(problems.len() as u64, "problem"));
            for problem in &problems {
                text.push_str(&format!("\n{problem}\n"));
            }
            Ok(Answer::of(false, json!({ "valid": false, "problems": problems }), text))
        }
    }
}

fn compile(context: &Context, workspace: &Workspace) -> Result<Answer, Failure> {
    let (edge, printer) = (&context.edge, &context.printer);
    // A policy with problems leaves no trace, so it is compiled once before the capsule is made, and the code
    // that this compiled is not cached: there is no key yet.
    let store = Store::new(workspace);
    let standing = snapshots::draft(edge, workspace, &snapshots::engine(workspace)?)?;
    let before = match store.current()?.map(|id| store.load(id)) {
        Some(Ok(loaded)) => Some(loaded),
        Some(Err(failure)) => {
            printer.say(format!("the current snapshot is set aside: {}", failure.message));
            None
        }
        None => None,
    };
    if let Some(loaded) = before.filter(|loaded| loaded.snapshot.hash == standing.snapshot().hash) {
        let text = format!("unchanged: the current snapshot {} has the same hash", loaded.snapshot.policy_id);
        return described(workspace, &loaded, false, text);
    }
    save(context, workspace, &standing)?;
    let text = format!("compiled: snapshot {} is now current", standing.snapshot().policy_id);
    described(workspace, &standing.loaded, true, text)
}

fn save(context: &Context, workspace: &Workspace, standing: &Standing) -> Result<(), Failure> {
    snapshots::ensure_capsule(&context.edge, workspace, &context.printer, || Ok(()))?;
    let guard = context.edge.guard(&standing.snapshot().governance.security.redaction.env_patterns)?;
    let writer = evidence::open_writer(context, &workspace.state(), guard, "sluice policy compile")?;
    let saved = Store::new(workspace).save(standing, &writer);
    let closed = writer.close();
    saved?;
    Ok(closed?)
}

fn described(workspace: &Workspace, loaded: &Loaded, is_new: bool, first: String) -> Result<Answer, Failure> {
    let snapshot = &loaded.snapshot;
    let path = Store::new(workspace).path(snapshot.policy_id);
    let uri = uri(workspace, snapshot)?;
    let document = json!({
        "policy_id": snapshot.policy_id,
        "hash": snapshot.hash,
        "bytes_digest": loaded.bytes_digest,
        "path": path,
        "uri": uri,
        "created_at": snapshot.created_at,
        "compiled": is_new,
        "plugins": plugins_json(snapshot),
    });
    let mut text = format!("{first}\n");
    text.push_str(&columns(&[
        vec!["  hash".into(), snapshot.hash.to_string()],
        vec!["  file".into(), path.display().to_string()],
        vec!["  record".into(), uri.to_string()],
    ]));
    Ok(Answer::yes(document, text))
}

fn uri(workspace: &Workspace, snapshot: &PolicySnapshot) -> Result<LogicalUri, Failure> {
    let reader = sluice_capsule::Reader::open(&workspace.state())?;
    Ok(LogicalUri::new(reader.workspace(), Resource::Policy(snapshot.policy_id)))
}

/// The pinned plugins, for documents.
pub fn plugins_json(snapshot: &PolicySnapshot) -> Value {
    let plugin = |pinned: &sluice_policy::snapshot::PinnedPlugin| {
        json!({
            "kind": pinned.kind,
            "name": pinned.name,
            "version": pinned.version,
            "sha256": pinned.sha256,
            "size": pinned.size,
            "source": pinned.source,
            "world": pinned.world,
        })
    };
    Value::Array(snapshot.plugins.iter().map(plugin).collect())
}

fn show(workspace: &Workspace, id: &str) -> Result<Answer, Failure> {
    let store = Store::new(workspace);
    let loaded = store.load(store.find(id)?)?;
    let document = serde_json::from_slice(&loaded.bytes)
        .map_err(|error| Failure::no("snapshot-refused", "the snapshot is not JSON").because(&error))?;
    Ok(Answer::yes(document, told(&loaded.snapshot)))
}

/// A snapshot in words.
fn told(snapshot: &PolicySnapshot) -> String {
    let governance = &snapshot.governance;
    let row = |name: &str, value: String| vec![format!("  {name}"), value];
    let mut rows = vec![
        row("hash", snapshot.hash.to_string()),
        row("compiled", snapshot.created_at.to_string()),
        row(
            "policy",
            format!(
                "version {}, effective {}",
                governance.meta.policy_version, governance.meta.effective_date
            ),
        ),
        row("engine", snapshot.engine_id.clone()),
    ];
    for (role, models) in &snapshot.model_config.roles {
        let high = if models.needs_high_reasoning { " (high reasoning)" } else { "" };
        rows.push(row(role.code(), format!("{}{high}", models.models.join(", "))));
    }
    let reflex = &snapshot.model_config.reflex;
    let state = if reflex.enabled { "on" } else { "off" };
    rows.push(row("reflex", format!("{state}: {}, at most {} attempts", reflex.model, reflex.attempts_max)));
    rows.push(row("capture", governance.capture.mode.to_string()));
    rows.push(row("egress", format!("{:?}", governance.security.redaction.egress).to_lowercase()));
    let budget = match governance.budgets.run_micro_usd_max {
        Some(max) => format!("{} a run", sluice_core::MicroUsd(max)),
        None => "unlimited".to_owned(),
    };
    rows.push(row("budget", budget));
    for plugin in &snapshot.plugins {
        let what =
            format!("{} {}  {}  {}", plugin.name, plugin.version, plugin.sha256.short(), plugin.source);
        rows.push(row(plugin.kind.code(), what));
    }
    format!("snapshot {}\n{}", snapshot.policy_id, columns(&rows))
}

fn list(workspace: &Workspace) -> Result<Answer, Failure> {
    let store = Store::new(workspace);
    let current = store.current()?;
    let mut items = Vec::new();
    for id in store.ids()? {
        items.push((id, store.load(id)));
    }
    // By time, the newest last; those that are refused come first, where they are seen.
    items.sort_by_key(|(id, loaded)| (loaded.as_ref().ok().map(|loaded| loaded.snapshot.created_at), *id));
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    let mut sound = true;
    for (id, loaded) in items {
        let is_current = current == Some(id);
        let mark = if is_current { "*" } else { " " }.to_owned();
        match loaded {
            Ok(loaded) => {
                let snapshot = &loaded.snapshot;
                rows.push(vec![mark, id.to_string(), snapshot.hash.short(), snapshot.created_at.to_string()]);
                documents.push(json!({
                    "policy_id": id, "hash": snapshot.hash, "created_at": snapshot.created_at,
                    "current": is_current, "path": store.path(id), "sound": true,
                }));
            }
            Err(failure) => {
                sound = false;
                rows.push(vec![mark, id.to_string(), "refused".into(), failure.message.clone()]);
                documents.push(json!({
                    "policy_id": id, "current": is_current, "path": store.path(id), "sound": false,
                    "message": failure.message,
                }));
            }
        }
    }
    let text = if rows.is_empty() { "nothing was compiled here yet\n".to_owned() } else { columns(&rows) };
    Ok(Answer::of(sound, json!({ "snapshots": documents }), text))
}

fn current(workspace: &Workspace) -> Result<Answer, Failure> {
    let loaded = Store::new(workspace).load_current()?;
    let first = format!("snapshot {}, both copies verified", loaded.snapshot.policy_id);
    described(workspace, &loaded, false, first)
}

/// Longest value that a line of a diff shows, in characters.
const VALUE_CHARS_MAX: usize = 60;

fn diff(workspace: &Workspace, a: &str, b: &str) -> Result<Answer, Failure> {
    let store = Store::new(workspace);
    let (a, b) = (store.load(store.find(a)?)?.snapshot, store.load(store.find(b)?)?.snapshot);
    let changes = sluice_policy::diff(&a, &b);
    let shown = |value: &Option<Value>| match value {
        Some(value) => clip(&value.to_string(), VALUE_CHARS_MAX),
        None => "(nothing)".to_owned(),
    };
    let mut text = format!("{} -> {}: {}\n", a.policy_id, b.policy_id, count(changes.len() as u64, "change"));
    for change in &changes {
        text.push_str(&format!(
            "  {}\n    - {}\n    + {}\n",
            change.path,
            shown(&change.before),
            shown(&change.after)
        ));
    }
    let document = json!({
        "a": { "policy_id": a.policy_id, "hash": a.hash },
        "b": { "policy_id": b.policy_id, "hash": b.hash },
        "changes": changes,
    });
    Ok(Answer::yes(document, text))
}
