//! Redactor: fields in, spans out. Field by field documented in `wit/0.1.0/redactor.wit`.
#![expect(missing_docs, reason = "a mirror of the contract, which documents each field")]

use super::Ext;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub severity: String,
}

/// Borrowed: content is not copied on its way to the guest's memory. Not serialisable: a field holds text
/// that was not redacted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Reference(&'a str),
}

impl Content<'_> {
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Content::Text(text) | Content::Reference(text) => text.as_bytes(),
            Content::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    pub path: &'a str,
    pub key: Option<&'a str>,
    pub direction: &'static str,
    pub author: &'a str,
    pub tool_name: Option<&'a str>,
    pub media_type: &'a str,
    pub content: Content<'a>,
    pub before: &'a str,
    pub is_final: bool,
    pub carry: &'a [u8],
    pub ext: &'a [(String, String)],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub start: u32,
    pub end: u32,
    pub rule: String,
    pub confidence_permille: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldResult {
    pub spans: Vec<Span>,
    pub settled: u32,
    pub carry: Vec<u8>,
}

/// `ext` of a rule or field that has none.
pub const NO_EXT: Ext = Vec::new();
