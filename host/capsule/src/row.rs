//! An event as the journal stores it, and the canonical form that is hashed.
//!
//! *Invariant*: a row holds the very text that was hashed, piece by piece. The hash of a stored row is
//! computed from what is stored, before anything of it is interpreted.

use crate::flaw::{Flaw, FlawKind};
use crate::journal::{BadRow, Row};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use sluice_core::uri::Resource;
use sluice_core::{Digest, Event, EventKind, LogicalUri, PolicyBinding, PolicyId, Timestamp, canonical};
use std::str::FromStr;

/// One event, as text. Every field is what the row holds, however odd: see [`EventRow::to_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Place in the journal: 1-based, shared with blobs and names, without gaps.
    pub position: u64,
    /// Run id.
    pub run: String,
    /// 1-based place in the run.
    pub seq: u64,
    /// The event's URI.
    pub uri: String,
    /// `RunStarted` …
    pub kind: String,
    /// RFC 3339, UTC, three decimals.
    pub at: String,
    /// `run/<run id>`.
    pub branch: String,
    /// Specification id.
    pub spec: Option<String>,
    /// `plan` …
    pub stage: Option<String>,
    /// `architect` …
    pub role: Option<String>,
    /// UUID of the snapshot.
    pub policy_id: String,
    /// The snapshot's content hash.
    pub policy_hash: Digest,
    /// Digest of the snapshot's stored bytes.
    pub policy_bytes: Digest,
    /// Hash of the event before it in the run.
    pub prev: Digest,
    /// Hash of this event.
    pub hash: Digest,
    /// Canonical JSON.
    pub payload: String,
}

impl EventRow {
    /// SHA-256 over the canonical JSON of all fields but `hash`.
    pub fn compute_hash(&self, workspace: &str) -> Digest {
        let mut hasher = Sha256::new();
        self.write(workspace, None, &mut |piece| hasher.update(piece));
        Digest::from_bytes(hasher.finalize().into())
    }

