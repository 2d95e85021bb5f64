//! Typed views of the three sections that a snapshot stores as authored: `gates`, `usage`, `approvals`.
//! Their shape may grow faster than the snapshot's, so the snapshot holds them as JSON; whoever acts on one
//! reads it through these types, and a snapshot that does not read through them is not loaded.

use crate::snapshot::Governance;
use serde::{Deserialize, Serialize};
use sluice_core::Role;
use std::collections::BTreeMap;

/// Gates that a change of the system must pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Before a local model becomes `routing.reflex.model`.
    pub reflex_promotion: ReflexPromotion,
    /// Before `local-memory` is taken out of service.
    pub local_memory_sunset: LocalMemorySunset,
}

/// What a bakeoff must have shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflexPromotion {
    /// Local models that may be promoted: candidate ids, priced like every other.
    pub candidates: Vec<String>,
    /// Least number of compared answers.
    pub samples_min: u32,
    /// Largest 95th percentile of latency.
    pub p95_ms_max: u64,
    /// Least share of answers that agree with the cloud model's.
    pub parity_permille_min: u32,
    /// Least share of answers that satisfy their schema.
    pub schema_permille_min: u32,
    /// Most golden questions that may be answered worse than before.
    pub golden_regressions_max: u32,
}

/// What must hold before `local-memory` goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalMemorySunset {
    /// 0 silent, 1 warns, 2 must be forced, 3 refused.
    pub phase: u32,
    /// The capsule answers as fast, at the 95th percentile.
    pub retrieval_p95_parity: bool,
    /// The capsule finds as well.
    pub search_quality_parity: bool,
    /// Days without a fault.
    pub stability_days_min: u32,
    /// Times that the fallback may have been used in those days.
    pub fallback_activations_max: u32,
}

/// Who may use what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageRules {
    /// Operations that callers may ask for: `chat`, `responses`, `messages`, `embeddings`.
    pub operations: Vec<String>,
    /// Labels that every call must carry, so that its cost has an owner.
    pub tags_required: Vec<String>,
}

/// What needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// A run that has spent this many micro-USD goes on only with a person's word; `None` for never.
    pub run_micro_usd_above: Option<u64>,
    /// Models that no role may use without a person's word, by candidate id.
    pub models: BTreeMap<String, ApprovedModel>,
}

/// A model that needs a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedModel {
    /// Roles that may use it once approved.
    pub roles: Vec<Role>,
    /// Why it needs approval.
    pub reason: String,
}

impl Governance {
    /// The gates. Fails only for a snapshot that was not loaded through [`crate::load()`].
    pub fn gate_rules(&self) -> Result<Gates, serde_json::Error> {
        Gates::deserialize(&self.gates)
    }

    /// Who may use what. Fails only for a snapshot that was not loaded through [`crate::load()`].
    pub fn usage_rules(&self) -> Result<UsageRules, serde_json::Error> {
        UsageRules::deserialize(&self.usage)
    }

    /// What needs a person. Fails only for a snapshot that was not loaded through [`crate::load()`].
    pub fn approval_rules(&self) -> Result<Approvals, serde_json::Error> {
        Approvals::deserialize(&self.approvals)
    }
}
