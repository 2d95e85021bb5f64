//! Why a run stopped before its end. Each leaves a run that can go on, or says that it cannot.

use sluice_capsule::CapsuleError;
use sluice_core::{RunId, Stage};
use sluice_gateway::{CallFailure, StartError};
use std::io;
use std::path::PathBuf;

/// How a run ended early: by something of its own, or of the program around it.
#[derive(Debug)]
pub enum Ended<F> {
    /// Of its own.
    Stopped(Box<Stop>),
    /// Something outside failed.
    Outside(F),
}

impl<F> From<Stop> for Ended<F> {
    fn from(stop: Stop) -> Ended<F> {
        Ended::Stopped(Box::new(stop))
    }
}

impl<F> From<CapsuleError> for Ended<F> {
    fn from(error: CapsuleError) -> Ended<F> {
        Stop::Record(error).into()
    }
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The model's answer is not what the stage asks for.
    #[error("stage {stage} stopped: {message}")]
    Answer {
        /// Which stage.
        stage: Stage,
        /// A code.
        code: String,
        /// What is wrong with it.
        message: String,
        /// The call that it answers.
        call: u64,
    },
    /// An answer of the run is the stand-in's, and the run may not use it.
    #[error("stage unlock stopped: an answer of this run is the loopback stand-in's, which unlocks nothing")]
    StandIn,
    /// No answer came.
    #[error("stage {stage} stopped: no answer")]
    Call {
        /// Which stage.
        stage: Stage,
        /// Why.
        #[source]
        source: CallFailure,
    },
    /// The text of a stage could not be scanned for secrets.
    #[error("stage {stage} stopped: {what} cannot be scanned for secrets")]
    Unscanned {
        /// Which stage.
        stage: Stage,
        /// Which text.
        what: &'static str,
        /// Why.
        #[source]
        source: sluice_gateway::Blocked,
    },
    /// Somebody asked it to.
    #[error("stopped in stage {0}, as asked")]
    Interrupted(Stage),
    /// The record cannot be written or read.
    #[error("the record could not be written")]
    Record(#[from] CapsuleError),
    /// The run has ended and is signed, and the sealed file of its last part is not there.
    #[error("the run came to its end, but its last sealed file could not be written")]
    Unsealed(#[source] CapsuleError),
    /// The run cannot begin or go on.
    #[error("the run cannot go on")]
    Start(#[from] StartError),
    /// The scratch folder cannot be written.
    #[error("the scratch folder cannot be written: `{}`", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such run to resume.
    #[error("no run `{0}` in this capsule")]
    NoSuchRun(RunId),
    /// The run to resume has ended.
    #[error("run `{0}` has finished: there is nothing to resume")]
    Finished(RunId),
    /// The run to resume is about something else.
    #[error("run `{run}` is about another specification")]
    OtherSpec {
        /// The run.
        run: RunId,
    },
    /// The run to resume was not begun by this verb.
    #[error("run `{run}` was begun by `{verb}`, not by `run`")]
    OtherVerb {
        /// The run.
        run: RunId,
        /// The verb.
        verb: String,
    },
    /// Stand-in and models do not mix in a run.
    #[error("run `{run}` was begun {}", if *.loopback { "with --loopback" } else { "without --loopback" })]
    OtherServer {
        /// The run.
        run: RunId,
        /// Whether it was begun with the stand-in.
        loopback: bool,
    },
    /// What an earlier stage made is nowhere to be found.
    #[error("`{name}` of run `{run}` is known by its commitment alone")]
    NoContent {
        /// The run.
        run: RunId,
        /// The artefact.
        name: String,
    },
    /// The record of the run is not one that this program writes.
    #[error("the record of run `{run}` does not tell where it stands: {what}")]
    Unreadable {
        /// The run.
        run: RunId,
        /// What is wrong.
        what: String,
    },
}
