//! One stage: what it sees, whom it asks, what the answer is worth, what it leaves.

use crate::drive::Course;
use crate::patch::{self, Applied};
use crate::stop::{Ended, Stop};
use crate::{Happening, Interrupt, Surroundings, command};
use sluice_context::stages::{Form, StagePlan, name};
use sluice_context::{Unusable, answer, compile};
use sluice_core::record::{
    ArtifactRef, ErrorRecord, StageBegin, StageEnd, StageStep, StageStop, StageTransition, ToolCallRecord,
    ToolResultRecord, Verdict,
};
use sluice_core::{EventKind, Mode, ModeAsked, Role, Stage};
use sluice_gateway::{CallRequest, Note, recorded_answer};
use std::time::Duration;

/// The name of the command that policy lists, in the record.
const VALIDATE: &str = "validate";

/// An answer, from a model now or from the record.
struct Answer {
    call: u64,
    text: String,
    mode: Mode,
    loopback: bool,
}

/// What an answer is worth.
struct Product {
    /// Name and text; the first is the answer.
    artifacts: Vec<(String, String)>,
    patches: Option<Applied>,
    verdict: Option<Verdict>,
}

/// Waits until somebody asks the run to stop.
pub(crate) async fn asked_to_stop(mut interrupt: Interrupt) {
    if interrupt.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could ask.
        std::future::pending::<()>().await;
    }
}

