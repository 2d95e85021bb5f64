//! The whole run: begin or go on, stage by stage, then the merge.

use crate::materials::{Materials, matches, reference};
use crate::progress::Progress;
use crate::stop::{Ended, Stop};
use crate::{Happening, Interrupt, Summary, Surroundings, scratch};
use sluice_capsule::CapsuleError;
use sluice_context::stages::{after, name};
use sluice_context::{MergeMode, merge, plan_of};
use sluice_core::record::{SpecIdentity, StageEnd, Verdict};
use sluice_core::uri::Resource;
use sluice_core::{EventKind, LogicalUri, Risk, RunId, SpecId, Stage, Timestamp};
use sluice_gateway::{Gateway, Note, Run, RunOptions};
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// The specification, as its author wrote it.
    pub spec: String,
    /// Its id.
    pub spec_id: Option<SpecId>,
    /// How much harm a wrong answer would do; that of the run, or the usual, where `None`.
    pub risk: Option<Risk>,
    /// What goes into the main line.
    pub merge: MergeMode,
    /// Go on with this run.
    pub resume: Option<Resume>,
    /// The `.speckit` folder.
    pub state: PathBuf,
}

/// A run to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume(pub RunId);

/// How a run that came to its end came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run.
    pub run_id: RunId,
    /// The judge's word.
    pub verdict: Verdict,
    /// Stage by stage.
    pub summary: Summary,
    /// Strings that were to be scanned in this process, and how many of them had been before.
    pub scans: (u64, u64),
}

/// A run on its way.
pub(crate) struct Course<'s, S> {
    pub gateway: Gateway,
    pub run: Run,
    pub order: &'s Order,
    pub outside: &'s mut S,
    pub interrupt: Interrupt,
    pub materials: Materials,
    pub progress: Progress,
    pub spec: SpecIdentity,
    pub risk: Risk,
}

/// Takes a specification through the stages, from the beginning or from where `order.resume` stands.
pub async fn drive<S: Surroundings>(
    gateway: Gateway,
    order: &Order,
    outside: &mut S,
    interrupt: Interrupt,
) -> Result<Outcome, Ended<S::Failure>> {
    let mut course = Course::open(gateway, order, outside, interrupt).await?;
    course.gather().await?;
    let mut just_begun = true;
    while let Some(stage) = course.progress.next() {
        course.still_wanted(stage)?;
        if !just_begun {
            course.recapture().await?;
        }
        just_begun = false;
        let end = course.stage(plan_of(stage)).await?;
        course.mark(&format!("stage-{stage}")).await?;
        course.publish(&end)?;
        course.progress.ended.push((stage, end));
        course.outside.tell(Happening::Ended(stage));
    }
    course.finish().await
}

