//! Each kind, with answers that keep the contract, and input that arrives whole.

use crate::guest::{
    Image, candidates, engine, facts, guest, load_redactor, load_router, scanning, sound_router,
};
use sluice_core::contract::capture_filter::{FilterAction, FilterItem};
use sluice_core::contract::health_probe::{Judgement, ProbeEndpoint, ProbeExchange, ProbeState};
use sluice_core::contract::redactor::{Content, Field, Span};
use sluice_core::contract::router::RouteVerdict;
use sluice_core::{CaptureMode, PluginKind, PluginLimits};

#[test]
fn a_router_chooses() {
    let router = load_router(&sound_router().build()).unwrap();
    let outcome = router.route("{}", &facts(), &candidates()).unwrap().value;
    let RouteVerdict::Choose(choices) = &outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(choices[0].candidate, "acme/large");
    assert_eq!(outcome.reason, "policy-order");
    assert_eq!(outcome.sentence, "The first that policy names.");
}

#[test]
fn the_facts_arrive_where_the_contract_puts_them() {
    // The parameters come as one pointer: config (8 bytes), then facts. `attempt` follows run-id (8), spec-id
    // (12), session-id (12) and four texts (32); `now-ms` is told apart by its value.
    let mut probing = guest(PluginKind::Router);
    let (answer, choice) = crate::guest::choosing(&mut probing.image);
    let probing = probing.body(
        "route",
        format!(
            "(local $facts i32)
             (local.set $facts (i32.add (local.get 0) (i32.const 8)))
             ;; timeout-ms of the choice: some(attempt)
             (i32.store8 (i32.const {has_timeout}) (i32.const 1))
             (i32.store (i32.const {timeout}) (i32.load offset=64 (local.get $facts)))
             (i32.const {answer})",
            has_timeout = choice + 20,
            timeout = choice + 24,
        ),
    );
    let router = load_router(&probing.build()).unwrap();
    let mut facts = facts();
    facts.attempt = 77;
    let outcome = router.route("{}", &facts, &candidates()).unwrap().value;
    let RouteVerdict::Choose(choices) = &outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(choices[0].timeout_ms, Some(77));
}

fn field(content: Content<'_>) -> Field<'_> {
    Field {
        path: "/messages/0/content",
        key: Some("content"),
        direction: "request",
        author: "user",
        tool_name: None,
        media_type: "text/plain",
        content,
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}

#[test]
fn a_redactor_finds() {
    let guest = scanning(|image| {
        let [rule, rule_len] = image.text("aws-key");
        let span = image.record(&[4, 9, rule, rule_len, 900]);
        vec![[span, 1, 9, 0, 0], [0, 0, 3, 0, 0]]
    });
    let redactor = load_redactor(&guest.build()).unwrap();
    let fields = [field(Content::Text("key=AKIA1")), field(Content::Bytes(&[0xff, 0, 1]))];
    let results = redactor.scan("{}", &fields).unwrap().value;
    assert_eq!(
        results[0].spans,
        [Span { start: 4, end: 9, rule: "aws-key".into(), confidence_permille: 900 }]
    );
    assert_eq!((results[1].spans.len(), results[1].settled), (0, 3));
}

#[test]
fn a_redactor_names_its_rules() {
    let mut guest = guest(PluginKind::Redactor);
    let texts = ["aws-key", "An AWS access key", "critical"].map(|text| guest.image.text(text));
    let list = guest.image.record(&[texts.concat(), vec![0, 0]].concat());
    let answer = guest.image.record(&[0, list, 1]);
    let redactor = load_redactor(&guest.body("rules", format!("(i32.const {answer})")).build()).unwrap();
    let rules = redactor.rules("{}").unwrap().value;
    assert_eq!((rules[0].id.as_str(), rules[0].severity.as_str()), ("aws-key", "critical"));
}

#[test]
fn a_capture_filter_lowers() {
    let mut guest = guest(PluginKind::CaptureFilter);
    let [reason, reason_len] = guest.image.text("dot-env");
    let list = guest.image.record(&[1, reason, reason_len, 0, 0]);
    let answer = guest.image.record(&[0, list, 1]);
    let artifact = guest.body("filter", format!("(i32.const {answer})")).build();
    let limits = PluginLimits::default_for(PluginKind::CaptureFilter);
    let filter = engine().load_capture_filter(&artifact, artifact.digest(), limits).unwrap();
    let item = FilterItem {
        kind: "prompt".into(),
        field: "/messages/0".into(),
        bytes: 120,
        paths: vec![".env".into()],
        tool: None,
        tags: vec![("a".into(), "b".into())],
        findings: 0,
        ext: vec![],
    };
    let verdicts = filter.filter("{}", CaptureMode::FullIo, &[item]).unwrap().value;
    assert_eq!((verdicts[0].action, verdicts[0].reason.as_str()), (FilterAction::HashOnly, "dot-env"));
}

fn plan_of_one(image: &mut Image) -> u32 {
    let texts = ["models", "GET", "models"].map(|text| image.text(text));
    let requests = image.record(&[texts.concat(), vec![0, 0, 5000, 0, 0]].concat());
    image.record(&[0, requests, 1])
}

#[test]
fn a_health_probe_plans_and_judges() {
    let mut guest = guest(PluginKind::HealthProbe);
    let plan = plan_of_one(&mut guest.image);
    let [reason, reason_len] = guest.image.text("slow");
    // ok, verdict; state degraded, reason, evidence (none), padding, recheck-after-ms, ext (none): aligned to 8.
    let judgement = guest.image.record(&[0, 0, 0, 0, 1, reason, reason_len, 0, 0, 0, 60_000, 0, 0, 0]);
    let artifact = guest
        .body("plan", format!("(i32.const {plan})"))
        .body("judge", format!("(i32.const {judgement})"))
        .build();
    let limits = PluginLimits::default_for(PluginKind::HealthProbe);
    let probe = engine().load_health_probe(&artifact, artifact.digest(), limits).unwrap();
    let endpoint = ProbeEndpoint {
        id: "acme/large".into(),
        provider: "acme".into(),
        model: "large".into(),
        mode: "cloud".into(),
        dialect: "openai-chat".into(),
        now_ms: 1_790_000_000_000,
        ext: vec![],
    };
    let requests = probe.plan("{}", &endpoint, &[]).unwrap().value;
    assert_eq!((requests[0].path.as_str(), requests[0].timeout_ms), ("models", 5000));

    let exchange = ProbeExchange {
        request: "models".into(),
        status: Some(200),
        error: String::new(),
        duration_ms: 900,
        body: "{}".into(),
        truncated: false,
        ext: vec![],
    };
    let judged = probe.judge("{}", &endpoint, &[exchange]).unwrap().value;
    let Judgement::Verdict(verdict) = judged else { panic!("{judged:?}") };
    assert_eq!((verdict.state, verdict.reason.as_str()), (ProbeState::Degraded, "slow"));
    assert_eq!(verdict.recheck_after_ms, 60_000);
}
