//! Declines, with words of its own in `ext`: the host must record the code alone.

use hostile_router::{Candidate, Facts, Fault, FaultCode, Hostile, Outcome, choose};

struct Guest;

impl Hostile for Guest {
    fn route(_: Facts, _: Vec<Candidate>) -> Outcome {
        choose(Vec::new())
    }

    fn decline(facts: &Facts) -> Option<Fault> {
        let ext = vec![("run".to_owned(), facts.run_id.clone())];
        Some(Fault { code: FaultCode::Unsupported, ext })
    }
}

hostile_router::export!(Guest);
