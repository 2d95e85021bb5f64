//! Snapshots: compiled once, stored twice (a file and the capsule), both copies verified at every load.

use crate::edge::Edge;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::sources::{self, Fetched, Sources};
use crate::workspace::{Workspace, private_folder, read_text_if_there, replace_file};
use sluice_capsule::{CapsuleError, Reader, WorkspaceKey, Writer};
use sluice_core::uri::Resource;
use sluice_core::{Digest, LogicalUri, PolicyId};
use sluice_plugin::{Artifact, CodeCache, PluginEngine};
use sluice_policy::load::Loaded;
use sluice_policy::{CompileContext, PluginSource, PolicySnapshot, Problem};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A snapshot in use, with the bytes of its plugins.
pub struct Standing {
    /// Verified.
    pub loaded: Arc<Loaded>,
    /// In the order of `PluginKind::ALL`.
    pub plugins: Vec<Fetched>,
    /// Compiled just now and not stored yet.
    pub is_new: bool,
}

impl Standing {
    /// The bytes of the plugin with this digest.
    pub fn artifact(&self, digest: Digest) -> Option<Artifact> {
        self.plugins.iter().find(|one| one.artifact.digest() == digest).map(|one| one.artifact.clone())
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &PolicySnapshot {
        &self.loaded.snapshot
    }
}

/// The engine, with the workspace's code cache where there is a workspace key to seal it with.
pub fn engine(workspace: &Workspace) -> Result<PluginEngine, Failure> {
    let cache = match WorkspaceKey::load(&workspace.state()) {
        // On a disk that cannot be written, as an auditor's may be, there is no cache and all else works.
        Ok(key) if private_folder(&workspace.cache()).is_ok() => {
            Some(CodeCache { dir: workspace.cache(), key: key.derive("sluice/code-cache/v1") })
        }
        // Whoever needs the key will say what is wrong with it; code can be compiled without.
        _ => None,
    };
    Ok(PluginEngine::new(cache)?)
}

/// Makes the capsule where there is none, if `before` lets it.
pub fn ensure_capsule(
    edge: &Edge,
    workspace: &Workspace,
    printer: &Printer,
    before: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    match Reader::open(&workspace.state()) {
        Ok(_) => Ok(()),
        Err(CapsuleError::NotInitialised(_)) => {
            before()?;
            init_capsule(edge, workspace, &workspace.name())?;
            printer.say(format!("capsule made: {}", workspace.state().join("capsule").display()));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the capsule.
pub fn init_capsule(edge: &Edge, workspace: &Workspace, name: &str) -> Result<(), Failure> {
    private_folder(&workspace.state())?;
    let mut entropy = |bytes: &mut [u8]| {
        (edge.entropy)(bytes);
        Ok(())
    };
    sluice_capsule::init(&workspace.state(), name, &mut entropy)?;
    Ok(())
}

/// Compiles the workspace's policy in memory. Nothing is written.
pub fn draft(edge: &Edge, workspace: &Workspace, engine: &PluginEngine) -> Result<Standing, Failure> {
    let sources = Sources::read(workspace)?;
    compile(edge, workspace, engine, &sources).map_err(|problems| {
        let what = workspace.policy_file();
        Failure::problems(&format!("`{}` does not compile", what.display()), &problems)
    })
}

/// The same, with the problems as they are.
pub fn compile(
    edge: &Edge,
    workspace: &Workspace,
    engine: &PluginEngine,
    sources: &Sources,
) -> Result<Standing, Vec<Problem>> {
    let authored = sources.parse()?;
    let plugins = sources::fetch_pinned(workspace, &authored, &sources.lock)?;
    let facts = sources::facts(engine, &authored, &plugins)?;
    let context = CompileContext {
        engine_id: PluginEngine::engine_id(),
        sources: sources.digests.clone(),
        policy_id: edge.policy_id(),
        created_at: edge.now(),
        lock: sources.lock.clone(),
    };
    let compiled = sluice_policy::compile(&authored, &facts, &context)?;
    let loaded =
        Loaded { snapshot: compiled.snapshot, bytes: compiled.bytes, bytes_digest: compiled.bytes_digest };
    Ok(Standing { loaded: Arc::new(loaded), plugins, is_new: true })
}

/// The current snapshot where it still is what the sources say, else a new one, not stored yet.
pub fn current_or_draft(
    edge: &Edge,
    workspace: &Workspace,
    engine: &PluginEngine,
    printer: &Printer,
) -> Result<Standing, Failure> {
    let Some(id) = Store::new(workspace).current()? else { return draft(edge, workspace, engine) };
    let loaded = Store::new(workspace).load(id)?;
    match fresh(workspace, &loaded.snapshot)? {
        Some(plugins) => Ok(Standing { loaded: Arc::new(loaded), plugins, is_new: false }),
        None => {
            let standing = draft(edge, workspace, engine)?;
            if standing.snapshot().hash == loaded.snapshot.hash {
                return Ok(Standing { loaded: Arc::new(loaded), plugins: standing.plugins, is_new: false });
            }
            printer.say("the policy or its plugins changed since they were last compiled: compiling anew");
            Ok(standing)
        }
    }
}

/// The plugins of `snapshot`, if nothing that it was compiled from has changed since.
fn fresh(workspace: &Workspace, snapshot: &PolicySnapshot) -> Result<Option<Vec<Fetched>>, Failure> {
    let sources = Sources::read(workspace)?;
    let same_files = sources.digests.iter().cloned().collect::<std::collections::BTreeMap<_, _>>();
    if same_files != snapshot.source_digests || snapshot.engine_id != PluginEngine::engine_id() {
        return Ok(None);
    }
    let mut plugins = Vec::with_capacity(snapshot.plugins.len());
    for pinned in &snapshot.plugins {
        let Ok(source) = pinned.source.parse::<PluginSource>() else { return Ok(None) };
        let Ok(artifact) = sources::fetch(workspace, &source) else { return Ok(None) };
        let locked = sources.lock.pin(pinned.kind, &pinned.source);
        if artifact.digest() != pinned.sha256 || locked.is_some_and(|locked| locked != pinned.sha256) {
            return Ok(None);
        }
        plugins.push(Fetched { kind: pinned.kind, artifact });
    }
    Ok(Some(plugins))
}

/// The folder of snapshots and its capsule counterpart.
pub struct Store<'a> {
    workspace: &'a Workspace,
}

impl<'a> Store<'a> {
    /// The workspace's.
    pub fn new(workspace: &'a Workspace) -> Store<'a> {
        Store { workspace }
    }

    /// The file of a snapshot.
    pub fn path(&self, id: PolicyId) -> PathBuf {
        self.workspace.policies().join(format!("snapshot-{id}.json"))
    }

    fn current_path(&self) -> PathBuf {
        self.workspace.policies().join("current")
    }

    /// Which snapshot is in use.
    pub fn current(&self) -> Result<Option<PolicyId>, Failure> {
        let Some(text) = read_text_if_there(&self.current_path())? else { return Ok(None) };
        let bad = |_| {
            Failure::no("snapshot-refused", format!("`{}` holds no policy id", self.current_path().display()))
                .hint("remove the file, then run `sluice policy compile`")
        };
        text.trim_end().parse().map(Some).map_err(bad)
    }

    /// The current snapshot, verified; an error where nothing was compiled yet.
    pub fn load_current(&self) -> Result<Loaded, Failure> {
        match self.current()? {
            Some(id) => self.load(id),
            None => {
                Err(Failure::no("no-snapshot", "nothing was compiled here yet")
                    .hint("`sluice policy compile`"))
            }
        }
    }

    /// Every stored id, oldest file name first.
    pub fn ids(&self) -> Result<Vec<PolicyId>, Failure> {
        let folder = self.workspace.policies();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::file("list", &folder, &error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| Failure::file("list", &folder, &error))?.file_name();
            let id: Option<PolicyId> = name
                .to_str()
                .and_then(|name| name.strip_prefix("snapshot-")?.strip_suffix(".json")?.parse().ok());
            ids.extend(id);
        }
        ids.sort();
        Ok(ids)
    }

    /// The id that a person means: `current`, a whole id, or the beginning of one.
    pub fn find(&self, wanted: &str) -> Result<PolicyId, Failure> {
        if wanted == "current" {
            return self.current()?.ok_or_else(|| {
                Failure::no("no-snapshot", "nothing was compiled here yet").hint("`sluice policy compile`")
            });
        }
        let found: Vec<PolicyId> =
            self.ids()?.into_iter().filter(|id| id.to_string().starts_with(wanted)).collect();
        match found.as_slice() {
            [one] if !wanted.is_empty() => Ok(*one),
            [] => Err(Failure::no("no-snapshot", format!("no snapshot `{wanted}`"))
                .hint("`sluice policy list` shows those that there are")),
            _ => Err(Failure::no("ambiguous", format!("{} snapshots begin with `{wanted}`", found.len()))
                .hint("give more of the id")),
        }
    }

    /// A snapshot from its file, held against the capsule's copy: so that no field can be edited, also none
    /// that the hash leaves out.
    pub fn load(&self, id: PolicyId) -> Result<Loaded, Failure> {
        let path = self.path(id);
        let reader = Reader::open(&self.workspace.state())?;
        let uri = LogicalUri::new(reader.workspace(), Resource::Policy(id));
        let refuse = |message: String| {
            Failure::no("snapshot-refused", message).with("uri", serde_json::json!(uri)).hint(format!(
                "nothing uses it any more: bring back what was compiled with `sluice capsule resolve-uri {uri} \
                 --out {}`, or run `sluice policy compile` for a new snapshot",
                path.display()
            ))
        };
        let text = read_text_if_there(&path)?
            .ok_or_else(|| refuse(format!("the snapshot has no file: `{}`", path.display())))?;
        let loaded = sluice_policy::load(text.as_bytes()).map_err(|error| {
            refuse(format!("the snapshot `{}` is refused", path.display())).because(&error)
        })?;
        let kept = reader.resolve(&uri)?;
        if kept.bytes[..] != loaded.bytes[..] || loaded.snapshot.policy_id != id {
            let failure = refuse(format!("the snapshot `{}` is not what was compiled", path.display()));
            return Err(failure.because(&std::io::Error::other(format!("its bytes differ from `{uri}`"))));
        }
        Ok(loaded)
    }

    /// Stores a new snapshot: the same bytes into the capsule and onto disk, and only then makes it current.
    pub fn save(&self, standing: &Standing, writer: &Writer) -> Result<LogicalUri, Failure> {
        for one in &standing.plugins {
            writer.put_plugin(one.artifact.bytes()).wait()?;
        }
        let (id, bytes) = (standing.snapshot().policy_id, &standing.loaded.bytes);
        let uri = writer.put_policy(id, bytes.clone()).wait()?;
        private_folder(&self.workspace.policies())?;
        replace_file(&self.path(id), bytes, 0o600)?;
        // Before anything names it: both copies read back as what was compiled.
        let again = self.load(id)?;
        if again.bytes_digest != standing.loaded.bytes_digest {
            return Err(Failure::no(
                "snapshot-refused",
                format!("`{}` changed while it was stored", self.path(id).display()),
            ));
        }
        self.make_current(id)?;
        Ok(uri)
    }

    fn make_current(&self, id: PolicyId) -> Result<(), Failure> {
        replace_file(&self.current_path(), format!("{id}\n").as_bytes(), 0o600)
    }
}
