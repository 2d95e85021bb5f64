//! How long sealing takes, beside copies of the same record by other means, in one run on one disk: read ratios.
//!
//! `cargo run --release -p sluice-capsule --example seal_bench [events] [rounds] [folder]`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use serde_json::{Value, json};
use sluice_capsule::{Reader, Writer, init, os_entropy};
use sluice_core::secret::NoGuard;
use sluice_core::uri::Resource;
use sluice_core::{
    Digest, EventDraft, EventKind, LogicalUri, PolicyBinding, PolicyId, Role, RunId, Stage, Timestamp,
};
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const POLICY_BYTES: &[u8] = b"{}";
const GROUP: u64 = 60;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let events: u64 = arguments.get(1).map_or(Ok(10_000), |text| text.parse())?;
    let rounds: u32 = arguments.get(2).map_or(Ok(9), |text| text.parse())?;
    let folder = arguments.get(3).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(folder)?;
    println!("{events} events, payload {} bytes, canonical; {rounds} rounds", payload(0).to_string().len());
    println!("{:<58} {:>9} {:>17} {:>7} {:>6}", "", "median ms", "quartiles", "cpu ms", "ratio");
    let mut seen: Vec<(&str, Vec<f64>, f64)> = Vec::new();
    for round in 1..=rounds {
        let state = dir.path().join(format!("state-{round}"));
        for (at, (what, took, cpu)) in one_round(&state, events)?.into_iter().enumerate() {
            let millis = took.as_secs_f64() * 1e3;
            match seen.get_mut(at) {
                Some((_, all, least)) => {
                    all.push(millis);
                    *least = least.min(cpu);
                }
                None => seen.push((what, vec![millis], cpu)),
            }
        }
        std::fs::remove_dir_all(&state)?;
    }
    seen.iter_mut().for_each(|(_, took, _)| took.sort_by(f64::total_cmp));
    let quartile = |took: &[f64], quarters: usize| took[(took.len() - 1) * quarters / 4];
    let sealed =
        seen.iter().find(|(what, ..)| *what == SEAL).map_or(f64::NAN, |(_, took, _)| quartile(took, 2));
    for (what, took, cpu) in &seen {
        let (median, range) = (quartile(took, 2), [quartile(took, 1), quartile(took, 3)]);
        let range = format!("{:.1} to {:.1}", range[0], range[1]);
        println!("{what:<58} {median:>9.1} {range:>17} {cpu:>7.0} {:>6.2}", median / sealed);
    }
    Ok(())
}

const SEAL: &str = "seal: read, checked, written, read back twice, recorded";

/// Milliseconds that this thread was computing: what a loaded machine does not distort. 0 where nobody counts.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).map_or(0.0, |nanos| nanos / 1e6)
}

/// What was done, how long it took, and the milliseconds of computing in it.
type Took = (&'static str, Duration, f64);

fn one_round(state: &Path, events: u64) -> Outcome<Vec<Took>> {
    let run: RunId = "run-1".parse()?;
    let writer = record(state, events)?;
    let (mut took, at) = (Vec::new(), Timestamp::from_millis(1_795_180_600_000));
    let mut timed = |what: &'static str, work: &mut dyn FnMut() -> Outcome<()>| -> Outcome<()> {
        let (start, before) = (Instant::now(), cpu());
        work()?;
        took.push((what, start.elapsed(), cpu() - before));
        Ok(())
    };
    timed("checkpoint: signed", &mut || {
        writer.checkpoint(&run, "end", at, &policy()?).wait()?;
        Ok(())
    })?;
    timed(SEAL, &mut || {
        writer.seal(at)?;
        Ok(())
    })?;
    writer.close()?;
    let journal = state.join("capsule/journal.db");
    let copy = state.join("copy");
    timed("peer: journal.db copied and synced", &mut || {
        std::fs::copy(&journal, &copy)?;
        Ok(File::open(&copy)?.sync_all()?)
    })?;
    let vacuumed = state.join("vacuumed.db");
    timed("peer: SQLite's own copy (VACUUM INTO), synced", &mut || {
        let text = vacuumed.display().to_string();
        rusqlite::Connection::open(&journal)?.execute("VACUUM INTO ?1", [text])?;
        Ok(File::open(&vacuumed)?.sync_all()?)
    })?;
    timed("sealed files alone: opened, every frame hashed", &mut || {
        Reader::open_sealed(&[state.to_owned()])?;
        Ok(())
    })?;
    timed("sealed files alone: the whole run, chain and signatures", &mut || {
        Reader::open_sealed(&[state.to_owned()])?.run_events(&run)?;
        Ok(())
    })?;
    timed("verify: journal and sealed files against each other", &mut || {
        let report = Reader::open(state)?.verify()?;
        if report.is_sound() { Ok(()) } else { Err(format!("{:?}", report.flaws).into()) }
    })?;
    timed("opening for writing, the newest sealed file read", &mut || {
        Ok(Writer::open(state, Arc::new(NoGuard), "a bench")?.close()?)
    })?;
    Ok(took)
}

/// About 1 KB of the shape that a routing decision has.
fn payload(number: u64) -> Value {
    json!({
        "call": number, "attempt": 1,
        "facts": {"run_id": "run-20261120-131500-3f9a1c20", "role": "implementer", "stage": "implement",
            "operation": "chat", "mode_asked": "auto", "risk": "normal", "input_tokens": 1200 + number % 100,
            "output_tokens_max": 4096, "needs": {"tools": true, "schema": false, "vision": false},
            "now_ms": 1_795_180_500_000_u64 + number, "seed": number * 7919, "tags": [["team", "platform"]]},
        "candidates": (0..3).map(|n| json!({"id": format!("cloud/model-{n}"), "provider": "cloud", "mode": "cloud",
            "prices": [{"unit": "input-token", "micro_usd_per_million": 3_000_000}], "health": "healthy"}))
            .collect::<Vec<_>>(),
        "verdict": {"call": {"candidate": "cloud/model-0", "timeout_ms": 60000}},
        "reason": "policy-order", "sentence": "The first candidate in policy order is healthy and within budget.",
        "evidence": [["health", "healthy"], ["budget", "remaining 4.200000 USD"]],
    })
}

fn policy() -> Outcome<PolicyBinding> {
    let id: PolicyId = "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse()?;
    Ok(PolicyBinding {
        id,
        uri: LogicalUri::new("bench", Resource::Policy(id)),
        hash: Digest::of(b"hash"),
        bytes: Digest::of(POLICY_BYTES),
    })
}

fn draft(number: u64) -> Outcome<EventDraft> {
    Ok(EventDraft {
        kind: EventKind::RoutingDecision,
        run_id: "run-1".parse()?,
        spec_id: Some("spec-1".parse()?),
        stage: Some(Stage::Implement),
        role: Some(Role::Implementer),
        at: Timestamp::from_millis(1_795_180_500_000),
        policy: policy()?,
        payload: payload(number),
    })
}

/// A capsule with so many events, none of them signed yet.
fn record(state: &Path, events: u64) -> Outcome<Writer> {
    init(state, "bench", &mut os_entropy)?;
    let writer = Writer::open(state, Arc::new(NoGuard), "a bench")?;
    writer.put_policy(policy()?.id, POLICY_BYTES).wait()?;
    for first in (0..events).step_by(GROUP as usize) {
        let drafts: Outcome<Vec<_>> = (first..events.min(first + GROUP)).map(draft).collect();
        writer.append(drafts?).wait()?;
    }
    Ok(writer)
}
