//! A gateway as the program puts it together, in this process: a capsule in a scratch folder, two model servers
//! on loopback ports, four plugins in the sandbox. A test says what is to be different.

use serde::de::DeserializeOwned;
use sluice_capsule::{CapsuleError, Reader, Writer};
use sluice_core::{Digest, Event, EventKind, PluginKind, PluginLimits, RunId, Secret, Timestamp};
use sluice_gateway::{CallRequest, Endpoints, Gateway, Parts, Run, RunOptions};
use sluice_governance::{Governor, KnownValues};
use sluice_loopback::{Loopback, Options, Rule};
use sluice_plugin::{Artifact, CodeCache, PluginEngine, PluginError};
use sluice_policy::snapshot::{PinnedPlugin, Provider};
use sluice_policy::{CompileContext, Loaded, PluginFacts, PluginLock};
use sluice_provider::{Client, Endpoint, KeyProblem};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// The demo's policy: three cloud models at one provider, a local one at another.
const POLICY: &str = include_str!("../docs/examples/demo-policy.toml");

pub const CLAUDE: &str = "claude-sonnet-4-20250514";
pub const GPT: &str = "gpt-4o";
pub const QWEN: &str = "qwen2.5-coder-7b-instruct";

/// A made-up token of a real form, checksum included. In parts, so that no scanner takes this file for a leak.
pub fn token() -> String {
    ["gh", "p_", "xTevxsqMxmRP", "mSj5TLsF3uOZ", "AvoMiI0LkNIM"].concat()
}

/// One engine for all tests, with compiled code kept: each plugin is compiled once.
pub fn engine() -> &'static PluginEngine {
    static ENGINE: OnceLock<(TempDir, PluginEngine)> = OnceLock::new();
    let (_, engine) = ENGINE.get_or_init(|| {
        let scratch = tempfile::tempdir().unwrap();
        let cache = CodeCache { dir: scratch.path().join("code"), key: [7; 32] };
        (scratch, PluginEngine::new(Some(cache)).unwrap())
    });
    engine
}

/// What the plugin room says of a component, as the command line asks it. Nothing is decided with it yet.
pub fn facts(kind: PluginKind, bytes: &'static [u8]) -> Result<PluginFacts, PluginError> {
    let artifact = Artifact::from_bytes(bytes)?;
    let (pin, limits) = (artifact.digest(), PluginLimits::default_for(kind));
    let engine = engine();
    let inspection = engine.inspect(&artifact)?;
    let mut rules = Vec::new();
    let description = match kind {
        PluginKind::Router => engine.load_router(&artifact, pin, limits)?.description().clone(),
        PluginKind::Redactor => {
            let redactor = engine.load_redactor(&artifact, pin, limits)?;
            rules = redactor.rules("{}")?.value;
            redactor.description().clone()
        }
        PluginKind::CaptureFilter => {
            engine.load_capture_filter(&artifact, pin, limits)?.description().clone()
        }
        PluginKind::HealthProbe => engine.load_health_probe(&artifact, pin, limits)?.description().clone(),
    };
    Ok(PluginFacts {
        kind,
        name: description.name,
        version: description.version,
        sha256: pin,
        size: inspection.size,
        source: format!("file:plugins/{kind}.wasm"),
        world: inspection.world,
        config_schema: description.config_schema,
        rules,
    })
}

/// What a test wants.
pub struct Setup {
    policy: String,
    plugins: BTreeMap<PluginKind, &'static [u8]>,
    known: Vec<String>,
    cloud: Vec<Rule>,
    local: Vec<Rule>,
    cloud_url: Option<String>,
    keyless: bool,
    verb: &'static str,
}

impl Setup {
    /// The demo's policy with the bundled plugins and two servers that behave; waits between attempts are short.
    pub fn new() -> Setup {
        let plugins = BTreeMap::from([
            (PluginKind::Router, sluice_bundled::ROUTER),
            (PluginKind::Redactor, sluice_bundled::REDACTOR),
            (PluginKind::CaptureFilter, sluice_bundled::CAPTURE_FILTER),
            (PluginKind::HealthProbe, sluice_bundled::HEALTH_PROBE),
        ]);
        let policy = POLICY.to_owned();
        let (known, cloud, local) = (Vec::new(), Vec::new(), Vec::new());
        Setup { policy, plugins, known, cloud, local, cloud_url: None, keyless: false, verb: "test" }
            .edit("restore = true\n", "")
            .edit("backoff_ms = 20", "backoff_ms = 1")
            .edit("backoff_ms_max = 200", "backoff_ms_max = 2")
    }

    /// Changes the policy's text; the piece must stand there exactly once.
    pub fn edit(mut self, from: &str, to: &str) -> Setup {
        assert_eq!(self.policy.matches(from).count(), 1, "the policy holds this once: {from}");
        self.policy = self.policy.replacen(from, to, 1);
        self
    }

