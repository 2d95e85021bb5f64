//! Events a second through the whole room (canonical form, guard, chain, group commit), beside plain rows in
//! SQLite with the same durability, in one run on one disk: read ratios.
//!
//! `cargo run --release -p sluice-capsule --example journal_bench [folder] [seconds a case]`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use serde_json::{Value, json};
use sluice_capsule::{Reader, Writer, init, os_entropy};
use sluice_core::secret::NoGuard;
use sluice_core::uri::Resource;
use sluice_core::{
    Digest, EventDraft, EventKind, LogicalUri, PolicyBinding, PolicyId, Role, Stage, Timestamp,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const POLICY_BYTES: &[u8] = b"{}";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = arguments.get(2).map_or(Ok(3), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    let dir = tempfile::tempdir_in(folder)?;
    println!("payload {} bytes, canonical", payload(0).to_string().len());
    println!("{:>6} {:>14} {:>14} {:>7} {:>12}", "group", "journal ev/s", "plain rows/s", "ratio", "p50 us");
    for group in [1, 6, 60] {
        let plain = plain(&dir.path().join(format!("plain-{group}.db")), group, time)?;
        let (journal, p50) = journal(&dir.path().join(format!("state-{group}")), group, time)?;
        println!("{group:>6} {journal:>14.0} {plain:>14.0} {:>7.2} {p50:>12.0}", journal / plain);
    }
    let (journal, threads) = (threads(&dir.path().join("threads"), time)?, 16);
    println!("{threads} threads of group 1 each: {journal:.0} events/s");
    reading(&dir.path().join("state-60"))
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

fn policy(workspace: &str) -> Outcome<PolicyBinding> {
    let id: PolicyId = "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b11".parse()?;
    Ok(PolicyBinding {
        id,
        uri: LogicalUri::new(workspace, Resource::Policy(id)),
        hash: Digest::of(b"hash"),
        bytes: Digest::of(POLICY_BYTES),
    })
}

fn draft(run: &str, number: u64) -> Outcome<EventDraft> {
    Ok(EventDraft {
        kind: EventKind::RoutingDecision,
        run_id: run.parse()?,
        spec_id: Some("spec-1".parse()?),
        stage: Some(Stage::Implement),
        role: Some(Role::Implementer),
        at: Timestamp::from_millis(1_795_180_500_000),
        policy: policy("bench")?,
        payload: payload(number),
    })
}

fn writer(state: &Path) -> Outcome<Writer> {
    init(state, "bench", &mut os_entropy)?;
    let writer = Writer::open(state, Arc::new(NoGuard), "a bench")?;
    writer.put_policy(policy("bench")?.id, POLICY_BYTES).wait()?;
    Ok(writer)
}

/// Events a second, and the median of one append in microseconds.
fn journal(state: &Path, group: u64, time: Duration) -> Outcome<(f64, f64)> {
    let writer = writer(state)?;
    let (start, mut number, mut took) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < time {
        let drafts: Result<Vec<_>, _> = (0..group).map(|n| draft("run-1", number + n)).collect();
        let began = Instant::now();
        writer.append(drafts?).wait()?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
        number += group;
    }
    let rate = number as f64 / start.elapsed().as_secs_f64();
    let run = "run-1".parse()?;
    writer.checkpoint(&run, "end", Timestamp::from_millis(0), &policy("bench")?).wait()?;
    writer.close()?;
    took.sort_by(f64::total_cmp);
    Ok((rate, took[took.len() / 2]))
}

/// Many callers, each waiting for its own event: what group commit is for.
fn threads(state: &Path, time: Duration) -> Outcome<f64> {
    let writer = writer(state)?;
    let start = Instant::now();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..16)
            .map(|thread| {
                let writer = writer.clone();
                scope.spawn(move || {
                    let mut number = 0;
                    while start.elapsed() < time {
                        let Ok(draft) = draft(&format!("run-{thread}"), number) else { break };
                        if writer.append(vec![draft]).wait().is_err() {
                            break;
                        }
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        spawned.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    Ok(counts.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64())
}

/// The peer: the same payload as text into one table, WAL, synchronous=FULL, no chain, no thread between.
fn plain(path: &Path, group: u64, time: Duration) -> Outcome<f64> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE events(position INTEGER PRIMARY KEY, run TEXT, seq INTEGER, payload TEXT, UNIQUE(run, seq));",
    )?;
    let (start, mut number) = (Instant::now(), 0);
    while start.elapsed() < time {
        let texts: Vec<String> = (0..group).map(|n| payload(number + n).to_string()).collect();
        let transaction = connection.transaction()?;
        for text in &texts {
            number += 1;
            transaction
                .prepare_cached("INSERT INTO events(run, seq, payload) VALUES ('run-1', ?1, ?2)")?
                .execute((number as i64, text))?;
        }
        transaction.commit()?;
    }
    Ok(number as f64 / start.elapsed().as_secs_f64())
}

fn reading(state: &Path) -> Outcome<()> {
    let reader = Reader::open(state)?;
    let start = Instant::now();
    let run = reader.run_events(&"run-1".parse()?)?;
    let took = start.elapsed().as_secs_f64();
    println!(
        "run_events, checked: {} events, {:.0} events/s",
        run.events.len(),
        run.events.len() as f64 / took
    );
    let start = Instant::now();
    let report = reader.verify()?;
    let took = start.elapsed().as_secs_f64();
    println!(
        "verify: {} frames, {:.0} frames/s, sound: {}",
        report.frames,
        report.frames as f64 / took,
        report.is_sound()
    );
    Ok(())
}
