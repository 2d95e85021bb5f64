//! `sluice run`: a specification through the six stages.

mod around;
mod told;

use crate::Context;
use crate::failure::Failure;
use crate::printer::Answer;
use crate::session::{self, Places, Session};
use crate::workspace::read_text;
use around::Around;
use sluice_core::{Risk, RunId, SpecId};
use sluice_pipeline::{Interrupt, MergeMode, Order, Resume, SPEC_BYTES_MAX};
use sluice_policy::PolicySnapshot;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// `sluice run`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The specification: a text file, Markdown as a rule
    spec: PathBuf,
    /// Its id; without it the file's name, where that can be one
    #[arg(long, value_name = "ID")]
    spec_id: Option<SpecId>,
    /// How much harm a wrong answer would do: low, normal, high
    #[arg(long)]
    risk: Option<Risk>,
    /// Write what the stages make into this folder as well
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a run that stopped; nothing that was acknowledged is asked again
    #[arg(long, value_name = "RUN")]
    resume: Option<RunId>,
    /// What goes into the main line at the end: curated, full
    #[arg(long, default_value = "curated")]
    merge: MergeMode,
    /// Put the built-in loopback server in every provider's place: no key, no model, labelled answers. With
    /// `=cloud`, in the place of all but the local model's
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    loopback: Option<StandIn>,
}

/// For whom the loopback server stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StandIn {
    /// Every provider.
    All,
    /// Every provider but the local model's.
    Cloud,
}

/// Carries it out.
pub fn run(context: &Context, args: Args) -> Result<Answer, Failure> {
    let workspace = context.workspace()?;
    let spec = specification(&context.edge.folder.join(&args.spec))?;
    let out = args.out.as_ref().map(|out| out_folder(&context.edge.folder.join(out))).transpose()?;
    // The tokenizer's tables load beside everything else that has to be opened.
    let _ = std::thread::spawn(sluice_pipeline::warm);
    let runtime = session::runtime()?;
    let stand_in = match args.loopback {
        Some(StandIn::All) => Some("every provider"),
        Some(StandIn::Cloud) => Some("every provider but the local model's"),
        None => None,
    };
    let stand_in =
        stand_in.map(|whom| runtime.block_on(crate::call::start(context, &workspace, whom))).transpose()?;
    let places = |snapshot: &PolicySnapshot| -> Result<Places, Failure> {
        match (&stand_in, args.loopback) {
            (Some(loopback), Some(StandIn::Cloud)) => {
                session::everywhere_but_local(context, snapshot, loopback)
            }
            (Some(loopback), _) => Ok(session::everywhere(snapshot, loopback)),
            (None, _) => session::live(context),
        }
    };
    let session = Session::open(context, &workspace, "run", places)?;
    let order = Order {
        spec,
        spec_id: spec_id(&args),
        risk: args.risk,
        merge: args.merge,
        resume: args.resume.clone().map(Resume),
        state: workspace.state(),
    };
    let mut around = Around::new(context, &workspace, &session, out, &places);
    let ended = runtime.block_on(async {
        let interrupt = interrupt()?;
        let gateway = session.gateway.clone();
        Ok::<_, Failure>(sluice_pipeline::drive(gateway, &order, &mut around, interrupt).await)
    });
    around.clear();
    let run_id = around.run_id.clone();
    let told = match ended {
        Ok(Ok(outcome)) => Ok(told::outcome(context, &workspace, &args, &outcome)),
        Ok(Err(ended)) => Err(told::ended(&session, ended)),
        Err(failure) => Err(failure),
    };
    let closed = session.close();
    if let Some(loopback) = stand_in {
        // It has answered all it will: how it ends does not matter any more.
        let _ = runtime.block_on(async { tokio::time::timeout(session::STOP_AFTER, loopback.stop()).await });
    }
    let answer = told.map_err(|failure| told::resumable(context, &args, run_id.as_ref(), failure))?;
    closed?;
    Ok(answer)
}

/// The specification: text of a size that a model could be shown.
fn specification(path: &Path) -> Result<String, Failure> {
    let refuse = |message: String, hint: &str| Failure::no("bad-spec", message).hint(hint);
    let name = path.display();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(failure) if failure.code == "not-text" => {
            return Err(refuse(failure.message, "a specification is text in UTF-8, Markdown as a rule"));
        }
        Err(failure) if failure.code == "too-large" => {
            return Err(refuse(failure.message, CUT_IT));
        }
        Err(failure) => return Err(failure),
    };
    if text.len() > SPEC_BYTES_MAX {
        let message = format!(
            "the specification `{name}` is too large: {} bytes, at most {SPEC_BYTES_MAX}",
            text.len()
        );
        return Err(refuse(message, CUT_IT));
    }
    if text.trim().is_empty() {
        return Err(refuse(format!("the specification `{name}` is empty"), "say what is to be built"));
    }
    if text.contains('\0') {
        let message = format!("the specification `{name}` is not text: it holds zero bytes");
        return Err(refuse(message, "a specification is text in UTF-8, Markdown as a rule"));
    }
    Ok(text)
}

const CUT_IT: &str = "cut it into specifications that can each be built by themselves";

/// The folder for artefacts: there, a folder, and writable, before anything is asked and paid for.
fn out_folder(path: &Path) -> Result<PathBuf, Failure> {
    let bad =
        |message: String| Failure::could_not("bad-out", message).hint("name a folder that you may write to");
    if path.exists() && !path.is_dir() {
        return Err(bad(format!("`--out` is not a folder: `{}`", path.display())));
    }
    std::fs::create_dir_all(path)
        .and_then(|()| tempfile::tempfile_in(path).map(drop))
        .map_err(|error| bad(format!("`--out` cannot be written: `{}`", path.display())).because(&error))?;
    Ok(path.to_owned())
}

/// The id that was given; else the file's name without its ending, where that can be one.
fn spec_id(args: &Args) -> Option<SpecId> {
    let of_file = || args.spec.file_stem()?.to_str()?.to_lowercase().parse().ok();
    // A run that goes on has its id already.
    args.spec_id.clone().or_else(|| if args.resume.is_none() { of_file() } else { None })
}

/// Set by the first SIGINT or SIGTERM. What is being recorded then still is.
fn interrupt() -> Result<Interrupt, Failure> {
    let failed =
        |error: std::io::Error| Failure::could_not("signal", "cannot wait for signals").because(&error);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let (stop, interrupt) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        stop.send_replace(true);
        // Held, so that whoever waits for it goes on waiting.
        std::future::pending::<()>().await;
    });
    Ok(interrupt)
}
