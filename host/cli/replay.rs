//! `sluice replay`: proves a run offline, and answers "what would another router have done?".

use crate::Context;
use crate::capsule::no_such_run;
use crate::evidence::{self, Evidence};
use crate::failure::{Exit, Failure};
use crate::printer::Answer;
use crate::snapshots;
use crate::sources::fetch_named;
use crate::workspace::replace_file;
use serde_json::json;
use sluice_capsule::{CapsuleError, Reader};
use sluice_core::{PluginKind, RunId};
use sluice_plugin::{Artifact, PluginEngine};
use sluice_replay::{Options, ReplayError, Report};
use std::path::{Path, PathBuf};

/// `sluice replay`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run
    run: RunId,
    /// Ask another plugin about every decision: router=FILE, or router=bundled:<name>
    #[arg(long, value_name = "KIND=FILE")]
    with: Option<String>,
    #[command(flatten)]
    evidence: Evidence,
    /// Write the report as replay-<run>.md and .json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Carries it out. Nothing is written to the capsule: an auditor's copy stays as it was handed over.
pub fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let reader = args.evidence.open(context)?;
    let with_router = args.with.as_deref().map(|with| router(context, with)).transpose()?;
    // An auditor brings sealed files to a machine without a workspace: then code is compiled and not kept.
    let engine = match context.workspace() {
        Ok(workspace) => snapshots::engine(&workspace)?,
        Err(_) if args.evidence.is_sealed() => PluginEngine::new(None)?,
        Err(failure) => return Err(failure),
    };
    let report = prove(&reader, &args.run, &engine, with_router)?;
    let mut document = json!(report);
    if let Some(sealed) = evidence::document(&reader)? {
        document["sealed"] = sealed;
    }
    let markdown = report.to_markdown();
    if let Some(folder) = &args.out {
        let folder = context.edge.folder.join(folder);
        document["files"] = json!(write(&folder, &args.run, &markdown, &document)?);
        context.printer.say(format!("report: {}", folder.display()));
    }
    Ok(Answer::of(report.is_proof(), document, markdown))
}

/// Replays, in the errors of this room.
pub fn prove(
    reader: &Reader,
    run: &RunId,
    engine: &PluginEngine,
    with_router: Option<Artifact>,
) -> Result<Report, Failure> {
    sluice_replay::replay(
        reader,
        run,
        engine,
        &Options { with_router, patches: Some(sluice_pipeline::patch::outcomes) },
    )
    .map_err(|error| match error {
        ReplayError::Capsule(CapsuleError::NotFound(_)) | ReplayError::NoSuchRun(_) => no_such_run(run),
        ReplayError::Capsule(error) => error.into(),
        ReplayError::Router(_) => Failure::of(Exit::No, "plugin-refused", &error).maybe_hint(error.hint()),
    })
}

fn router(context: &Context, with: &str) -> Result<Artifact, Failure> {
    match with.split_once('=') {
        Some((kind, file)) if kind == PluginKind::Router.code() && !file.is_empty() => {
            fetch_named(file, &context.edge.folder)
        }
        Some((kind, _)) if kind.parse::<PluginKind>().is_ok() => {
            Err(Failure::could_not("usage", format!("a {kind} cannot be asked in replay"))
                .hint("on a record only another router can be tried: `router=FILE`"))
        }
        _ => Err(Failure::could_not("usage", format!("not KIND=FILE: `{with}`")).hint("want `router=FILE`")),
    }
}

fn write(
    folder: &Path,
    run: &RunId,
    markdown: &str,
    document: &serde_json::Value,
) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    let paths = [folder.join(format!("replay-{run}.md")), folder.join(format!("replay-{run}.json"))];
    replace_file(&paths[0], markdown.as_bytes(), 0o644)?;
    replace_file(&paths[1], format!("{document:#}\n").as_bytes(), 0o644)?;
    Ok(paths.to_vec())
}