    /// Callers get their own secrets back.
    pub fn restoring(self) -> Setup {
        self.edit("responses = true\n", "responses = true\nrestore = true\n")
    }

    /// Another plugin.
    pub fn plugin(mut self, kind: PluginKind, bytes: &'static [u8]) -> Setup {
        self.plugins.insert(kind, bytes);
        self
    }

    /// A value that the host knows to be secret.
    pub fn known(mut self, value: &str) -> Setup {
        self.known.push(value.to_owned());
        self
    }

    /// How the cloud's server is to misbehave.
    pub fn cloud(mut self, rule: Rule) -> Setup {
        self.cloud.push(rule);
        self
    }

    /// How the local server is to misbehave.
    pub fn local(mut self, rule: Rule) -> Setup {
        self.local.push(rule);
        self
    }

    /// Calls to the cloud go here.
    pub fn cloud_at(mut self, base_url: &str) -> Setup {
        self.cloud_url = Some(base_url.to_owned());
        self
    }

    /// The verb that begins the runs.
    pub fn verb(mut self, verb: &'static str) -> Setup {
        self.verb = verb;
        self
    }

    /// The cloud has no key.
    pub fn keyless(mut self) -> Setup {
        self.keyless = true;
        self
    }

    /// The policy compiled, with the plugins' pins in it.
    fn compile(&self) -> Loaded {
        let mut text = self.policy.clone();
        let mut all = Vec::new();
        for (kind, bytes) in &self.plugins {
            let facts = facts(*kind, bytes).unwrap_or_else(|error| panic!("{error}"));
            let source = format!("source = \"{}\"", facts.source);
            assert_eq!(text.matches(&source).count(), 1, "{source}");
            text = text.replace(&source, &format!("{source}\nsha256 = \"{}\"", facts.sha256));
            all.push(facts);
        }
        let told = |problems: Vec<sluice_policy::Problem>| -> String {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let authored = sluice_policy::parse(&text).map_err(told).unwrap();
        let context = CompileContext {
            engine_id: PluginEngine::engine_id(),
            sources: vec![("model_policy.toml".to_owned(), Digest::of(text.as_bytes()))],
            policy_id: "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse().unwrap(),
            created_at: "2026-11-20T13:15:00.007Z".parse().unwrap(),
            lock: PluginLock::default(),
        };
        let compiled = sluice_policy::compile(&authored, &all, &context).map_err(told).unwrap();
        sluice_policy::load(&compiled.bytes).unwrap()
    }

    /// Puts it together.
    pub async fn start(self) -> Rig {
        let policy = Arc::new(self.compile());
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        sluice_capsule::init(&state, "rig", &mut sluice_capsule::os_entropy).unwrap();
        let known: Vec<Secret> = self.known.iter().cloned().map(Secret::new).collect();
        let guard = Arc::new(KnownValues::new(&known).unwrap());
        let writer = Writer::open(&state, guard.clone(), "a test").unwrap();
        writer.put_policy(policy.snapshot.policy_id, policy.bytes.clone()).await.unwrap();
        for bytes in self.plugins.values() {
            writer.put_plugin(*bytes).await.unwrap();
        }
        let plugins = self.plugins.clone();
        let mut fetch =
            |pinned: &PinnedPlugin| -> Result<Artifact, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Artifact::from_bytes(plugins[&pinned.kind])?)
            };
        let governor = Governor::load(engine(), policy, &mut fetch).unwrap();
        let server = |models: &[&str], rules| Options {
            models: models.iter().map(|model| (*model).to_owned()).collect(),
            rules,
            ..Options::default()
        };
        let cloud = Loopback::start(server(&[CLAUDE, GPT, "gemini-2.0-flash"], self.cloud)).await.unwrap();
        let local = Loopback::start(server(&[QWEN], self.local)).await.unwrap();
        let cloud_url = self.cloud_url.unwrap_or_else(|| cloud.base_url());
        let places = Places { cloud: cloud_url, local: local.base_url(), keyless: self.keyless };
        let gateway = Gateway::new(Parts {
            governor,
            writer: writer.clone(),
            client: Client::new().unwrap(),
            endpoints: Arc::new(places),
            guard,
            clock: clock(),
            entropy: entropy(),
            verb: self.verb.to_owned(),
            version: "0.0.0".to_owned(),
            loopback: true,
        });
        Rig { dir, cloud, local, gateway, writer }
    }
}

/// A second passes with each look at it.
fn clock() -> sluice_gateway::Clock {
    let now = AtomicI64::new(1_795_180_000_000);
    Arc::new(move || Timestamp::from_millis(now.fetch_add(1_000, Ordering::Relaxed)))
}

