//! The figures of `docs/performance.md`, each beside its peer in the same run:
//!
//! ```text
//! cargo run --release -p sluice-bench                            # all
//! cargo run --release -p sluice-bench -- --plugins               # the plugins alone
//! cargo run --release -p sluice-bench -- --texts                 # conversations alone
//! cargo run --release -p sluice-bench -- --redactor FILE.wasm    # with another redactor
//! ```
//!
//! Each figure is the median over batches, with the quartiles beside it: this is read as a ratio on one machine, not
//! as a promise about another.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

mod calls;
mod corpus;
mod plugins;
mod rig;
mod texts;

use std::time::{Duration, Instant};

fn main() {
    println!("{}\n", sluice_plugin::PluginEngine::engine_id());
    println!("| figure | median | quartiles | unit |");
    println!("|---|---:|---|---|");
    let only = |flag: &str| std::env::args().any(|arg| arg == flag);
    if !only("--texts") {
        plugins::run();
    }
    texts::run();
    if !only("--plugins") && !only("--texts") {
        calls::run();
    }
}

/// Prints one figure: median and quartiles of `samples`.
fn figure(name: &str, mut samples: Vec<f64>, unit: &str) -> f64 {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
    println!("| {name} | {:.1} | {:.1}–{:.1} | {unit} |", at(0.5), at(0.25), at(0.75));
    at(0.5)
}

/// Microseconds a call, batch by batch.
fn timed(batches: usize, calls: u32, mut body: impl FnMut()) -> Vec<f64> {
    body();
    (0..batches)
        .map(|_| {
            let started = Instant::now();
            (0..calls).for_each(|_| body());
            micros(started.elapsed()) / f64::from(calls)
        })
        .collect()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
