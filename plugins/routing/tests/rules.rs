//! The rules, one test a rule, at the seam that the glue uses.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

use routing::contract::{
    Bakeoff, Budget, Candidate, EarlierAttempt, Facts, Health, Load, Needs, Outcome, Price, ReflexRules,
    Suitability, Verdict,
};
use routing::{Order, decide};

const SONNET: &str = "anthropic/claude-sonnet-4-20250514";
const GPT: &str = "openai/gpt-4o";
const GEMINI: &str = "google/gemini-2.0-flash";
const LOCAL: &str = "reflex/qwen2.5-coder-7b-instruct";

fn facts() -> Facts {
    Facts {
        run_id: "run-1".to_owned(),
        spec_id: None,
        session_id: None,
        role: "architect".to_owned(),
        stage: "plan".to_owned(),
        operation: "chat".to_owned(),
        mode_asked: "auto".to_owned(),
        attempt: 1,
        earlier: Vec::new(),
        risk: "normal".to_owned(),
        input_tokens: 1_000,
        output_tokens_max: 1_000,
        needs: Needs { tools: false, schema: false, vision: false, streaming: false, high_reasoning: false },
        suitability: Suitability { structured_output: false, bounded_complexity: true },
        reflex: ReflexRules {
            attempts_max: 2,
            p95_ms_max: 2_000,
            parity_permille_min: 850,
            schema_permille_min: 1_000,
        },
        budget: Budget {
            spent_micro_usd: 0,
            remaining_micro_usd: Some(1_000_000),
            spent_tokens: 0,
            remaining_tokens: Some(1_000_000),
        },
        load: Load { in_flight: 0, queued: 0 },
        tags: Vec::new(),
        now_ms: 1_700_000_000_000,
        seed: 7,
        ext: Vec::new(),
    }
}

fn candidate(id: &str, input_price: u64, output_price: u64) -> Candidate {
    let (provider, model) = id.split_once('/').unwrap();
    let price = |unit: &str, micro_usd_per_million| Price { unit: unit.to_owned(), micro_usd_per_million };
    Candidate {
        id: id.to_owned(),
        provider: provider.to_owned(),
        model: model.to_owned(),
        mode: "cloud".to_owned(),
        prices: vec![price("input-token", input_price), price("output-token", output_price)],
        context_tokens: Some(128_000),
        capabilities: vec!["high-reasoning".to_owned()],
        health: Health { state: "unknown".to_owned(), reason: String::new(), checked_at_ms: None },
        bakeoff: None,
        ext: Vec::new(),
    }
}

fn cloud() -> Vec<Candidate> {
    vec![
        candidate(SONNET, 3_000_000, 15_000_000),
        candidate(GPT, 2_500_000, 10_000_000),
        candidate(GEMINI, 100_000, 400_000),
    ]
}

fn local() -> Candidate {
    Candidate {
        mode: "reflex".to_owned(),
        capabilities: Vec::new(),
        health: Health { state: "healthy".to_owned(), reason: "ok".to_owned(), checked_at_ms: Some(1) },
        bakeoff: Some(Bakeoff { samples: 50, p95_ms: 1_500, parity_permille: 900, schema_permille: 1_000 }),
        ..candidate(LOCAL, 0, 0)
    }
}

/// A call that a local endpoint may serve.
fn implementing() -> (Facts, Vec<Candidate>) {
    let facts = Facts { role: "implementer".to_owned(), stage: "implement".to_owned(), ..facts() };
    (facts, vec![candidate(SONNET, 3_000_000, 15_000_000), local()])
}

fn failed(attempt: u32, candidate: &str, kind: &str, retryable: bool) -> EarlierAttempt {
    EarlierAttempt {
        attempt,
        candidate: candidate.to_owned(),
        kind: kind.to_owned(),
        retryable,
        duration_ms: 10,
    }
}

fn route(facts: &Facts, candidates: &[Candidate]) -> Outcome {
    decide(Order::Policy, "{}", facts, candidates).unwrap()
}