/// Other bytes each time, the same in each test.
fn entropy() -> sluice_gateway::Entropy {
    let count = AtomicU8::new(1);
    Arc::new(move |bytes: &mut [u8]| bytes.fill(count.fetch_add(1, Ordering::Relaxed)))
}

struct Places {
    cloud: String,
    local: String,
    keyless: bool,
}

impl Endpoints for Places {
    fn endpoint(&self, name: &str, provider: &Provider) -> Result<Endpoint, KeyProblem> {
        if self.keyless && name == "cloud" {
            let variables = vec!["CLOUD_API_KEY".to_owned()];
            return Err(KeyProblem::Missing { provider: name.to_owned(), variables, file: None });
        }
        let base_url = if name == "cloud" { self.cloud.clone() } else { self.local.clone() };
        Ok(Endpoint { provider: name.to_owned(), dialect: provider.dialect, base_url, key: None })
    }
}

/// A gateway with everything around it.
pub struct Rig {
    dir: TempDir,
    pub cloud: Loopback,
    pub local: Loopback,
    pub gateway: Gateway,
    pub writer: Writer,
}

impl Rig {
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A new run.
    pub async fn run(&self) -> Run {
        self.gateway.start(RunOptions::default()).await.unwrap()
    }

    /// A second pair of eyes on the journal: it sees what is committed and nothing else.
    pub fn reader(&self) -> Reader {
        Reader::open(&self.state()).unwrap()
    }

    /// Everything recorded in a run, chain and signatures checked.
    pub fn events(&self, run: &RunId) -> Vec<Event> {
        self.reader().run_events(run).unwrap_or_else(|error: CapsuleError| panic!("{error}")).events
    }

    /// The payloads of one kind.
    pub fn recorded<T: DeserializeOwned>(&self, run: &RunId, kind: EventKind) -> Vec<T> {
        payloads(&self.events(run), kind)
    }

    /// Digest of the plugin in use.
    pub fn digest(&self, kind: PluginKind) -> Digest {
        self.gateway.parts().governor.policy().snapshot.plugin(kind).unwrap().sha256
    }

    /// Replays the run offline and wants every decision to come out the same; returns the report.
    pub fn prove(&self, run: &RunId) -> sluice_replay::Report {
        let patches = Some(sluice_pipeline::patch::outcomes as sluice_replay::PatchRule);
        let options = sluice_replay::Options { patches, ..sluice_replay::Options::default() };
        let report = sluice_replay::replay(&self.reader(), run, engine(), &options).unwrap();
        assert!(report.is_proof(), "{:#?}", report.mismatches);
        report
    }

    /// Whether `secret` left this process: any eight neighbouring bytes of it, in any request to any server.
    pub fn left(&self, secret: &str) -> bool {
        let received = self.cloud.received().into_iter().chain(self.local.received());
        received.into_iter().any(|request| secret.as_bytes().windows(8).any(|piece| request.contains(piece)))
    }

    /// Whether any eight neighbouring bytes of `secret` stand in any cell of the journal beside its blobs, which
    /// hold policy and plugins.
    pub fn stored(&self, secret: &str) -> bool {
        let pieces: Vec<&[u8]> = secret.as_bytes().windows(8).collect();
        let holds = |bytes: &[u8]| bytes.windows(8).any(|window| pieces.contains(&window));
        cells(&self.state().join("capsule/journal.db")).iter().any(|cell| holds(cell))
    }
}

/// Every value of every table but that of blobs.
fn cells(path: &std::path::Path) -> Vec<Vec<u8>> {
    use rusqlite::types::ValueRef;
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let mut found = Vec::new();
    for table in ["meta", "events", "names", "heads", "checkpoints", "seals"] {
        let mut query = journal.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get_ref(column).unwrap() {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => found.push(bytes.to_vec()),
                    _ => {}
                }
            }
        }
    }
    assert!(found.len() > 20, "a journal with events has cells");
    found
}

/// The payloads of one kind, in order.
pub fn payloads<T: DeserializeOwned>(events: &[Event], kind: EventKind) -> Vec<T> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind.map(|event| serde_json::from_value(event.payload.clone()).unwrap()).collect()
}

/// An architect's question: no local model may answer it.
pub fn question(prompt: &str) -> CallRequest {
    CallRequest::new(sluice_core::Role::Architect, sluice_core::Stage::Plan, prompt)
}

/// A small task for the implementer: a local model may do it.
pub fn small_task(prompt: &str) -> CallRequest {
    let request = CallRequest::new(sluice_core::Role::Implementer, sluice_core::Stage::Implement, prompt);
    CallRequest { bounded: true, output_tokens_max: Some(500), ..request }
}
