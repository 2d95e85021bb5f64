//! What is done with a request before it is put in line, in the caller's thread: canonical form, limits and
//! the guard. So the writer's thread, of which there is one, does as little as possible.

use crate::error::CapsuleError;
use crate::journal::SealRow;
use crate::limits::{
    BLOB_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_PER_GROUP_MAX, LABEL_BYTES_MAX, PAYLOAD_DEPTH_MAX,
};
use crate::pending::Answer;
use crate::queue::Weight;
use serde_json::Value;
use sluice_core::secret::Guard;
use sluice_core::uri::Resource;
use sluice_core::{
    Digest, Event, EventDraft, EventKind, LogicalUri, PolicyBinding, RunId, Timestamp, canonical,
};
use std::sync::Arc;

/// About what an event takes up beside its payload.
const EVENT_OVERHEAD_BYTES: usize = 600;

/// Keys by which serde_json smuggles raw numbers and texts through maps. A payload with such a key would
/// read back as something else than what was hashed.
const RESERVED_KEY_PREFIX: &str = "$serde_json::private::";

/// A draft in canonical form.
pub(crate) struct Prepared {
    pub draft: EventDraft,
    /// Canonical JSON of the draft's payload.
    pub payload: String,
}

/// What a blob is to be called.
pub(crate) enum Naming {
    /// By its digest alone.
    Digest,
    /// By this URI.
    Uri { uri: LogicalUri, media_type: String },
    /// The next report of this run.
    Report { run: RunId, media_type: String },
}

/// A request in line.
pub(crate) enum Request {
    Append { events: Vec<Prepared>, answer: Answer<Vec<Event>> },
    Put { naming: Naming, digest: Digest, bytes: Arc<[u8]>, answer: Answer<LogicalUri> },
    Checkpoint { order: CheckpointOrder, answer: Answer<Event> },
    Seal { row: SealRow, answer: Answer<()> },
}

/// What the caller of `checkpoint` says.
pub(crate) struct CheckpointOrder {
    pub run: RunId,
    pub label: String,
    pub at: Timestamp,
    pub policy: PolicyBinding,
}

impl Request {
    pub fn weight(&self) -> Weight {
        match self {
            Request::Append { events, .. } => Weight {
                events: events.len(),
                bytes: events.iter().map(|event| event.payload.len() + EVENT_OVERHEAD_BYTES).sum(),
                alone: false,
            },
            Request::Put { bytes, .. } => Weight { events: 1, bytes: bytes.len(), alone: false },
            // Alone: they are about what was recorded before them, so that has to be recorded.
            Request::Checkpoint { .. } | Request::Seal { .. } => {
                Weight { events: 1, bytes: EVENT_OVERHEAD_BYTES, alone: true }
            }
        }
    }

    /// Answers with an error.
    pub fn refuse(self, error: CapsuleError) {
        match self {
            Request::Append { answer, .. } => answer.give(Err(error)),
            Request::Put { answer, .. } => answer.give(Err(error)),
            Request::Checkpoint { answer, .. } => answer.give(Err(error)),
            Request::Seal { answer, .. } => answer.give(Err(error)),
        }
    }
}

/// Drafts of one append, checked one by one; the first that cannot be recorded refuses all.
pub(crate) fn drafts(
    drafts: Vec<EventDraft>,
    workspace: &str,
    guard: &dyn Guard,
) -> Result<Vec<Prepared>, CapsuleError> {
    if drafts.is_empty() || drafts.len() > EVENTS_PER_GROUP_MAX {
        return Err(CapsuleError::BadCount { given: drafts.len(), max: EVENTS_PER_GROUP_MAX });
    }
    drafts.into_iter().map(|draft| prepare(draft, workspace, guard)).collect()
}

