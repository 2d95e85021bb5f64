//! Authored policy and the facts of four plugins to one snapshot, serialised once.

use crate::authored::{Authored, AuthoredPlugin, POLICY_BYTES_MAX};
use crate::config_schema::{self, Mismatch};
use crate::hash::content_hash;
use crate::load::{SNAPSHOT_BYTES_MAX, load};
use crate::lockfile::PluginLock;
use crate::problem::{Problem, shown};
use crate::snapshot::{PinnedPlugin, PolicySnapshot, SCHEMA_VERSION};
use sluice_core::contract::is_code;
use sluice_core::contract::redactor::Rule;
use sluice_core::{Digest, PluginKind, PolicyId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Most rules of a redactor, and longest title of one in bytes: they stand in the snapshot.
const RULES_MAX: usize = 4_096;
const TITLE_BYTES_MAX: usize = 240;

/// Severities that the contract knows.
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// Longest version, world and engine id in bytes.
const LABEL_BYTES_MAX: usize = 128;

/// Most authored files, and longest path of one in bytes.
const SOURCES_MAX: usize = 64;
const SOURCE_PATH_BYTES_MAX: usize = 240;

/// What the plugin room found in a component. Policy believes it: it is handed the same bytes' digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFacts {
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
    /// The authored source that these bytes were read from, as written.
    pub source: String,
    /// `sluicegate:plugin/<interface>@<contract version>`.
    pub world: String,
    /// JSON Schema of its configuration, as JSON text.
    pub config_schema: String,
    /// For a redactor: what it can find under this policy's configuration. Empty for the others.
    pub rules: Vec<Rule>,
}

impl PluginFacts {
    /// The contract's version, out of the world's name.
    pub fn contract(&self) -> Option<&str> {
        self.world.rsplit_once('@').map(|(_, version)| version)
    }
}

/// What a snapshot holds beside policy and plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileContext {
    /// The engine that plugins run under.
    pub engine_id: String,
    /// Authored files, relative to the workspace, each with the digest of its bytes.
    pub sources: Vec<(String, Digest)>,
    /// A new id.
    pub policy_id: PolicyId,
    /// Now.
    pub created_at: Timestamp,
    /// `plugins.lock`; [`PluginLock::default`] where there is none.
    pub lock: PluginLock,
}

/// A snapshot and its stored form. The bytes are the ones to store everywhere: they are never made twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What the policy says.
    pub snapshot: PolicySnapshot,
    /// Pretty JSON with a line end.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes`, for the events that bind them.
    pub bytes_digest: Digest,
}

/// Compiles. Every problem at once, and no snapshot where there is one.
pub fn compile(
    authored: &Authored,
    plugins: &[PluginFacts],
    context: &CompileContext,
) -> Result<Compiled, Vec<Problem>> {
    let mut problems = Vec::new();
    check_context(context, &mut problems);
    let mut pinned = Vec::with_capacity(authored.plugins.len());
    for wanted in &authored.plugins {
        let mut of_kind = plugins.iter().filter(|facts| facts.kind == wanted.kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(facts), None) => {
                check_plugin(wanted, facts, &context.lock, &mut problems);
                pinned.push(pin(wanted, facts));
            }
            (None, _) => problems.push(Problem::new(wanted.path(), "no plugin of this kind was loaded", "")),
            (Some(_), Some(_)) => {
                problems.push(Problem::new(wanted.path(), "two plugins of this kind were loaded", ""))
            }
        }
    }
    if !problems.is_empty() {
        problems.sort();
        return Err(problems);
    }
    seal(assemble(authored, pinned, context)).map_err(|problem| vec![problem])
}

fn assemble(authored: &Authored, plugins: Vec<PinnedPlugin>, context: &CompileContext) -> PolicySnapshot {
    let source_digests: BTreeMap<String, Digest> = context.sources.iter().cloned().collect();
    PolicySnapshot {
        schema_version: SCHEMA_VERSION.to_owned(),
        policy_id: context.policy_id,
        hash: Digest::ZERO,
        created_at: context.created_at,
        source_files: source_digests.keys().cloned().collect(),
        source_digests,
        model_config: authored.model_config.clone(),
        weights: authored.weights.clone(),
        prompts: authored.prompts.clone(),
        governance: authored.governance.clone(),
        engine_id: context.engine_id.clone(),
        plugins,
    }
}

/// Hashes, serialises once, and reads the bytes back as any later run will: what cannot be loaded must not
/// be stored.
fn seal(mut snapshot: PolicySnapshot) -> Result<Compiled, Problem> {
    let failed = |why: String| Problem::new("", format!("the snapshot cannot be stored: {why}"), "");
    snapshot.hash = content_hash(&snapshot).map_err(|error| failed(error.to_string()))?;
    let mut bytes = serde_json::to_vec_pretty(&snapshot).map_err(|error| failed(error.to_string()))?;
    bytes.push(b'\n');
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(failed(format!("it is larger than {SNAPSHOT_BYTES_MAX} bytes: {}", bytes.len())));
    }
    let loaded = load(&bytes).map_err(|error| failed(error.to_string()))?;
    if loaded.snapshot != snapshot {
        return Err(failed("it does not read back as it was written".to_owned()));
    }
    Ok(Compiled { snapshot, bytes, bytes_digest: loaded.bytes_digest })
}

