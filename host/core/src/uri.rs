//! Logical URIs: `mv2://<workspace>/<path>`. Immutable names for what the capsule holds; where a thing lies
//! (journal row, sealed frame) may change, its URI never does.

use crate::{Digest, PolicyId, RunId, Stage};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a URI names inside its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `policy/<id>`: the stored bytes of a snapshot.
    Policy(PolicyId),
    /// `event/<run>/<seq>`: one event of a run; `seq` counts from 1 in each run.
    Event(RunId, u64),
    /// `artifact/<run>/<stage>/<name>`: what a stage produced.
    Artifact(RunId, Stage, String),
    /// `blob/sha256/<hex>`: bytes by digest.
    Blob(Digest),
    /// `plugin/sha256/<hex>`: a component's bytes.
    Plugin(Digest),
    /// `checkpoint/<id>`: a signed checkpoint.
    Checkpoint(String),
    /// `report/<run>/<n>`: the n-th replay report of a run.
    Report(RunId, u64),
}

/// A parsed `mv2://` URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogicalUri {
    /// The workspace's name: the same rule as for ids.
    pub workspace: String,
    /// What is named.
    pub resource: Resource,
}

/// A text that is not a logical URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a logical URI: `{0}`; want mv2://<workspace>/{{policy/<id>, event/<run>/<seq>, \
     artifact/<run>/<stage>/<name>, blob/sha256/<hex>, plugin/sha256/<hex>, checkpoint/<id>, report/<run>/<n>}}"
)]
pub struct BadUri(String);

/// Longest artefact name in bytes.
const NAME_BYTES_MAX: usize = 128;

fn name_ok(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Digits without sign or leading zero: one number has one spelling.
fn number(text: &str) -> Option<u64> {
    let n: u64 = text.parse().ok()?;
    (n.to_string() == text).then_some(n)
}

impl LogicalUri {
    /// Names `resource` in `workspace`.
    pub fn new(workspace: &str, resource: Resource) -> LogicalUri {
        LogicalUri { workspace: workspace.to_owned(), resource }
    }

    fn parse(text: &str) -> Option<LogicalUri> {
        let rest = text.strip_prefix("mv2://")?;
        let mut parts = rest.split('/');
        let workspace = parts.next()?;
        workspace.parse::<RunId>().ok()?;
        let parts: Vec<&str> = parts.collect();
        let resource = match parts.as_slice() {
            ["policy", id] => Resource::Policy(id.parse().ok()?),
            ["event", run, seq] => Resource::Event(run.parse().ok()?, number(seq)?),
            ["artifact", run, stage, name] if name_ok(name) => {
                Resource::Artifact(run.parse().ok()?, stage.parse().ok()?, (*name).to_owned())
            }
            ["blob", "sha256", hex] => Resource::Blob(hex.parse().ok()?),
            ["plugin", "sha256", hex] => Resource::Plugin(hex.parse().ok()?),
            ["checkpoint", id] if name_ok(id) => Resource::Checkpoint((*id).to_owned()),
            ["report", run, n] => Resource::Report(run.parse().ok()?, number(n)?),
            _ => return None,
        };
        let uri = LogicalUri::new(workspace, resource);
        // One thing has one spelling: an upper-case UUID, say, is refused.
        (uri.to_string() == text).then_some(uri)
    }
}

impl fmt::Display for LogicalUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mv2://{}/", self.workspace)?;
        match &self.resource {
            Resource::Policy(id) => write!(f, "policy/{id}"),
            Resource::Event(run, seq) => write!(f, "event/{run}/{seq}"),
            Resource::Artifact(run, stage, name) => write!(f, "artifact/{run}/{stage}/{name}"),
            Resource::Blob(digest) => write!(f, "blob/sha256/{digest}"),
            Resource::Plugin(digest) => write!(f, "plugin/sha256/{digest}"),
            Resource::Checkpoint(id) => write!(f, "checkpoint/{id}"),
            Resource::Report(run, n) => write!(f, "report/{run}/{n}"),
        }
    }
}

impl FromStr for LogicalUri {
    type Err = BadUri;
    fn from_str(text: &str) -> Result<Self, BadUri> {
        LogicalUri::parse(text).ok_or_else(|| BadUri(text.chars().take(200).collect()))
    }
}

impl TryFrom<String> for LogicalUri {
    type Error = BadUri;
    fn try_from(text: String) -> Result<Self, BadUri> {
        text.parse()
    }
}

impl From<LogicalUri> for String {
    fn from(uri: LogicalUri) -> String {
        uri.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_and_every_near_miss_is_refused() {
        let hex = Digest::of(b"x").to_hex();
        let good = [
            "mv2://ws/policy/6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".to_owned(),
            "mv2://ws/event/run-1/7".to_owned(),
            "mv2://ws/artifact/run-1/plan/plan.md".to_owned(),
            format!("mv2://ws/blob/sha256/{hex}"),
            format!("mv2://ws/plugin/sha256/{hex}"),
            "mv2://ws/checkpoint/cp-1".to_owned(),
            "mv2://ws/report/run-1/1".to_owned(),
        ];
        for text in &good {
            assert_eq!(text.parse::<LogicalUri>().unwrap().to_string(), *text);
        }
        for bad in [
            "",
            "mv2://",
            "mv2://ws",
            "mv2://ws/",
            "http://ws/event/r/1",
            "mv2://ws/event/run-1/07",
            "mv2://ws/event/run-1/-1",
            "mv2://ws/event/run-1",
            "mv2://ws/artifact/run-1/plan/../x",
            "mv2://ws/artifact/run-1/plan/.env",
            "mv2://ws/artifact/run-1/lunch/x",
            "mv2://WS/event/run-1/1",
            "mv2://ws/blob/sha256/abc",
            "mv2://ws/policy/6F2C1E0E-7F0B-4C57-9D5E-0F4F3F0A9B11",
        ] {
            assert!(bad.parse::<LogicalUri>().is_err(), "{bad}");
        }
    }
}
