//! What a caller gets back: an answer with its evidence, or one clear reason why there is none.

use sluice_capsule::CapsuleError;
use sluice_core::record::{AttemptOutcome, Finding};
use sluice_core::{LogicalUri, MicroUsd, Mode, RunId, ToolCall, Usage};
use sluice_governance::Blocked;

/// One attempt, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptSummary {
    /// 1-based.
    pub attempt: u32,
    /// `<provider>/<model>`.
    pub candidate: String,
    /// Cloud or reflex.
    pub mode: Mode,
    /// Why this model, as a code.
    pub reason: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// An answer, acknowledged: its envelope is committed.
#[derive(Debug, Clone)]
pub struct CallReply {
    /// The run it belongs to.
    pub run_id: RunId,
    /// Its number in the run.
    pub call: u64,
    /// The `RoutingDecision` that led to the answer.
    pub decision: LogicalUri,
    /// Its `ModelCallEnvelope`.
    pub envelope: LogicalUri,
    /// The provider that answered.
    pub provider: String,
    /// The model that was asked.
    pub model: String,
    /// Cloud or reflex.
    pub mode: Mode,
    /// Why this model, as a code.
    pub reason: String,
    /// Why this model, for a person.
    pub sentence: String,
    /// The answer; redacted where policy says so.
    pub text: String,
    /// The tools that the answer asks its caller to run; redacted like the text.
    pub tool_calls: Vec<ToolCall>,
    /// The answer's text as the record has it: redacted, whatever policy says of what is handed out.
    pub recorded: String,
    /// Whether the answer is the loopback stand-in's.
    pub loopback: bool,
    /// As the server counted.
    pub usage: Option<Usage>,
    /// By the snapshot's prices.
    pub cost: Option<MicroUsd>,
    /// Every attempt, the last being the one that answered.
    pub attempts: Vec<AttemptSummary>,
    /// What was found in the request.
    pub findings: Vec<Finding>,
    /// What was found in the answer.
    pub response_findings: Vec<Finding>,
    /// What was found in values that must not be edited, in either: the blocks around them were left out.
    pub dropped: Vec<Finding>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// Not a call that can be made.
    #[error("{message}")]
    NotAdmitted {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The router, or policy, refuses.
    #[error("refused: {reason}: {sentence}")]
    Refused {
        /// As a code.
        reason: String,
        /// For a person.
        sentence: String,
        /// The recorded decision.
        decision: Box<LogicalUri>,
    },
    /// A person must approve first.
    #[error("needs approval: {reason}: {sentence}")]
    NeedsApproval {
        /// As a code.
        reason: String,
        /// For a person.
        sentence: String,
        /// The recorded decision.
        decision: Box<LogicalUri>,
    },
    /// Text was held back.
    #[error("blocked: the {what} was held back")]
    Blocked {
        /// `request` or `answer`.
        what: &'static str,
        /// Why.
        #[source]
        source: Blocked,
    },
    /// Every attempt failed.
    #[error("no answer after {} attempt(s): {last}: {detail}", attempts.len())]
    Failed {
        /// Each attempt.
        attempts: Vec<AttemptSummary>,
        /// How the last one ended.
        last: &'static str,
        /// The host's words on it, never the server's.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// The record could not be written, so nothing is acknowledged.
    #[error("the record could not be written")]
    Record(#[from] CapsuleError),
}

impl CallFailure {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            CallFailure::NotAdmitted { hint, .. } | CallFailure::Failed { hint, .. } => Some(hint.clone()),
            CallFailure::Refused { decision, .. } | CallFailure::NeedsApproval { decision, .. } => {
                Some(format!("`sluice capsule resolve-uri {decision}` shows the facts it rests on"))
            }
            CallFailure::Blocked { source, .. } => Some(match source {
                Blocked::ByPolicy(_) => {
                    "remove the secret, or set security.redaction.egress to `redact`".into()
                }
                Blocked::ProtectedField => "a provider-signed field holds a secret: drop that block".into(),
                _ => "text never leaves unscanned: see the PluginFault event, or pin another redactor".into(),
            }),
            CallFailure::Record(error) => error.hint(),
        }
    }

    /// Whether the answer is a considered no (exit 1), as against "it could not be carried out" (exit 2).
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            CallFailure::Refused { .. } | CallFailure::NeedsApproval { .. } | CallFailure::Blocked { .. }
        )
    }
}
