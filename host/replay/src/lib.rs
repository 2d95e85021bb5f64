//! How a run is walked back, offline: every decision made again from recorded facts with the pinned bytes
//! out of the capsule, and compared.
//!
//! *Invariant*: no network crate is in this room's dependency graph (`tests/tidy.rs` runs `cargo tree`), and
//! no decision rule is written here: the derived side of every comparison comes from `governance`.

mod answers;
mod counterfactual;
mod exact;
mod policies;
mod report;
mod stages;

pub use counterfactual::{Change, Counterfactual};
pub use report::{Mismatch, ModelAnswers, Report, StageReport, Tally};

use sluice_capsule::{CapsuleError, Reader};
use sluice_core::RunId;
use sluice_core::record::PatchApply;
use sluice_plugin::{Artifact, PluginEngine, PluginError};

/// What to do besides proving.
#[derive(Default)]
pub struct Options {
    /// Another router, for "what if".
    pub with_router: Option<Artifact>,
    /// How patches are applied: the rule of the live run, which stands where its diff library is. Without it the
    /// outcomes of patches are not derived.
    pub patches: Option<PatchRule>,
}

/// What the patches of a change come to, by the number of the call that it answers; `None` where the text is no
/// change.
pub type PatchRule = fn(u64, &str) -> Option<Vec<PatchApply>>;

/// The run could not be walked back at all.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such run.
    #[error("no run `{0}` in this capsule")]
    NoSuchRun(RunId),
    /// The capsule cannot be read.
    #[error("the capsule cannot be read")]
    Capsule(#[from] CapsuleError),
    /// The alternative router was refused.
    #[error("the alternative router was refused")]
    Router(#[source] PluginError),
}

impl ReplayError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ReplayError::NoSuchRun(_) => Some("`sluice capsule stats` lists the runs".into()),
            ReplayError::Capsule(error) => error.hint(),
            ReplayError::Router(error) => error.hint(),
        }
    }
}

/// Proves `run`, and answers "what if" where asked. A record that does not verify is a report with
/// mismatches, not an error: the answer is no.
pub fn replay(
    reader: &Reader,
    run: &RunId,
    engine: &PluginEngine,
    options: &Options,
) -> Result<Report, ReplayError> {
    let mut report = Report::new(run.clone());
    let verified = match reader.run_events(run) {
        Ok(verified) => verified,
        Err(CapsuleError::NotFound(_)) => return Err(ReplayError::NoSuchRun(run.clone())),
        // A damaged or altered record is the answer, not an accident.
        Err(CapsuleError::Flawed(flaw)) => {
            report.mismatch(&flaw.uri, "record", &format!("{}: {}", flaw.kind, flaw.message));
            return Ok(report);
        }
        Err(error) => return Err(error.into()),
    };
    report.events = verified.events.len() as u64;
    report.signed_up_to = verified.signed_through;
    report.key_believed = Some(verified.identity);
    report.matched("record", verified.events.len() as u64);
    let mut policies = policies::Policies::new(reader, engine);
    let stages = stages::Stages::new(reader, options.patches);
    exact::prove(&verified.events, &mut policies, stages, &mut report);
    if let Some(router) = &options.with_router {
        let found = counterfactual::ask(&verified.events, &mut policies, engine, router);
        report.counterfactual = Some(found.map_err(ReplayError::Router)?);
    }
    Ok(report)
}
