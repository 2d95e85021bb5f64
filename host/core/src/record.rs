//! Payloads of recorded events: what live governance writes and replay reads. Integers only (see
//! [`crate::canonical`]). Fields may be added with `#[serde(default)]`; none is ever renamed or removed.

use crate::contract::about::PluginRef;
use crate::contract::capture_filter::{FilterAction, FilterItem, FilterVerdict};
use crate::contract::health_probe::{Judgement, PastProbe, ProbeEndpoint, ProbeExchange, ProbeRequest};
use crate::contract::router::{Candidate, RouteFacts, RouteOutcome};
use crate::{CaptureMode, Digest, Egress, FaultCode, LogicalUri, MicroUsd, Mode, PluginKind, Usage};
use serde::{Deserialize, Serialize};

mod stage;

pub use stage::{
    ArtifactRef, BranchMerged, ContextRecord, PatchApply, PatchOutcome, SectionCount, SpecIdentity,
    StageBegin, StageEnd, StageStep, StageStop, StageTransition, ToolCallRecord, ToolResultRecord, Verdict,
};

/// Payload of `RunStarted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The verb that began the run: `call`, `demo`, `run`, `serve`.
    pub verb: String,
    /// The program's version.
    pub version: String,
    /// What of model input and output is kept.
    pub capture_mode: CaptureMode,
    /// Whether the run may use the loopback server; every answer of it is labelled.
    pub loopback: bool,
}

/// Payload of `PolicySnapshotRef`: the snapshot itself lies at the event's policy URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySnapshotRef {
    /// Why now: `run-start`, `stage-boundary`, `manual`.
    pub occasion: String,
    /// The plugins that hold from here on; their bytes lie at `plugin/sha256/<digest>`.
    pub plugins: Vec<PluginRef>,
    /// The engine whose fuel counts are comparable.
    pub engine_id: String,
}

/// What a plugin answered, or why it did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// A usable answer and the fuel that it took.
    Answered {
        /// The answer, as checked against the contract.
        value: T,
        /// Exact; the same on every machine with the same `engine_id`.
        fuel_used: u64,
    },
    /// No usable answer.
    Faulted {
        /// A fixed code, never the plugin's words.
        code: FaultCode,
    },
}

impl<T> Answer<T> {
    /// Fuel, where there was an answer.
    pub fn fuel_used(&self) -> Option<u64> {
        match self {
            Answer::Answered { fuel_used, .. } => Some(*fuel_used),
            Answer::Faulted { .. } => None,
        }
    }
}

/// Who made a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The plugin's answer, accepted.
    Plugin,
    /// The plugin gave none that could be used: the first candidate in policy order.
    PolicyOrder,
    /// The host itself: no candidate was left.
    Host,
}

/// What follows from a router's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteVerdictTaken {
    /// An attempt with this model.
    Call(Chosen),
    /// No attempt is made.
    Refuse,
    /// A person must approve first.
    NeedsApproval,
}

/// The model of one attempt, with the parameters after clamping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// `<provider>/<model>`.
    pub candidate: String,
    /// The provider's name in policy.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// Cloud or reflex.
    pub mode: Mode,
    /// `low`, `medium`, `high`, where asked for.
    pub reasoning_effort: Option<String>,
    /// Deadline of the attempt.
    pub timeout_ms: u64,
    /// Cap on the answer.
    pub output_tokens_max: u64,
}

/// Payload of `RoutingDecision`: everything the decision rests on, and the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingDecision {
    /// 1-based number of the call in its run.
    pub call: u64,
    /// 1-based number of the attempt in its call.
    pub attempt: u32,
    /// The router.
    pub plugin: PluginRef,
    /// Its facts.
    pub facts: RouteFacts,
    /// Its candidates: what policy allows, in policy order.
    pub candidates: Vec<Candidate>,
    /// What it answered.
    pub answer: Answer<RouteOutcome>,
    /// What follows.
    pub verdict: RouteVerdictTaken,
    /// Whose decision that is.
    pub origin: Origin,
    /// Why, as a code.
    pub reason: String,
    /// Why, for a person.
    pub sentence: String,
    /// What it rests on; where the host clamped a parameter, that too.
    pub evidence: Vec<(String, String)>,
}

