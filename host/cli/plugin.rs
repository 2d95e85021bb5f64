//! `sluice plugin …`: what plugins are, which bytes are pinned, and what the redactor makes of a text.

use crate::Context;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::sources::{self, read_lock};
use crate::table::{columns, thousands};
use crate::workspace::{LOCK_FILE, Workspace, read_text, replace_file};
use crate::{scan, snapshots};
use clap::Subcommand;
use serde_json::{Value, json};
use sluice_core::contract::about::Description;
use sluice_core::{PluginKind, PluginLimits};
use sluice_plugin::{Artifact, Inspection, PluginEngine, PluginError};
use sluice_policy::{Authored, AuthoredPlugin, PluginLock};

/// `sluice plugin …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the policy's four plugins and those that come with the program
    List,
    /// Tell what a component is: kind, contract version, imports, digest, its own description
    Inspect {
        /// A file, or `bundled:<name>`
        file: String,
    },
    /// Pin the bytes that the policy's sources have now: write `plugins.lock`
    Lock,
    /// Hold the policy's plugins against their pins
    Verify,
    /// Let the policy's redactor look at a text
    Scan(scan::Args),
}

/// Carries it out.
pub fn run(context: &Context, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::List => list(context),
        Command::Inspect { file } => inspect(context, &file),
        Command::Lock => lock(context),
        Command::Verify => verify(context),
        Command::Scan(args) => scan::run(context, &args),
    }
}

/// The policy without its lock: these verbs are for when the two disagree.
fn authored(workspace: &Workspace) -> Result<Authored, Failure> {
    let text = read_text(&workspace.policy_file())?;
    sluice_policy::parse(&text).map_err(|problems| {
        Failure::problems(&format!("`{}` is not valid", workspace.policy_file().display()), &problems)
    })
}

fn list(context: &Context) -> Result<Answer, Failure> {
    let mut rows = Vec::new();
    let mut used = Vec::new();
    match context.workspace() {
        Ok(workspace) => {
            let (authored, lock) = (authored(&workspace)?, read_lock(&workspace)?);
            for wanted in &authored.plugins {
                let pin = wanted.pin(&lock);
                let shown = pin.map_or_else(|| "not pinned".to_owned(), |pin| pin.short());
                rows.push(vec![wanted.kind.code().into(), wanted.source.to_string(), shown]);
                used.push(json!({ "kind": wanted.kind, "source": wanted.source.to_string(), "pin": pin }));
            }
        }
        Err(failure) if context.workspace.is_none() => {
            context.printer.say(format!("{}: bundled plugins only", failure.message))
        }
        Err(failure) => return Err(failure),
    }
    let mut text = String::new();
    if !rows.is_empty() {
        text = format!("the policy's plugins\n{}\n", indented(&columns(&rows)));
    }
    let mut rows = Vec::new();
    let mut bundled = Vec::new();
    for one in sluice_bundled::ALL {
        let (digest, size) = (sluice_core::Digest::of(one.bytes), one.bytes.len() as u64);
        rows.push(vec![
            one.kind.code().into(),
            format!("bundled:{}", one.name),
            digest.short(),
            format!("{} bytes", thousands(size)),
        ]);
        bundled.push(json!({
            "kind": one.kind, "source": format!("bundled:{}", one.name), "sha256": digest, "size": size,
        }));
    }
    text.push_str(&format!("bundled with the program\n{}", indented(&columns(&rows))));
    Ok(Answer::yes(json!({ "plugins": used, "bundled": bundled }), text))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn inspect(context: &Context, file: &str) -> Result<Answer, Failure> {
    let artifact = sources::fetch_named(file, &context.edge.folder)?;
    let engine = match context.workspace() {
        Ok(workspace) => snapshots::engine(&workspace)?,
        Err(_) => PluginEngine::new(None)?,
    };
    let inspection = engine.inspect(&artifact)?;
    let description = describe(&engine, &inspection, &artifact)?;
    let schema: Value = serde_json::from_str(&description.config_schema).unwrap_or(Value::Null);
    let document = json!({
        "kind": inspection.kind,
        "name": description.name,
        "version": description.version,
        "contract": inspection.contract,
        "world": inspection.world,
        "sha256": inspection.digest,
        "size": inspection.size,
        "imports": inspection.imports,
        "needs_wasi": inspection.needs_wasi,
        "capabilities": description.capabilities,
        "config_schema": schema,
    });
    let imports =
        if inspection.imports.is_empty() { "nothing".to_owned() } else { inspection.imports.join(", ") };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let text = columns(&[
        row("kind", inspection.kind.to_string()),
        row("name", format!("{} {}", description.name, description.version)),
        row("world", inspection.world),
        row("sha256", inspection.digest.to_string()),
        row("size", format!("{} bytes", thousands(inspection.size))),
        row("imports", imports),
        row("wasi", if inspection.needs_wasi { "deterministic stand-in" } else { "not needed" }.to_owned()),
        row("capabilities", description.capabilities.join(", ")),
        row("config schema", schema.to_string()),
    ]);
    Ok(Answer::yes(document, text))
}

fn describe(
    engine: &PluginEngine,
    inspection: &Inspection,
    artifact: &Artifact,
) -> Result<Description, PluginError> {
    let (pin, limits) = (artifact.digest(), PluginLimits::default_for(inspection.kind));
    Ok(match inspection.kind {
        PluginKind::Router => engine.load_router(artifact, pin, limits)?.description().clone(),
        PluginKind::Redactor => engine.load_redactor(artifact, pin, limits)?.description().clone(),
        PluginKind::CaptureFilter => engine.load_capture_filter(artifact, pin, limits)?.description().clone(),
        PluginKind::HealthProbe => engine.load_health_probe(artifact, pin, limits)?.description().clone(),
    })
}

/// A policy's plugin with the bytes that its source has now.
struct Found<'a> {
    wanted: &'a AuthoredPlugin,
    artifact: Artifact,
}

