//! Payloads of a run through the stages: where it stands, what each stage saw and made.

use crate::{Digest, LogicalUri, ModeAsked, Risk, Role, Stage};
use serde::{Deserialize, Serialize};

/// Payload of `StageTransition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTransition {
    /// Which stage.
    pub stage: Stage,
    /// Who speaks in it.
    pub role: Role,
    /// 1-based: how often this stage was begun in this run.
    pub attempt: u32,
    /// What happened to it.
    pub step: StageStep,
}

/// What happened to a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageStep {
    /// It begins. Committed before its model is asked.
    Begin(Box<StageBegin>),
    /// It is done: what it made is acknowledged, and it is never repeated.
    End(Box<StageEnd>),
    /// It stopped before its end; the run can go on from here.
    Stop(StageStop),
}

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBegin {
    /// The stage that ended before; `None` for the first.
    pub after: Option<Stage>,
    /// How much harm a wrong answer would do.
    pub risk: Risk,
    /// Where the host would like it to run.
    pub mode_asked: ModeAsked,
    /// Whether a schema goes with the request; without, it stands in the prompt alone.
    pub schema_sent: bool,
    /// Which specification, as its author wrote it.
    pub spec: SpecIdentity,
    /// What the context was compiled from.
    pub inputs: Vec<ArtifactRef>,
    /// What came of that.
    pub context: ContextRecord,
    /// Number of the call whose acknowledged answer is taken up, so that no model is asked again.
    pub takes_up: Option<u64>,
}

/// A specification before redaction. Its text is not in the record, so nor is the salt: the workspace key
/// derives it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecIdentity {
    /// Bytes as read.
    pub bytes: u64,
    /// HMAC-SHA256 under a salt that only the workspace key gives.
    pub commitment: Digest,
}

/// What a stage made, or was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// The stage that made it.
    pub stage: Stage,
    /// Its name in that stage.
    pub name: String,
    /// Where its content is; `None` where policy keeps the commitment alone.
    pub uri: Option<LogicalUri>,
    /// Bytes, redacted.
    pub bytes: u64,
    /// HMAC-SHA256 of the redacted content under `salt`.
    pub commitment: Digest,
    /// Hex; kept with the content and only there.
    pub salt: Option<String>,
}

/// How a context came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRecord {
    /// Tokens that policy allows.
    pub budget_tokens: u64,
    /// Tokens of the text.
    pub tokens: u64,
    /// Bytes of the text.
    pub bytes: u64,
    /// What is in it, in its order.
    pub included: Vec<SectionCount>,
    /// What did not fit, in the same order.
    pub left_out: Vec<SectionCount>,
}

/// A section, or the part of one that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionCount {
    /// Its name.
    pub section: String,
    /// Tokens of its text.
    pub tokens: u64,
    /// Bytes of its text.
    pub bytes: u64,
}

/// What a stage came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEnd {
    /// Number of the call whose answer this is.
    pub call: u64,
    /// Whether that answer is the loopback stand-in's.
    pub loopback: bool,
    /// What it made; the first is the answer itself.
    pub artifacts: Vec<ArtifactRef>,
    /// Of the last stage: whether the change may go in.
    pub verdict: Option<Verdict>,
}

/// The judge's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `unlock` or `refuse`.
    pub verdict: String,
    /// Why, for a person.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// The word that lets a change in.
    pub const UNLOCK: &'static str = "unlock";
    /// The word that does not.
    pub const REFUSE: &'static str = "refuse";

    /// Whether the change may go in.
    pub fn unlocks(&self) -> bool {
        self.verdict == Verdict::UNLOCK
    }
}

/// Why a stage stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStop {
    /// A code: `interrupted`, `call-failed`, or what was wrong with the answer.
    pub code: String,
    /// For a person; the host's words.
    pub message: String,
    /// The call whose answer cannot be used: it is not taken up when the run goes on.
    pub unusable_call: Option<u64>,
}

/// Payload of `PatchApply`: one file of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchApply {
    /// The call whose answer holds it.
    pub call: u64,
    /// 1-based, in the order of the answer.
    pub number: u32,
    /// The path that the model names, cut to 240 bytes.
    pub path: String,
    /// What came of it.
    pub outcome: PatchOutcome,
}

/// What came of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchOutcome {
    /// It is in the scratch folder.
    Applied {
        /// `create`, `modify`, `delete`.
        operation: String,
        /// Parts of the diff.
        hunks: u64,
        /// Lines added.
        added: u64,
        /// Lines removed.
        removed: u64,
        /// Bytes of the file afterwards.
        bytes: u64,
    },
    /// It is not.
    Refused {
        /// A code.
        code: String,
    },
}

/// Payload of `ToolCall`: the command that policy lists for Validate. Committed before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallRecord {
    /// `validate`.
    pub tool: String,
    /// Program and arguments, as policy has them.
    pub command: Vec<String>,
    /// Longest it may take.
    pub timeout_ms: u64,
}

/// Payload of `ToolResult`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResultRecord {
    /// `validate`.
    pub tool: String,
    /// How it ended: `exit 0`, `signal`, `timeout`, `not-started`.
    pub ended: String,
    /// What it printed, redacted, with how it ended above it.
    pub output: ArtifactRef,
}

/// Payload of `BranchMerged`: what of a run stands in the main line from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchMerged {
    /// `run/<run id>`.
    pub from: String,
    /// `main`.
    pub into: String,
    /// `curated` or `full`.
    pub mode: String,
    /// Events, as ranges of `seq`, both ends included.
    pub events: Vec<(u64, u64)>,
    /// How many events that are.
    pub count: u64,
    /// SHA-256 over the hashes of these events, each with its length before it.
    pub root: Digest,
    /// Policies that the run was under.
    pub policies: Vec<LogicalUri>,
    /// What the stages made, where its content is in the capsule.
    pub artifacts: Vec<LogicalUri>,
    /// Checkpoints of the run so far.
    pub checkpoints: Vec<LogicalUri>,
}
