//! How a specification flows through the six stages: context, call, artefacts, patches, checkpoints, resume. The
//! stages themselves are data, and what follows from an answer is pure: both are the context room's, so that
//! replay derives the same. `docs/run-life.md` draws a run.
//!
//! *Invariant*: a stage's end is recorded after everything that it made, and signed before the next begins; so a run
//! that is killed anywhere goes on from its last end (`tests/run.rs`, `tests/kills.py`).

mod command;
mod drive;
mod materials;
pub mod patch;
mod progress;
mod scratch;
mod stage;
mod stop;
mod summary;

pub use drive::{Order, Outcome, Resume, drive};
pub use progress::Progress;
pub use sluice_context::{MergeMode, warm};
pub use stop::{Ended, Stop};
pub use summary::{StageSummary, Summary};

use sluice_core::{MicroUsd, RunId, Stage};
use sluice_gateway::Gateway;

/// Largest specification in bytes. The largest context of a policy is a few hundred thousand tokens, and every byte
/// is scanned for secrets.
pub const SPEC_BYTES_MAX: usize = 1 << 20;

/// What is going on, for who watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The run has an id: it can be resumed from here on.
    Began(RunId),
    /// A stage is done already, from before.
    Known(Stage),
    /// A stage begins, with this many tokens of context.
    Begins(Stage, u64),
    /// A model answered: its id, and the run's cost so far.
    Answered(Stage, String, MicroUsd),
    /// The validation command runs.
    Runs(Stage),
    /// A stage is done and signed.
    Ended(Stage),
}

/// Everything that a run needs of the program around it.
pub trait Surroundings {
    /// Why something outside could not be done.
    type Failure;

    /// A gateway under the policy as it is now, where its hash is another than that of `gateway`.
    fn recapture(&mut self, gateway: &Gateway) -> Result<Option<Gateway>, Self::Failure>;

    /// Hands over an artefact whose stage is acknowledged. The same one may come again.
    fn publish(&mut self, name: &str, text: &str) -> Result<(), Self::Failure>;

    /// An artefact of an earlier part of this run, where the record keeps its commitment alone.
    fn fetch(&mut self, name: &str) -> Option<String>;

    /// Ends a process and everything that it started.
    fn end_group(&mut self, process: u32);

    /// Says what is going on.
    fn tell(&mut self, happening: Happening);
}

/// Whether the run is to stop: set once, from a signal.
pub type Interrupt = tokio::sync::watch::Receiver<bool>;
