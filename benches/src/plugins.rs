//! Plugins alone: a fresh instance each call, as every governed call has it.

use crate::{corpus, figure, rig, timed};
use sluice_core::contract::redactor::{Content, Field};
use sluice_core::{PluginKind, PluginLimits};
use sluice_plugin::{Artifact, CodeCache, PluginEngine};
use std::hint::black_box;

pub fn run() {
    let dir = tempfile::tempdir().unwrap();
    rig::private(dir.path());
    let cache = || Some(CodeCache { dir: dir.path().to_owned(), key: [7; 32] });
    let engine = PluginEngine::new(cache()).unwrap();
    let artifact = |bytes: &'static [u8]| Artifact::from_bytes(bytes.to_vec()).unwrap();
    let limits = PluginLimits::default_for;

    let router = artifact(sluice_bundled::ROUTER);
    let router = engine.load_router(&router, router.digest(), limits(PluginKind::Router)).unwrap();
    let (facts, candidates) = rig::routing();
    figure(
        "route, fresh instance, 6 candidates",
        timed(25, 400, || drop(black_box(router.route("{}", &facts, &candidates).unwrap()))),
        "µs",
    );

    let redactor = redactor();
    let redactor = engine.load_redactor(&redactor, redactor.digest(), limits(PluginKind::Redactor)).unwrap();
    let small = corpus::mix(1 << 10);
    figure(
        "scan 1 KiB, fresh instance",
        timed(25, 400, || drop(redactor.scan("{}", &[field(&small)]).unwrap())),
        "µs",
    );
    for kib in [16, 256, 1024] {
        scan(&redactor, &format!("{kib} KiB"), &corpus::mix(kib << 10));
    }
    for (kind, make) in corpus::KINDS {
        scan(&redactor, &format!("256 KiB of {kind}"), &make(256 << 10));
    }

    let all = sluice_bundled::ALL.iter().filter(|bundled| bundled.name != "router-thrift");
    let artifacts: Vec<(PluginKind, Artifact)> = all.map(|b| (b.kind, artifact(b.bytes))).collect();
    let start =
        |engine: &PluginEngine| artifacts.iter().for_each(|(kind, one)| rig::load(engine, *kind, one));
    start(&engine);
    figure(
        "start: new engine, four plugins from the code cache",
        timed(15, 4, || start(&PluginEngine::new(cache()).unwrap())),
        "µs",
    );
}

/// The sandbox and the same code native take turns, so that a machine that slows down slows both.
fn scan(redactor: &sluice_plugin::Redactor, what: &str, text: &str) {
    let calls = u32::try_from((1 << 20) / text.len()).unwrap().max(1);
    let (mut sandboxed, mut native) = (Vec::new(), Vec::new());
    let rate = |micros: Vec<f64>| text.len() as f64 / micros[0];
    let switches = redactor_engine::Switches::default();
    let fuel = redactor.scan("{}", &[field(text)]).unwrap().fuel_used;
    for _ in 0..ROUNDS {
        let call = || drop(black_box(redactor.scan("{}", &[field(text)]).unwrap()));
        sandboxed.push(rate(timed(1, calls, call)));
        let call = || drop(black_box(redactor_engine::scan_text(text.as_bytes(), &switches)));
        native.push(rate(timed(1, calls, call)));
    }
    let ratios = sandboxed.iter().zip(&native).map(|(ours, peer)| ours / peer * 100.0).collect();
    figure(&format!("scan {what}, sandboxed"), sandboxed, "MB/s");
    figure(&format!("scan {what}, same code native (peer)"), native, "MB/s");
    figure(&format!("scan {what}, sandboxed / native"), ratios, "%");
    println!("| scan {what}, fuel | {:.1} | | instructions a byte |", fuel as f64 / text.len() as f64);
}

/// Turns of the sandbox and its peer.
const ROUNDS: usize = 31;

/// The bundled redactor, or another: `--redactor FILE.wasm`.
pub fn redactor() -> Artifact {
    match std::env::args().skip_while(|arg| arg != "--redactor").nth(1) {
        Some(file) => Artifact::from_bytes(std::fs::read(file).unwrap()),
        None => Artifact::from_bytes(sluice_bundled::REDACTOR),
    }
    .unwrap()
}

fn field(text: &str) -> Field<'_> {
    Field {
        path: "/messages/0/content",
        key: Some("content"),
        direction: "request",
        author: "",
        tool_name: None,
        media_type: "",
        content: Content::Text(text),
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}
