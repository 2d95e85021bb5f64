//! `sluice capsule …`: what is in the record, and whether it holds.

use crate::Context;
use crate::evidence::{self, Evidence};
use crate::failure::Failure;
use crate::printer::Answer;
use crate::snapshots;
use crate::table::{columns, count, thousands};
use crate::workspace::{Workspace, replace_file};
use clap::Subcommand;
use serde_json::{Value, json};
use sluice_capsule::{CapsuleError, EventFilter, Reader};
use sluice_core::{Event, EventKind, LogicalUri, RunId};
use std::path::{Path, PathBuf};

/// `sluice capsule …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the workspace's capsule and its key
    Init {
        /// The name that stands in every URI; without it the folder's
        #[arg(long)]
        name: Option<String>,
    },
    /// How much is in it
    Stats {
        #[command(flatten)]
        evidence: Evidence,
    },
    /// List events, oldest first
    Events {
        #[command(flatten)]
        evidence: Evidence,
        /// Of this run
        #[arg(long)]
        run: Option<RunId>,
        /// Of this type, such as RoutingDecision
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<EventKind>,
        /// At most so many
        #[arg(long, default_value_t = EVENTS_LISTED, value_name = "N")]
        limit: usize,
        /// The newest ones, not the oldest
        #[arg(long)]
        newest: bool,
    },
    /// Print what a logical URI names
    ResolveUri {
        /// mv2://<workspace>/…
        uri: LogicalUri,
        /// Write the bytes, as they are, to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        evidence: Evidence,
    },
    /// Check every chain, digest and signature, and every sealed file
    Verify {
        #[command(flatten)]
        evidence: Evidence,
    },
    /// List the signed checkpoints, and the sealed files that hold what each covers
    Checkpoints {
        #[command(flatten)]
        evidence: Evidence,
    },
    /// Seal what is signed, and put sealed files right that are missing or damaged
    Seal,
}

/// Events that are listed where nobody says how many: whole runs of an ordinary length.
const EVENTS_LISTED: usize = 1_000;

/// Carries it out.
pub fn run(context: &Context, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::Init { name } => init(context, &context.workspace()?, name),
        Command::Stats { evidence } => stats(context, &evidence),
        Command::Events { evidence, run, kind, limit, newest } => {
            events(context, &evidence, run, kind, limit, newest)
        }
        Command::ResolveUri { uri, out, evidence } => resolve(context, &evidence, &uri, out.as_deref()),
        Command::Verify { evidence } => verify(&evidence.open(context)?),
        Command::Checkpoints { evidence } => checkpoints(&evidence.open(context)?),
        Command::Seal => seal(context, &context.workspace()?),
    }
}

fn init(context: &Context, workspace: &Workspace, name: Option<String>) -> Result<Answer, Failure> {
    let name = name.unwrap_or_else(|| workspace.name());
    snapshots::init_capsule(&context.edge, workspace, &name)?;
    let reader = Reader::open(&workspace.state())?;
    let document = json!({
        "workspace": reader.workspace(),
        "path": capsule_path(workspace),
        "public_key": reader.claimed_key(),
    });
    let text = format!(
        "capsule made: {}\n{}",
        capsule_path(workspace).display(),
        columns(&[
            vec!["  workspace".into(), reader.workspace().to_owned()],
            vec!["  public key".into(), reader.claimed_key().to_string()],
        ])
    );
    Ok(Answer::yes(document, text))
}

/// The folder of the record.
pub fn capsule_path(workspace: &Workspace) -> PathBuf {
    workspace.state().join("capsule")
}

