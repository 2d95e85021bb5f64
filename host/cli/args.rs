//! Arguments, step one: what was typed, checked for form. Step two, what it means here, is each verb's own.

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Governs calls to language models: pinned sandboxed plugins decide, a record keeps every decision, and any
/// run can be replayed offline.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 yes; 1 the answer is no (invalid, mismatch, refused); 2 it could not be carried out.\nFirst time here? `sluice demo` tells the whole story in one screen and needs no key."
)]
pub struct Cli {
    /// The workspace; without it the nearest folder, here or above, with a `model_policy.toml`
    #[arg(short = 'C', long = "workspace", value_name = "DIR", global = true)]
    pub workspace: Option<PathBuf>,
    /// Answer with one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Every verb.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Six governed calls with a secret in them, a replay and a what-if, in a scratch workspace
    Demo(crate::demo::Args),
    /// Take a specification through Plan, Tasks, Implement, Validate, Audit and Unlock
    Run(crate::run::Args),
    /// Make one governed call
    Call(crate::call::Args),
    /// Tell in words why a call went the way it went
    Why(crate::why::Args),
    /// Prove a run offline; with another router: what would have changed
    Replay(crate::replay::Args),
    /// The policy: check it, compile it, look at snapshots
    #[command(subcommand)]
    Policy(crate::policy::Command),
    /// Plugins: what they are, which bytes are pinned, what the redactor finds
    #[command(subcommand)]
    Plugin(crate::plugin::Command),
    /// The record: what is in it, whether it holds
    #[command(subcommand)]
    Capsule(crate::capsule::Command),
}

/// `sluice speckit policy list` is `sluice policy list`: the governance documents write it so.
pub fn without_speckit(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        match argument.to_str() {
            Some("-C" | "--workspace") => at += 2,
            Some("speckit") => {
                arguments.remove(at);
                break;
            }
            Some(option) if option.starts_with('-') => at += 1,
            _ => break,
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn speckit_is_taken_out_before_the_verb_alone() {
        let clean = |line: &str| -> String {
            let taken = without_speckit(line.split(' ').map(OsString::from));
            taken.iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(clean("sluice speckit policy list"), "sluice policy list");
        assert_eq!(clean("sluice -C speckit --json speckit demo"), "sluice -C speckit --json demo");
        assert_eq!(clean("sluice call speckit"), "sluice call speckit");
        assert_eq!(clean("sluice"), "sluice");
    }
}
