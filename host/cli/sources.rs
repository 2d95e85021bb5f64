//! What a snapshot is compiled from: the authored files, and the bytes of the four plugins. Bytes are hashed and
//! held against their pins before anything looks into them.

use crate::failure::{Exit, Failure};
use crate::workspace::{LOCK_FILE, POLICY_FILE, REASONS_FILE, Workspace, read_text, read_text_if_there};
use sluice_core::{Digest, PluginKind};
use sluice_plugin::{Artifact, PluginEngine, PluginError};
use sluice_policy::{Authored, AuthoredPlugin, PluginFacts, PluginLock, PluginSource, Problem};
use std::error::Error;
use std::path::Path;

/// The authored files as they were read, once.
pub struct Sources {
    /// Text of the policy.
    pub text: String,
    /// Each authored file that a snapshot names, with its digest. The lock is not among them: what it says
    /// stands in the snapshot's plugin entries.
    pub digests: Vec<(String, Digest)>,
    /// `plugins.lock`, or an empty one.
    pub lock: PluginLock,
}

/// A plugin's bytes with what the policy says of it.
pub struct Fetched {
    /// Its kind.
    pub kind: PluginKind,
    /// The bytes.
    pub artifact: Artifact,
}

impl Sources {
    /// Reads the workspace's authored files.
    pub fn read(workspace: &Workspace) -> Result<Sources, Failure> {
        let text = read_text(&workspace.policy_file()).map_err(|failure| {
            failure.hint(format!("a workspace has a `{POLICY_FILE}`; `sluice demo` writes one to look at"))
        })?;
        let mut digests = vec![(POLICY_FILE.to_owned(), Digest::of(text.as_bytes()))];
        if let Some(reasons) = read_text_if_there(&workspace.root().join(REASONS_FILE))? {
            digests.push((REASONS_FILE.to_owned(), Digest::of(reasons.as_bytes())));
        }
        Ok(Sources { text, digests, lock: read_lock(workspace)? })
    }

    /// The same workspace under another policy text.
    pub fn put(&mut self, text: String) {
        let digest = Digest::of(text.as_bytes());
        for (_, old) in self.digests.iter_mut().filter(|(name, _)| name == POLICY_FILE) {
            *old = digest;
        }
        self.text = text;
    }

    /// The policy, checked with its lock.
    pub fn parse(&self) -> Result<Authored, Vec<Problem>> {
        sluice_policy::parse_with_lock(&self.text, &self.lock)
    }
}

/// `plugins.lock`; an empty one where there is no such file.
pub fn read_lock(workspace: &Workspace) -> Result<PluginLock, Failure> {
    match read_text_if_there(&workspace.lock_file())? {
        Some(text) => PluginLock::parse(&text).map_err(|problems| {
            Failure::problems(LOCK_FILE, &problems)
                .hint("`sluice plugin lock` writes it anew, once you looked at it")
        }),
        None => Ok(PluginLock::default()),
    }
}

/// A plugin's bytes from where the policy says they are.
pub fn fetch(workspace: &Workspace, source: &PluginSource) -> Result<Artifact, Failure> {
    match source {
        PluginSource::Bundled(name) => bundled(name),
        PluginSource::File(path) => Ok(Artifact::read(&workspace.inside(path)?)?),
    }
}

fn bundled(name: &str) -> Result<Artifact, Failure> {
    let Some(found) = sluice_bundled::find(name) else {
        let names: Vec<&str> = sluice_bundled::ALL.iter().map(|bundled| bundled.name).collect();
        return Err(Failure::no("no-such-plugin", format!("no plugin is bundled as `{name}`"))
            .hint(format!("one of {}", names.join(", "))));
    };
    Ok(Artifact::from_bytes(found.bytes)?)
}

/// The bytes of a plugin that a person names on the command line: `bundled:<name>` or a file anywhere.
pub fn fetch_named(name: &str, here: &Path) -> Result<Artifact, Failure> {
    match name.strip_prefix("bundled:") {
        Some(bundled_name) => bundled(bundled_name),
        None => Ok(Artifact::read(&here.join(name))?),
    }
}

