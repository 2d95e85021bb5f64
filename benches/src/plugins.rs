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

    let redactor = artifact(sluice_bundled::REDACTOR);
    let redactor = engine.load_redactor(&redactor, redactor.digest(), limits(PluginKind::Redactor)).unwrap();
    let small = corpus::mix(1 << 10);
    figure(
        "scan 1 KiB, fresh instance",
        timed(25, 400, || drop(redactor.scan("{}", &[field(&small)]).unwrap())),
        "µs",
    );
    for kib in [16, 256, 1024] {
        let text = corpus::mix(kib << 10);
        let calls = u32::try_from(4096 / kib).unwrap();
        let rate = |micros: Vec<f64>| micros.into_iter().map(|m| text.len() as f64 / m).collect::<Vec<_>>();
        let sandboxed = timed(15, calls, || drop(black_box(redactor.scan("{}", &[field(&text)]).unwrap())));
        let native = timed(15, calls, || {
            drop(black_box(redactor_engine::scan_text(
                text.as_bytes(),
                &redactor_engine::Switches::default(),
            )));
        });
        let sandboxed = figure(&format!("scan {kib} KiB, sandboxed"), rate(sandboxed), "MB/s");
        let native = figure(&format!("scan {kib} KiB, same code native (peer)"), rate(native), "MB/s");
        println!("| scan {kib} KiB, sandboxed / native | {:.2} | | |", sandboxed / native);
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