fn check_context(context: &CompileContext, problems: &mut Vec<Problem>) {
    if !is_label(&context.engine_id) {
        problems.push(Problem::new("", "the engine has no usable id", ""));
    }
    let mut seen = BTreeSet::new();
    for (path, _) in &context.sources {
        let inside = path.split('/').all(|step| !matches!(step, "" | "." | ".."));
        if !inside || path.len() > SOURCE_PATH_BYTES_MAX || path.chars().any(char::is_control) {
            let message = format!("not a path inside the workspace: `{}`", shown(path));
            problems.push(Problem::new("", message, "authored files lie inside the workspace"));
        }
        if !seen.insert(path) {
            problems.push(Problem::new(
                "",
                format!("an authored file is named twice: `{}`", shown(path)),
                "",
            ));
        }
    }
    if context.sources.is_empty() || context.sources.len() > SOURCES_MAX {
        let message = format!("want 1 to {SOURCES_MAX} authored files: {}", context.sources.len());
        problems.push(Problem::new("", message, "the policy's own file is one of them"));
    }
}

fn is_label(text: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn check_plugin(
    wanted: &AuthoredPlugin,
    facts: &PluginFacts,
    lock: &PluginLock,
    problems: &mut Vec<Problem>,
) {
    let path = wanted.path();
    let mut problem = |key: &str, message: String, hint: &str| {
        let path = if key.is_empty() { path.clone() } else { format!("{path}.{key}") };
        problems.push(Problem::new(path, message, hint));
    };
    if facts.source != wanted.source.to_string() {
        let message = format!("loaded from `{}`, wanted from `{}`", shown(&facts.source), wanted.source);
        problem("source", message, "");
    }
    if !is_code(&facts.name) || !is_label(&facts.version) || !is_label(&facts.world) || facts.size == 0 {
        problem(
            "",
            "the plugin's description is not usable".to_owned(),
            "`sluice plugin inspect` shows what it says",
        );
    }
    if let Some(bad) = wanted.check_pin(lock) {
        problems.push(bad);
    } else if let Some(pin) = wanted.pin(lock)
        && pin != facts.sha256
    {
        let place = if wanted.sha256.is_some() { "the policy" } else { "plugins.lock" };
        problem(
            "source",
            format!(
                "the bytes are not the pinned ones: found {}, pinned in {place} as {}",
                facts.sha256.short(),
                pin.short()
            ),
            "if you reviewed the new bytes, pin them (`sluice plugin lock`); if not, restore the old ones",
        );
    }
    check_rules(wanted, facts, problems);
    check_config(wanted, facts, problems);
}

fn check_rules(wanted: &AuthoredPlugin, facts: &PluginFacts, problems: &mut Vec<Problem>) {
    let rules = &facts.rules;
    let mut ids = BTreeSet::new();
    let message = if wanted.kind != PluginKind::Redactor {
        (!rules.is_empty()).then(|| "only a redactor has rules".to_owned())
    } else if rules.is_empty() || rules.len() > RULES_MAX {
        Some(format!("a redactor has 1 to {RULES_MAX} rules, this one has {}", rules.len()))
    } else {
        rules.iter().find_map(|rule| {
            let sound = is_code(&rule.id)
                && rule.title.len() <= TITLE_BYTES_MAX
                && SEVERITIES.contains(&rule.severity.as_str())
                && ids.insert(rule.id.as_str());
            (!sound).then(|| format!("a rule is malformed or stands there twice: `{}`", shown(&rule.id)))
        })
    };
    if let Some(message) = message {
        problems.push(Problem::new(wanted.path(), message, "this is the plugin author's to mend"));
    }
}

fn check_config(wanted: &AuthoredPlugin, facts: &PluginFacts, problems: &mut Vec<Problem>) {
    let path = format!("{}.config", wanted.path());
    match config_schema::check(&facts.config_schema, &wanted.config) {
        Ok(()) => {}
        Err(Mismatch::Schema(why)) => problems.push(Problem::new(
            path,
            format!("the configuration cannot be checked: the plugin's schema is not usable: {why}"),
            "this is the plugin author's to mend",
        )),
        Err(Mismatch::Config(mistakes)) => {
            for (at, message) in mistakes {
                let path = if at.is_empty() { path.clone() } else { format!("{path}.{at}") };
                problems.push(Problem::new(
                    path,
                    message,
                    "`sluice plugin inspect` prints the plugin's schema",
                ));
            }
        }
    }
}

fn pin(wanted: &AuthoredPlugin, facts: &PluginFacts) -> PinnedPlugin {
    PinnedPlugin {
        kind: wanted.kind,
        name: facts.name.clone(),
        version: facts.version.clone(),
        sha256: facts.sha256,
        size: facts.size,
        source: facts.source.clone(),
        world: facts.world.clone(),
        config: wanted.config.clone(),
        limits: wanted.limits,
        rules: facts.rules.clone(),
    }
}

// A policy of the largest size, with every character escaped to six bytes, must still fit.
const _: () = assert!(SNAPSHOT_BYTES_MAX > POLICY_BYTES_MAX * 6);
