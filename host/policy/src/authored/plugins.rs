//! `plugins.<kind>`: which component answers, under which pin, configuration and limits.

use crate::cursor::Cursor;
use crate::lockfile::PluginLock;
use crate::node::Node;
use crate::problem::{Problem, shown};
use serde_json::Value;
use sluice_core::contract::is_code;
use sluice_core::{Digest, PluginKind, PluginLimits};
use std::fmt;
use std::str::FromStr;

/// Longest source in bytes.
const SOURCE_BYTES_MAX: usize = 240;

/// Longest text in a configuration, and the whole of it as JSON, in bytes: it crosses into the sandbox with
/// every call.
const CONFIG_TEXT_BYTES_MAX: usize = 16 << 10;
const CONFIG_BYTES_MAX: usize = 64 << 10;

/// Largest limits that a policy may give. Fuel: about ten minutes of one core. The rest: what one call may
/// cost a machine that serves many.
const FUEL_BASE_MAX: u64 = 1_000_000_000_000;
const FUEL_PER_BYTE_MAX: u64 = 10_000_000;
const MEMORY_BYTES_MIN: u64 = 64 << 10;
const MEMORY_BYTES_MAX: u64 = 1 << 30;
const TRANSFER_BYTES_MAX: u64 = 64 << 20;
const TRANSFER_PER_BYTE_MAX: u64 = 64;
const DEADLINE_MS_MAX: u64 = 60_000;

/// Where a plugin's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginSource {
    /// One of the plugins built with this program.
    Bundled(String),
    /// A file, by its path relative to the workspace.
    File(String),
}

impl fmt::Display for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginSource::Bundled(name) => write!(f, "bundled:{name}"),
            PluginSource::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// A text that is not a plugin's source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a plugin source: {0}")]
pub struct BadSource(&'static str);

impl FromStr for PluginSource {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        if text.len() > SOURCE_BYTES_MAX {
            return Err(BadSource("it is longer than 240 bytes"));
        }
        match text.split_once(':') {
            Some(("bundled", name)) if is_code(name) => Ok(PluginSource::Bundled(name.to_owned())),
            Some(("bundled", _)) => Err(BadSource("the name after `bundled:` is not kebab-case")),
            Some(("file", path)) => {
                let steps_ok = path.split('/').all(|step| !matches!(step, "" | "." | ".."));
                let plain = !path.chars().any(|c| c.is_control() || matches!(c, '\\' | ':' | '"'));
                if steps_ok && plain {
                    Ok(PluginSource::File(path.to_owned()))
                } else {
                    Err(BadSource("the path after `file:` does not stay inside the workspace"))
                }
            }
            _ => Err(BadSource("it begins with neither `bundled:` nor `file:`")),
        }
    }
}

/// A plugin as the policy asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthoredPlugin {
    /// Its kind.
    pub kind: PluginKind,
    /// Where its bytes come from.
    pub source: PluginSource,
    /// The pin in the policy itself, where there is one.
    pub sha256: Option<Digest>,
    /// Its configuration; `{}` where the policy gives none.
    pub config: Value,
    /// Limits of each call: the defaults of its kind with the policy's changes.
    pub limits: PluginLimits,
}

impl AuthoredPlugin {
    /// The path of its section: `plugins.capture_filter`.
    pub fn path(&self) -> String {
        format!("plugins.{}", section_name(self.kind))
    }

    /// The pin that its bytes must have: the policy's own, else the lock's.
    pub fn pin(&self, lock: &PluginLock) -> Option<Digest> {
        self.sha256.or_else(|| lock.pin(self.kind, &self.source.to_string()))
    }

