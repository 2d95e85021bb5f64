//! The hash that identifies a policy's content.

use crate::snapshot::PolicySnapshot;
use serde_json::Value;
use sluice_core::Digest;
use sluice_core::canonical::{self, CanonicalError};

/// The fields that do not count: the hash itself, and what is new at each compile although nothing changed.
/// Events bind the digest of the stored bytes, so none of the three can be edited unseen either.
pub const OUTSIDE_HASH: [&str; 3] = ["hash", "policy_id", "created_at"];

/// SHA-256 over the RFC 8785 canonical JSON of the snapshot without [`OUTSIDE_HASH`].
///
/// Fails where a number has no canonical form.
pub fn content_hash(snapshot: &PolicySnapshot) -> Result<Digest, CanonicalError> {
    let value = serde_json::to_value(snapshot).map_err(CanonicalError::NotJson)?;
    hash_of_document(value)
}

/// The same over a document as stored, whatever its schema: so a hash can be checked before anything of
/// the document is believed.
pub(crate) fn hash_of_document(mut document: Value) -> Result<Digest, CanonicalError> {
    if let Value::Object(fields) = &mut document {
        fields.retain(|name, _| !OUTSIDE_HASH.contains(&name.as_str()));
    }
    Ok(Digest::of(canonical::to_string(&document)?.as_bytes()))
}
