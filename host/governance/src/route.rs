//! Routing: which candidates policy allows, what the router made of them, and what follows. Pure: live and
//! replay call the same functions.

use sluice_core::contract::router::{
    Bakeoff, Candidate, Choice, Health, ReflexRules, RouteFacts, RouteOutcome, RouteVerdict, UnitPrice,
};
use sluice_core::record::{Answer, Chosen, Origin, RouteVerdictTaken, RoutingDecision};
use sluice_core::{FaultCode, Mode, Role, Stage};
use sluice_plugin::Router;
use sluice_policy::PolicySnapshot;
use sluice_policy::snapshot::Model;
use std::collections::BTreeMap;

/// Health of endpoints by candidate id, as last judged.
pub type HealthById = BTreeMap<String, Health>;

/// The capability that a call of a role with `needs_high_reasoning` asks of its model.
const HIGH_REASONING: &str = "high-reasoning";

/// The capability of models that take an effort with the request. Others refuse the whole request for it, so they are
/// not sent one, whatever role or router asks for.
const REASONING_EFFORT: &str = "reasoning-effort";

/// The state of an endpoint that no probe has judged.
pub fn unknown_health() -> Health {
    Health { state: "unknown".into(), reason: String::new(), checked_at_ms: None }
}

/// What policy says of reflex, as the router is told.
pub fn reflex_rules(policy: &PolicySnapshot) -> ReflexRules {
    let reflex = &policy.model_config.reflex;
    ReflexRules {
        attempts_max: reflex.attempts_max,
        p95_ms_max: reflex.thresholds.p95_ms_max,
        parity_permille_min: reflex.thresholds.parity_permille_min,
        schema_permille_min: reflex.thresholds.schema_permille_min,
    }
}

/// Whether policy lets `role` use the local endpoint in `stage`.
pub fn reflex_allowed(policy: &PolicySnapshot, role: &str, stage: &str) -> bool {
    let reflex = &policy.model_config.reflex;
    let role = role.parse::<Role>().ok();
    let stage = stage.parse::<Stage>().ok();
    reflex.enabled
        && role.is_some_and(|role| role != Role::Judge && reflex.roles.contains(&role))
        && stage.is_some_and(|stage| reflex.stages.contains(&stage))
}

/// Whether one of the models that `role` may use in `stage` can be bound to a schema. Where none can, a call that
/// insists on one has no candidate: the schema then goes along in words.
pub fn schema_possible(policy: &PolicySnapshot, role: Role, stage: Stage) -> bool {
    let config = &policy.model_config;
    let cloud = config.roles.get(&role);
    let high = role == Role::Judge || cloud.is_some_and(|role| role.needs_high_reasoning);
    let models = cloud.map(|role| role.models.as_slice()).unwrap_or_default();
    let reflex = reflex_allowed(policy, role.code(), stage.code()).then_some(&config.reflex.model);
    let can = |model: &Model, what: &str| model.capabilities.iter().any(|capability| capability == what);
    models
        .iter()
        .chain(reflex)
        .filter_map(|id| config.models.get(id))
        .any(|model| can(model, "schema") && (!high || can(model, HIGH_REASONING)))
}

/// What policy allows for a call with these facts, in policy order: the role's cloud models, then the local
/// endpoint. Cloud stands first because the first is what a failed router falls back to.
pub fn candidates(policy: &PolicySnapshot, facts: &RouteFacts, health: &HealthById) -> Vec<Candidate> {
    let config = &policy.model_config;
    let role = facts.role.parse::<Role>().ok().and_then(|role| config.roles.get(&role));
    let cloud = role.map(|role| role.models.as_slice()).unwrap_or_default();
    let reflex = reflex_allowed(policy, &facts.role, &facts.stage).then_some(&config.reflex.model);
    let high = role.is_some_and(|role| role.needs_high_reasoning) || facts.needs.high_reasoning;
    let mut seen = Vec::new();
    cloud
        .iter()
        .chain(reflex)
        .filter(|id| {
            let first = !seen.contains(id);
            seen.push(id);
            first
        })
        .filter_map(|id| Some((id, config.models.get(id)?)))
        .filter(|(_, model)| meets_needs(model, facts, high))
        .map(|(id, model)| candidate(id, model, health.get(id), config.reflex.bakeoff.as_ref()))
        .collect()
}

