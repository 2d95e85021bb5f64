//! Step 2, route: facts and candidates to the governor, its decision back.

use crate::run::Run;
use sluice_core::contract::router::{EarlierAttempt, RouteFacts};
use sluice_core::record::RoutingDecision;

/// Seeds stand in records, whose numbers end at 2^53 - 1.
const SEED_MASK: u64 = (1 << 53) - 1;

impl Run {
    /// The decision for one attempt, with the facts of this moment.
    pub(crate) fn route(
        &self,
        call: u64,
        attempt: u32,
        base: &RouteFacts,
        earlier: &[EarlierAttempt],
    ) -> RoutingDecision {
        let governor = self.governor();
        let budgets = &governor.policy().snapshot.governance.budgets;
        let (budget, health) = self.with_state(|state| (state.ledger.budget(budgets), state.health.clone()));
        let mut seed = [0; 8];
        (self.parts().entropy)(&mut seed);
        let facts = RouteFacts {
            run_id: self.id().to_string(),
            spec_id: self.spec_id().map(ToString::to_string),
            attempt,
            earlier: earlier.to_vec(),
            budget,
            load: self.load(),
            now_ms: (self.parts().clock)().millis_u64(),
            seed: u64::from_be_bytes(seed) & SEED_MASK,
            ..base.clone()
        };
        let candidates = governor.candidates(&facts, &health);
        governor.route(call, facts, candidates)
    }
}
