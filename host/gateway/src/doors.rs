//! Doors for those who order calls into something larger: a run's own events, its artefacts, its commitments.
//! Nothing is decided here.

use crate::run::{Gateway, Run, salt};
use serde::Serialize;
use sluice_capsule::CapsuleError;
use sluice_core::record::{AttemptOutcome, ModelCallEnvelope, PluginFaultRecord};
use sluice_core::{Dialect, Digest, Event, EventDraft, EventKind, LogicalUri, Role, RunId, Stage};
use sluice_governance::governor::fault_of;
use sluice_governance::{Blocked, route, tag};
use sluice_policy::PolicySnapshot;

/// An event about what surrounds the calls.
#[derive(Debug, Clone)]
pub struct Note {
    kind: EventKind,
    role: Option<Role>,
    stage: Option<Stage>,
    payload: serde_json::Value,
}

impl Note {
    /// An event of this kind. A payload that does not serialise becomes null, which the journal refuses.
    pub fn new(kind: EventKind, role: Option<Role>, stage: Option<Stage>, payload: &impl Serialize) -> Note {
        let payload = serde_json::to_value(payload).unwrap_or(serde_json::Value::Null);
        Note { kind, role, stage, payload }
    }
}

impl Run {
    /// The policy that the run is under.
    pub fn policy(&self) -> &PolicySnapshot {
        &self.governor().policy().snapshot
    }

    /// Whether policy lets `role` use the local endpoint in `stage`.
    pub fn reflex_allowed(&self, role: Role, stage: Stage) -> bool {
        route::reflex_allowed(self.policy(), role.code(), stage.code())
    }

    /// Whether a schema can be sent along: whether policy has a model for it.
    pub fn schema_possible(&self, role: Role, stage: Stage) -> bool {
        route::schema_possible(self.policy(), role, stage)
    }

    /// Records events, all or none, in order.
    pub async fn note(&self, notes: Vec<Note>) -> Result<Vec<Event>, CapsuleError> {
        let draft =
            |note: Note| -> EventDraft { self.draft_of(note.kind, note.role, note.stage, &note.payload) };
        self.parts().writer.append(notes.into_iter().map(draft).collect()).await
    }

    /// Everything recorded in the run, its chain and signatures checked.
    pub fn events(&self) -> Result<Vec<Event>, CapsuleError> {
        Ok(self.parts().writer.reader()?.run_events(self.id())?.events)
    }

    /// [`Gateway::commitment`] in this run.
    pub fn commitment(&self, what: &str, content: &[u8]) -> (Digest, String) {
        self.gateway().commitment(self.id(), what, content)
    }

    /// A text with every finding replaced, as the record may hold it, and the events that say so: to be recorded
    /// before the text is used. `what` names the text in them.
    pub fn redact_text(&self, what: &str, stage: Stage, text: &str) -> (Vec<Note>, Result<String, Blocked>) {
        let (applied, scanned) = self.governor().redact_for_record(self.scope(0, 0), what, text);
        let mut notes = Vec::new();
        if let Some(applied) = applied {
            notes.push(Note::new(EventKind::RedactionApplied, None, Some(stage), &applied));
            let fault = PluginFaultRecord::of(0, 0, &applied.plugin, fault_of(&applied.answer), "blocked");
            notes.extend(fault.map(|fault| Note::new(EventKind::PluginFault, None, Some(stage), &fault)));
        }
        (notes, scanned.map(|scanned| scanned.record))
    }

    /// Records what a stage produced, by its name in the stage.
    pub async fn put_artifact(
        &self,
        stage: Stage,
        name: &str,
        text: &str,
    ) -> Result<LogicalUri, CapsuleError> {
        self.parts().writer.put_artifact(self.id(), stage, name, text.as_bytes()).await
    }
}

impl Gateway {
    /// A commitment to `content` under a run's own salt for `what`, and that salt in hex. With the workspace key
    /// the salt is derived anew; without it, nobody can try guesses.
    pub fn commitment(&self, run: &RunId, what: &str, content: &[u8]) -> (Digest, String) {
        let salt = salt(self.parts(), run, 0, 0, what);
        (tag::commitment(&salt, content), sluice_core::digest::to_hex(&salt))
    }
}

/// The text of an answer that the record keeps whole; `None` where there was none, or it was not kept.
pub fn recorded_answer(envelope: &ModelCallEnvelope) -> Option<String> {
    if envelope.outcome != AttemptOutcome::Ok {
        return None;
    }
    let kept = envelope.response.as_ref()?.text.as_ref()?;
    let dialect: Dialect = envelope.dialect.parse().ok()?;
    let status = envelope.status.unwrap_or(200);
    sluice_provider::decode(dialect, status, "application/json", kept.as_bytes())
        .ok()
        .map(|answer| answer.text)
}