fn prepare(draft: EventDraft, workspace: &str, guard: &dyn Guard) -> Result<Prepared, CapsuleError> {
    let kind = draft.kind;
    if kind == EventKind::Checkpoint {
        return Err(CapsuleError::CheckpointByHand);
    }
    // The guard's `mask` stands in front of every word that came from outside: an error is printed and logged.
    let bad = |reason: &str| CapsuleError::BadPayload { kind, reason: guard.mask(reason) };
    let mut secret = false;
    inspect(&draft.payload, PAYLOAD_DEPTH_MAX, &mut |text| secret |= guard.finds_secret(text.as_bytes()))
        .map_err(bad)?;
    let payload = canonical::to_string(&draft.payload).map_err(|error| bad(&error.to_string()))?;
    secret |= guard.finds_secret(payload.as_bytes());
    secret |= guard.finds_secret(draft.run_id.as_str().as_bytes());
    secret |= draft.spec_id.as_ref().is_some_and(|spec| guard.finds_secret(spec.as_str().as_bytes()));
    if secret {
        return Err(CapsuleError::Secret { what: format!("a `{kind}` event") });
    }
    let size = payload.len() + EVENT_OVERHEAD_BYTES;
    if size > EVENT_BYTES_MAX {
        let (size, max) = (size as u64, EVENT_BYTES_MAX as u64);
        return Err(CapsuleError::TooLarge { what: format!("a `{kind}` event"), size, max });
    }
    own_policy(&draft.policy, workspace)?;
    Ok(Prepared { draft, payload })
}

/// The binding's URI is not stored: it must be the one that follows from the id.
fn own_policy(policy: &PolicyBinding, workspace: &str) -> Result<(), CapsuleError> {
    if policy.uri == LogicalUri::new(workspace, Resource::Policy(policy.id)) {
        return Ok(());
    }
    Err(CapsuleError::ForeignWorkspace { uri: policy.uri.clone(), workspace: workspace.to_owned() })
}

/// Looks at what the canonical text alone would not show: depth, reserved keys, and texts whose escaped form
/// differs from their own (a secret with a quote in it is written otherwise than the guard knows it).
fn inspect(value: &Value, depth_left: usize, text: &mut dyn FnMut(&str)) -> Result<(), &'static str> {
    let Some(depth_left) = depth_left.checked_sub(1) else { return Err("it is nested too deeply") };
    match value {
        Value::String(string) if needs_escape(string) => text(string),
        Value::Array(items) => {
            for item in items {
                inspect(item, depth_left, text)?;
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                if key.starts_with(RESERVED_KEY_PREFIX) {
                    return Err("it has a reserved key");
                }
                if needs_escape(key) {
                    text(key);
                }
                inspect(item, depth_left, text)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn needs_escape(text: &str) -> bool {
    text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\')
}

/// A blob: bounded and free of known secrets. `what` says what it is: "a policy".
pub(crate) fn blob(bytes: &[u8], what: &str, guard: &dyn Guard) -> Result<Digest, CapsuleError> {
    if bytes.len() > BLOB_BYTES_MAX {
        let (size, max) = (bytes.len() as u64, BLOB_BYTES_MAX as u64);
        return Err(CapsuleError::TooLarge { what: what.to_owned(), size, max });
    }
    if guard.finds_secret(bytes) {
        return Err(CapsuleError::Secret { what: what.to_owned() });
    }
    Ok(Digest::of(bytes))
}

/// A URI of this workspace, checked as one that was read would be: an artefact's name is free text.
pub(crate) fn uri(
    workspace: &str,
    resource: Resource,
    what: &'static str,
    guard: &dyn Guard,
) -> Result<LogicalUri, CapsuleError> {
    let uri = LogicalUri::new(workspace, resource);
    let text = uri.to_string();
    if guard.finds_secret(text.as_bytes()) {
        return Err(CapsuleError::Secret { what: format!("the name of {what}") });
    }
    match text.parse::<LogicalUri>() {
        Ok(read) if read == uri => Ok(uri),
        _ => Err(CapsuleError::BadName {
            what: what.trim_start_matches("an ").trim_start_matches("a "),
            given: text.chars().filter(|c| !c.is_control()).take(120).collect(),
            want: "1 to 128 of a-z, A-Z, 0-9, `-`, `_`, `.`, not beginning with `.`",
        }),
    }
}

/// A checkpoint's label.
pub(crate) fn order(
    order: CheckpointOrder,
    workspace: &str,
    guard: &dyn Guard,
) -> Result<CheckpointOrder, CapsuleError> {
    let label = &order.label;
    let texts = [label.as_str(), order.run.as_str()];
    if texts.iter().any(|text| guard.finds_secret(text.as_bytes())) {
        return Err(CapsuleError::Secret { what: "the label of a checkpoint".to_owned() });
    }
    if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
        return Err(CapsuleError::BadName {
            what: "checkpoint label",
            given: label.chars().filter(|c| !c.is_control()).take(120).collect(),
            want: "at most 128 bytes without control characters",
        });
    }
    own_policy(&order.policy, workspace)?;
    Ok(order)
}