impl<'s, S: Surroundings> Course<'s, S> {
    /// Begins the run, or finds out where it stands. Nothing is written before it is known that the run can go on.
    async fn open(
        gateway: Gateway,
        order: &'s Order,
        outside: &'s mut S,
        interrupt: Interrupt,
    ) -> Result<Course<'s, S>, Ended<S::Failure>> {
        let progress = match &order.resume {
            Some(Resume(run)) => resumable(&gateway, order, run)?,
            None => Progress { spec_id: order.spec_id.clone(), ..Progress::default() },
        };
        let options = RunOptions {
            id: order.resume.as_ref().map(|Resume(run)| run.clone()),
            spec_id: progress.spec_id.clone(),
            occasion: Some("stage-boundary".to_owned()),
        };
        let run = gateway.start(options).await.map_err(Stop::Start)?;
        outside.tell(Happening::Began(run.id().clone()));
        let spec = identity(&gateway, run.id(), &order.spec);
        let risk = order.risk.or(progress.risk).unwrap_or(Risk::Normal);
        let materials = Materials::default();
        Ok(Course { gateway, run, order, outside, interrupt, materials, progress, spec, risk })
    }

    /// The texts that the stages to come rest on, and what must be made good before they begin.
    async fn gather(&mut self) -> Result<(), Ended<S::Failure>> {
        let done: Vec<(Stage, StageEnd)> = self.progress.ended.clone();
        for (stage, end) in &done {
            for artifact in &end.artifacts {
                let text = self.content(artifact)?;
                self.materials.insert(artifact.clone(), text);
            }
            self.outside.tell(Happening::Known(*stage));
        }
        if self.progress.next().is_some() {
            self.take_specification().await?;
            self.restore_scratch()?;
        }
        if self.progress.unsigned {
            self.mark("resumed").await?;
        }
        for (_, end) in &done {
            self.publish(end)?;
        }
        Ok(())
    }

    /// An artefact of an earlier part of the run: out of the capsule, or from outside where it is what the record
    /// committed to.
    fn content(&mut self, artifact: &sluice_core::record::ArtifactRef) -> Result<String, Ended<S::Failure>> {
        let text = match &artifact.uri {
            Some(uri) => {
                let bytes = self.gateway.parts().writer.reader()?.resolve(uri)?.bytes;
                String::from_utf8(bytes).ok()
            }
            None => self.outside.fetch(&artifact.name),
        };
        let sound = text.filter(|text| matches(&self.gateway, self.run.id(), artifact, text));
        sound
            .ok_or_else(|| Stop::NoContent { run: self.run.id().clone(), name: artifact.name.clone() }.into())
    }

    /// The specification as models see it: what the record has, else redacted now.
    async fn take_specification(&mut self) -> Result<(), Ended<S::Failure>> {
        let (stage, name) = (Stage::Plan, name::SPEC);
        if let Some(text) = self.stored(stage, name)? {
            if self.progress.spec.is_none() && !self.redacts_to(stage, &text) {
                return Err(Stop::OtherSpec { run: self.run.id().clone() }.into());
            }
            let uri = Some(self.uri(stage, name));
            let reference = reference(&self.gateway, self.run.id(), stage, name, &text, uri);
            self.materials.insert(reference, text);
            return Ok(());
        }
        let text = self.redacted("specification", stage, &self.order.spec).await?;
        let known = self.progress.spec_artifact.clone();
        if known.is_some_and(|known| !matches(&self.gateway, self.run.id(), &known, &text)) {
            // Another redactor since: what the stages so far saw is not what the next ones would see.
            return Err(Stop::NoContent { run: self.run.id().clone(), name: name.to_owned() }.into());
        }
        self.keep(stage, name, text).await?;
        Ok(())
    }

    /// Whether the specification at hand is the one whose redacted text was recorded: asked where a run was cut off
    /// before its first stage began, and with it the commitment that says so.
    fn redacts_to(&self, stage: Stage, known: &str) -> bool {
        let (_, redacted) = self.run.redact_text("specification", stage, &self.order.spec);
        redacted.is_ok_and(|redacted| redacted == known)
    }

    /// A text as the record may hold it; what was found in it is recorded first.
    pub(crate) async fn redacted(
        &self,
        what: &'static str,
        stage: Stage,
        text: &str,
    ) -> Result<String, Ended<S::Failure>> {
        let (notes, redacted) = self.run.redact_text(what, stage, text);
        if !notes.is_empty() {
            self.run.note(notes).await?;
        }
        redacted.map_err(|source| Stop::Unscanned { stage, what, source }.into())
    }

    /// Records what a stage made, as far as policy keeps it, and remembers it.
    pub(crate) async fn keep(
        &mut self,
        stage: Stage,
        name: &str,
        text: String,
    ) -> Result<sluice_core::record::ArtifactRef, CapsuleError> {
        let uri = match self.run.policy().governance.capture.artifacts.as_str() {
            "content" => Some(self.run.put_artifact(stage, name, &text).await?),
            _ => None,
        };
        let reference = reference(&self.gateway, self.run.id(), stage, name, &text, uri);
        self.materials.insert(reference.clone(), text);
        Ok(reference)
    }

    pub(crate) fn uri(&self, stage: Stage, name: &str) -> LogicalUri {
        let resource = Resource::Artifact(self.run.id().clone(), stage, name.to_owned());
        LogicalUri::new(self.gateway.parts().writer.workspace(), resource)
    }

    /// What the capsule holds under a name of this run, where it holds anything.
    pub(crate) fn stored(&self, stage: Stage, name: &str) -> Result<Option<String>, CapsuleError> {
        match self.gateway.parts().writer.reader()?.resolve(&self.uri(stage, name)) {
            Ok(found) => Ok(String::from_utf8(found.bytes).ok()),
            Err(CapsuleError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn restore_scratch(&mut self) -> Result<(), Ended<S::Failure>> {
        let change = self.materials.text(name::CHANGE).map(sluice_context::answer::change);
        match change {
            Some(Ok(change)) => Ok(self.fill_scratch(&crate::patch::apply(0, &change).tree)?),
            _ => Ok(()),
        }
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        scratch::folder(&self.order.state, self.run.id().as_str())
    }

    pub(crate) fn fill_scratch(&self, tree: &crate::patch::Tree) -> Result<(), Stop> {
        let path = self.scratch();
        scratch::write(&path, tree).map_err(|source| Stop::Scratch { path, source })
    }

    /// The policy as it is now. Never inside a stage: this stands between two.
    async fn recapture(&mut self) -> Result<(), Ended<S::Failure>> {
        let changed = self.outside.recapture(&self.gateway).map_err(Ended::Outside)?;
        if let Some(gateway) = changed {
            let options = RunOptions {
                id: Some(self.run.id().clone()),
                spec_id: self.progress.spec_id.clone(),
                occasion: Some("stage-boundary".to_owned()),
            };
            self.run = gateway.start(options).await.map_err(Stop::Start)?;
            self.gateway = gateway;
        }
        Ok(())
    }

    fn still_wanted(&self, stage: Stage) -> Result<(), Stop> {
        if *self.interrupt.borrow() { Err(Stop::Interrupted(stage)) } else { Ok(()) }
    }

    /// The signed mark after a stage, and the sealed file of what it covers.
    pub(crate) async fn mark(&self, label: &str) -> Result<(), CapsuleError> {
        let checkpoint = self.run.checkpoint(label).await?;
        seal(&self.gateway, checkpoint.at).await
    }

    fn publish(&mut self, end: &StageEnd) -> Result<(), Ended<S::Failure>> {
        for artifact in &end.artifacts {
            if let Some(text) = self.materials.text(&artifact.name) {
                self.outside.publish(&artifact.name, text).map_err(Ended::Outside)?;
            }
        }
        Ok(())
    }

    /// After Unlock: the merge where the verdict allows it, and the end.
    async fn finish(self) -> Result<Outcome, Ended<S::Failure>> {
        let run_id = self.run.id().clone();
        let unreadable = || Stop::Unreadable { run: run_id.clone(), what: "it has no verdict".to_owned() };
        let verdict = self.progress.verdict().and_then(|end| end.verdict.clone()).ok_or_else(unreadable)?;
        if verdict.unlocks() && !self.progress.merged {
            let merged = merge::merged(&self.run.events()?, self.order.merge);
            self.run.note(vec![Note::new(EventKind::BranchMerged, None, None, &merged)]).await?;
            self.mark("merged").await?;
        }
        let (gateway, scans) = (self.gateway.clone(), self.run.remembered());
        let last = self.run.finish(if verdict.unlocks() { "ok" } else { "refused" }).await?;
        seal(&gateway, last.at).await.map_err(Stop::Unsealed)?;
        let events = gateway.parts().writer.reader()?.run_events(&run_id)?.events;
        Ok(Outcome { summary: Summary::of(&events), run_id, verdict, scans })
    }
}

/// Writes what is signed and in no sealed file yet. It blocks, so it does so elsewhere; what it cannot write now, the next
/// one writes.
async fn seal(gateway: &Gateway, at: Timestamp) -> Result<(), CapsuleError> {
    let writer = gateway.parts().writer.clone();
    let sealed = tokio::task::spawn_blocking(move || writer.seal(at).map(drop)).await;
    // A thread that is gone sealed nothing, or a part: the record says which.
    sealed.unwrap_or(Err(CapsuleError::Closed))
}

/// The specification before redaction, as the record knows it.
fn identity(gateway: &Gateway, run: &RunId, spec: &str) -> SpecIdentity {
    let (commitment, _) = gateway.commitment(run, "specification", spec.as_bytes());
    SpecIdentity { bytes: spec.len() as u64, commitment }
}

/// Where the run to resume stands, if it is one that can go on with this specification.
fn resumable(gateway: &Gateway, order: &Order, run: &RunId) -> Result<Progress, Stop> {
    let events = match gateway.parts().writer.reader()?.run_events(run) {
        Ok(verified) => verified.events,
        Err(CapsuleError::NotFound(_)) => return Err(Stop::NoSuchRun(run.clone())),
        Err(error) => return Err(error.into()),
    };
    let unreadable = |what| Stop::Unreadable { run: run.clone(), what };
    let progress = Progress::of(&events).map_err(unreadable)?;
    let order_kept = progress.ended.iter().scan(None, |last, (stage, _)| {
        let follows = after(*last) == Some(*stage);
        *last = Some(*stage);
        Some(follows)
    });
    if !order_kept.collect::<Vec<_>>().into_iter().all(|follows| follows) {
        return Err(unreadable("its stages are not in order".to_owned()));
    }
    if progress.verb != "run" {
        return Err(Stop::OtherVerb { run: run.clone(), verb: progress.verb });
    }
    if progress.finished {
        return Err(Stop::Finished(run.clone()));
    }
    if progress.loopback != gateway.parts().loopback {
        return Err(Stop::OtherServer { run: run.clone(), loopback: progress.loopback });
    }
    let other_id = order.spec_id.is_some() && order.spec_id != progress.spec_id;
    let other_text = progress.spec.as_ref().is_some_and(|spec| *spec != identity(gateway, run, &order.spec));
    if other_id || other_text {
        return Err(Stop::OtherSpec { run: run.clone() });
    }
    Ok(progress)
}