impl<S: Surroundings> Course<'_, S> {
    /// Does one stage, to its recorded end. Where it stops before that, the record says why.
    pub(crate) async fn stage(&mut self, plan: &'static StagePlan) -> Result<StageEnd, Ended<S::Failure>> {
        self.before(plan).await?;
        let attempt = self.progress.begun.get(&plan.stage).copied().unwrap_or(0) + 1;
        let taken = self.taken_up(plan)?;
        let begin = self.begin(plan, taken.as_ref());
        let context = begin.1;
        let step = StageStep::Begin(Box::new(begin.0));
        self.run.note(vec![transition(plan, attempt, step)]).await?;
        self.progress.begun.insert(plan.stage, attempt);
        match self.inside(plan, attempt, taken, context).await {
            Ok(end) => Ok(end),
            Err(ended) => {
                self.stopped(plan, attempt, &ended).await;
                Err(ended)
            }
        }
    }

    /// What must be done, or be so, before the stage begins.
    async fn before(&mut self, plan: &StagePlan) -> Result<(), Ended<S::Failure>> {
        match plan.stage {
            Stage::Validate => self.validation_command().await,
            Stage::Unlock if self.progress.stand_in && !self.gateway.parts().loopback => {
                Err(Stop::StandIn.into())
            }
            _ => Ok(()),
        }
    }

    /// The answer that an earlier part of the run was given, where its text is in the record.
    fn taken_up(&self, plan: &StagePlan) -> Result<Option<Answer>, Ended<S::Failure>> {
        let Some(envelope) = &self.progress.answered else { return Ok(None) };
        let text = match self.stored(plan.stage, plan.answer)? {
            Some(text) => Some(text),
            None => recorded_answer(envelope),
        };
        let (call, mode, loopback) = (envelope.call, envelope.mode, envelope.loopback);
        Ok(text.map(|text| Answer { call, text, mode, loopback }))
    }

    /// What the stage starts from, and what is said to its model.
    fn begin(&mut self, plan: &StagePlan, taken: Option<&Answer>) -> (StageBegin, String) {
        let (stage, role) = (plan.stage, plan.role);
        let budget = self.run.policy().governance.budgets.stage_tokens.get(&stage).copied().unwrap_or(0);
        let context = compile(stage, role, &self.materials.inputs, budget);
        self.outside.tell(Happening::Begins(stage, context.record.tokens));
        let begin = StageBegin {
            after: self.progress.ended.last().map(|(stage, _)| *stage),
            risk: self.risk,
            mode_asked: plan.mode_asked(self.run.reflex_allowed(role, stage), self.risk),
            schema_sent: plan.form != Form::Markdown && self.run.schema_possible(role, stage),
            spec: self.spec.clone(),
            inputs: self.materials.references(&self.materials.inputs.used(stage, role)),
            context: context.record,
            takes_up: taken.map(|answer| answer.call),
        };
        (begin, context.text)
    }

    async fn inside(
        &mut self,
        plan: &'static StagePlan,
        attempt: u32,
        taken: Option<Answer>,
        context: String,
    ) -> Result<StageEnd, Ended<S::Failure>> {
        let (answer, product) = self.usable_answer(plan, taken, &context).await?;
        if plan.form == Form::Verdict && answer.loopback && !self.gateway.parts().loopback {
            return Err(Stop::StandIn.into());
        }
        let mut artifacts = Vec::new();
        for (name, text) in product.artifacts {
            artifacts.push(self.keep(plan.stage, &name, text).await?);
        }
        if let Some(applied) = &product.patches {
            self.fill_scratch(&applied.tree)?;
        }
        artifacts.extend(self.criticised(plan).await?);
        let end =
            StageEnd { call: answer.call, loopback: answer.loopback, artifacts, verdict: product.verdict };
        let mut notes = patch_notes(plan, product.patches.as_ref());
        notes.push(transition(plan, attempt, StageStep::End(Box::new(end.clone()))));
        self.run.note(notes).await?;
        self.progress.stand_in |= answer.loopback;
        self.progress.answered = None;
        Ok(end)
    }

    /// Asks until an answer can be used. A local model that gives none makes way for the cloud, once.
    async fn usable_answer(
        &mut self,
        plan: &'static StagePlan,
        mut taken: Option<Answer>,
        context: &str,
    ) -> Result<(Answer, Product), Ended<S::Failure>> {
        let allowed = self.run.reflex_allowed(plan.role, plan.stage);
        let mut mode = plan.mode_asked(allowed, self.risk);
        loop {
            let answer = match taken.take() {
                Some(answer) => answer,
                None => self.ask(plan, plan.role, context, mode).await?,
            };
            let (unusable, patches) = match product(plan, &answer) {
                Ok(product) => return Ok((answer, product)),
                Err(unusable) => unusable,
            };
            let mut notes = patch_notes(plan, patches.as_ref());
            let gives_way = answer.mode == Mode::Reflex && mode != ModeAsked::Cloud;
            if gives_way {
                let (code, message) = (unusable.code.to_owned(), unusable.message.clone());
                let record = ErrorRecord { call: answer.call, code, message };
                notes.push(Note::new(EventKind::ErrorEvent, Some(plan.role), Some(plan.stage), &record));
            }
            if !notes.is_empty() {
                self.run.note(notes).await?;
            }
            if !gives_way {
                let (code, message) = (unusable.code.to_owned(), unusable.message);
                return Err(Stop::Answer { stage: plan.stage, code, message, call: answer.call }.into());
            }
            mode = ModeAsked::Cloud;
        }
    }

    async fn ask(
        &mut self,
        plan: &StagePlan,
        role: Role,
        context: &str,
        mode_asked: ModeAsked,
    ) -> Result<Answer, Ended<S::Failure>> {
        let stage = plan.stage;
        let own = role == plan.role;
        let sends_schema = own && self.run.schema_possible(role, stage);
        let request = CallRequest {
            mode_asked,
            risk: self.risk,
            schema: plan.schema().filter(|_| sends_schema),
            bounded: own && plan.bounded,
            ..CallRequest::new(role, stage, context)
        };
        let called = tokio::select! {
            biased;
            () = asked_to_stop(self.interrupt.clone()) => return Err(Stop::Interrupted(stage).into()),
            called = self.run.call(request) => called,
        };
        let reply = called.map_err(|source| Stop::Call { stage, source })?;
        let model = format!("{}/{}", reply.provider, reply.model);
        self.outside.tell(Happening::Answered(stage, model, self.run.spent()));
        Ok(Answer { call: reply.call, text: reply.recorded, mode: reply.mode, loopback: reply.loopback })
    }

    /// The critic's words on a stage, where policy gives it models. It blocks nothing: whatever goes wrong is noted,
    /// and the run goes on.
    async fn criticised(
        &mut self,
        plan: &'static StagePlan,
    ) -> Result<Option<ArtifactRef>, Ended<S::Failure>> {
        let (role, stage, artifact) = (Role::SidecarCritic, plan.stage, plan.critic_artifact());
        let has_models =
            self.run.policy().model_config.roles.get(&role).is_some_and(|role| !role.models.is_empty());
        if !plan.criticised || !has_models {
            return Ok(None);
        }
        if let Some(text) = self.stored(stage, &artifact)? {
            return Ok(Some(self.keep(stage, &artifact, text).await?));
        }
        let budget = self.run.policy().governance.budgets.stage_tokens.get(&stage).copied().unwrap_or(0);
        let context = compile(stage, role, &self.materials.inputs, budget);
        let failed = |code: &str, message: String| ErrorRecord { call: 0, code: code.to_owned(), message };
        let record = match self.ask(plan, role, &context.text, ModeAsked::Auto).await {
            Ok(answer) => {
                self.progress.stand_in |= answer.loopback;
                match answer::markdown(&answer.text) {
                    Ok(text) => return Ok(Some(self.keep(stage, &artifact, text).await?)),
                    Err(unusable) => failed("critic-unusable", unusable.message),
                }
            }
            Err(Ended::Stopped(stop)) => match *stop {
                Stop::Call { source, .. } if !matches!(source, sluice_gateway::CallFailure::Record(_)) => {
                    failed("critic-failed", "the critic gave no answer".to_owned())
                }
                other => return Err(other.into()),
            },
            Err(other) => return Err(other),
        };
        self.run.note(vec![Note::new(EventKind::ErrorEvent, Some(role), Some(stage), &record)]).await?;
        Ok(None)
    }

    /// Runs what policy lists for Validate, unless an earlier part of the run did.
    async fn validation_command(&mut self) -> Result<(), Ended<S::Failure>> {
        let Some(rules) = self.run.policy().governance.pipeline.clone() else { return Ok(()) };
        let (stage, name) = (Stage::Validate, name::COMMAND_OUTPUT);
        let page = match self.stored(stage, name)? {
            Some(page) => page,
            None => {
                let call = ToolCallRecord {
                    tool: VALIDATE.to_owned(),
                    command: rules.validate_command.clone(),
                    timeout_ms: rules.validate_timeout_ms,
                };
                self.run.note(vec![Note::new(EventKind::ToolCall, None, Some(stage), &call)]).await?;
                self.outside.tell(Happening::Runs(stage));
                let folder = self.scratch();
                let timeout = Duration::from_millis(rules.validate_timeout_ms);
                let stop = asked_to_stop(self.interrupt.clone());
                let outside = &mut *self.outside;
                let mut end_group = |process| outside.end_group(process);
                let finished =
                    command::run(&rules.validate_command, &folder, timeout, stop, &mut end_group).await;
                if finished.ended == command::INTERRUPTED {
                    return Err(Stop::Interrupted(stage).into());
                }
                let page = command::page(&rules.validate_command, &finished);
                self.redacted("command-output", stage, &page).await?
            }
        };
        let ended = command::ended(&page);
        let output = self.keep(stage, name, page).await?;
        if self.progress.command.as_ref() != Some(&output) {
            let result = ToolResultRecord { tool: VALIDATE.to_owned(), ended, output };
            self.run.note(vec![Note::new(EventKind::ToolResult, None, Some(stage), &result)]).await?;
        }
        Ok(())
    }

    /// Says in the record why a stage stopped, and signs that. Where the record is what failed, it says nothing: the
    /// run is resumed from what was acknowledged before.
    async fn stopped(&mut self, plan: &StagePlan, attempt: u32, ended: &Ended<S::Failure>) {
        let (code, message, unusable_call) = match ended {
            Ended::Outside(_) => ("outside", "something outside the run failed".to_owned(), None),
            Ended::Stopped(stop) => match &**stop {
                Stop::Answer { code, message, call, .. } => (code.as_str(), message.clone(), Some(*call)),
                Stop::Interrupted(_) => ("interrupted", stop.to_string(), None),
                Stop::Call { .. } => ("call-failed", stop.to_string(), None),
                Stop::StandIn => ("stand-in", stop.to_string(), None),
                Stop::Record(_) => return,
                other => ("failed", other.to_string(), None),
            },
        };
        let stop = StageStop { code: code.to_owned(), message, unusable_call };
        if self.run.note(vec![transition(plan, attempt, StageStep::Stop(stop))]).await.is_ok() {
            // Unsigned is how the run stands then; the first mark after it is resumed covers this too.
            let _ = self.mark(&format!("stage-{}-stopped", plan.stage)).await;
        }
    }
}