/// One finding: where, by which rule, which tag; never the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// JSON pointer of the leaf.
    pub path: String,
    /// The rule's id; `known-value` for the host's own guard.
    pub rule: String,
    /// Byte range in the unescaped leaf, before replacement.
    pub start: u64,
    /// End of the range.
    pub end: u64,
    /// The tag in the placeholder.
    pub tag: String,
}

/// Payload of `RedactionApplied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactionApplied {
    /// Number of the call.
    pub call: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// `request`, `response`; where something was found also `labels`, `exchange` (of a probe), `excerpt` (of a
    /// failing server's words).
    pub what: String,
    /// The redactor.
    pub plugin: PluginRef,
    /// Leaves scanned.
    pub fields: u64,
    /// Bytes scanned, unescaped.
    pub bytes: u64,
    /// What policy says of findings in what leaves.
    pub egress: Egress,
    /// Whether the text went on: false where it was blocked.
    pub passed: bool,
    /// What was found, in order of path and start.
    pub findings: Vec<Finding>,
    /// What was found in values that are not edited: the blocks around them were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Finding>,
    /// Of an answer: how many placeholders of its request were put back for the caller. The record keeps the
    /// placeholders.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored: u64,
    /// What the redactor was told of whose words each string is: 1 as author, tool's name and media type; 0, in
    /// records from before, nothing. A new scan of the kept text tells it the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub told: u64,
    /// Fuel, or the fault that blocked the text.
    pub answer: Answer<()>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How much of a text the record keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// What was done: the filter's verdict lowered by the capture mode.
    pub action: FilterAction,
    /// Bytes of the text, redacted.
    pub bytes: u64,
    /// HMAC-SHA256 of the redacted text under `salt`.
    pub commitment: Digest,
    /// Hex; kept with the content and only there. Without content the workspace key derives it anew.
    pub salt: Option<String>,
    /// The redacted text, where kept.
    pub text: Option<String>,
}

/// How an attempt ended. Escalation reads this and never the server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// A whole answer.
    Ok,
    /// No answer within the deadline.
    Timeout,
    /// No connection, or it broke before an answer.
    Unreachable,
    /// 429, 503, 529, or the same told inside a stream that began well.
    Overloaded,
    /// Other 5xx.
    ServerError,
    /// Not the shape the dialect promises: HTML, half a stream, an error inside a 200 stream.
    BadAnswer,
    /// 401, 403.
    Auth,
    /// Other 4xx.
    BadRequest,
    /// 404: no such model or route.
    NotFound,
    /// No key is set for an origin that needs one.
    MissingKey,
    /// The caller went away while the model was at work.
    Cancelled,
}

impl AttemptOutcome {
    /// The contract's spelling.
    pub const fn code(self) -> &'static str {
        match self {
            AttemptOutcome::Ok => "ok",
            AttemptOutcome::Timeout => "timeout",
            AttemptOutcome::Unreachable => "unreachable",
            AttemptOutcome::Overloaded => "overloaded",
            AttemptOutcome::ServerError => "server-error",
            AttemptOutcome::BadAnswer => "bad-answer",
            AttemptOutcome::Auth => "auth",
            AttemptOutcome::BadRequest => "bad-request",
            AttemptOutcome::NotFound => "not-found",
            AttemptOutcome::MissingKey => "missing-key",
            AttemptOutcome::Cancelled => "cancelled",
        }
    }

    /// Whether another attempt at another endpoint could succeed.
    pub const fn retryable(self) -> bool {
        !matches!(self, AttemptOutcome::Ok | AttemptOutcome::BadRequest | AttemptOutcome::Cancelled)
    }
}

/// Payload of `ModelCallEnvelope`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCallEnvelope {
    /// Number of the call.
    pub call: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// The `RoutingDecision` this attempt carries out.
    pub decision: LogicalUri,
    /// `<provider>/<model>`.
    pub candidate: String,
    /// The provider's name in policy.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// Cloud or reflex.
    pub mode: Mode,
    /// `openai-chat` or `anthropic-messages`.
    pub dialect: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// HTTP status, where one came.
    pub status: Option<u16>,
    /// The model that the server says it ran. A claim, never proof.
    pub served_model: Option<String>,
    /// Whether the server says that it is the loopback stand-in.
    pub loopback: bool,
    /// Why the model stopped, in the dialect's word.
    pub stop: Option<String>,
    /// As the server counted; `None` where it did not say.
    pub usage: Option<Usage>,
    /// By the snapshot's prices; `None` where usage or price is unknown.
    pub cost: Option<MicroUsd>,
    /// The request body as sent, or its redacted form where egress is off.
    pub request: Captured,
    /// The answer's body, redacted; `None` where none came.
    pub response: Option<Captured>,
    /// The plugins that had a say.
    pub plugins: Vec<PluginRef>,
    /// Fuel by kind.
    pub fuel: Vec<(PluginKind, u64)>,
    /// From sending to the last byte.
    pub duration_ms: u64,
}