fn stats(context: &Context, evidence: &Evidence) -> Result<Answer, Failure> {
    let reader = evidence.open(context)?;
    let path = if evidence.is_sealed() { None } else { Some(capsule_path(&context.workspace()?)) };
    let (stats, runs) = (reader.stats()?, reader.runs()?);
    let counts = &stats.counts;
    let row = |name: &str, value: String| vec![format!("  {name}"), value];
    let mut text = path.as_ref().map_or("sealed files".to_owned(), |path| path.display().to_string());
    text.push('\n');
    text.push_str(&columns(&[
        row("workspace", stats.workspace.clone()),
        row("public key", stats.public_key.to_string()),
        row("runs", thousands(counts.runs)),
        row("events", thousands(counts.events)),
        row("checkpoints", thousands(counts.checkpoints)),
        row("names", format!("{} (policies, plugins, artefacts, reports)", thousands(counts.names))),
        row("journal", format!("{} bytes", thousands(counts.journal_bytes))),
        row(
            "signed",
            format!("{} of {} frames", thousands(stats.signed_position), thousands(stats.last_position)),
        ),
        row("sealed", format!("{}, in {}", thousands(stats.sealed_position), count(counts.seals, "file"))),
    ]));
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                format!("  {}", run.run_id),
                count(run.events, "event"),
                run.first_at.to_string(),
                format!("last: {}", run.last_type),
            ]
        })
        .collect();
    text.push_str(&columns(&rows));
    let mut document = json!(stats);
    document["path"] = json!(path);
    document["run_list"] = json!(runs);
    Ok(Answer::yes(document, text))
}

/// A run's events, after chain and signatures were checked.
pub fn run_events(reader: &Reader, run: &RunId) -> Result<Vec<Event>, Failure> {
    match reader.run_events(run) {
        Ok(verified) => Ok(verified.events),
        Err(CapsuleError::NotFound(_)) => Err(no_such_run(run)),
        Err(error) => Err(error.into()),
    }
}

/// For whoever names a run that is not there.
pub fn no_such_run(run: &RunId) -> Failure {
    Failure::could_not("not-found", format!("no run `{run}` in this capsule"))
        .hint("`sluice capsule stats` lists the runs")
}

/// Every event that fits, page by page, until `wanted` are there.
fn pages(
    reader: &Reader,
    run: Option<RunId>,
    kind: Option<EventKind>,
    limit: usize,
    newest: bool,
) -> Result<Vec<Event>, Failure> {
    let mut filter = EventFilter { run, kind, ..EventFilter::default() };
    let mut found: Vec<Event> = Vec::new();
    loop {
        if !newest {
            filter.limit = filter.limit.min(limit - found.len()).max(1);
        }
        let page = reader.events(&filter)?;
        found.extend(page.events);
        if newest && found.len() > limit {
            found.drain(..found.len() - limit);
        }
        match page.next {
            Some(next) if newest || found.len() < limit => filter.after = next,
            _ => return Ok(found),
        }
    }
}

fn events(
    context: &Context,
    evidence: &Evidence,
    run: Option<RunId>,
    kind: Option<EventKind>,
    limit: usize,
    newest: bool,
) -> Result<Answer, Failure> {
    if limit == 0 {
        return Err(Failure::could_not("usage", "`--limit 0` lists nothing").hint("give at least 1"));
    }
    let reader = evidence.open(context)?;
    if let Some(run) = &run
        && !reader.runs()?.iter().any(|known| known.run_id == *run)
    {
        return Err(no_such_run(run));
    }
    // One more than asked for tells whether there are more.
    let mut found = pages(&reader, run, kind, limit.saturating_add(1), newest)?;
    let more = found.len() > limit;
    if more {
        found.remove(if newest { 0 } else { limit });
        context
            .printer
            .say(format!("{} shown, and there are more: `--limit N`", count(limit as u64, "event")));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|event| {
            let spoken = match (event.role, event.stage) {
                (Some(role), Some(stage)) => format!("{role}, {stage}"),
                _ => String::new(),
            };
            vec![event.at.to_string(), event.kind.to_string(), spoken, event.uri.to_string()]
        })
        .collect();
    Ok(Answer::yes(json!({ "events": found, "more": more }), columns(&rows)))
}

