//! What the benches stand on: facts for a router, and a whole gateway against the loopback server.

use sluice_capsule::Writer;
use sluice_core::contract::router::{Bakeoff, Candidate, Health, RouteFacts, UnitPrice};
use sluice_core::{Digest, PluginKind, PluginLimits, PolicyId, Timestamp};
use sluice_gateway::{Endpoints, Gateway, Parts};
use sluice_governance::{Governor, KnownValues};
use sluice_plugin::{Artifact, PluginEngine};
use sluice_policy::snapshot::{PinnedPlugin, Provider};
use sluice_policy::{CompileContext, Loaded, PluginFacts};
use sluice_provider::{Client, Endpoint, KeyProblem};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// The repository's own policy.
const POLICY: &str = include_str!("../../model_policy.toml");

/// Only the owner may look into the code cache.
pub fn private(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Loads one plugin of any kind.
pub fn load(engine: &PluginEngine, kind: PluginKind, artifact: &Artifact) {
    let (pin, limits) = (artifact.digest(), PluginLimits::default_for(kind));
    match kind {
        PluginKind::Router => drop(engine.load_router(artifact, pin, limits).unwrap()),
        PluginKind::Redactor => drop(engine.load_redactor(artifact, pin, limits).unwrap()),
        PluginKind::CaptureFilter => drop(engine.load_capture_filter(artifact, pin, limits).unwrap()),
        PluginKind::HealthProbe => drop(engine.load_health_probe(artifact, pin, limits).unwrap()),
    }
}

/// Facts and six candidates, as a call of the implementer has them.
pub fn routing() -> (RouteFacts, Vec<Candidate>) {
    let facts = RouteFacts {
        run_id: "run-20261120-131500-3f9a1c20".into(),
        spec_id: Some("link-shortener".into()),
        session_id: None,
        role: "implementer".into(),
        stage: "implement".into(),
        operation: "chat".into(),
        mode_asked: "auto".into(),
        attempt: 1,
        earlier: Vec::new(),
        risk: "normal".into(),
        input_tokens: 1200,
        output_tokens_max: 4000,
        needs: Default::default(),
        suitability: Default::default(),
        reflex: Default::default(),
        budget: Default::default(),
        load: Default::default(),
        tags: vec![("team".into(), "links".into()), ("tier".into(), "gold".into())],
        now_ms: 1_795_180_500_007,
        seed: 42,
        ext: Vec::new(),
    };
    let candidate = |n: u64| Candidate {
        id: format!("provider-{n}/model-{n}"),
        provider: format!("provider-{n}"),
        model: format!("model-{n}"),
        mode: if n == 5 { "reflex" } else { "cloud" }.into(),
        prices: vec![
            UnitPrice { unit: "input-token".into(), micro_usd_per_million: 1_000_000 + n },
            UnitPrice { unit: "output-token".into(), micro_usd_per_million: 5_000_000 + n },
        ],
        context_tokens: Some(128_000),
        capabilities: ["schema", "streaming", "tools"].map(str::to_owned).to_vec(),
        health: Health { state: "healthy".into(), reason: "answers".into(), checked_at_ms: Some(1) },
        bakeoff: Some(Bakeoff { samples: 50, p95_ms: 900, parity_permille: 910, schema_permille: 1000 }),
        ext: Vec::new(),
    };
    (facts, (0..6).map(candidate).collect())
}

/// Every provider is the loopback server.
struct Stand(String);

impl Endpoints for Stand {
    fn endpoint(&self, name: &str, provider: &Provider) -> Result<Endpoint, KeyProblem> {
        Ok(Endpoint { provider: name.into(), dialect: provider.dialect, base_url: self.0.clone(), key: None })
    }
}

/// A gateway with everything real but the model.
pub fn gateway(state: &Path, base_url: String) -> (Gateway, Writer) {
    let engine = PluginEngine::new(None).unwrap();
    let (policy, artifacts) = policy(&engine);
    let guard = Arc::new(KnownValues::new(&[]).unwrap());
    sluice_capsule::init(state, "bench", &mut sluice_capsule::os_entropy).unwrap();
    let writer = Writer::open(state, guard.clone(), "bench").unwrap();
    writer.put_policy(policy.snapshot.policy_id, policy.bytes.clone()).wait().unwrap();
    for artifact in &artifacts {
        writer.put_plugin(artifact.bytes().to_vec()).wait().unwrap();
    }
    let mut fetch = |pinned: &PinnedPlugin| {
        Ok(artifacts.iter().find(|artifact| artifact.digest() == pinned.sha256).unwrap().clone())
    };
    let governor = Governor::load(&engine, Arc::new(policy), &mut fetch).unwrap();
    let parts = Parts {
        governor,
        writer: writer.clone(),
        client: Client::new().unwrap(),
        endpoints: Arc::new(Stand(base_url)),
        guard,
        clock: Arc::new(|| Timestamp::from_millis(1_795_180_500_007)),
        entropy: Arc::new(|bytes| getrandom::fill(bytes).unwrap()),
        verb: "bench".into(),
        version: "0".into(),
        loopback: true,
    };
    (Gateway::new(parts), writer)
}

fn policy(engine: &PluginEngine) -> (Loaded, Vec<Artifact>) {
    let authored = sluice_policy::parse(POLICY).unwrap();
    let mut artifacts = Vec::new();
    let mut facts = Vec::new();
    for plugin in &authored.plugins {
        let bytes = match &plugin.source {
            sluice_policy::PluginSource::Bundled(name) => sluice_bundled::find(name).unwrap().bytes,
            sluice_policy::PluginSource::File(_) => {
                unreachable!("the repository's policy names bundled plugins")
            }
        };
        let artifact = Artifact::from_bytes(bytes.to_vec()).unwrap();
        facts.push(describe(engine, plugin.kind, plugin.source.to_string(), &artifact));
        artifacts.push(artifact);
    }
    let context = CompileContext {
        engine_id: PluginEngine::engine_id(),
        sources: vec![("model_policy.toml".into(), Digest::of(POLICY.as_bytes()))],
        policy_id: PolicyId(uuid::Uuid::from_bytes([9; 16])),
        created_at: Timestamp::from_millis(0),
        lock: Default::default(),
    };
    let compiled = sluice_policy::compile(&authored, &facts, &context).unwrap();
    (sluice_policy::load(&compiled.bytes).unwrap(), artifacts)
}

fn describe(engine: &PluginEngine, kind: PluginKind, source: String, artifact: &Artifact) -> PluginFacts {
    let (pin, limits) = (artifact.digest(), PluginLimits::default_for(kind));
    let (description, rules) = match kind {
        PluginKind::Router => {
            (engine.load_router(artifact, pin, limits).unwrap().description().clone(), Vec::new())
        }
        PluginKind::Redactor => {
            let redactor = engine.load_redactor(artifact, pin, limits).unwrap();
            (redactor.description().clone(), redactor.rules("{}").unwrap().value)
        }
        PluginKind::CaptureFilter => {
            (engine.load_capture_filter(artifact, pin, limits).unwrap().description().clone(), Vec::new())
        }
        PluginKind::HealthProbe => {
            (engine.load_health_probe(artifact, pin, limits).unwrap().description().clone(), Vec::new())
        }
    };
    let inspection = engine.inspect(artifact).unwrap();
    PluginFacts {
        kind,
        name: description.name,
        version: description.version,
        sha256: pin,
        size: artifact.bytes().len() as u64,
        source,
        world: inspection.world,
        config_schema: description.config_schema,
        rules,
    }
}