    /// The whole event as canonical JSON, `hash` included: what the event's URI resolves to.
    pub fn document(&self, workspace: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 1024);
        self.write(workspace, Some(&self.hash), &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// What a sealed file stores of it: the very text that the hash is made from, canonical JSON without `hash`.
    pub(crate) fn sealed_body(&self, workspace: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 1024);
        self.write(workspace, None, &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Bytes of [`EventRow::sealed_body`].
    pub(crate) fn sealed_bytes(&self, workspace: &str) -> u64 {
        let mut bytes = 0;
        self.write(workspace, None, &mut |piece| bytes += piece.len() as u64);
        bytes
    }

    /// The row of a sealed body, whatever the body holds: its hash is `hash` only if it is what was sealed, and
    /// that is for whoever reads the row to find out, as with any other.
    pub(crate) fn from_sealed(body: &[u8], position: u64, hash: Digest) -> Row<EventRow> {
        let bad = BadRow { table: "sealed event", position, column: "body" };
        let body: SealedBody<'_> = serde_json::from_slice(body).map_err(|_| bad)?;
        Ok(EventRow {
            position,
            run: body.run_id,
            seq: body.seq,
            uri: body.uri,
            kind: body.kind,
            at: body.at,
            branch: body.branch,
            spec: body.spec_id,
            stage: body.stage,
            role: body.role,
            policy_id: body.policy.id,
            policy_hash: body.policy.hash,
            policy_bytes: body.policy.bytes,
            prev: body.prev,
            hash,
            payload: body.payload.get().to_owned(),
        })
    }

    /// Canonical JSON, piece by piece: the keys in RFC 8785 order, the stored payload as it is. Splicing
    /// saves parsing the payload; a test holds it equal to the plain way.
    fn write(&self, workspace: &str, hash: Option<&Digest>, out: &mut dyn FnMut(&[u8])) {
        out(b"{\"at\":");
        text(&self.at, out);
        out(b",\"branch\":");
        text(&self.branch, out);
        if let Some(hash) = hash {
            out(b",\"hash\":");
            text(&hash.to_hex(), out);
        }
        out(b",\"payload\":");
        out(self.payload.as_bytes());
        out(b",\"policy\":{\"bytes\":");
        text(&self.policy_bytes.to_hex(), out);
        out(b",\"hash\":");
        text(&self.policy_hash.to_hex(), out);
        out(b",\"id\":");
        text(&self.policy_id, out);
        out(b",\"uri\":");
        text(&self.policy_uri(workspace), out);
        out(b"},\"prev\":");
        text(&self.prev.to_hex(), out);
        out(b",\"role\":");
        optional(self.role.as_deref(), out);
        out(b",\"run_id\":");
        text(&self.run, out);
        out(b",\"seq\":");
        out(self.seq.to_string().as_bytes());
        out(b",\"spec_id\":");
        optional(self.spec.as_deref(), out);
        out(b",\"stage\":");
        optional(self.stage.as_deref(), out);
        out(b",\"type\":");
        text(&self.kind, out);
        out(b",\"uri\":");
        text(&self.uri, out);
        out(b"}");
    }

    /// Where the snapshot lies. Not stored: it follows from the id.
    pub fn policy_uri(&self, workspace: &str) -> String {
        format!("mv2://{workspace}/policy/{}", self.policy_id)
    }

    /// What the event's URI must be.
    pub fn own_uri(&self, workspace: &str) -> String {
        event_uri(workspace, &self.run, self.seq)
    }

    /// The event in typed form, once its hash was found right: a field that no writer writes is a flaw.
    pub fn to_event(&self, workspace: &str) -> Result<Event, Flaw> {
        let bad = |field: &str| {
            let message = format!("its `{field}` is not what a writer writes");
            Flaw::new(FlawKind::Unreadable, self.own_uri(workspace), message)
        };
        let payload: Value = serde_json::from_str(&self.payload).map_err(|_| bad("payload"))?;
        if canonical::to_string(&payload).ok().as_deref() != Some(self.payload.as_str()) {
            return Err(bad("payload"));
        }
        let policy_id: PolicyId = exact(&self.policy_id).ok_or_else(|| bad("policy id"))?;
        if self.uri != self.own_uri(workspace) {
            return Err(bad("uri"));
        }
        Ok(Event {
            seq: self.seq,
            uri: exact(&self.uri).ok_or_else(|| bad("uri"))?,
            kind: EventKind::from_str(&self.kind).map_err(|_| bad("type"))?,
            run_id: exact(&self.run).ok_or_else(|| bad("run"))?,
            spec_id: optionally(&self.spec).ok_or_else(|| bad("spec"))?,
            branch: self.branch.clone(),
            stage: optionally(&self.stage).ok_or_else(|| bad("stage"))?,
            role: optionally(&self.role).ok_or_else(|| bad("role"))?,
            at: exact::<Timestamp>(&self.at).ok_or_else(|| bad("at"))?,
            policy: PolicyBinding {
                id: policy_id,
                uri: LogicalUri::new(workspace, Resource::Policy(policy_id)),
                hash: self.policy_hash,
                bytes: self.policy_bytes,
            },
            payload,
            prev: self.prev,
            hash: self.hash,
        })
    }
}

/// An event without its hash, as JSON. The policy's URI is not kept: it follows from the id, and is hashed as such.
#[derive(serde::Deserialize)]
struct SealedBody<'b> {
    at: String,
    branch: String,
    #[serde(borrow)]
    payload: &'b RawValue,
    policy: SealedPolicy,
    prev: Digest,
    role: Option<String>,
    run_id: String,
    seq: u64,
    spec_id: Option<String>,
    stage: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    uri: String,
}

#[derive(serde::Deserialize)]
struct SealedPolicy {
    bytes: Digest,
    hash: Digest,
    id: String,
}

/// `mv2://<workspace>/event/<run>/<seq>`.
pub(crate) fn event_uri(workspace: &str, run: &str, seq: u64) -> String {
    format!("mv2://{workspace}/event/{run}/{seq}")
}

/// Parses a text whose type writes it back the same: one thing has one spelling.
fn exact<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|value| value.to_string() == text)
}