fn transition(plan: &StagePlan, attempt: u32, step: StageStep) -> Note {
    let transition = StageTransition { stage: plan.stage, role: plan.role, attempt, step };
    Note::new(EventKind::StageTransition, Some(plan.role), Some(plan.stage), &transition)
}

fn patch_notes(plan: &StagePlan, applied: Option<&Applied>) -> Vec<Note> {
    let patches = applied.map(|applied| applied.outcomes.as_slice()).unwrap_or_default();
    patches
        .iter()
        .map(|patch| Note::new(EventKind::PatchApply, Some(plan.role), Some(plan.stage), patch))
        .collect()
}

/// What an answer is worth to its stage. With a change that cannot be applied comes what was tried.
fn product(plan: &StagePlan, answer: &Answer) -> Result<Product, (Unusable, Option<Applied>)> {
    let alone = |unusable| (unusable, None);
    let text = answer::artifact(plan, &answer.text).map_err(alone)?;
    let mut product = Product { artifacts: Vec::new(), patches: None, verdict: None };
    let mut more = Vec::new();
    match plan.form {
        Form::Markdown => {}
        Form::Change => {
            let change = answer::change(&text).map_err(alone)?;
            let applied = patch::apply(answer.call, &change);
            if let Some((patch, code)) = applied.refused() {
                let message = format!("patch {} of {} is refused: {code}", patch.number, change.files.len());
                return Err((Unusable::new("patch-refused", message), Some(applied)));
            }
            more.extend((1..).zip(&change.files).map(|(n, file)| (name::patch(n), answer::patch_text(file))));
            product.patches = Some(applied);
        }
        Form::Verdict => {
            let verdict = answer::verdict(&text).map_err(alone)?;
            more.push((name::UNLOCK.to_owned(), answer::unlock_page(&verdict)));
            product.verdict = Some(verdict);
        }
    }
    product.artifacts.push((plan.answer.to_owned(), text));
    product.artifacts.extend(more);
    Ok(product)
}