fn found<'a>(workspace: &Workspace, authored: &'a Authored) -> Result<Vec<Found<'a>>, Failure> {
    let fetch = |wanted: &'a AuthoredPlugin| {
        let artifact = sources::fetch(workspace, &wanted.source)?;
        Ok(Found { wanted, artifact })
    };
    authored.plugins.iter().map(fetch).collect()
}

fn lock(context: &Context) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    let authored = authored(&workspace)?;
    // A lock that cannot be read is about to be written anew: that is what its hint says to do.
    let before = read_lock(&workspace).unwrap_or_else(|failure| {
        context.printer.say(format!("the old lock is set aside: {}", failure.message));
        PluginLock::default()
    });
    let engine = snapshots::engine(&workspace)?;
    let mut after = PluginLock::default();
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    for Found { wanted, artifact } in found(&workspace, &authored)? {
        // Admitted, and of the kind that the policy wants it for, before its bytes are pinned.
        after.insert(&sources::facts_of(&engine, wanted, &artifact)?);
        let (source, digest) = (wanted.source.to_string(), artifact.digest());
        let old = before.pin(wanted.kind, &source);
        let change = match old {
            Some(old) if old == digest => "unchanged".to_owned(),
            Some(old) => format!("was {}", old.short()),
            None => "new".to_owned(),
        };
        rows.push(vec![wanted.kind.code().into(), source.clone(), digest.short(), change]);
        documents.push(json!({ "kind": wanted.kind, "source": source, "sha256": digest, "before": old }));
        if let Some(own) = wanted.sha256.filter(|own| *own != digest) {
            let message = format!("{}.sha256 in the policy still names {}", wanted.path(), own.short());
            context.printer.say(message);
        }
    }
    replace_file(&workspace.lock_file(), after.to_string().as_bytes(), 0o644)?;
    let text = format!("wrote {}\n{}", workspace.lock_file().display(), indented(&columns(&rows)));
    Ok(Answer::yes(json!({ "path": workspace.lock_file(), "plugins": documents }), text))
}

fn verify(context: &Context) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    let (authored, lock) = (authored(&workspace)?, read_lock(&workspace)?);
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    let mut matched = true;
    for wanted in &authored.plugins {
        let pin = wanted.pin(&lock);
        let found = sources::fetch(&workspace, &wanted.source);
        let (verdict, digest, message) = match (&found, pin) {
            (Err(failure), _) => ("missing", None, failure.message.clone()),
            (Ok(artifact), Some(pin)) if artifact.digest() == pin => {
                ("ok", Some(artifact.digest()), String::new())
            }
            (Ok(artifact), Some(pin)) => {
                let message = format!("pinned {pin}, found {}", artifact.digest());
                ("mismatch", Some(artifact.digest()), message)
            }
            (Ok(artifact), None) => {
                let is_file = matches!(wanted.source, sluice_policy::PluginSource::File(_));
                let (verdict, message) = if is_file {
                    ("not-pinned", "its bytes could change unseen")
                } else {
                    ("bundled", "no pin: the program's own bytes are taken")
                };
                (verdict, Some(artifact.digest()), message.to_owned())
            }
        };
        matched &= matches!(verdict, "ok" | "bundled");
        rows.push(vec![verdict.into(), wanted.kind.code().into(), wanted.source.to_string(), message]);
        documents.push(json!({
            "kind": wanted.kind, "source": wanted.source.to_string(), "verdict": verdict,
            "pin": pin, "sha256": digest,
        }));
    }
    if !matched {
        context.printer.say(format!(
            "hint: if you reviewed the bytes, `sluice plugin lock` pins them in {LOCK_FILE}; if not, restore them"
        ));
    }
    Ok(Answer::of(matched, json!({ "matched": matched, "plugins": documents }), columns(&rows)))
}
