//! Capture filter: metadata in, one verdict an item out. Documented in `wit/0.1.0/capture-filter.wit`.
#![expect(missing_docs, reason = "a mirror of the contract, which documents each field")]

use super::Ext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterItem {
    pub kind: String,
    pub field: String,
    pub bytes: u64,
    pub paths: Vec<String>,
    pub tool: Option<String>,
    pub tags: Vec<(String, String)>,
    pub findings: u32,
    pub ext: Ext,
}

/// Ordered: a later one keeps more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterAction {
    Drop,
    HashOnly,
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterVerdict {
    pub action: FilterAction,
    pub reason: String,
    pub ext: Ext,
}