fn ids(outcome: &Outcome) -> Vec<&str> {
    match &outcome.verdict {
        Verdict::Choose(choices) => choices.iter().map(|choice| choice.candidate.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn passed_over(outcome: &Outcome, id: &str) -> Option<String> {
    let prefix = format!("{id}: ");
    let found =
        outcome.evidence.iter().find(|(key, value)| key == "passed-over" && value.starts_with(&prefix))?;
    Some(found.1[prefix.len()..].split(' ').next().unwrap().to_owned())
}

#[test]
fn policy_order_where_nothing_speaks_against_it() {
    let outcome = route(&facts(), &cloud());
    assert_eq!(ids(&outcome), [SONNET, GPT, GEMINI]);
    assert_eq!(outcome.reason, "policy-order");
    assert!(outcome.sentence.contains(SONNET));
    assert!(outcome.evidence.contains(&("estimate-micro-usd".to_owned(), "18000".to_owned())));
}

#[test]
fn unhealthy_goes_last_and_degraded_behind_healthy() {
    let mut candidates = cloud();
    candidates[0].health.state = "unhealthy".to_owned();
    candidates[1].health.state = "degraded".to_owned();
    let outcome = route(&facts(), &candidates);
    assert_eq!(ids(&outcome), [GEMINI, GPT, SONNET]);
    assert_eq!(outcome.reason, "next-in-policy-order");
    assert!(outcome.sentence.contains("unhealthy"), "{}", outcome.sentence);
}

#[test]
fn what_remains_of_the_money_decides_who_can_serve() {
    let mut facts = facts();
    facts.budget.remaining_micro_usd = Some(12_499);
    let outcome = route(&facts, &cloud());
    assert_eq!(ids(&outcome), [GEMINI]);
    assert_eq!(passed_over(&outcome, GPT).as_deref(), Some("over-budget"));

    facts.budget.remaining_micro_usd = Some(12_500);
    assert_eq!(ids(&route(&facts, &cloud())), [GPT, GEMINI], "an estimate that just fits is not passed over");

    facts.budget.remaining_micro_usd = Some(0);
    let outcome = route(&facts, &cloud());
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Refuse, "budget-exhausted"));
}

#[test]
fn an_unknown_price_never_counts_as_nothing() {
    let mut candidates = vec![candidate(GPT, 0, 0)];
    candidates[0].prices.pop();
    let outcome = route(&facts(), &candidates);
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Refuse, "price-unknown"));

    let mut unlimited = facts();
    unlimited.budget.remaining_micro_usd = None;
    assert_eq!(ids(&route(&unlimited, &candidates)), [GPT]);
}

#[test]
fn the_token_budget_refuses_the_call() {
    let mut facts = facts();
    facts.budget.remaining_tokens = Some(1_999);
    let outcome = route(&facts, &cloud());
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Refuse, "token-budget-exhausted"));
}

#[test]
fn a_context_window_that_is_too_small_is_passed_over() {
    let mut candidates = cloud();
    candidates[0].context_tokens = Some(1_999);
    candidates[1].context_tokens = None;
    candidates[2].context_tokens = Some(2_000);
    let outcome = route(&facts(), &candidates);
    assert_eq!(ids(&outcome), [GPT, GEMINI]);
    assert_eq!(passed_over(&outcome, SONNET).as_deref(), Some("context-too-small"));
}

#[test]
fn a_failure_in_this_call_moves_a_candidate_behind_the_others() {
    let mut facts = Facts { attempt: 2, earlier: vec![failed(1, SONNET, "timeout", true)], ..facts() };
    let outcome = route(&facts, &cloud());
    assert_eq!(ids(&outcome), [GPT, GEMINI, SONNET]);
    assert_eq!(outcome.reason, "after-failure");

    facts.earlier = vec![failed(1, SONNET, "auth", true), failed(2, GPT, "overloaded", true)];
    assert_eq!(ids(&route(&facts, &cloud())), [GEMINI, GPT, SONNET], "for good is behind what may pass");

    let one = [candidate(SONNET, 1, 1)];
    facts.earlier = vec![failed(1, SONNET, "server-error", true)];
    assert_eq!((ids(&route(&facts, &one)), route(&facts, &one).reason.as_str()), (vec![SONNET], "retry"));
    facts.earlier = vec![failed(1, SONNET, "auth", true)];
    let outcome = route(&facts, &one);
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Refuse, "every-candidate-failed"));
}

#[test]
fn a_local_endpoint_that_meets_every_condition_goes_first() {
    let (facts, candidates) = implementing();
    let outcome = route(&facts, &candidates);
    assert_eq!(ids(&outcome), [LOCAL, SONNET]);
    assert_eq!(outcome.reason, "reflex-eligible");
    let asked = Facts { mode_asked: "reflex".to_owned(), ..facts };
    assert_eq!(route(&asked, &candidates).reason, "reflex-asked");
}

