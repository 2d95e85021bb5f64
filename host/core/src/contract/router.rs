//! Router: facts and candidates in, an order with its reason out. Field by field documented in
//! `wit/0.1.0/router.wit`.
#![expect(missing_docs, reason = "a mirror of the contract, which documents each field")]

use super::Ext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierAttempt {
    pub attempt: u32,
    pub candidate: String,
    pub kind: String,
    pub retryable: bool,
    pub duration_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Needs {
    pub tools: bool,
    pub schema: bool,
    pub vision: bool,
    pub streaming: bool,
    pub high_reasoning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Suitability {
    pub structured_output: bool,
    pub bounded_complexity: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReflexRules {
    pub attempts_max: u32,
    pub p95_ms_max: u64,
    pub parity_permille_min: u32,
    pub schema_permille_min: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    pub spent_micro_usd: u64,
    pub remaining_micro_usd: Option<u64>,
    pub spent_tokens: u64,
    pub remaining_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    pub in_flight: u32,
    pub queued: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    pub run_id: String,
    pub spec_id: Option<String>,
    pub session_id: Option<String>,
    pub role: String,
    pub stage: String,
    pub operation: String,
    pub mode_asked: String,
    pub attempt: u32,
    pub earlier: Vec<EarlierAttempt>,
    pub risk: String,
    pub input_tokens: u64,
    pub output_tokens_max: u64,
    pub needs: Needs,
    pub suitability: Suitability,
    pub reflex: ReflexRules,
    pub budget: Budget,
    pub load: Load,
    pub tags: Vec<(String, String)>,
    pub now_ms: u64,
    /// Kept below 2^53 by the host, so that the record can hold it as a number.
    pub seed: u64,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPrice {
    pub unit: String,
    pub micro_usd_per_million: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub state: String,
    pub reason: String,
    pub checked_at_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bakeoff {
    pub samples: u32,
    pub p95_ms: u64,
    pub parity_permille: u32,
    pub schema_permille: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub id: String,
    pub provider: String,
    pub model: String,
    pub mode: String,
    pub prices: Vec<UnitPrice>,
    pub context_tokens: Option<u64>,
    pub capabilities: Vec<String>,
    pub health: Health,
    pub bakeoff: Option<Bakeoff>,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub candidate: String,
    pub reasoning_effort: Option<String>,
    pub timeout_ms: Option<u32>,
    pub output_tokens_max: Option<u64>,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteVerdict {
    Choose(Vec<Choice>),
    Refuse,
    NeedsApproval,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteOutcome {
    pub verdict: RouteVerdict,
    pub reason: String,
    pub sentence: String,
    pub evidence: Vec<(String, String)>,
    pub ext: Ext,
}
