//! Text that may leave. A provider takes nothing else, so that forgetting to redact does not compile.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// What policy says of secrets in text that goes to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// Sent as written; findings are recorded all the same.
    Off,
    /// Each finding is replaced by its placeholder.
    Redact,
    /// A call with a finding is refused.
    Block,
}

/// What policy says of findings in values that must not be edited: what a provider signed, and pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protected {
    /// The text is held back.
    #[default]
    Block,
    /// The block of the conversation that holds the value is left out, where that leaves a conversation.
    Drop,
}

/// The proof that a body was looked at: it travels with the body and into the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanEvidence {
    /// Digest of the redactor that scanned.
    pub redactor: Digest,
    /// How many findings there were, the host's own guard included.
    pub findings: u32,
    /// What was done about them.
    pub egress: Egress,
}

/// A request body that was scanned and may be sent.
///
/// Only `governance` makes one: [`Cleared::attest`] is a disallowed method everywhere else
/// (`clippy.toml`), and `tests/tidy.rs` checks that no other room calls it.
#[derive(Debug, Clone)]
pub struct Cleared {
    body: Vec<u8>,
    evidence: ScanEvidence,
}

impl Cleared {
    /// Governance's word that `body` was scanned and that `evidence` says what came of it.
    #[doc(hidden)]
    pub fn attest(body: Vec<u8>, evidence: ScanEvidence) -> Cleared {
        Cleared { body, evidence }
    }

    /// The JSON text to send.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the scan found.
    pub fn evidence(&self) -> &ScanEvidence {
        &self.evidence
    }

    /// Gives the body up, for the transport to own.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}