#[test]
fn each_condition_of_reflex_keeps_it_out_by_itself() {
    type Change = fn(&mut Facts, &mut Candidate);
    let cases: &[(&str, Change)] = &[
        ("reflex-not-for-role", |facts, _| facts.role = "architect".to_owned()),
        ("reflex-not-for-role", |facts, _| facts.role = "judge".to_owned()),
        ("reflex-not-for-role", |facts, _| facts.role = "a-role-of-tomorrow".to_owned()),
        ("reflex-not-for-stage", |facts, _| facts.stage = "validate".to_owned()),
        ("reflex-cloud-asked", |facts, _| facts.mode_asked = "cloud".to_owned()),
        ("reflex-high-risk", |facts, _| facts.risk = "high".to_owned()),
        ("reflex-high-reasoning-needed", |facts, _| facts.needs.high_reasoning = true),
        ("reflex-attempts-spent", |facts, _| facts.reflex.attempts_max = 0),
        ("reflex-failed-for-good", |facts, _| facts.earlier = vec![failed(1, LOCAL, "not-found", true)]),
        ("reflex-failed-for-good", |facts, _| facts.earlier = vec![failed(1, LOCAL, "timeout", false)]),
        ("reflex-not-healthy", |_, local| local.health.state = "unknown".to_owned()),
        ("reflex-not-healthy", |_, local| local.health.state = "degraded".to_owned()),
        ("reflex-not-healthy", |_, local| local.health.state = "unhealthy".to_owned()),
        ("reflex-no-bakeoff", |_, local| local.bakeoff = None),
        ("reflex-no-bakeoff", |_, local| local.bakeoff.as_mut().unwrap().samples = 0),
        ("reflex-too-slow", |_, local| local.bakeoff.as_mut().unwrap().p95_ms = 2_001),
        ("reflex-parity-low", |_, local| local.bakeoff.as_mut().unwrap().parity_permille = 849),
        ("reflex-schema-low", |_, local| local.bakeoff.as_mut().unwrap().schema_permille = 999),
        ("reflex-task-unsuited", |facts, _| facts.suitability.bounded_complexity = false),
        ("context-too-small", |_, local| local.context_tokens = Some(10)),
    ];
    for (code, change) in cases {
        for order in [Order::Policy, Order::Cost] {
            let (mut facts, mut candidates) = implementing();
            facts.mode_asked = "reflex".to_owned();
            change(&mut facts, &mut candidates[1]);
            let outcome = decide(order, "{}", &facts, &candidates).unwrap();
            assert_eq!(ids(&outcome), [SONNET], "{code}");
            assert_eq!(passed_over(&outcome, LOCAL).as_deref(), Some(*code), "{:?}", outcome.evidence);
        }
    }
}

#[test]
fn a_bakeoff_that_just_meets_the_thresholds_is_enough() {
    let (facts, mut candidates) = implementing();
    candidates[1].bakeoff =
        Some(Bakeoff { samples: 1, p95_ms: 2_000, parity_permille: 850, schema_permille: 1_000 });
    assert_eq!(ids(&route(&facts, &candidates)), [LOCAL, SONNET]);
}

#[test]
fn an_estimate_is_rounded_up() {
    let mut facts = facts();
    (facts.input_tokens, facts.output_tokens_max) = (1, 0);
    let outcome = route(&facts, &[candidate(GPT, 1, 0)]);
    assert!(outcome.evidence.contains(&("estimate-micro-usd".to_owned(), "1".to_owned())));
}

#[test]
fn a_structured_answer_suits_as_well_as_a_small_task() {
    let (mut facts, candidates) = implementing();
    facts.suitability = Suitability { structured_output: true, bounded_complexity: false };
    assert_eq!(ids(&route(&facts, &candidates)), [LOCAL, SONNET]);
}

#[test]
fn reflex_has_its_attempts_and_then_cloud_takes_over() {
    let (mut facts, candidates) = implementing();
    facts.earlier = vec![failed(1, LOCAL, "bad-answer", true)];
    assert_eq!(ids(&route(&facts, &candidates)), [LOCAL, SONNET]);
    facts.earlier.push(failed(2, LOCAL, "timeout", true));
    let outcome = route(&facts, &candidates);
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![SONNET], "reflex-to-cloud"));
    assert_eq!(passed_over(&outcome, LOCAL).as_deref(), Some("reflex-attempts-spent"));
}

#[test]
fn asking_for_local_where_it_cannot_be_says_why_not() {
    let (mut facts, mut candidates) = implementing();
    facts.mode_asked = "reflex".to_owned();
    candidates[1].bakeoff = None;
    let outcome = route(&facts, &candidates);
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![SONNET], "reflex-not-possible"));
    assert!(outcome.sentence.contains("reflex-no-bakeoff"), "{}", outcome.sentence);

    candidates.pop();
    let outcome = route(&facts, &candidates);
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![SONNET], "reflex-not-possible"));
}

