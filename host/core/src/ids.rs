//! Identifiers. Each is checked once, where it enters; after that its type says that it is sound.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest run or specification id in bytes: it stands in URIs, file names and tables.
pub const ID_BYTES_MAX: usize = 64;

/// A text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad {what} `{given}`: want 1 to 64 of a-z, 0-9, `-`, `_`, `.`, beginning with a letter or digit")]
pub struct BadId {
    /// Which id.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub given: String,
}

fn check(what: &'static str, text: &str) -> Result<String, BadId> {
    let ok = text.len() <= ID_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    if ok { Ok(text.to_owned()) } else { Err(BadId { what, given: text.chars().take(80).collect() }) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                check($what, text).map($name)
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                check($what, &text).map($name)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// One run: a chain of events of its own.
    RunId, "run id"
);
id!(
    /// The specification a run works on.
    SpecId, "spec id"
);

impl RunId {
    /// A new id out of the moment and eight random bytes: `run-20261120-131500-3f9a1c20`. Sorts by time.
    pub fn new(at: crate::Timestamp, random: [u8; 4]) -> RunId {
        RunId(format!("run-{}-{}", at.compact(), crate::digest::to_hex(&random)))
    }
}

/// A policy snapshot's id: a version 4 UUID, new at each compile; the `hash` is what identifies content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyId(pub uuid::Uuid);

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for PolicyId {
    type Err = BadPolicyId;
    fn from_str(text: &str) -> Result<Self, BadPolicyId> {
        uuid::Uuid::try_parse(text).map(PolicyId).map_err(|_| BadPolicyId)
    }
}

/// A text that is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a policy id: want a UUID")]
pub struct BadPolicyId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_escape_a_path_or_a_uri() {
        for good in ["run-1", "a", "2026.1_x", &"a".repeat(64)] {
            assert_eq!(good.parse::<RunId>().map(|id| id.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "..", "-x", "a/b", "A", "a b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RunId>("\"../x\"").is_err());
    }
}
