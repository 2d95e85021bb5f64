//! What a fresh instance a call costs, by allocation and by number of threads; and what a start from the code
//! cache costs. Run in release, with the built plugins:
//!
//! ```text
//! cargo run --release -p sluice-plugin --example bench_instances -- router.wasm redactor.wasm [more.wasm …]
//! ```
//!
//! Medians of batches, in microseconds of wall clock a call, and calls a second of all threads together.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

use sluice_core::contract::redactor::{Content, Field};
use sluice_core::contract::router::{Bakeoff, Candidate, Health, RouteFacts, UnitPrice};
use sluice_core::{PluginKind, PluginLimits};
use sluice_plugin::{Allocation, Artifact, CodeCache, PluginEngine};
use std::path::Path;
use std::time::{Duration, Instant};

const BATCHES: usize = 25;
const CALLS_PER_BATCH: u32 = 400;

fn main() {
    let artifacts: Vec<Artifact> =
        std::env::args().skip(1).map(|path| Artifact::read(Path::new(&path)).unwrap()).collect();
    println!("{}", PluginEngine::engine_id());
    println!("| allocation | call | 1 thread µs | calls/s | 2 threads µs | calls/s |");
    println!("|---|---|---|---|---|---|");
    for allocation in [Allocation::OnDemand, Allocation::Pooling] {
        let engine = PluginEngine::with_allocation(None, allocation).unwrap();
        for artifact in &artifacts {
            bench_one(&engine, allocation, artifact);
        }
    }
    start_from_cache(&artifacts);
}

fn bench_one(engine: &PluginEngine, allocation: Allocation, artifact: &Artifact) {
    let kind = engine.inspect(artifact).unwrap().kind;
    let limits = PluginLimits::default_for(kind);
    let (pin, name) = (artifact.digest(), format!("{allocation:?}"));
    match kind {
        PluginKind::Router => {
            let router = engine.load_router(artifact, pin, limits).unwrap();
            let (facts, candidates) = (facts(), candidates());
            row(&name, "route, 6 candidates", || drop(router.route("{}", &facts, &candidates).unwrap()));
        }
        PluginKind::Redactor => {
            let redactor = engine.load_redactor(artifact, pin, limits).unwrap();
            for kib in [1, 16, 256] {
                let text = prose(kib << 10);
                let fields = [field(&text)];
                row(&name, &format!("scan {kib} KiB"), || drop(redactor.scan("{}", &fields).unwrap()));
            }
        }
        PluginKind::CaptureFilter | PluginKind::HealthProbe => {}
    }
}

fn row(allocation: &str, call: &str, body: impl Fn() + Sync) {
    let one = median_of(1, &body);
    let two = median_of(2, &body);
    let rate = |threads: f64, micros: f64| threads * 1e6 / micros;
    println!(
        "| {allocation} | {call} | {one:.1} | {:.0} | {two:.1} | {:.0} |",
        rate(1.0, one),
        rate(2.0, two)
    );
}

/// Median microseconds a call, as one thread sees it while `threads` call at once.
fn median_of(threads: usize, body: &(impl Fn() + Sync)) -> f64 {
    let mut micros: Vec<f64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    body();
                    (0..BATCHES).map(|_| batch(body)).collect::<Vec<f64>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    micros.sort_by(f64::total_cmp);
    micros[micros.len() / 2]
}

fn batch(body: &impl Fn()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    // Large inputs make few calls a batch, small ones many.
    while calls < CALLS_PER_BATCH && start.elapsed() < Duration::from_millis(40) {
        body();
        calls += 1;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// A new engine and every plugin, as a process start would load them; the engine is not shared between rounds.
fn start_from_cache(artifacts: &[Artifact]) {
    let scratch = tempfile::tempdir().unwrap();
    let start = || {
        let begin = Instant::now();
        let cache = CodeCache { dir: scratch.path().join("code"), key: [7; 32] };
        let engine = PluginEngine::new(Some(cache)).unwrap();
        for artifact in artifacts {
            load(&engine, artifact);
        }
        begin.elapsed().as_secs_f64() * 1e3
    };
    let first = start();
    let mut later: Vec<f64> = (0..15).map(|_| start()).collect();
    later.sort_by(f64::total_cmp);
    println!(
        "\nengine and {} plugins: compiled {first:.1} ms, from cache {:.2} ms",
        artifacts.len(),
        later[7]
    );
}

fn load(engine: &PluginEngine, artifact: &Artifact) {
    let kind = engine.inspect(artifact).unwrap().kind;
    let (pin, limits) = (artifact.digest(), PluginLimits::default_for(kind));
    match kind {
        PluginKind::Router => drop(engine.load_router(artifact, pin, limits).unwrap()),
        PluginKind::Redactor => drop(engine.load_redactor(artifact, pin, limits).unwrap()),
        PluginKind::CaptureFilter => drop(engine.load_capture_filter(artifact, pin, limits).unwrap()),
        PluginKind::HealthProbe => drop(engine.load_health_probe(artifact, pin, limits).unwrap()),
    }
}

/// Ordinary text without secrets, so that what is measured is scanning and not finding.
fn prose(bytes: usize) -> String {
    let line =
        "    let request = client.post(url).header(\"content-type\", \"application/json\").body(body);\n";
    line.repeat(bytes / line.len() + 1)[..bytes].to_owned()
}

fn field(text: &str) -> Field<'_> {
    Field {
        path: "/messages/0/content",
        key: Some("content"),
        direction: "request",
        author: "user",
        tool_name: None,
        media_type: "text/plain",
        content: Content::Text(text),
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}

fn facts() -> RouteFacts {
    RouteFacts {
        run_id: "run-0198f2d1".into(),
        spec_id: Some("spec-42".into()),
        session_id: None,
        role: "implementer".into(),
        stage: "implement".into(),
        operation: "chat".into(),
        mode_asked: "auto".into(),
        attempt: 1,
        earlier: vec![],
        risk: "normal".into(),
        input_tokens: 1800,
        output_tokens_max: 4096,
        needs: Default::default(),
        suitability: Default::default(),
        reflex: Default::default(),
        budget: Default::default(),
        load: Default::default(),
        tags: vec![("team".into(), "core".into()), ("repo".into(), "sluicegate".into())],
        now_ms: 1_790_000_000_000,
        seed: 7,
        ext: vec![],
    }
}

fn candidates() -> Vec<Candidate> {
    let price = |unit: &str| UnitPrice { unit: unit.into(), micro_usd_per_million: 3_000_000 };
    (0..6)
        .map(|number| Candidate {
            id: format!("provider-{number}/model-{number}"),
            provider: format!("provider-{number}"),
            model: format!("model-{number}"),
            mode: if number == 5 { "reflex" } else { "cloud" }.into(),
            prices: vec![price("input-token"), price("output-token")],
            context_tokens: Some(200_000),
            capabilities: vec!["tools".into(), "schema".into(), "streaming".into()],
            health: Health {
                state: "healthy".into(),
                reason: "model-answers".into(),
                checked_at_ms: Some(1),
            },
            bakeoff: Some(Bakeoff { samples: 50, p95_ms: 900, parity_permille: 910, schema_permille: 1000 }),
            ext: vec![],
        })
        .collect()
}