    /// What is wrong with its pins, if anything.
    pub(crate) fn check_pin(&self, lock: &PluginLock) -> Option<Problem> {
        let locked = lock.pin(self.kind, &self.source.to_string());
        match (self.sha256, locked) {
            (Some(own), Some(locked)) if own != locked => Some(Problem::new(
                format!("{}.sha256", self.path()),
                format!("pinned as {} here and as {} in plugins.lock", own.short(), locked.short()),
                "one of them is older than the file: `sluice plugin lock` rewrites the lock, the policy is yours",
            )),
            (None, None) if matches!(self.source, PluginSource::File(_)) => Some(Problem::new(
                format!("{}.source", self.path()),
                "a plugin from a file has no pin: its bytes could change unseen",
                "run `sluice plugin lock`, or add `sha256 = \"…\"`",
            )),
            _ => None,
        }
    }
}

/// The key of a kind under `[plugins]`.
pub(crate) const fn section_name(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Router => "router",
        PluginKind::Redactor => "redactor",
        PluginKind::CaptureFilter => "capture_filter",
        PluginKind::HealthProbe => "health_probe",
    }
}

pub(super) fn read(table: &Cursor<'_, '_>) -> Vec<AuthoredPlugin> {
    PluginKind::ALL.iter().map(|kind| plugin(*kind, &table.section(section_name(*kind)))).collect()
}

fn plugin(kind: PluginKind, table: &Cursor<'_, '_>) -> AuthoredPlugin {
    let source = table.need("source").and_then(|node| source(&node));
    AuthoredPlugin {
        kind,
        source: source.unwrap_or_else(|| PluginSource::Bundled(kind.code().to_owned())),
        sha256: table.maybe("sha256").and_then(|node| digest(&node)),
        config: table.maybe("config").map_or_else(empty, |node| config(&node)),
        limits: limits(kind, table.optional_section("limits")),
    }
}

fn source(node: &Node<'_, '_>) -> Option<PluginSource> {
    let text = node.text(SOURCE_BYTES_MAX)?;
    text.parse()
        .map_err(|error: BadSource| {
            node.problem(
                format!("{error}: `{}`", shown(text)),
                "want \"bundled:<name>\", or \"file:<path>\" relative to the workspace",
            );
        })
        .ok()
}

pub(crate) fn digest(node: &Node<'_, '_>) -> Option<Digest> {
    let text = node.text(128)?;
    let digest = text.parse().ok();
    if digest.is_none() {
        node.problem(
            "not a sha256 digest",
            "want 64 lower-case hex digits: `sluice plugin inspect FILE` prints them",
        );
    }
    digest
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

fn config(node: &Node<'_, '_>) -> Value {
    if node.table().entries().is_empty() {
        return empty();
    }
    let value = node.json(CONFIG_TEXT_BYTES_MAX).unwrap_or_else(empty);
    let bytes = value.to_string().len();
    if bytes > CONFIG_BYTES_MAX {
        node.problem(
            format!("the configuration is longer than {CONFIG_BYTES_MAX} bytes as JSON: {bytes}"),
            "shorten it",
        );
    }
    value
}

fn limits(kind: PluginKind, table: Option<Cursor<'_, '_>>) -> PluginLimits {
    let mut limits = PluginLimits::default_for(kind);
    let Some(table) = table else { return limits };
    let set = |key: &'static str, value: &mut u64, min: u64, max: u64| {
        *value = table.maybe(key).and_then(|node| node.whole(min..=max)).unwrap_or(*value);
    };
    set("fuel_base", &mut limits.fuel_base, 1, FUEL_BASE_MAX);
    set("fuel_per_input_byte", &mut limits.fuel_per_input_byte, 0, FUEL_PER_BYTE_MAX);
    set("memory_bytes_max", &mut limits.memory_bytes_max, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX);
    set("transfer_bytes_base", &mut limits.transfer_bytes_base, 1, TRANSFER_BYTES_MAX);
    set("transfer_bytes_per_input_byte", &mut limits.transfer_bytes_per_input_byte, 0, TRANSFER_PER_BYTE_MAX);
    set("deadline_ms", &mut limits.deadline_ms, 1, DEADLINE_MS_MAX);
    limits
}
