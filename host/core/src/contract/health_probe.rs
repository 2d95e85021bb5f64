//! Health probe: plans requests, judges answers. Documented in `wit/0.1.0/health-probe.wit`.
#![expect(missing_docs, reason = "a mirror of the contract, which documents each field")]

use super::Ext;
use serde::{Deserialize, Serialize};

/// Most requests of one round, rounds of one probe, and bytes of one request or recorded answer.
pub const PROBE_REQUESTS_MAX: usize = 4;
pub const PROBE_ROUNDS_MAX: usize = 3;
pub const PROBE_BODY_BYTES_MAX: usize = 16 << 10;
pub const PROBE_TIMEOUT_MS_MAX: u32 = 30_000;
pub const PROBE_HISTORY_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeEndpoint {
    pub id: String,
    pub provider: String,
    pub model: String,
    pub mode: String,
    pub dialect: String,
    pub now_ms: u64,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastProbe {
    pub at_ms: u64,
    pub state: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    pub id: String,
    pub method: String,
    pub path: String,
    pub body: String,
    pub timeout_ms: u32,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeExchange {
    pub request: String,
    pub status: Option<u16>,
    pub error: String,
    pub duration_ms: u64,
    pub body: String,
    pub truncated: bool,
    pub ext: Ext,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    Healthy,
    Degraded,
    Unhealthy,
}

impl ProbeState {
    pub const fn code(self) -> &'static str {
        match self {
            ProbeState::Healthy => "healthy",
            ProbeState::Degraded => "degraded",
            ProbeState::Unhealthy => "unhealthy",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeVerdict {
    pub state: ProbeState,
    pub reason: String,
    pub evidence: Vec<(String, String)>,
    pub recheck_after_ms: u64,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    Verdict(ProbeVerdict),
    More(Vec<ProbeRequest>),
}