/// The same where the text may be absent; the outer `None` says that it is bad.
fn optionally<T: FromStr + ToString>(text: &Option<String>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => exact(text).map(Some),
    }
}

fn optional(value: Option<&str>, out: &mut dyn FnMut(&[u8])) {
    match value {
        None => out(b"null"),
        Some(value) => text(value, out),
    }
}

/// A JSON string. Honest rows hold nothing that needs an escape; an altered row must not be able to end its
/// string early and forge the fields behind it.
fn text(value: &str, out: &mut dyn FnMut(&[u8])) {
    if value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out(b"\"");
        out(value.as_bytes());
        out(b"\"");
    } else if let Ok(escaped) = canonical::to_string(&Value::String(value.to_owned())) {
        out(escaped.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row() -> EventRow {
        let payload = json!({"z": [1, -2, "é\n\u{1}\"\\"], "a": {"ключ": null, "b": true}, "\u{1f600}": 0});
        EventRow {
            position: 7,
            run: "run-1".into(),
            seq: 3,
            uri: "mv2://ws/event/run-1/3".into(),
            kind: "RoutingDecision".into(),
            at: "2026-11-20T13:15:00.007Z".into(),
            branch: "run/run-1".into(),
            spec: None,
            stage: Some("plan".into()),
            role: Some("architect".into()),
            policy_id: "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".into(),
            policy_hash: Digest::of(b"h"),
            policy_bytes: Digest::of(b"b"),
            prev: Digest::of(b"p"),
            hash: Digest::ZERO,
            payload: canonical::to_string(&payload).unwrap(),
        }
    }

    #[test]
    fn spliced_form_is_the_canonical_form_of_the_event() {
        let mut row = row();
        row.hash = row.compute_hash("ws");
        let event = row.to_event("ws").unwrap();
        assert_eq!(row.document("ws"), canonical::to_bytes(&event).unwrap());
        let mut value = serde_json::to_value(&event).unwrap();
        value.as_object_mut().unwrap().remove("hash");
        assert_eq!(row.hash, Digest::of(canonical::to_string(&value).unwrap().as_bytes()));
    }

    #[test]
    fn an_altered_field_cannot_forge_its_neighbours() {
        let honest = row();
        let mut forged = row();
        // Ends the branch early and writes a payload of its own, then hides the true one.
        forged.branch = "run/run-1\",\"payload\":{},\"x\":\"".into();
        assert_ne!(forged.compute_hash("ws"), honest.compute_hash("ws"));
        let document: Value = serde_json::from_slice(&forged.document("ws")).unwrap();
        assert_eq!(document["branch"], json!(forged.branch));
    }

    #[test]
    fn fields_that_no_writer_writes_are_flaws() {
        type Spoil = fn(&mut EventRow);
        let spoil: [(&str, Spoil); 9] = [
            ("payload", |row| row.payload = "{\"b\":1,\"a\":2}".into()),
            ("payload", |row| row.payload = "{\"a\":1.0}".into()),
            ("payload", |row| row.payload = "{".into()),
            ("uri", |row| row.uri = "mv2://ws/event/run-1/4".into()),
            ("type", |row| row.kind = "Rumour".into()),
            ("at", |row| row.at = "2026-11-20T13:15:00.0070Z".into()),
            ("policy id", |row| row.policy_id = row.policy_id.to_uppercase()),
            ("stage", |row| row.stage = Some("lunch".into())),
            ("role", |row| row.role = Some(String::new())),
        ];
        for (field, spoil) in spoil {
            let mut row = row();
            spoil(&mut row);
            let flaw = row.to_event("ws").unwrap_err();
            assert!(flaw.message.contains(&format!("`{field}`")), "{field}: {flaw}");
            assert_eq!(flaw.uri, "mv2://ws/event/run-1/3");
        }
    }
}