fn meets_needs(model: &Model, facts: &RouteFacts, high_reasoning: bool) -> bool {
    let needs = [
        (facts.needs.tools, "tools"),
        (facts.needs.schema, "schema"),
        (facts.needs.vision, "vision"),
        (facts.needs.streaming, "streaming"),
        (high_reasoning, HIGH_REASONING),
    ];
    needs.iter().all(|(needed, name)| !needed || model.capabilities.iter().any(|c| c == name))
}

fn candidate(id: &str, model: &Model, health: Option<&Health>, bakeoff: Option<&Bakeoff>) -> Candidate {
    Candidate {
        id: id.to_owned(),
        provider: model.provider.clone(),
        model: model.model.clone(),
        mode: model.mode.code().to_owned(),
        prices: model
            .prices
            .iter()
            .map(|p| UnitPrice {
                unit: p.unit.code().to_owned(),
                micro_usd_per_million: p.micro_usd_per_million,
            })
            .collect(),
        context_tokens: model.context_tokens,
        capabilities: model.capabilities.clone(),
        health: health.cloned().unwrap_or_else(unknown_health),
        bakeoff: bakeoff.filter(|_| model.mode == Mode::Reflex).copied(),
        ext: Vec::new(),
    }
}

/// Asks the router and takes what follows.
pub fn decide(
    policy: &PolicySnapshot,
    router: &Router,
    config: &str,
    call: u64,
    facts: RouteFacts,
    candidates: Vec<Candidate>,
) -> RoutingDecision {
    let answer = match router.route(config, &facts, &candidates) {
        Ok(called) => match outside(&called.value, &candidates) {
            Some(code) => Answer::Faulted { code },
            None => Answer::Answered { value: called.value, fuel_used: called.fuel_used },
        },
        Err(error) => Answer::Faulted { code: error.fault_code().unwrap_or(FaultCode::HostFailure) },
    };
    let taken = take(policy, &facts, &candidates, &answer);
    RoutingDecision {
        call,
        attempt: facts.attempt,
        plugin: router.plugin_ref().clone(),
        facts,
        candidates,
        answer,
        verdict: taken.verdict,
        origin: taken.origin,
        reason: taken.reason,
        sentence: taken.sentence,
        evidence: taken.evidence,
    }
}

/// Whether an answer that reads well goes beyond what policy allows.
fn outside(outcome: &RouteOutcome, candidates: &[Candidate]) -> Option<FaultCode> {
    let RouteVerdict::Choose(choices) = &outcome.verdict else { return None };
    let mut seen = Vec::new();
    for choice in choices {
        if !candidates.iter().any(|candidate| candidate.id == choice.candidate) {
            return Some(FaultCode::OutsidePolicy);
        }
        if seen.contains(&&choice.candidate) {
            return Some(FaultCode::BrokenContract);
        }
        seen.push(&choice.candidate);
    }
    choices.is_empty().then_some(FaultCode::BrokenContract)
}

/// What follows from an answer.
struct Taken {
    verdict: RouteVerdictTaken,
    origin: Origin,
    reason: String,
    sentence: String,
    evidence: Vec<(String, String)>,
}

