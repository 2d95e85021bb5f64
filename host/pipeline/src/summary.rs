//! A run at a glance, told by its events: also of the parts that another process did.

use serde::Serialize;
use sluice_core::record::{ArtifactRef, ModelCallEnvelope, StageStep, StageTransition, Verdict};
use sluice_core::{Event, EventKind, MicroUsd, Role, Stage};

/// One stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// Which.
    pub stage: Stage,
    /// Who spoke.
    pub role: Role,
    /// `<provider>/<model>` that gave the answer; `None` where none did yet.
    pub model: Option<String>,
    /// Attempts at models.
    pub attempts: u64,
    /// Tokens of those that counted them.
    pub tokens: u64,
    /// What they cost, where that is known.
    pub cost_micro_usd: MicroUsd,
    /// Whether it is done.
    pub done: bool,
    /// Whether the answer is the stand-in's.
    pub loopback: bool,
    /// What it made.
    #[serde(skip)]
    pub artifacts: Vec<ArtifactRef>,
}

/// All of them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// In order; those that were begun.
    pub stages: Vec<StageSummary>,
    /// Sum of what is known.
    pub cost_micro_usd: MicroUsd,
    /// Checkpoints in the run.
    pub checkpoints: u64,
    /// The judge's word, where it came to that.
    pub verdict: Option<Verdict>,
    /// Whether the run was merged.
    pub merged: bool,
}

impl Summary {
    /// What these events come to. Those that do not read back are the replay's matter.
    pub fn of(events: &[Event]) -> Summary {
        let mut summary = Summary::default();
        let mut answers: Vec<(u64, ModelCallEnvelope)> = Vec::new();
        for event in events {
            match event.kind {
                EventKind::Checkpoint => summary.checkpoints += 1,
                EventKind::BranchMerged => summary.merged = true,
                EventKind::StageTransition => {
                    if let Ok(transition) = serde_json::from_value(event.payload.clone()) {
                        summary.transition(transition, &answers);
                    }
                }
                EventKind::ModelCallEnvelope => {
                    if let Ok(envelope) = serde_json::from_value::<ModelCallEnvelope>(event.payload.clone()) {
                        summary.envelope(event.stage, &envelope);
                        answers.push((envelope.call, envelope));
                    }
                }
                _ => {}
            }
        }
        summary
    }

    fn transition(&mut self, transition: StageTransition, answers: &[(u64, ModelCallEnvelope)]) {
        let (stage, role) = (transition.stage, transition.role);
        if !self.stages.iter().any(|known| known.stage == stage) {
            self.stages.push(StageSummary {
                stage,
                role,
                model: None,
                attempts: 0,
                tokens: 0,
                cost_micro_usd: MicroUsd(0),
                done: false,
                loopback: false,
                artifacts: Vec::new(),
            });
        }
        let StageStep::End(end) = transition.step else { return };
        let answer = answers.iter().rev().find(|(call, _)| *call == end.call);
        if let Some(known) = self.stages.iter_mut().find(|known| known.stage == stage) {
            known.model = answer.map(|(_, envelope)| envelope.candidate.clone());
            (known.done, known.loopback, known.artifacts) = (true, end.loopback, end.artifacts);
        }
        self.verdict = end.verdict.or(self.verdict.take());
    }

    fn envelope(&mut self, stage: Option<Stage>, envelope: &ModelCallEnvelope) {
        let cost = envelope.cost.unwrap_or_default();
        self.cost_micro_usd.0 = self.cost_micro_usd.0.saturating_add(cost.0);
        if let Some(known) = self.stages.iter_mut().find(|known| Some(known.stage) == stage) {
            known.attempts += 1;
            known.tokens = known.tokens.saturating_add(envelope.usage.map_or(0, |usage| usage.total()));
            known.cost_micro_usd.0 = known.cost_micro_usd.0.saturating_add(cost.0);
        }
    }
}