/// Payload of `CaptureFiltered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureFiltered {
    /// Number of the call.
    pub call: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// The filter.
    pub plugin: PluginRef,
    /// What the capture mode is.
    pub mode: CaptureMode,
    /// What it was asked about.
    pub items: Vec<FilterItem>,
    /// What it answered.
    pub answer: Answer<Vec<FilterVerdict>>,
    /// What was done with each item: never more than the mode permits.
    pub applied: Vec<FilterVerdict>,
}

/// Payload of `HealthProbed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthProbed {
    /// The probe.
    pub plugin: PluginRef,
    /// The endpoint.
    pub endpoint: ProbeEndpoint,
    /// Earlier verdicts that it was shown.
    pub history: Vec<PastProbe>,
    /// The plan: the first round.
    pub plan: Answer<Vec<ProbeRequest>>,
    /// Each round: what was sent and came back (redacted), and the judgement on all so far.
    pub rounds: Vec<ProbeRound>,
    /// `healthy`, `degraded`, `unhealthy`.
    pub state: String,
    /// Why, as a code.
    pub reason: String,
    /// When to ask again.
    pub recheck_after_ms: u64,
}

/// One round of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRound {
    /// What came back, in the order of the requests.
    pub exchanges: Vec<ProbeExchange>,
    /// What the plugin made of every exchange so far.
    pub judgement: Answer<Judgement>,
}

/// Payload of `PluginFault`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFaultRecord {
    /// Number of the call; 0 outside one.
    pub call: u64,
    /// Number of the attempt; 0 outside one.
    pub attempt: u32,
    /// The plugin.
    pub plugin: PluginRef,
    /// Why there was no usable answer.
    pub code: FaultCode,
    /// What the host did instead: `blocked`, `policy-order`, `dropped`, `unhealthy`.
    pub consequence: String,
}

impl PluginFaultRecord {
    /// The record of `plugin`'s failure, where there was one.
    pub fn of(
        call: u64,
        attempt: u32,
        plugin: &PluginRef,
        code: Option<FaultCode>,
        consequence: &str,
    ) -> Option<PluginFaultRecord> {
        let (plugin, consequence) = (plugin.clone(), consequence.to_owned());
        Some(PluginFaultRecord { call, attempt, plugin, code: code?, consequence })
    }
}

/// Payload of `Escalation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Number of the call.
    pub call: u64,
    /// The attempt that failed.
    pub attempt: u32,
    /// The candidate that failed.
    pub from: String,
    /// How it failed.
    pub outcome: AttemptOutcome,
    /// `next-attempt`, or `given-up`.
    pub step: String,
    /// Why, as a code: the outcome's, `attempts-exhausted`, `no-candidate`, `not-retryable`.
    pub reason: String,
}

/// Payload of `BudgetThreshold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetThreshold {
    /// Number of the call that crossed it.
    pub call: u64,
    /// `cost` or `tokens`.
    pub budget: String,
    /// The mark, in permille of the limit.
    pub mark_permille: u32,
    /// Micro-USD or tokens spent by the run.
    pub spent: u64,
    /// Micro-USD or tokens allowed.
    pub limit: u64,
}

/// Payload of `ErrorEvent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// Number of the call; 0 outside one.
    pub call: u64,
    /// A code.
    pub code: String,
    /// For a person; passed through the guard.
    pub message: String,
}

/// Payload of `RunFinished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFinished {
    /// `ok`, `refused`, `failed`, `blocked`.
    pub outcome: String,
    /// Calls made.
    pub calls: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Sum of what is known.
    pub cost: MicroUsd,
    /// Sum of what is known.
    pub tokens: u64,
}
