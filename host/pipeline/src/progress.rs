//! Where a run stands: what its events say, in order. Nothing else is asked, so that a run goes on from its record
//! alone.

use serde::de::DeserializeOwned;
use sluice_core::record::{
    ArtifactRef, AttemptOutcome, ErrorRecord, ModelCallEnvelope, RunStarted, SpecIdentity, StageEnd,
    StageStep, StageTransition, ToolResultRecord,
};
use sluice_core::{Event, EventKind, Risk, Role, SpecId, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Where a run stands.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The verb that began it.
    pub verb: String,
    /// Whether the stand-in may answer.
    pub loopback: bool,
    /// The specification's id.
    pub spec_id: Option<SpecId>,
    /// The specification as its author wrote it.
    pub spec: Option<SpecIdentity>,
    /// The same after redaction.
    pub spec_artifact: Option<ArtifactRef>,
    /// How much harm a wrong answer would do.
    pub risk: Option<Risk>,
    /// Stages that are done, in order.
    pub ended: Vec<(Stage, StageEnd)>,
    /// How often each stage was begun.
    pub begun: BTreeMap<Stage, u32>,
    /// The last answer of the stage that is under way, if it was acknowledged and can be used.
    pub answered: Option<ModelCallEnvelope>,
    /// What the validation command printed.
    pub command: Option<ArtifactRef>,
    /// Whether any answer is the stand-in's.
    pub stand_in: bool,
    /// Whether a stage's end is not under a checkpoint yet.
    pub unsigned: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it has ended.
    pub finished: bool,
    /// Answers that cannot be used.
    pub(crate) unusable: BTreeSet<u64>,
}

fn read<T: DeserializeOwned>(event: &Event) -> Result<T, String> {
    serde_json::from_value(event.payload.clone())
        .map_err(|error| format!("event {} does not read back: {error}", event.seq))
}

impl Progress {
    /// What the events of a run come to. An error says which does not read back.
    pub fn of(events: &[Event]) -> Result<Progress, String> {
        let mut progress = Progress {
            spec_id: events.first().and_then(|event| event.spec_id.clone()),
            ..Progress::default()
        };
        for event in events {
            progress.take(event)?;
        }
        Ok(progress)
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        match event.kind {
            EventKind::RunStarted => {
                let started: RunStarted = read(event)?;
                (self.verb, self.loopback) = (started.verb, started.loopback);
            }
            EventKind::StageTransition => self.transition(read(event)?),
            EventKind::ModelCallEnvelope => self.envelope(event.role, read(event)?),
            EventKind::ErrorEvent => {
                let error: ErrorRecord = read(event)?;
                self.unusable_answer(Some(error.call));
            }
            EventKind::ToolResult => self.command = Some(read::<ToolResultRecord>(event)?.output),
            EventKind::Checkpoint => self.unsigned = false,
            EventKind::BranchMerged => self.merged = true,
            EventKind::RunFinished => self.finished = true,
            _ => {}
        }
        Ok(())
    }

    fn transition(&mut self, transition: StageTransition) {
        match transition.step {
            StageStep::Begin(begin) => {
                self.begun.insert(transition.stage, transition.attempt);
                self.risk = Some(begin.risk);
                self.spec = Some(begin.spec);
                let spec = begin.inputs.iter().find(|input| input.name == sluice_context::stages::name::SPEC);
                self.spec_artifact = spec.cloned();
            }
            StageStep::End(end) => {
                self.ended.push((transition.stage, *end));
                self.answered = None;
                self.unsigned = true;
            }
            StageStep::Stop(stop) => self.unusable_answer(stop.unusable_call),
        }
    }

    fn envelope(&mut self, role: Option<Role>, envelope: ModelCallEnvelope) {
        self.stand_in |= envelope.loopback;
        let own = self.next().map(|stage| sluice_context::plan_of(stage).role) == role;
        if own && envelope.outcome == AttemptOutcome::Ok {
            self.answered = Some(envelope);
        }
    }

    fn unusable_answer(&mut self, call: Option<u64>) {
        self.unusable.extend(call);
        let is_it = |envelope: &ModelCallEnvelope| self.unusable.contains(&envelope.call);
        if self.answered.as_ref().is_some_and(is_it) {
            self.answered = None;
        }
    }

    /// The stage to be done next; `None` after the last.
    pub fn next(&self) -> Option<Stage> {
        sluice_context::stages::after(self.ended.last().map(|(stage, _)| *stage))
    }

    /// The end of the last stage, where the run has come to it.
    pub fn verdict(&self) -> Option<&StageEnd> {
        self.ended.last().filter(|(stage, _)| *stage == Stage::Unlock).map(|(_, end)| end)
    }
}