fn resolve(
    context: &Context,
    evidence: &Evidence,
    uri: &LogicalUri,
    out: Option<&Path>,
) -> Result<Answer, Failure> {
    let resolved = evidence.open(context)?.resolve(uri)?;
    let mut document = json!({
        "uri": uri,
        "media_type": resolved.media_type,
        "digest": resolved.digest,
        "bytes": resolved.bytes.len(),
    });
    if let Some(out) = out {
        let path = context.edge.folder.join(out);
        replace_file(&path, &resolved.bytes, 0o600)?;
        document["path"] = json!(path);
        let text = format!("wrote {} ({} bytes)", path.display(), thousands(resolved.bytes.len() as u64));
        return Ok(Answer::yes(document, text));
    }
    let is_json = resolved.media_type == "application/json";
    let parsed: Option<Value> = is_json.then(|| serde_json::from_slice(&resolved.bytes).ok()).flatten();
    if context.printer.is_json() {
        document["content"] = match (parsed, String::from_utf8(resolved.bytes)) {
            (Some(content), _) => content,
            (None, Ok(text)) => json!(text),
            (None, Err(_)) => {
                let failure = Failure::could_not("binary", format!("`{uri}` is not text"));
                return Err(failure.hint("add `--out FILE`"));
            }
        };
        return Ok(Answer::yes(document, ""));
    }
    match parsed {
        Some(content) => Ok(Answer::yes(document, format!("{content:#}"))),
        None => {
            context.printer.bytes(&resolved.bytes)?;
            Ok(Answer::yes(document, ""))
        }
    }
}

fn verify(reader: &Reader) -> Result<Answer, Failure> {
    let report = reader.verify()?;
    let holds = report.is_sound();
    let mut document = json!(report);
    document["holds"] = json!(holds);
    let mut text = String::new();
    text.push_str(if holds { "the record holds\n" } else { "THE RECORD DOES NOT HOLD\n" });
    for (name, value) in document.as_object().into_iter().flatten() {
        if value.is_number() || value.is_string() {
            text.push_str(&format!("  {}: {}\n", name.replace('_', " "), plain(value)));
        }
    }
    for flaw in &report.flaws {
        text.push_str(&format!("  {flaw}\n"));
    }
    Ok(Answer::of(holds, document, text))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn checkpoints(reader: &Reader) -> Result<Answer, Failure> {
    let found = pages(reader, None, Some(EventKind::Checkpoint), usize::MAX, false)?;
    let seals = reader.seals()?;
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|event| {
            let field =
                |name: &str| event.payload.pointer(&format!("/statement/{name}")).or(event.payload.get(name));
            let shown = |name: &str| field(name).map(plain).unwrap_or_default();
            let position = |name: &str| field(name).and_then(Value::as_u64).unwrap_or_default();
            let covers = position("first")..=position("last");
            let files: Vec<&str> = seals
                .iter()
                .filter(|seal| covers.contains(&seal.first))
                .map(|seal| seal.path.as_str())
                .collect();
            let sealed = if files.is_empty() { "not sealed".to_owned() } else { files.join(", ") };
            vec![shown("checkpoint"), event.at.to_string(), event.run_id.to_string(), shown("label"), sealed]
        })
        .collect();
    let text = if rows.is_empty() { "no checkpoint yet\n".to_owned() } else { columns(&rows) };
    Ok(Answer::yes(json!({ "checkpoints": found, "seals": seals }), text))
}

/// Puts right, then seals. What cannot be put right is a no: something that was sealed is not there any more.
fn seal(context: &Context, workspace: &Workspace) -> Result<Answer, Failure> {
    let guard = context.edge.printer_guard(&[])?;
    let writer = evidence::open_writer(context, &workspace.state(), guard, "sluice capsule seal")?;
    evidence::tell(context, &writer.heal());
    let sealed = writer.seal(context.edge.now());
    let healed = writer.healed();
    writer.close()?;
    let sealed = sealed?;
    let mut text = match sealed.as_slice() {
        [] => "nothing to seal: every checkpoint is\n".to_owned(),
        some => format!("sealed {}\n", count(some.len() as u64, "file")),
    };
    let rows: Vec<Vec<String>> = sealed
        .iter()
        .map(|row| {
            vec![
                format!("  {}", row.path),
                format!("positions {}-{}", row.first, row.last),
                row.root.to_string(),
            ]
        })
        .collect();
    text.push_str(&columns(&rows));
    let whole = healed.problems.is_empty();
    let folder = capsule_path(workspace);
    Ok(Answer::of(whole, json!({ "sealed": sealed, "healed": healed, "path": folder }), text))
}
