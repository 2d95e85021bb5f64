//! The stages walked again: their order, what each saw, what its answer was worth, what the merge took along. The
//! derived side comes from the context room, and the outcomes of patches from a rule that the caller hands in.

use crate::exact::{Checked, read, same};
use crate::report::Report;
use crate::{PatchRule, answers};
use sluice_capsule::Reader;
use sluice_context::stages::{self, Form, name};
use sluice_context::{Inputs, MergeMode, StagePlan, answer, compile, merge, plan_of};
use sluice_core::record::{
    ArtifactRef, AttemptOutcome, BranchMerged, ErrorRecord, ModelCallEnvelope, PatchApply, PolicySnapshotRef,
    RoutingDecision, RunFinished, RunStarted, StageBegin, StageEnd, StageStep, StageStop, StageTransition,
    ToolResultRecord, Verdict,
};
use sluice_core::uri::Resource;
use sluice_core::{Event, EventKind, Role, Stage};
use sluice_governance::{Governor, route, tag};
use std::collections::{BTreeMap, BTreeSet};

/// A stage between its begin and its end.
struct Open {
    plan: &'static StagePlan,
    begin: StageBegin,
    /// What was said to its model, where that could be derived.
    context: Option<String>,
    patches: Vec<PatchApply>,
    /// Requests to the critic that were kept: what they rest on is known at the end.
    to_critic: Vec<String>,
}

