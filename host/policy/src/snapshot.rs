//! The compiled policy: everything that a decision may depend on, by value, under one hash.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_core::contract::redactor::Rule;
use sluice_core::contract::router::Bakeoff;
use sluice_core::{
    CaptureMode, Dialect, Digest, Egress, Mode, PluginKind, PluginLimits, PolicyId, Price, Protected, Role,
    Stage, Timestamp,
};
use std::collections::BTreeMap;

/// The schema that this program writes. Older ones are read through shims.
pub const SCHEMA_VERSION: &str = "1.0";

/// The compiled policy. `hash` is SHA-256 over the RFC 8785 canonical JSON of everything but `hash`,
/// `policy_id` and `created_at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySnapshot {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// New at each compile.
    pub policy_id: PolicyId,
    /// Of the content.
    pub hash: Digest,
    /// When it was compiled.
    pub created_at: Timestamp,
    /// Authored files, relative to the workspace.
    pub source_files: Vec<String>,
    /// Digest of each authored file.
    pub source_digests: BTreeMap<String, Digest>,
    /// Which models, where, for whom.
    pub model_config: ModelConfig,
    /// Scoring weights in permille; they sum to 1000.
    pub weights: BTreeMap<String, u32>,
    /// System prompts by role or stage code.
    pub prompts: BTreeMap<String, String>,
    /// Capture, budgets, gates, escalation, usage, approvals, security.
    pub governance: Governance,
    /// The engine that plugins run under: wasmtime version and switches.
    pub engine_id: String,
    /// The four plugins, in the order of `PluginKind::ALL`.
    pub plugins: Vec<PinnedPlugin>,
}

impl PolicySnapshot {
    /// The pinned plugin of a kind. Every snapshot that compiled or loaded has all four.
    pub fn plugin(&self, kind: PluginKind) -> Option<&PinnedPlugin> {
        self.plugins.iter().find(|plugin| plugin.kind == kind)
    }
}

/// Which models, where, for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// By the name that policy gives them.
    pub providers: BTreeMap<String, Provider>,
    /// By candidate id, `<provider>/<model>`.
    pub models: BTreeMap<String, Model>,
    /// Cloud models of each role.
    pub roles: BTreeMap<Role, RoleModels>,
    /// The local endpoint.
    pub reflex: Reflex,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Which shapes it speaks.
    pub dialect: Dialect,
    /// Base URL, ending before `/chat/completions` or `/messages`, without a trailing slash.
    pub base_url: String,
}

impl Provider {
    /// Whether a key may be sent there: only encrypted, or to this machine. Policy takes plain http to
    /// another machine only with `plain_http = true`, which promises that no key goes with it.
    pub fn may_carry_key(&self) -> bool {
        crate::values::base_url(&self.base_url).is_ok_and(|url| url.encrypted || url.loopback)
    }
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name in [`ModelConfig::providers`].
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Cloud or reflex.
    pub mode: Mode,
    /// Dated prices by unit.
    pub prices: Vec<Price>,
    /// When and where the prices were read.
    pub price_source: String,
    /// Context window in tokens.
    pub context_tokens: Option<u64>,
    /// `tools`, `schema`, `vision`, `streaming`, `high-reasoning`, `reasoning-effort`.
    pub capabilities: Vec<String>,
    /// Longest an attempt may take.
    pub timeout_ms: u64,
    /// Most tokens of an answer.
    pub output_tokens_max: u64,
}

/// Cloud models of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleModels {
    /// Candidate ids in policy order; never empty.
    pub models: Vec<String>,
    /// Only models with the `high-reasoning` capability will do.
    pub needs_high_reasoning: bool,
    /// `low`, `medium`, `high`, where set.
    pub reasoning_effort: Option<String>,
}

/// The local endpoint, and when it may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reflex {
    /// Off by default.
    pub enabled: bool,
    /// Candidate id in [`ModelConfig::models`].
    pub model: String,
    /// Roles that may use it. The judge never can: compile refuses it.
    pub roles: Vec<Role>,
    /// Stages that may use it.
    pub stages: Vec<Stage>,
    /// Attempts of one call before cloud takes over.
    pub attempts_max: u32,
    /// What it must have shown.
    pub thresholds: ReflexThresholds,
    /// What it has shown, where a bakeoff was run.
    pub bakeoff: Option<Bakeoff>,
}

