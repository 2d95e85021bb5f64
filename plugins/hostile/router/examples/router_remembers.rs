//! Refuses from its second call on: an instance that is used twice shows.

use hostile_router::{Candidate, Facts, Hostile, Outcome, Verdict, choose};

static CALLS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, candidates: Vec<Candidate>) -> Outcome {
        let outcome = choose(candidates.into_iter().map(|candidate| candidate.id).collect());
        match CALLS.fetch_add(1, core::sync::atomic::Ordering::Relaxed) {
            0 => outcome,
            _ => Outcome { verdict: Verdict::Refuse, ..outcome },
        }
    }
}

hostile_router::export!(Guest);
