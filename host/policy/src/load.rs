//! A stored snapshot, verified before it is believed: size, JSON, schema version, hash, and only then what
//! it says.

use crate::hash::{content_hash, hash_of_document};
use crate::problem::{Problem, shown};
use crate::relations;
use crate::snapshot::{PolicySnapshot, SCHEMA_VERSION};
use serde_json::Value;
use sluice_core::canonical::CanonicalError;
use sluice_core::{Digest, PluginKind};

/// Largest snapshot in bytes: the largest authored file, four configurations and a redactor's rules fit
/// several times.
pub const SNAPSHOT_BYTES_MAX: usize = 8 << 20;

/// A snapshot that passed every check, with the bytes it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the policy says.
    pub snapshot: PolicySnapshot,
    /// The stored bytes, as they were given.
    pub bytes: Vec<u8>,
    /// SHA-256 of the stored bytes. Compare it with the one that events bind: it alone shows an edit of
    /// `policy_id` or `created_at`, which the hash leaves out.
    pub bytes_digest: Digest,
}

/// Why stored bytes are not a policy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// More bytes than any snapshot has.
    #[error("the snapshot is larger than {SNAPSHOT_BYTES_MAX} bytes: {0}")]
    TooLarge(usize),
    /// Not a JSON object.
    #[error("the snapshot is not a JSON object")]
    NotJson(#[source] Option<serde_json::Error>),
    /// No `schema_version`, or a `hash` that is none: this never was a snapshot.
    #[error("the document has no readable `{0}`: it is not a policy snapshot")]
    NotASnapshot(&'static str),
    /// Written by a newer program.
    #[error("unknown snapshot schema version: {0}")]
    UnknownSchema(String),
    /// The content is not what was compiled.
    #[error("the snapshot's content does not match its hash: stored {stored}, computed {computed}")]
    Tampered {
        /// The `hash` field.
        stored: Digest,
        /// What the content gives.
        computed: Digest,
    },
    /// A number without canonical form: no program of ours wrote it.
    #[error("the snapshot's content cannot be hashed")]
    NoCanonicalForm(#[source] CanonicalError),
    /// The hash is right, and the fields are not those of its schema version.
    #[error("the snapshot does not read as schema version {SCHEMA_VERSION}")]
    Unreadable(#[source] serde_json::Error),
    /// The hash is right, and the content breaks a rule that every compiled policy keeps.
    #[error("the snapshot breaks a rule of every policy: {}: {}", .0.path, .0.message)]
    Invalid(Problem),
}

impl SnapshotError {
    /// Whether somebody changed the content after it was compiled.
    pub fn is_tampered(&self) -> bool {
        matches!(self, SnapshotError::Tampered { .. })
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            SnapshotError::UnknownSchema(_) => {
                "it was written by a newer program: use that one, or a later one"
            }
            SnapshotError::Tampered { .. } => {
                "the file was edited, or its disk is failing; the capsule holds the bytes that were compiled: \
                 `sluice capsule resolve-uri mv2://<workspace>/policy/<policy_id> --out FILE`"
            }
            SnapshotError::TooLarge(_) | SnapshotError::NotJson(_) | SnapshotError::NotASnapshot(_) => {
                "want the file that `sluice policy compile` wrote: .speckit/policies/snapshot-<policy_id>.json"
            }
            SnapshotError::NoCanonicalForm(_) | SnapshotError::Unreadable(_) | SnapshotError::Invalid(_) => {
                "no released program compiles such a snapshot: compile the policy again"
            }
        };
        Some(text.to_owned())
    }
}

/// Reads a stored snapshot.
///
/// The order matters: nothing of the content is interpreted before its hash is known to be right, except
/// the schema version, which says how to compute it.
pub fn load(bytes: &[u8]) -> Result<Loaded, SnapshotError> {
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(SnapshotError::TooLarge(bytes.len()));
    }
    let bytes_digest = Digest::of(bytes);
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| SnapshotError::NotJson(Some(error)))?;
    if !document.is_object() {
        return Err(SnapshotError::NotJson(None));
    }
    let field = |name: &'static str| {
        document.get(name).and_then(Value::as_str).ok_or(SnapshotError::NotASnapshot(name))
    };
    let version = field("schema_version")?;
    let read: fn(Value) -> Result<PolicySnapshot, SnapshotError> = match version {
        SCHEMA_VERSION => read_1_0,
        other => return Err(SnapshotError::UnknownSchema(shown(other))),
    };
    let stored: Digest = field("hash")?.parse().map_err(|_| SnapshotError::NotASnapshot("hash"))?;
    let computed = hash_of_document(document.clone()).map_err(SnapshotError::NoCanonicalForm)?;
    if stored != computed {
        return Err(SnapshotError::Tampered { stored, computed });
    }
    let snapshot = read(document)?;
    check(&snapshot)?;
    Ok(Loaded { snapshot, bytes: bytes.to_vec(), bytes_digest })
}

/// The shape of schema version 1.0. A later version keeps this function and converts here, once.
fn read_1_0(document: Value) -> Result<PolicySnapshot, SnapshotError> {
    let stored = hash_of_document(document.clone()).map_err(SnapshotError::NoCanonicalForm)?;
    let snapshot: PolicySnapshot = serde_json::from_value(document).map_err(SnapshotError::Unreadable)?;
    // What was read must be all that was stored: an absent optional field, say, would read as `null` and
    // give another hash when written again.
    let again = content_hash(&snapshot).map_err(SnapshotError::NoCanonicalForm)?;
    if again != stored {
        let problem = Problem::new("", "it does not write back to what was read", "");
        return Err(SnapshotError::Invalid(problem));
    }
    Ok(snapshot)
}

fn check(snapshot: &PolicySnapshot) -> Result<(), SnapshotError> {
    let kinds: Vec<PluginKind> = snapshot.plugins.iter().map(|plugin| plugin.kind).collect();
    if kinds != PluginKind::ALL {
        let found: Vec<&str> = kinds.iter().map(|kind| kind.code()).collect();
        let message = format!("want one plugin of each kind in order, found: {}", found.join(", "));
        return Err(SnapshotError::Invalid(Problem::new("plugins", message, "")));
    }
    let mut problems = relations::check_stored(&snapshot.model_config, &snapshot.governance);
    problems.extend(relations::check(&snapshot.model_config, &snapshot.weights, &snapshot.governance));
    match problems.into_iter().next() {
        Some(problem) => Err(SnapshotError::Invalid(problem)),
        None => Ok(()),
    }
}