/// What a reflex endpoint must have shown before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflexThresholds {
    /// 95th percentile of its latency.
    pub p95_ms_max: u64,
    /// Agreement with the cloud model's answers.
    pub parity_permille_min: u32,
    /// Answers that satisfy their schema.
    pub schema_permille_min: u32,
}

/// Everything that is not models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// `meta`: the policy's own version and date.
    pub meta: Meta,
    /// Where the record is kept.
    pub system_of_record: SystemOfRecord,
    /// What is kept of model input and output.
    pub capture: Capture,
    /// Limits on money and tokens.
    pub budgets: Budgets,
    /// Gates that a change of the system must pass, as authored.
    pub gates: Value,
    /// What happens after a failed attempt.
    pub escalation: EscalationRules,
    /// Who may use what, as authored.
    pub usage: Value,
    /// What needs a person, as authored.
    pub approvals: Value,
    /// Redaction and export.
    pub security: Security,
    /// What a run through the stages may do beside its calls; left out where it may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineRules>,
}

/// What a run through the stages may do beside its calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRules {
    /// Program and arguments that Validate runs in the scratch folder. No shell is in between.
    pub validate_command: Vec<String>,
    /// Longest it may take.
    pub validate_timeout_ms: u64,
}

/// The policy's own version and date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The authored file's schema.
    pub schema_version: String,
    /// The policy's version, the author's own.
    pub policy_version: String,
    /// `YYYY-MM-DD`.
    pub effective_date: String,
}

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemOfRecord {
    /// `capsule`: the only one.
    pub kind: String,
    /// Whether `local-memory` may stand in where the capsule fails to open.
    pub local_memory_fallback: bool,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Of model input and output.
    pub mode: CaptureMode,
    /// Of what stages produce: `content` or `hash`.
    pub artifacts: String,
    /// Whether embeddings are kept.
    pub store_embeddings: bool,
}

/// Limits of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Micro-USD of one run; `None` for no limit.
    pub run_micro_usd_max: Option<u64>,
    /// Tokens of one run; `None` for no limit.
    pub run_tokens_max: Option<u64>,
    /// Tokens of the context of each stage.
    pub stage_tokens: BTreeMap<Stage, u64>,
    /// Marks at which a `BudgetThreshold` is recorded, in permille, ascending.
    pub marks_permille: Vec<u32>,
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationRules {
    /// Attempts of one call, all endpoints together.
    pub attempts_max: u32,
    /// Wait before the next attempt, doubled each time.
    pub backoff_ms: u64,
    /// Longest wait.
    pub backoff_ms_max: u64,
}

/// Redaction and export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Redaction.
    pub redaction: Redaction,
    /// Export.
    pub export: Export,
}

/// What is done about findings. Redaction of what is stored is not here: it cannot be configured away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// In text that goes to a model.
    pub egress: Egress,
    /// In answers handed to the caller: true replaces findings there too.
    pub responses: bool,
    /// Whether callers get their own secrets back where an answer repeats a placeholder of its request. The record
    /// keeps the placeholders either way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restore: bool,
    /// Tools whose arguments they come back in too. In those of any other a placeholder stays: a prompt could have a
    /// model ask for an address that carries the secret away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore_tools: Vec<String>,
    /// What becomes of a text with a finding in a value that must not be edited.
    #[serde(default, skip_serializing_if = "is_block")]
    pub protected: Protected,
    /// Findings below this confidence are ignored.
    pub confidence_permille_min: u32,
    /// Names of environment variables whose values are never to leave, as patterns: `*_KEY`.
    pub env_patterns: Vec<String>,
}

/// As with flags.
fn is_block(protected: &Protected) -> bool {
    *protected == Protected::Block
}

/// Left out where false: snapshots of before keep their hash.
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What may leave as an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Whether exports are encrypted.
    pub encrypt: bool,
    /// Most kept of model input and output in an export.
    pub capture_mode_max: CaptureMode,
}

/// A plugin, pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedPlugin {
    /// Its kind.
    pub kind: PluginKind,
    /// Its name, from its own description.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Of the component's bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// `bundled:<name>` or `file:<path>`: where it was read from.
    pub source: String,
    /// `sluicegate:plugin/<interface>@<contract version>`.
    pub world: String,
    /// Configuration, by value.
    pub config: Value,
    /// Limits of each call.
    pub limits: PluginLimits,
    /// For a redactor: what it can find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}