fn take(
    policy: &PolicySnapshot,
    facts: &RouteFacts,
    candidates: &[Candidate],
    answer: &Answer<RouteOutcome>,
) -> Taken {
    match answer {
        Answer::Answered { value, .. } => {
            let mut evidence = value.evidence.clone();
            let verdict = match &value.verdict {
                RouteVerdict::Choose(choices) => match choices.first() {
                    Some(first) => chosen(policy, facts, candidates, first, &mut evidence),
                    None => RouteVerdictTaken::Refuse,
                },
                RouteVerdict::Refuse => RouteVerdictTaken::Refuse,
                RouteVerdict::NeedsApproval => RouteVerdictTaken::NeedsApproval,
            };
            let (reason, sentence) = (value.reason.clone(), value.sentence.clone());
            Taken { verdict, origin: Origin::Plugin, reason, sentence, evidence }
        }
        Answer::Faulted { code } => fall_back(policy, facts, candidates, *code),
    }
}

/// The router gave no usable answer: the first candidate that has not failed yet, in policy order. Failing
/// open here is safe, since policy allows each of them; what a router adds is the better choice.
fn fall_back(
    policy: &PolicySnapshot,
    facts: &RouteFacts,
    candidates: &[Candidate],
    code: FaultCode,
) -> Taken {
    let mut evidence = vec![("router-fault".to_owned(), code.code().to_owned())];
    let untried = |c: &&Candidate| !facts.earlier.iter().any(|earlier| earlier.candidate == c.id);
    match candidates.iter().find(untried).or_else(|| candidates.first()) {
        Some(first) => {
            let choice = Choice {
                candidate: first.id.clone(),
                reasoning_effort: None,
                timeout_ms: None,
                output_tokens_max: None,
                ext: Vec::new(),
            };
            Taken {
                verdict: chosen(policy, facts, candidates, &choice, &mut evidence),
                origin: Origin::PolicyOrder,
                reason: "router-failed-policy-order".to_owned(),
                sentence: "The router gave no usable answer, so the first model in policy order was taken."
                    .to_owned(),
                evidence,
            }
        }
        None => Taken {
            verdict: RouteVerdictTaken::Refuse,
            origin: Origin::Host,
            reason: "no-candidate".to_owned(),
            sentence: "Policy allows no model for this call.".to_owned(),
            evidence,
        },
    }
}

/// The attempt's parameters: what was chosen, held within policy; what was held is evidence.
fn chosen(
    policy: &PolicySnapshot,
    facts: &RouteFacts,
    candidates: &[Candidate],
    choice: &Choice,
    evidence: &mut Vec<(String, String)>,
) -> RouteVerdictTaken {
    let found = candidates.iter().find(|candidate| candidate.id == choice.candidate);
    let Some((candidate, model)) = found.and_then(|c| Some((c, policy.model_config.models.get(&c.id)?)))
    else {
        // A recorded candidate that the snapshot does not know: only a forged record has one.
        evidence.push(("unknown-model".to_owned(), choice.candidate.clone()));
        return RouteVerdictTaken::Refuse;
    };
    let mut hold = |name: &str, asked: Option<u64>, most: u64| {
        let asked = asked.unwrap_or(most);
        if asked > most {
            evidence.push((format!("clamped-{name}"), format!("{asked} to {most}")));
        }
        asked.min(most).max(1)
    };
    let timeout_ms = hold("timeout-ms", choice.timeout_ms.map(u64::from), model.timeout_ms);
    let output_most = model.output_tokens_max.min(facts.output_tokens_max);
    let output_tokens_max = hold("output-tokens", choice.output_tokens_max, output_most);
    let role = facts.role.parse::<Role>().ok().and_then(|role| policy.model_config.roles.get(&role));
    let effort =
        choice.reasoning_effort.clone().or_else(|| role.and_then(|role| role.reasoning_effort.clone()));
    RouteVerdictTaken::Call(Chosen {
        candidate: candidate.id.clone(),
        provider: model.provider.clone(),
        model: model.model.clone(),
        mode: model.mode,
        reasoning_effort: effort.filter(|_| model.capabilities.iter().any(|c| c == REASONING_EFFORT)),
        timeout_ms,
        output_tokens_max,
    })
}
