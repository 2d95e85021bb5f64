//! Events: what the capsule keeps. The payload shapes are in [`crate::record`].

use crate::{Digest, LogicalUri, PolicyId, Role, RunId, SpecId, Stage, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident,)+) => {
        /// What happened. The catalogue is `docs/events.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$doc])* $variant,)+ }
        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)+];
            /// The name as stored.
            pub const fn name(self) -> &'static str {
                match self { $(EventKind::$variant => stringify!($variant),)+ }
            }
        }
        impl std::str::FromStr for EventKind {
            type Err = crate::words::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $(stringify!($variant) => Ok(EventKind::$variant),)+
                    _ => Err(crate::words::UnknownWord {
                        what: "event type", word: word.to_owned(), known: &[$(stringify!($variant),)+],
                    }),
                }
            }
        }
    };
}

kinds! {
    /// First event of a run.
    RunStarted,
    /// Which policy snapshot and which plugin bytes hold from here on.
    PolicySnapshotRef,
    /// A stage began or ended.
    StageTransition,
    /// Which model was chosen, and why; committed before the request leaves.
    RoutingDecision,
    /// One attempt at a model: what was asked, answered, used and paid.
    ModelCallEnvelope,
    /// What the redactor found in one body.
    RedactionApplied,
    /// What the capture filter let the record keep.
    CaptureFiltered,
    /// One health probe, its exchanges and its verdict.
    HealthProbed,
    /// A plugin gave no usable answer, and what the host did instead.
    PluginFault,
    /// A gate was put to the test.
    GateDecision,
    /// A budget crossed one of its marks.
    BudgetThreshold,
    /// An attempt failed and another was made elsewhere, or the call was given up.
    Escalation,
    /// A person approved or refused.
    Approval,
    /// A model asked for a tool.
    ToolCall,
    /// What the tool returned.
    ToolResult,
    /// A question to memory.
    RetrievalRequest,
    /// What memory answered.
    RetrievalResponse,
    /// A patch was applied, or refused.
    PatchApply,
    /// A signed mark over everything before it.
    Checkpoint,
    /// A run's branch was merged.
    BranchMerged,
    /// Parts of the capsule were exported.
    CapsuleExported,
    /// Parts of another capsule were imported.
    CapsuleImported,
    /// Something could not be carried out.
    ErrorEvent,
    /// Last event of a run.
    RunFinished,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which policy an event was made under. Id and hash name the content; `bytes` is the digest of the stored
/// document, so that the fields outside the hash cannot be edited either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyBinding {
    /// The snapshot's id.
    pub id: PolicyId,
    /// Where its bytes are.
    pub uri: LogicalUri,
    /// The snapshot's content hash.
    pub hash: Digest,
    /// Digest of the stored bytes.
    pub bytes: Digest,
}

/// An event on its way into the journal, which gives it sequence, URI and chain.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// What happened.
    pub kind: EventKind,
    /// In which run.
    pub run_id: RunId,
    /// For which specification.
    pub spec_id: Option<SpecId>,
    /// In which stage.
    pub stage: Option<Stage>,
    /// Who spoke.
    pub role: Option<Role>,
    /// When.
    pub at: Timestamp,
    /// Under which policy.
    pub policy: PolicyBinding,
    /// A payload of [`crate::record`], as JSON without floats.
    pub payload: Value,
}

/// A stored event. `hash` covers every other field, `prev` included, so each run is a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1-based position in the run.
    pub seq: u64,
    /// `mv2://<workspace>/event/<run>/<seq>`.
    pub uri: LogicalUri,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// In which run.
    pub run_id: RunId,
    /// For which specification.
    pub spec_id: Option<SpecId>,
    /// `run/<run id>` until merged.
    pub branch: String,
    /// In which stage.
    pub stage: Option<Stage>,
    /// Who spoke.
    pub role: Option<Role>,
    /// When.
    pub at: Timestamp,
    /// Under which policy.
    pub policy: PolicyBinding,
    /// What exactly.
    pub payload: Value,
    /// `hash` of the event before it in the run; zeros for the first.
    pub prev: Digest,
    /// SHA-256 over the canonical JSON of all the other fields.
    pub hash: Digest,
}
