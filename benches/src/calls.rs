//! Whole governed calls against the loopback server, and their replay.

use crate::{corpus, figure, micros, rig};
use sluice_core::{Cleared, Dialect, Egress, EventDraft, EventKind, Role, RunId, ScanEvidence, Stage};
use sluice_gateway::{CallRequest, Gateway, Run, RunOptions};
use sluice_loopback::{Loopback, Options};
use sluice_plugin::{CodeCache, PluginEngine};
use sluice_provider::{ChatCall, Endpoint, Message};
use std::time::{Duration, Instant};

/// Calls of the run that is replayed.
const CALLS: usize = 400;

/// About the size of an ordinary prompt.
const PROMPT_BYTES: usize = 1200;

pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = runtime.block_on(async {
        let server = Loopback::start(Options::default()).await.unwrap();
        let (gateway, writer) = rig::gateway(&dir.path().join(".speckit"), server.base_url());
        let run = gateway.start(RunOptions::default()).await.unwrap();
        let id = run.id().clone();
        measure(&gateway, &run, &server.base_url()).await;
        run.finish("ok").await.unwrap();
        drop(gateway);
        writer.close().unwrap();
        id
    });
    replay(&dir.path().join(".speckit"), &run);
}

/// Governed call, direct call and commits in turn, so that a machine that slows down slows all three.
async fn measure(gateway: &Gateway, run: &Run, base_url: &str) {
    let prompt = corpus::mix(PROMPT_BYTES);
    let (mut governed, mut direct, mut commits, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..CALLS {
        let request = CallRequest::new(Role::Architect, Stage::Plan, format!("{number}: {prompt}"));
        let started = Instant::now();
        run.call(request).await.unwrap();
        let whole = started.elapsed();
        let plain = plain_call(gateway, base_url, &format!("{number}: {prompt}")).await;
        let commit = commit_twice(gateway, run).await;
        governed.push(micros(whole));
        direct.push(micros(plain));
        commits.push(micros(commit));
        own.push(micros(whole.saturating_sub(plain).saturating_sub(commit)));
    }
    figure("governed call, loopback model, 1.2 KB", governed, "µs");
    figure("the same body sent directly (peer)", direct, "µs");
    figure("two commits of the same sizes", commits, "µs");
    figure("governed − direct − commits", own, "µs");
}

async fn plain_call(gateway: &Gateway, base_url: &str, prompt: &str) -> Duration {
    let call = ChatCall {
        messages: vec![Message::new("user", prompt)],
        output_tokens_max: 16_000,
        reasoning_effort: None,
        schema: None,
        stream: false,
        tools: Vec::new(),
        tool_choice: None,
    };
    let dialect = Dialect::AnthropicMessages;
    let body = sluice_provider::encode(dialect, "claude-sonnet-4-20250514", &call).to_string().into_bytes();
    let evidence = ScanEvidence { redactor: sluice_core::Digest::ZERO, findings: 0, egress: Egress::Off };
    #[expect(
        clippy::disallowed_methods,
        reason = "the peer that is measured against sends made-up text unscanned"
    )]
    let cleared = Cleared::attest(body, evidence);
    let endpoint = Endpoint { provider: "direct".into(), dialect, base_url: base_url.into(), key: None };
    let started = Instant::now();
    gateway.parts().client.send(&endpoint, cleared, false, Duration::from_secs(5)).await.unwrap();
    started.elapsed()
}

/// What the journal alone takes for a call's events: the same two groups appended anew, in a run of their own.
async fn commit_twice(gateway: &Gateway, run: &Run) -> Duration {
    let writer = &gateway.parts().writer;
    let events = writer.reader().unwrap().run_events(run.id());
    let last = match events {
        Ok(run) => run.events,
        Err(_) => return Duration::ZERO,
    };
    let drafts: Vec<EventDraft> = last[last.len().saturating_sub(5)..]
        .iter()
        .map(|event| EventDraft {
            kind: event.kind,
            run_id: "commits".parse().unwrap(),
            spec_id: None,
            stage: event.stage,
            role: event.role,
            at: event.at,
            policy: event.policy.clone(),
            payload: event.payload.clone(),
        })
        .filter(|draft| draft.kind != EventKind::Checkpoint)
        .collect();
    let (before, after) = drafts.split_at(2.min(drafts.len()));
    let started = Instant::now();
    writer.append(before.to_vec()).await.unwrap();
    writer.append(after.to_vec()).await.unwrap();
    started.elapsed()
}

fn replay(state: &std::path::Path, run: &RunId) {
    let reader = sluice_capsule::Reader::open(state).unwrap();
    let cache = tempfile::tempdir().unwrap();
    rig::private(cache.path());
    let cached = CodeCache { dir: cache.path().to_owned(), key: [7; 32] };
    let engine = PluginEngine::new(Some(cached)).unwrap();
    let mut rates = Vec::new();
    for _ in 0..6 {
        let started = Instant::now();
        let report = sluice_replay::replay(&reader, run, &engine, &Default::default()).unwrap();
        assert!(report.is_proof(), "{:?}", report.mismatches);
        rates.push(report.decisions as f64 / started.elapsed().as_secs_f64());
    }
    // The first one compiled the plugins into the cache.
    figure("replay, plugins loaded from the code cache", rates.split_off(1), "decisions/s");
}
