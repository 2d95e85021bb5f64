//! A policy that is right, the facts of four plugins, and the context of a compile. Each test breaks one.

use sluice_core::contract::redactor::Rule;
use sluice_core::{Digest, PluginKind, Timestamp};
use sluice_policy::{Authored, CompileContext, Compiled, PluginFacts, PluginLock, compile, parse};
use std::path::{Path, PathBuf};

/// The default policy of the repository.
pub const DEFAULT: &str = include_str!("../../../../model_policy.toml");

/// A schema with one setting of each kind that the tests use.
pub const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
    "mode":{"enum":["fast","safe"]},"limit":{"type":"integer","minimum":1,"maximum":10},
    "paths":{"type":"array","items":{"type":"string"}}}}"#;

pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

pub fn authored(text: &str) -> Authored {
    parse(text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// What the plugin room would say of the bundled plugins.
pub fn facts() -> Vec<PluginFacts> {
    PluginKind::ALL.iter().map(|kind| facts_of(*kind, b"bytes")).collect()
}

pub fn facts_of(kind: PluginKind, bytes: &[u8]) -> PluginFacts {
    let interface = match kind {
        PluginKind::Router => "routing",
        PluginKind::Redactor => "redaction",
        PluginKind::CaptureFilter => "filtering",
        PluginKind::HealthProbe => "probing",
    };
    let rule = Rule { id: "aws-key".into(), title: "AWS access key".into(), severity: "high".into() };
    PluginFacts {
        kind,
        name: kind.code().to_owned(),
        version: "0.1.0".to_owned(),
        sha256: Digest::of_parts(&[kind.code().as_bytes(), bytes]),
        size: 1000,
        source: format!("bundled:{kind}"),
        world: format!("sluicegate:plugin/{interface}@0.1.0"),
        config_schema: SCHEMA.to_owned(),
        rules: if kind == PluginKind::Redactor { vec![rule] } else { Vec::new() },
    }
}

pub fn context() -> CompileContext {
    CompileContext {
        engine_id: "wasmtime-48.0.8/cranelift-speed".to_owned(),
        sources: vec![
            ("model_policy.toml".to_owned(), Digest::of(b"toml")),
            ("docs/MODEL-POLICY.md".to_owned(), Digest::of(b"why")),
        ],
        policy_id: "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse().unwrap(),
        created_at: "2026-11-20T13:15:00.007Z".parse().unwrap(),
        lock: PluginLock::default(),
    }
}

pub fn today() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub fn compiled() -> Compiled {
    compile(&authored(DEFAULT), &facts(), &context()).unwrap()
}

/// The default policy without comments and empty lines: tests change it by its text, and a reworded comment
/// is nothing to them.
pub fn bare() -> String {
    let lines = DEFAULT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The default policy with one piece of text changed; the piece must be there exactly once.
pub fn edited(from: &str, to: &str) -> String {
    replaced(&bare(), from, to)
}

pub fn replaced(policy: &str, from: &str, to: &str) -> String {
    assert_eq!(policy.matches(from).count(), 1, "the policy holds this once: {from}");
    policy.replacen(from, to, 1)
}
