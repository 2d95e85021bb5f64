//! The `sluice` command line: how people ask. One file a verb or group of verbs; arguments in two steps
//! ([`args`], then each verb), one exit table ([`failure::Exit`]), one printer ([`printer`]), one place that
//! touches the surroundings ([`edge`]).
//!
//! *Invariant*: nothing is printed but by the printer, and nothing reaches it past the guard.

mod args;
mod call;
mod capsule;
mod conversation;
mod demo;
mod edge;
mod evidence;
mod failure;
mod plugin;
mod policy;
mod printer;
mod replay;
mod run;
mod scan;
mod session;
mod snapshots;
mod sources;
mod table;
mod why;
mod workspace;

use args::{Cli, Verb};
use clap::Parser;
use clap::error::ErrorKind;
use edge::Edge;
use failure::Failure;
use printer::{Answer, Printer};
use std::process::ExitCode;
use std::sync::Arc;
use workspace::Workspace;

/// What every verb is handed.
pub struct Context {
    /// The surroundings.
    pub edge: Edge,
    /// The printer.
    pub printer: Printer,
    /// `-C`.
    workspace: Option<std::path::PathBuf>,
}

impl Context {
    /// The workspace that the caller means.
    pub fn workspace(&self) -> Result<Workspace, Failure> {
        Workspace::find(self.workspace.as_deref(), &self.edge.folder)
    }
}

fn main() -> ExitCode {
    let arguments = args::without_speckit(std::env::args_os());
    let asks_json =
        arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    // Until the surroundings are known there is nothing to guard, and nothing but usage to talk about.
    let nothing = || sluice_governance::KnownValues::new(&[]).map(Arc::new);
    let (edge, guard) = match Edge::look().and_then(|edge| edge.printer_guard(&[]).map(|guard| (edge, guard)))
    {
        Ok(found) => found,
        Err(failure) => {
            return match nothing() {
                Ok(guard) => Printer::new(asks_json, guard).finish(Err(failure)),
                Err(_) => ExitCode::from(failure::Exit::CouldNot as u8),
            };
        }
    };
    let printer = Printer::new(asks_json, guard);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&printer, &error),
    };
    let context = Context { edge, printer, workspace: cli.workspace };
    let outcome = run(&context, cli.verb);
    context.printer.finish(outcome)
}

fn run(context: &Context, verb: Verb) -> Result<Answer, Failure> {
    match verb {
        Verb::Demo(args) => demo::run(context, args),
        Verb::Run(args) => run::run(context, args),
        Verb::Call(args) => call::run(context, args),
        Verb::Why(args) => why::run(context, &args),
        Verb::Replay(args) => replay::run(context, &args),
        Verb::Policy(command) => policy::run(context, command),
        Verb::Plugin(command) => plugin::run(context, command),
        Verb::Capsule(command) => capsule::run(context, command),
    }
}

/// Help and version are answers; everything else that the parser says is a failure to ask.
fn usage(printer: &Printer, error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let document = serde_json::json!({ "text": text });
        return printer.finish(Ok(Answer::yes(document, text)));
    }
    let mut lines = text.trim_end().lines();
    let first = lines.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let mut failure = Failure::could_not("usage", message);
    let rest: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        failure = Failure::could_not("usage", "no verb was given");
        if !printer.is_json() {
            printer.say(text.trim_end());
        }
    } else {
        failure.causes =
            rest.iter().filter(|line| !line.starts_with("For more")).map(|line| (*line).to_owned()).collect();
    }
    printer.finish(Err(failure.hint("`sluice --help`, or `--help` after a verb")))
}