/// What the stages so far amount to.
pub(crate) struct Stages<'a> {
    reader: &'a Reader,
    patch_rule: Option<PatchRule>,
    started: Option<RunStarted>,
    open: Option<Open>,
    last: Option<Stage>,
    begun: BTreeMap<Stage, u32>,
    inputs: Inputs,
    /// What the record says was made; the text is `None` where it is known by its commitment alone.
    made: BTreeMap<String, ArtifactRef>,
    answered: BTreeMap<u64, (Option<Stage>, Option<Role>, ModelCallEnvelope)>,
    unusable: BTreeSet<u64>,
    verdict: Option<Verdict>,
    stand_in: bool,
    merged: bool,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(reader: &'a Reader, patch_rule: Option<PatchRule>) -> Stages<'a> {
        Stages {
            reader,
            patch_rule,
            started: None,
            open: None,
            last: None,
            begun: BTreeMap::new(),
            inputs: Inputs::default(),
            made: BTreeMap::new(),
            answered: BTreeMap::new(),
            unusable: BTreeSet::new(),
            verdict: None,
            stand_in: false,
            merged: false,
        }
    }

    /// Whether this is a run through the stages at all.
    fn staged(&self) -> bool {
        self.started.as_ref().is_some_and(|started| started.verb == "run")
    }

    /// One event, with the run up to it.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        before: &[Event],
        governor: &Governor,
        report: &mut Report,
    ) {
        let (check, outcome) = match event.kind {
            EventKind::RunStarted => ("stages", read(event).map(|started| self.started = Some(started))),
            EventKind::StageTransition if !self.staged() => {
                ("stages", Err("a stage in a run that was not begun with any".to_owned()))
            }
            _ if !self.staged() => return,
            EventKind::PolicySnapshotRef => ("stages", self.policy(event)),
            EventKind::StageTransition => ("stages", self.transition(event, governor, report)),
            EventKind::RoutingDecision => ("stages", self.decision(event)),
            EventKind::ModelCallEnvelope => ("context", self.envelope(event, report)),
            EventKind::ErrorEvent => ("stages", self.error(event)),
            EventKind::PatchApply => ("patches", self.patch(event)),
            EventKind::ToolResult => ("stages", self.tool(event)),
            EventKind::BranchMerged => ("merge", self.merge(event, before)),
            EventKind::RunFinished => ("stages", self.finished(event)),
            _ => return,
        };
        report.check(&event.uri, check, outcome);
    }

    /// A policy changes between stages. Inside one it may only where the run went on after it had stopped: what was
    /// open then is left, and has to begin again.
    fn policy(&mut self, event: &Event) -> Checked {
        let recorded: PolicySnapshotRef = read(event)?;
        self.open = None;
        match (recorded.occasion.as_str(), self.begun.is_empty()) {
            ("run-start" | "stage-boundary", true) | ("stage-boundary", false) => Ok(()),
            (occasion, _) => {
                Err(format!("a policy was adopted at `{occasion}`, which is no boundary of stages"))
            }
        }
    }

    fn transition(&mut self, event: &Event, governor: &Governor, report: &mut Report) -> Checked {
        let recorded: StageTransition = read(event)?;
        let plan = plan_of(recorded.stage);
        same("stage", &event.stage, &Some(recorded.stage))?;
        same("role", &(recorded.role, event.role), &(plan.role, Some(plan.role)))?;
        match recorded.step {
            StageStep::Begin(begin) => {
                same("stage that begins", &Some(recorded.stage), &stages::after(self.last))?;
                let attempt = self.begun.entry(recorded.stage).or_insert(0);
                *attempt += 1;
                same("number of the attempt", &recorded.attempt, &*attempt)?;
                self.begins(plan, *begin, governor, report)
            }
            StageStep::End(end) => {
                let open = self.opened(recorded.stage, recorded.attempt)?;
                self.ends(&open, *end, report)
            }
            StageStep::Stop(stop) => {
                self.opened(recorded.stage, recorded.attempt)?;
                self.stops(&stop)
            }
        }
    }

    /// Takes the stage that is open, if it is this one.
    fn opened(&mut self, stage: Stage, attempt: u32) -> Result<Open, String> {
        same("number of the attempt", &Some(&attempt), &self.begun.get(&stage))?;
        let open = self.open.take().filter(|open| open.plan.stage == stage);
        open.ok_or_else(|| format!("stage {stage} did not begin before"))
    }

    fn begins(
        &mut self,
        plan: &'static StagePlan,
        begin: StageBegin,
        governor: &Governor,
        report: &mut Report,
    ) -> Checked {
        let held = self.begin_holds(plan, &begin, governor);
        let context = held.and_then(|()| self.context(plan, plan.role, &begin, report));
        let (context, outcome) = match context {
            Ok(context) => (context, Ok(())),
            Err(what) => (None, Err(what)),
        };
        // Also where it does not hold: what follows is then told by itself, and not as following from nothing.
        let (patches, to_critic) = (Vec::new(), Vec::new());
        self.open = Some(Open { plan, begin, context, patches, to_critic });
        outcome
    }

    fn begin_holds(&self, plan: &StagePlan, begin: &StageBegin, governor: &Governor) -> Checked {
        let policy = &governor.policy().snapshot;
        same("stage before", &begin.after, &self.last)?;
        let allowed = route::reflex_allowed(policy, plan.role.code(), plan.stage.code());
        same("mode asked", &begin.mode_asked, &plan.mode_asked(allowed, begin.risk))?;
        let schema = plan.form != Form::Markdown && route::schema_possible(policy, plan.role, plan.stage);
        same("schema", &begin.schema_sent, &schema)?;
        let budget = policy.governance.budgets.stage_tokens.get(&plan.stage).copied().unwrap_or(0);
        same("budget of the stage", &begin.context.budget_tokens, &budget)?;
        if let Some(call) = begin.takes_up {
            self.own_answer(plan, call)?;
        }
        Ok(())
    }

    /// The context again, from what the stages made, as far as that is in the record.
    fn context(
        &mut self,
        plan: &StagePlan,
        role: Role,
        begin: &StageBegin,
        report: &mut Report,
    ) -> Result<Option<String>, String> {
        for input in begin.inputs.iter().filter(|input| input.name == name::SPEC) {
            self.artifact(input)?;
        }
        for input in &begin.inputs {
            same("what it was compiled from", &Some(input), &self.made.get(&input.name))?;
        }
        let missing = begin.inputs.iter().find(|input| !self.inputs.artifacts.contains_key(&input.name));
        if let Some(missing) = missing {
            let why = format!("`{}` is known by its commitment alone", missing.name);
            report.stage(plan.stage, Some(why));
            return Ok(None);
        }
        let names: Vec<&str> = begin.inputs.iter().map(|input| input.name.as_str()).collect();
        same("what it was compiled from", &names, &self.inputs.used(plan.stage, role))?;
        let context = compile(plan.stage, role, &self.inputs, begin.context.budget_tokens);
        report.stage(plan.stage, None);
        same("context", &begin.context, &context.record)?;
        Ok(Some(context.text))
    }

    /// What a stage made: of the right name, its content what was committed to, and known from here on.
    fn artifact(&mut self, artifact: &ArtifactRef) -> Checked {
        let Some(uri) = &artifact.uri else {
            same("salt without content", &artifact.salt, &None)?;
            self.inputs.artifacts.remove(&artifact.name);
            self.made.insert(artifact.name.clone(), artifact.clone());
            return Ok(());
        };
        match &uri.resource {
            Resource::Artifact(_, stage, name) if *stage == artifact.stage && *name == artifact.name => {}
            _ => return Err(format!("`{}` is said to be at `{uri}`", artifact.name)),
        }
        let bytes = self.reader.resolve(uri).map_err(|error| format!("`{}`: {error}", artifact.name))?.bytes;
        let salt = artifact.salt.as_deref().and_then(sluice_core::digest::from_hex);
        let holds = salt.is_some_and(|salt| tag::commitment(&salt, &bytes) == artifact.commitment);
        if !holds || bytes.len() as u64 != artifact.bytes {
            return Err(format!("`{}` is not what was committed to", artifact.name));
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("`{}` is not text", artifact.name))?;
        self.inputs.artifacts.insert(artifact.name.clone(), text);
        self.made.insert(artifact.name.clone(), artifact.clone());
        Ok(())
    }

    /// A call is made inside its stage.
    fn decision(&mut self, event: &Event) -> Checked {
        let recorded: RoutingDecision = read(event)?;
        let open = self.open.as_ref().ok_or("a call outside of every stage")?;
        same("stage of the call", &event.stage, &Some(open.plan.stage))?;
        same("risk of the call", &recorded.facts.risk.as_str(), &open.begin.risk.code())?;
        let own = event.role == Some(open.plan.role);
        let critic = open.plan.criticised && event.role == Some(Role::SidecarCritic);
        same("whether the role speaks in this stage", &(own || critic), &true)?;
        same("schema of the call", &recorded.facts.needs.schema, &(own && open.begin.schema_sent))
    }

    /// An answer, and whether what was said is the context that follows from the record.
    fn envelope(&mut self, event: &Event, report: &mut Report) -> Checked {
        let recorded: ModelCallEnvelope = read(event)?;
        self.stand_in |= recorded.loopback;
        if recorded.outcome == AttemptOutcome::Ok {
            self.answered.insert(recorded.call, (event.stage, event.role, recorded.clone()));
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(body) = recorded.request.text else { return Ok(()) };
        if event.role != Some(open.plan.role) {
            open.to_critic.push(body);
            return Ok(());
        }
        match &open.context {
            Some(context) => said(open.plan.stage, &body, context, report),
            None => Ok(()),
        }
    }

    fn error(&mut self, event: &Event) -> Checked {
        let recorded: ErrorRecord = read(event)?;
        self.unusable.extend((recorded.call > 0).then_some(recorded.call));
        Ok(())
    }

    fn stops(&mut self, stop: &StageStop) -> Checked {
        self.unusable.extend(stop.unusable_call);
        Ok(())
    }

    /// The answer of a call that this stage may build on.
    fn own_answer(&self, plan: &StagePlan, call: u64) -> Result<&ModelCallEnvelope, String> {
        let known = self.answered.get(&call).filter(|_| !self.unusable.contains(&call));
        let (stage, role, envelope) =
            known.ok_or_else(|| format!("call {call} has no answer to build on"))?;
        same("stage and role of the call", &(*stage, *role), &(Some(plan.stage), Some(plan.role)))?;
        Ok(envelope)
    }

    /// A patch: what follows from the answer that holds it.
    fn patch(&mut self, event: &Event) -> Checked {
        let recorded: PatchApply = read(event)?;
        let open = self.open.as_mut().ok_or("a patch outside of every stage")?;
        if open.plan.form != Form::Change {
            return Err(format!("stage {} makes no patches", open.plan.stage));
        }
        open.patches.push(recorded.clone());
        let answer = self.answered.get(&recorded.call).and_then(|(_, _, envelope)| answers::answer(envelope));
        let (Some(rule), Some(answer)) = (self.patch_rule, answer) else { return Ok(()) };
        let derived = rule(recorded.call, &answer).ok_or("the answer is no change")?;
        let at = usize::try_from(recorded.number).unwrap_or(usize::MAX).wrapping_sub(1);
        same("outcome", &Some(&recorded), &derived.get(at))
    }

    fn tool(&mut self, event: &Event) -> Checked {
        let recorded: ToolResultRecord = read(event)?;
        same("stage after the command", &stages::after(self.last), &Some(Stage::Validate))?;
        self.artifact(&recorded.output)
    }

    fn ends(&mut self, open: &Open, end: StageEnd, report: &mut Report) -> Checked {
        let plan = open.plan;
        let envelope = self.own_answer(plan, end.call)?.clone();
        same("stand-in", &end.loopback, &envelope.loopback)?;
        for artifact in &end.artifacts {
            same("stage of what it made", &artifact.stage, &plan.stage)?;
            self.artifact(artifact)?;
        }
        self.last = Some(plan.stage);
        self.verdict = end.verdict.clone().or(self.verdict.take());
        if self.inputs.artifacts.contains_key(name::SPEC) && !open.to_critic.is_empty() {
            let budget = open.begin.context.budget_tokens;
            let context = compile(plan.stage, Role::SidecarCritic, &self.inputs, budget).text;
            open.to_critic.iter().try_for_each(|body| said(plan.stage, body, &context, report))?;
        }
        let names: Vec<&str> = end.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
        let Some(text) = self.inputs.artifacts.get(plan.answer).cloned() else {
            same("first of what it made", &names.first().copied(), &Some(plan.answer))?;
            return Ok(());
        };
        if let Some(answer) = answers::answer(&envelope) {
            let kept = answer::artifact(plan, &answer).map_err(|unusable| unusable.to_string())?;
            same("what the answer comes to", &text, &kept)?;
            if let Some(stage) = report.stage_mut(plan.stage) {
                stage.answers += 1;
            }
        }
        let (mut made, verdict) = self.derived(open, &text, end.call)?;
        let critic = plan.critic_artifact();
        made.extend(names.iter().any(|name| *name == critic).then_some(critic));
        same("what it made", &names, &made.iter().map(String::as_str).collect())?;
        same("verdict", &end.verdict, &verdict)
    }

    /// What a stage must have made of its answer.
    fn derived(&self, open: &Open, text: &str, call: u64) -> Result<(Vec<String>, Option<Verdict>), String> {
        let mut made = vec![open.plan.answer.to_owned()];
        let holds = |name: &str, text: String| {
            let kept = self.inputs.artifacts.get(name);
            same(&format!("`{name}`"), &kept, &Some(&text))
        };
        match open.plan.form {
            Form::Markdown => Ok((made, None)),
            Form::Change => {
                let change = answer::change(text).map_err(|unusable| unusable.to_string())?;
                for (number, file) in (1..).zip(&change.files) {
                    holds(&name::patch(number), answer::patch_text(file))?;
                    made.push(name::patch(number));
                }
                if let Some(rule) = self.patch_rule {
                    let own: Vec<&PatchApply> =
                        open.patches.iter().filter(|patch| patch.call == call).collect();
                    let derived = rule(call, text).ok_or("the answer is no change")?;
                    same("patches", &own, &derived.iter().collect())?;
                }
                Ok((made, None))
            }
            Form::Verdict => {
                let verdict = answer::verdict(text).map_err(|unusable| unusable.to_string())?;
                holds(name::UNLOCK, answer::unlock_page(&verdict))?;
                made.push(name::UNLOCK.to_owned());
                Ok((made, Some(verdict)))
            }
        }
    }

    /// A merge takes along what follows from the run up to it, and only what was unlocked.
    fn merge(&mut self, event: &Event, before: &[Event]) -> Checked {
        let recorded: BranchMerged = read(event)?;
        same("merged before", &self.merged, &false)?;
        self.merged = true;
        let unlocked =
            self.last == Some(Stage::Unlock) && self.verdict.as_ref().is_some_and(Verdict::unlocks);
        same("whether it was unlocked", &unlocked, &true)?;
        let may = !self.stand_in || self.started.as_ref().is_some_and(|started| started.loopback);
        same("whether a stand-in may unlock", &may, &true)?;
        let mode: MergeMode = recorded.mode.parse().map_err(|_| "an unknown way to merge".to_owned())?;
        same("merge", &recorded, &merge::merged(before, mode))
    }

    fn finished(&mut self, event: &Event) -> Checked {
        let recorded: RunFinished = read(event)?;
        same("merged", &(recorded.outcome == "ok"), &self.merged)?;
        let verdict = self.verdict.as_ref().map(Verdict::unlocks);
        same("verdict", &verdict, &Some(recorded.outcome == "ok"))
    }
}

/// Whether a kept request says exactly the context that follows from the record. A context is made of redacted texts;
/// where the scan of the whole still found something, what was sent differs from it in that place.
fn said(stage: Stage, body: &str, context: &str, report: &mut Report) -> Checked {
    if answers::said(body).is_some_and(|said| said == context) {
        if let Some(stage) = report.stage_mut(stage) {
            stage.prompts += 1;
        }
        return Ok(());
    }
    if answers::has_placeholder_beyond(body, context) {
        return Ok(());
    }
    Err("what was said to the model is not the context that follows from the record".to_owned())
}