#[test]
fn a_high_risk_says_that_it_kept_the_call_from_local() {
    let (mut facts, candidates) = implementing();
    facts.risk = "high".to_owned();
    assert_eq!(route(&facts, &candidates).reason, "high-risk-cloud");
}

#[test]
fn the_judge_is_a_cloud_model_with_high_reasoning() {
    let facts = Facts { role: "judge".to_owned(), stage: "audit".to_owned(), ..facts() };
    let mut candidates = cloud();
    candidates[0].capabilities.clear();
    candidates.push(local());
    let outcome = route(&facts, &candidates);
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![GPT, GEMINI], "judge-cloud"));
    assert_eq!(passed_over(&outcome, SONNET).as_deref(), Some("no-high-reasoning"));
    let Verdict::Choose(choices) = outcome.verdict else { panic!("refused") };
    assert!(choices.iter().all(|choice| choice.reasoning_effort.as_deref() == Some("high")));
}

#[test]
fn preference_moves_to_the_front_and_does_not_beat_health() {
    let config = r#"{"prefer":["google","gpt-4o"]}"#;
    let outcome = decide(Order::Policy, config, &facts(), &cloud()).unwrap();
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![GEMINI, GPT, SONNET], "preferred"));

    let mut candidates = cloud();
    candidates[2].health.state = "unhealthy".to_owned();
    let outcome = decide(Order::Policy, config, &facts(), &candidates).unwrap();
    assert_eq!(ids(&outcome), [GPT, SONNET, GEMINI]);
}

#[test]
fn the_configured_limit_of_one_call_passes_over_what_is_dearer() {
    let config = r#"{"max_cost_micro_usd_per_call":12500}"#;
    let outcome = decide(Order::Policy, config, &facts(), &cloud()).unwrap();
    assert_eq!(ids(&outcome), [GPT, GEMINI]);
    assert_eq!(passed_over(&outcome, SONNET).as_deref(), Some("over-call-limit"));
}

#[test]
fn thrift_takes_the_cheapest_that_can_serve() {
    let outcome = decide(Order::Cost, "{}", &facts(), &cloud()).unwrap();
    assert_eq!((ids(&outcome), outcome.reason.as_str()), (vec![GEMINI, GPT, SONNET], "cheapest"));
    let mut candidates = cloud();
    candidates[2].health.state = "unhealthy".to_owned();
    candidates[1].prices.clear();
    let mut facts = facts();
    facts.budget.remaining_micro_usd = None;
    let outcome = decide(Order::Cost, "{}", &facts, &candidates).unwrap();
    assert_eq!(ids(&outcome), [SONNET, GPT, GEMINI], "an unknown price is not the cheapest");
}

#[test]
fn no_candidates_and_a_bad_configuration_are_said() {
    let outcome = route(&facts(), &[]);
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Refuse, "no-candidates"));
    assert!(decide(Order::Policy, r#"{"perfer":[]}"#, &facts(), &cloud()).is_err());
}

/// Every field at its extremes: the answer keeps to the contract's bounds, and numbers do not wrap.
#[test]
fn the_answer_keeps_the_contracts_bounds() {
    let mut facts = facts();
    (facts.input_tokens, facts.output_tokens_max) = (u64::MAX, u64::MAX);
    facts.budget.remaining_tokens = None;
    let mut candidates: Vec<Candidate> = (0..64)
        .map(|n| candidate(&format!("{}/{}é{n}", "p".repeat(200), "m".repeat(200)), u64::MAX, u64::MAX))
        .collect();
    for limited in [true, false] {
        for (n, candidate) in candidates.iter_mut().enumerate() {
            candidate.context_tokens = (limited && n % 2 == 0).then_some(1);
            candidate.health.state = ["unknown", "degraded", "unhealthy"][n % 3].to_owned();
        }
        facts.budget.remaining_micro_usd = limited.then_some(1_000);
        let outcome = route(&facts, &candidates);
        assert!((1..=48).contains(&outcome.reason.len()));
        assert!((1..=240).contains(&outcome.sentence.len()));
        assert!(outcome.evidence.len() <= 32);
        assert!(outcome.evidence.iter().all(|(key, value)| key.len() <= 240 && value.len() <= 240));
        assert_eq!(ids(&outcome).len(), if limited { 0 } else { 16 });
    }
}