/// The bytes of all four, each equal to its pin. Nothing is compiled here.
pub fn fetch_pinned(
    workspace: &Workspace,
    authored: &Authored,
    lock: &PluginLock,
) -> Result<Vec<Fetched>, Vec<Problem>> {
    let mut fetched = Vec::with_capacity(authored.plugins.len());
    let mut problems = Vec::new();
    for wanted in &authored.plugins {
        match fetch(workspace, &wanted.source) {
            Ok(artifact) => match pin_problem(wanted, lock, artifact.digest()) {
                Some(problem) => problems.push(problem),
                None => fetched.push(Fetched { kind: wanted.kind, artifact }),
            },
            Err(failure) => problems.push(as_problem(wanted, &failure)),
        }
    }
    if problems.is_empty() { Ok(fetched) } else { Err(problems) }
}

/// What is wrong with the bytes that were found, if anything. Both digests are told in full: whoever compares
/// them compares all of them.
fn pin_problem(wanted: &AuthoredPlugin, lock: &PluginLock, found: Digest) -> Option<Problem> {
    let pin = wanted.pin(lock)?;
    if pin == found {
        return None;
    }
    let (place, hint) = if wanted.sha256.is_some() {
        (
            POLICY_FILE,
            format!("if you reviewed the new bytes, write their digest to {}.sha256", wanted.path()),
        )
    } else {
        (
            LOCK_FILE,
            "if you reviewed the new bytes, `sluice plugin lock` pins them; if not, restore the old"
                .to_owned(),
        )
    };
    let message =
        format!("`{}` is not what is pinned in {place}: pinned {pin}, found {found}", wanted.source);
    Some(Problem::new(format!("{}.source", wanted.path()), message, hint))
}

fn as_problem(wanted: &AuthoredPlugin, failure: &Failure) -> Problem {
    let mut message = failure.message.clone();
    for cause in &failure.causes {
        message.push_str(": ");
        message.push_str(cause);
    }
    Problem::new(format!("{}.source", wanted.path()), message, failure.hint.clone().unwrap_or_default())
}

/// What the plugin room finds in the four.
pub fn facts(
    engine: &PluginEngine,
    authored: &Authored,
    fetched: &[Fetched],
) -> Result<Vec<PluginFacts>, Vec<Problem>> {
    let mut facts = Vec::with_capacity(fetched.len());
    let mut problems = Vec::new();
    for one in fetched {
        let Some(wanted) = authored.plugin(one.kind) else { continue };
        match facts_of(engine, wanted, &one.artifact) {
            Ok(found) => facts.push(found),
            Err(error) => {
                let failure = Failure::of(Exit::No, "plugin-refused", &error as &dyn Error);
                problems.push(as_problem(wanted, &failure.maybe_hint(error.hint())));
            }
        }
    }
    if problems.is_empty() { Ok(facts) } else { Err(problems) }
}

/// What the plugin room finds in one plugin that a policy asks for.
pub fn facts_of(
    engine: &PluginEngine,
    wanted: &AuthoredPlugin,
    artifact: &Artifact,
) -> Result<PluginFacts, PluginError> {
    let inspection = engine.inspect(artifact)?;
    let (pin, limits) = (artifact.digest(), wanted.limits);
    let mut rules = Vec::new();
    let description = match wanted.kind {
        PluginKind::Router => engine.load_router(artifact, pin, limits)?.description().clone(),
        PluginKind::Redactor => {
            let redactor = engine.load_redactor(artifact, pin, limits)?;
            rules = redactor.rules(&wanted.config.to_string())?.value;
            redactor.description().clone()
        }
        PluginKind::CaptureFilter => engine.load_capture_filter(artifact, pin, limits)?.description().clone(),
        PluginKind::HealthProbe => engine.load_health_probe(artifact, pin, limits)?.description().clone(),
    };
    Ok(PluginFacts {
        kind: inspection.kind,
        name: description.name,
        version: description.version,
        sha256: artifact.digest(),
        size: inspection.size,
        source: wanted.source.to_string(),
        world: inspection.world,
        config_schema: description.config_schema,
        rules,
    })
}
