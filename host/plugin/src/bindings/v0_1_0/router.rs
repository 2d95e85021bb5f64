//! Router.

use super::generated::exports::sluicegate::plugin::routing as wit;
use super::{Fault, borrowed, declined};
use crate::bindings::{Function, find};
use crate::error::Cause;
use crate::run::CallState;
use sluice_core::FaultCode;
use sluice_core::contract::router::{
    Bakeoff, Candidate, Choice, EarlierAttempt, RouteFacts, RouteOutcome, RouteVerdict,
};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

type Params<'a> = (&'a str, wit::Facts<'a>, &'a [wit::Candidate<'a>]);
type Results = (Result<wit::Outcome, Fault>,);

pub(crate) struct Routing {
    route: Function,
}

impl Routing {
    pub fn bind(pre: &InstancePre<CallState>, instance: &str) -> Result<Routing, Cause> {
        Ok(Routing { route: find::<Params<'_>, Results>(pre, instance, "route")? })
    }

    pub fn route(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (config, facts, candidates): (&str, &RouteFacts, &[Candidate]),
    ) -> wasmtime::Result<Result<RouteOutcome, FaultCode>> {
        let parts: Vec<Parts<'_>> = candidates.iter().map(Parts::of).collect();
        let lowered: Vec<wit::Candidate<'_>> = candidates
            .iter()
            .zip(&parts)
            .map(|(candidate, parts)| lower_candidate(candidate, parts))
            .collect();
        let earlier: Vec<wit::EarlierAttempt<'_>> = facts.earlier.iter().map(lower_earlier).collect();
        let (tags, ext) = (borrowed(&facts.tags), borrowed(&facts.ext));
        let facts = lower_facts(facts, &earlier, &tags, &ext);

        let function = instance.get_typed_func::<Params<'_>, Results>(&mut *store, &self.route)?;
        let (answer,) = function.call(store, (config, facts, &lowered))?;
        Ok(answer.map(lift_outcome).map_err(|fault| declined(&fault)))
    }
}

/// The lists of a candidate, borrowed by its lowered form.
struct Parts<'a> {
    prices: Vec<wit::Price<'a>>,
    capabilities: Vec<&'a str>,
    ext: Vec<(&'a str, &'a str)>,
}

impl Parts<'_> {
    fn of(candidate: &Candidate) -> Parts<'_> {
        let price = |price: &sluice_core::contract::router::UnitPrice| price.micro_usd_per_million;
        Parts {
            prices: candidate
                .prices
                .iter()
                .map(|one| wit::Price { unit: &one.unit, micro_usd_per_million: price(one) })
                .collect(),
            capabilities: candidate.capabilities.iter().map(String::as_str).collect(),
            ext: borrowed(&candidate.ext),
        }
    }
}

fn lower_candidate<'a>(candidate: &'a Candidate, parts: &'a Parts<'a>) -> wit::Candidate<'a> {
    wit::Candidate {
        id: &candidate.id,
        provider: &candidate.provider,
        model: &candidate.model,
        mode: &candidate.mode,
        prices: &parts.prices,
        context_tokens: candidate.context_tokens,
        capabilities: &parts.capabilities,
        health: wit::Health {
            state: &candidate.health.state,
            reason: &candidate.health.reason,
            checked_at_ms: candidate.health.checked_at_ms,
        },
        bakeoff: candidate.bakeoff.as_ref().map(lower_bakeoff),
        ext: &parts.ext,
    }
}

fn lower_bakeoff(bakeoff: &Bakeoff) -> wit::Bakeoff {
    wit::Bakeoff {
        samples: bakeoff.samples,
        p95_ms: bakeoff.p95_ms,
        parity_permille: bakeoff.parity_permille,
        schema_permille: bakeoff.schema_permille,
    }
}

fn lower_earlier(earlier: &EarlierAttempt) -> wit::EarlierAttempt<'_> {
    wit::EarlierAttempt {
        attempt: earlier.attempt,
        candidate: &earlier.candidate,
        kind: &earlier.kind,
        retryable: earlier.retryable,
        duration_ms: earlier.duration_ms,
    }
}

fn lower_facts<'a>(
    facts: &'a RouteFacts,
    earlier: &'a [wit::EarlierAttempt<'a>],
    tags: &'a [(&'a str, &'a str)],
    ext: &'a [(&'a str, &'a str)],
) -> wit::Facts<'a> {
    wit::Facts {
        run_id: &facts.run_id,
        spec_id: facts.spec_id.as_deref(),
        session_id: facts.session_id.as_deref(),
        role: &facts.role,
        stage: &facts.stage,
        operation: &facts.operation,
        mode_asked: &facts.mode_asked,
        attempt: facts.attempt,
        earlier,
        risk: &facts.risk,
        input_tokens: facts.input_tokens,
        output_tokens_max: facts.output_tokens_max,
        needs: wit::Needs {
            tools: facts.needs.tools,
            schema: facts.needs.schema,
            vision: facts.needs.vision,
            streaming: facts.needs.streaming,
            high_reasoning: facts.needs.high_reasoning,
        },
        suitability: wit::Suitability {
            structured_output: facts.suitability.structured_output,
            bounded_complexity: facts.suitability.bounded_complexity,
        },
        reflex: wit::ReflexRules {
            attempts_max: facts.reflex.attempts_max,
            p95_ms_max: facts.reflex.p95_ms_max,
            parity_permille_min: facts.reflex.parity_permille_min,
            schema_permille_min: facts.reflex.schema_permille_min,
        },
        budget: wit::Budget {
            spent_micro_usd: facts.budget.spent_micro_usd,
            remaining_micro_usd: facts.budget.remaining_micro_usd,
            spent_tokens: facts.budget.spent_tokens,
            remaining_tokens: facts.budget.remaining_tokens,
        },
        load: wit::Load { in_flight: facts.load.in_flight, queued: facts.load.queued },
        tags,
        now_ms: facts.now_ms,
        seed: facts.seed,
        ext,
    }
}

fn lift_outcome(outcome: wit::Outcome) -> RouteOutcome {
    RouteOutcome {
        verdict: match outcome.verdict {
            wit::Verdict::Choose(choices) => {
                RouteVerdict::Choose(choices.into_iter().map(lift_choice).collect())
            }
            wit::Verdict::Refuse => RouteVerdict::Refuse,
            wit::Verdict::NeedsApproval => RouteVerdict::NeedsApproval,
        },
        reason: outcome.reason,
        sentence: outcome.sentence,
        evidence: outcome.evidence,
        ext: outcome.ext,
    }
}

fn lift_choice(choice: wit::Choice) -> Choice {
    Choice {
        candidate: choice.candidate,
        reasoning_effort: choice.reasoning_effort,
        timeout_ms: choice.timeout_ms,
        output_tokens_max: choice.output_tokens_max,
        ext: choice.ext,
    }
}
