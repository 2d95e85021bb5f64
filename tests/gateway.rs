//! The governed call from outside: evidence before action, budgets, local models, what is kept.

use crate::rig::{self, CLAUDE, GPT, QWEN, Setup, payloads, question, small_task};
use serde_json::Value;
use sluice_capsule::CapsuleError;
use sluice_core::contract::capture_filter::FilterAction;
use sluice_core::record::{
    AttemptOutcome, BudgetThreshold, Escalation, HealthProbed, ModelCallEnvelope, RedactionApplied,
    RouteVerdictTaken, RoutingDecision,
};
use sluice_core::{Digest, EventKind, Mode, ModeAsked, Risk, Role, Stage};
use sluice_gateway::{CallFailure, CallRequest, RunOptions, StartError};
use sluice_loopback::{Behaviour, Route, Rule};
use std::time::Duration;

/// Longer than any test: what waits for this is ended by something else.
const FOR_EVER: Duration = Duration::from_secs(3_600);

fn stalling() -> Setup {
    Setup::new().cloud(Rule::new(Behaviour::Stall(FOR_EVER)).times(1))
}

/// While the request is under way, a second reader sees the decision that sent it, and what was redacted; the
/// envelope is there when the caller has the answer.
#[tokio::test]
async fn the_decision_is_committed_before_anything_leaves() {
    let rig = stalling().start().await;
    let run = rig.run().await;
    let reader = rig.reader();
    let (call, id) = (run.call(question("Plan this.")), run.id());
    let watch = async {
        while rig.cloud.requests() == 0 {
            tokio::task::yield_now().await;
        }
        let events = reader.run_events(id).unwrap().events;
        let decisions: Vec<RoutingDecision> = payloads(&events, EventKind::RoutingDecision);
        let RouteVerdictTaken::Call(chosen) = &decisions[0].verdict else { panic!("{:?}", decisions[0]) };
        assert_eq!((chosen.model.as_str(), decisions[0].attempt), (CLAUDE, 1));
        assert!(!decisions[0].reason.is_empty() && !decisions[0].sentence.is_empty());
        assert!(payloads::<RedactionApplied>(&events, EventKind::RedactionApplied)[0].passed);
        assert!(payloads::<ModelCallEnvelope>(&events, EventKind::ModelCallEnvelope).is_empty());
        // The server that stalls answers when it is told to stop.
        rig.cloud.stop().await;
    };
    let (reply, ()) = tokio::join!(call, watch);
    let reply = reply.unwrap();
    for uri in [&reply.decision, &reply.envelope] {
        let resolved = reader.resolve(uri).unwrap();
        let event: Value = serde_json::from_slice(&resolved.bytes).unwrap();
        assert_eq!(event["payload"]["call"], 1, "{uri}");
    }
}

/// The answer came, its envelope cannot be written: then there is no answer.
#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_not_acknowledged() {
    let rig = stalling().start().await;
    let run = rig.run().await;
    let reader = rig.reader();
    let (call, id) = (run.call(question("Plan this.")), run.id());
    let close = async {
        while rig.cloud.requests() == 0 {
            tokio::task::yield_now().await;
        }
        rig.writer.clone().close().unwrap();
        rig.cloud.stop().await;
    };
    let (answer, ()) = tokio::join!(call, close);
    let failure = answer.unwrap_err();
    assert!(matches!(failure, CallFailure::Record(CapsuleError::Closed)), "{failure}");
    let events = reader.run_events(id).unwrap().events;
    assert_eq!(payloads::<RoutingDecision>(&events, EventKind::RoutingDecision).len(), 1);
    assert!(reader.verify().unwrap().is_sound());
}

/// Nothing leaves whose decision cannot be written.
#[tokio::test]
async fn without_a_record_nothing_is_sent() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    rig.writer.clone().close().unwrap();
    let failure = run.call(question("Plan this.")).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Record(CapsuleError::Closed)), "{failure}");
    assert_eq!(rig.cloud.requests(), 0);
}

/// Labels and paths are recorded with the decision: they are redacted like any text.
#[tokio::test]
async fn secrets_in_labels_are_not_recorded() {
    const KNOWN: &str = "opensesame-0123456789";
    let token = rig::token();
    let rig = Setup::new().known(KNOWN).start().await;
    let run = rig.run().await;
    let tags = vec![("owner".to_owned(), KNOWN.to_owned()), ("team".to_owned(), "blue".to_owned())];
    let labelled = CallRequest { tags, paths: vec![format!("notes/{token}.md")], ..question("Plan this.") };
    run.call(labelled).await.unwrap();
    assert!(!rig.stored(KNOWN) && !rig.stored(&token));
    let decisions: Vec<RoutingDecision> = rig.recorded(run.id(), EventKind::RoutingDecision);
    let tags = &decisions[0].facts.tags;
    assert!(tags[0].0 == "owner" && tags[0].1.starts_with("[REDACTED:known-value:"), "{tags:?}");
    assert_eq!(tags[1], ("team".to_owned(), "blue".to_owned()));
    let told: Vec<RedactionApplied> = rig.recorded(run.id(), EventKind::RedactionApplied);
    let labels =
        told.iter().find(|scan| scan.what == "labels").expect("what was found in labels is evidence");
    assert_eq!((labels.call, labels.findings.len(), labels.passed), (1, 2, true));
    rig.prove(run.id());
}

/// What a local server says to a probe is recorded: a secret in it is replaced, and that is evidence.
#[tokio::test]
async fn secrets_in_a_probes_answer_are_not_recorded() {
    let token = rig::token();
    let leak = Rule::new(Behaviour::Leak(format!("the token is {token}"))).on(Route::Chat).times(1);
    let rig = Setup::new().local(leak).start().await;
    let run = rig.run().await;
    run.call(small_task("Write this function.")).await.unwrap();
    assert!(!rig.stored(&token));
    let told: Vec<RedactionApplied> = rig.recorded(run.id(), EventKind::RedactionApplied);
    let exchange = told.iter().find(|scan| scan.what == "exchange").expect("evidence of the finding");
    assert_eq!((exchange.call, exchange.findings.len()), (0, 1));
    rig.prove(run.id());
}

/// What could not be recorded never happened: sums, numbers and verdicts of the run are those of its record.
#[tokio::test]
async fn a_run_whose_record_failed_goes_on_from_its_record() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let id = run.id().clone();
    run.call(question("Plan this.")).await.unwrap();
    // A row where the next event belongs makes the journal fail to write.
    let journal = rusqlite::Connection::open(rig.state().join("capsule/journal.db")).unwrap();
    let next = "(SELECT max(position) + 1 FROM (SELECT position FROM events UNION ALL SELECT position FROM blobs \
                UNION ALL SELECT position FROM names))";
    let columns =
        "type, at, branch, spec, stage, role, policy_id, policy_hash, policy_bytes, prev, hash, payload";
    let row = format!("INSERT INTO events SELECT {next}, 'zz', 1, 'zz', {columns} FROM events LIMIT 1");
    journal.execute_batch(&row).unwrap();
    let failure = run.call(small_task("Write this function.")).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Record(_)), "{failure}");
    journal.execute_batch("DELETE FROM events WHERE run = 'zz'").unwrap();
    drop(journal);
    assert_eq!(rig.local.requests_on(Route::Chat), 1, "the probe alone");
    let reply = run.call(small_task("Write this function.")).await.unwrap();
    assert_eq!((reply.call, reply.mode), (2, Mode::Reflex));
    run.finish("ok").await.unwrap();
    rig.prove(&id);
}

/// Calls that are made at once are still decided one after the other: the record can be walked.
#[tokio::test]
async fn calls_made_at_once_are_replayed_too() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let ask = |n: u64| run.call(question(&format!("Plan part {n}.")));
    let (a, b, c, d) = tokio::join!(ask(1), ask(2), ask(3), ask(4));
    let mut numbers = [a, b, c, d].map(|reply| reply.unwrap().call);
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let id = run.id().clone();
    run.finish("ok").await.unwrap();
    rig.prove(&id);
}

/// A caller that goes away leaves an attempt that was cancelled: something was sent. The run goes on.
#[tokio::test]
async fn a_call_that_was_dropped_leaves_a_sound_record() {
    let rig = stalling().start().await;
    let run = rig.run().await;
    let gone = async {
        while rig.cloud.requests() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = run.call(question("Plan this.")) => panic!("the server answered"),
        () = gone => {}
    }
    let reply = run.call(question("Plan this.")).await.unwrap();
    assert_eq!(reply.call, 2);
    let id = run.id().clone();
    run.finish("ok").await.unwrap();
    let envelopes: Vec<ModelCallEnvelope> = rig.recorded(&id, EventKind::ModelCallEnvelope);
    let ends: Vec<_> = envelopes.iter().map(|envelope| (envelope.call, envelope.outcome)).collect();
    assert_eq!(ends, [(1, AttemptOutcome::Cancelled), (2, AttemptOutcome::Ok)]);
    rig.prove(&id);
}

/// Labels and operations as `usage` has them.
#[tokio::test]
async fn policy_says_which_labels_a_call_must_carry() {
    let rig =
        Setup::new().edit("tags_required = []", "tags_required = [\"team\", \"cost-centre\"]").start().await;
    let run = rig.run().await;
    let tagged = |tags: &[(&str, &str)]| {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        CallRequest { tags, ..question("Plan this.") }
    };
    for tags in [&[][..], &[("team", "blue"), ("cost-centre", " ")][..]] {
        let failure = run.call(tagged(tags)).await.unwrap_err();
        assert!(matches!(failure, CallFailure::NotAdmitted { .. }), "{failure}");
        assert!(failure.to_string().ends_with("cost-centre"), "{failure}");
    }
    assert_eq!(rig.cloud.requests(), 0);
    run.call(tagged(&[("team", "blue"), ("cost-centre", "7")])).await.unwrap();

    let rig = Setup::new().edit("operations = [\"chat\"]", "operations = [\"embeddings\"]").start().await;
    let failure = rig.run().await.call(question("Plan this.")).await.unwrap_err();
    assert_eq!(failure.to_string(), "policy does not offer the operation: chat");
}

#[tokio::test]
async fn what_is_no_call_leaves_no_trace() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let before = rig.events(run.id()).len();
    let many = (0..33).map(|n| (n.to_string(), String::new())).collect();
    let paths = vec!["src/lib.rs".to_owned(); 65];
    let cases = [
        (question("  \n "), "the prompt is empty"),
        (question(&"x".repeat(sluice_gateway::PROMPT_BYTES_MAX + 1)), "the prompt is too long"),
        (CallRequest { tags: many, ..question("Plan.") }, "too many or too long tags"),
        (CallRequest { paths, ..question("Plan.") }, "too many or too long paths"),
    ];
    for (request, words) in cases {
        let failure = run.call(request).await.unwrap_err();
        assert!(matches!(failure, CallFailure::NotAdmitted { .. }) && failure.to_string().contains(words));
        assert!(failure.hint().is_some() && !failure.is_refusal());
    }
    assert_eq!(rig.events(run.id()).len(), before);
    assert_eq!(rig.cloud.requests(), 0);
}

#[tokio::test]
async fn marks_are_recorded_once_and_nothing_is_spent_beyond_the_budget() {
    let rig = Setup::new()
        .edit("run_usd_max = 5.00", "run_usd_max = 0.02")
        .edit("run_usd_above = 2.50", "run_usd_above = 0.01")
        .start()
        .await;
    let run = rig.run().await;
    let id = run.id().clone();
    let request = || CallRequest { output_tokens_max: Some(200), ..question(&"A plan, please. ".repeat(60)) };
    let mut calls = 0;
    let failure = loop {
        match run.call(request()).await {
            Ok(_) => calls += 1,
            Err(failure) => break failure,
        }
        assert!(calls < 100, "the budget never ends");
    };
    assert!(matches!(failure, CallFailure::Refused { .. }) && failure.is_refusal(), "{failure}");
    assert!(failure.hint().unwrap().contains("resolve-uri"));
    assert_eq!(rig.cloud.requests(), calls, "a refused call sends nothing");
    let spent = run.spent().0;
    assert!((10_000..=20_000).contains(&spent), "{spent} of 20000 micro-USD");

    let marks: Vec<BudgetThreshold> = rig.recorded(&id, EventKind::BudgetThreshold);
    let crossed: Vec<u32> = marks.iter().map(|mark| mark.mark_permille).collect();
    assert!(crossed.starts_with(&[500, 800]) && crossed.is_sorted_by(|a, b| a < b), "{crossed:?}");
    assert!(marks.iter().all(|mark| mark.budget == "cost" && mark.limit == 20_000 && mark.spent <= spent));
    let decisions: Vec<RoutingDecision> = rig.recorded(&id, EventKind::RoutingDecision);
    let models: Vec<&str> = decisions
        .iter()
        .filter_map(|decision| match &decision.verdict {
            RouteVerdictTaken::Call(chosen) => Some(chosen.model.as_str()),
            _ => None,
        })
        .collect();
    assert!(
        models.contains(&CLAUDE) && models.last() != Some(&CLAUDE),
        "the cheaper ones come last: {models:?}"
    );
    run.finish("refused").await.unwrap();
    rig.prove(&id);
}

#[tokio::test]
async fn a_call_that_no_budget_could_pay_is_refused_at_once() {
    for (from, to) in [("run_usd_max = 5.00", "run_usd_max = 0.00001"), ("run_max = 500_000", "run_max = 10")]
    {
        let above = "run_usd_above = 0.00001";
        let rig = Setup::new().edit(from, to).edit("run_usd_above = 2.50", above).start().await;
        let run = rig.run().await;
        let failure = run.call(question("Plan this.")).await.unwrap_err();
        assert!(matches!(failure, CallFailure::Refused { .. }), "{failure}");
        assert_eq!(rig.cloud.requests(), 0);
        rig.prove(run.id());
    }
}

#[tokio::test]
async fn no_more_attempts_are_made_than_policy_allows() {
    let rig = Setup::new()
        .edit("attempts_max = 4", "attempts_max = 3")
        .cloud(Rule::new(Behaviour::Fail(500)))
        .start()
        .await;
    let run = rig.run().await;
    let failure = run.call(question("Plan this.")).await.unwrap_err();
    let CallFailure::Failed { attempts, .. } = &failure else { panic!("{failure}") };
    let models: Vec<&str> = attempts.iter().map(|attempt| attempt.candidate.as_str()).collect();
    assert_eq!(models, ["cloud/claude-sonnet-4-20250514", "cloud/gpt-4o", "cloud/gemini-2.0-flash"]);
    assert_eq!(rig.cloud.requests(), 3);
    let escalations: Vec<Escalation> = rig.recorded(run.id(), EventKind::Escalation);
    let steps: Vec<(&str, &str)> = escalations.iter().map(|e| (e.step.as_str(), e.reason.as_str())).collect();
    assert_eq!(
        steps,
        [
            ("next-attempt", "server-error"),
            ("next-attempt", "server-error"),
            ("given-up", "attempts-exhausted")
        ]
    );
    rig.prove(run.id());
}

#[tokio::test]
async fn a_small_task_goes_to_the_local_model() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let reply = run.call(small_task("Write this function.")).await.unwrap();
    assert_eq!(
        (reply.mode, reply.model.as_str(), reply.reason.as_str()),
        (Mode::Reflex, QWEN, "reflex-eligible")
    );
    assert_eq!(reply.cost.map(|cost| cost.0), Some(0));
    assert_eq!(rig.cloud.requests(), 0);
    let asked = small_task("Write this function.");
    let reply = run.call(CallRequest { mode_asked: ModeAsked::Reflex, ..asked }).await.unwrap();
    assert_eq!(reply.reason, "reflex-asked");
    assert_eq!(rig.local.requests_on(Route::Models), 1, "a fresh verdict is not asked for again");
    // The clock of the rig runs on with each event: the verdict grows old.
    while rig.local.requests_on(Route::Models) == 1 {
        assert_eq!(run.call(small_task("Write this function.")).await.unwrap().mode, Mode::Reflex);
        assert!(rig.local.requests() < 60, "the verdict never grows old");
    }
    let probed: Vec<HealthProbed> = rig.recorded(run.id(), EventKind::HealthProbed);
    assert_eq!((probed.len(), probed[1].history.len()), (2, 1));
    rig.prove(run.id());
}

#[tokio::test]
async fn what_is_not_for_a_local_model_goes_to_the_cloud() {
    let small = || small_task("Write this function.");
    let cases = [
        ("high risk", CallRequest { risk: Risk::High, ..small() }, "high-risk-cloud"),
        ("cloud asked", CallRequest { mode_asked: ModeAsked::Cloud, ..small() }, "policy-order"),
        ("not a small task", CallRequest { bounded: false, ..small() }, "policy-order"),
        ("another stage", CallRequest { stage: Stage::Validate, ..small() }, "policy-order"),
        ("another role", CallRequest { role: Role::Architect, ..small() }, "policy-order"),
        ("a judge", CallRequest { role: Role::Judge, stage: Stage::Audit, ..small() }, "judge-cloud"),
    ];
    let able = "[\"high-reasoning\", ";
    let rig = Setup::new().edit(able, &format!("{able}\"reasoning-effort\", ")).start().await;
    let run = rig.run().await;
    for (what, request, reason) in cases {
        let reply = run.call(request).await.unwrap();
        assert_eq!((reply.mode, reply.reason.as_str()), (Mode::Cloud, reason), "{what}");
    }
    assert_eq!(rig.local.requests_on(Route::Chat), 1, "the probe's one token, and no call");
    let bodies = rig.cloud.received();
    let judged: Value = serde_json::from_slice(&bodies.last().unwrap().body).unwrap();
    assert_eq!(judged["reasoning_effort"], "high", "a judge thinks hard");
    assert_eq!(judged["model"], CLAUDE);
    rig.prove(run.id());
}

#[tokio::test]
async fn an_unhealthy_local_model_is_not_used() {
    let cases = [
        Rule::new(Behaviour::Fail(500)).on(Route::Models),
        Rule::new(Behaviour::WrongModels),
        Rule::new(Behaviour::Html).on(Route::Models),
        Rule::new(Behaviour::Fail(500)).on(Route::Chat),
        Rule::new(Behaviour::Empty).on(Route::Chat),
    ];
    for rule in cases {
        let rig = Setup::new().local(rule.clone()).start().await;
        let run = rig.run().await;
        let reply = run.call(small_task("Write this function.")).await.unwrap();
        assert_eq!((reply.mode, reply.attempts.len()), (Mode::Cloud, 1), "{rule:?}");
        let probed: Vec<HealthProbed> = rig.recorded(run.id(), EventKind::HealthProbed);
        assert_ne!(probed[0].state, "healthy", "{rule:?}");
        rig.prove(run.id());
    }
}

#[tokio::test]
async fn where_local_models_are_off_they_are_not_even_probed() {
    let rig = Setup::new()
        .edit("[routing.reflex]\nenabled = true", "[routing.reflex]\nenabled = false")
        .start()
        .await;
    let run = rig.run().await;
    let asked = CallRequest { mode_asked: ModeAsked::Reflex, ..small_task("Write this function.") };
    let reply = run.call(asked).await.unwrap();
    assert_eq!((reply.mode, reply.reason.as_str()), (Mode::Cloud, "reflex-not-possible"));
    assert_eq!(rig.local.requests(), 0);
    rig.prove(run.id());
}

#[tokio::test]
async fn a_local_model_has_its_attempts_and_then_the_cloud_takes_over() {
    let rig = Setup::new()
        .local(Rule::new(Behaviour::Ok).on(Route::Chat).times(1))
        .local(Rule::new(Behaviour::Fail(503)).on(Route::Chat))
        .start()
        .await;
    let run = rig.run().await;
    let reply = run.call(small_task("Write this function.")).await.unwrap();
    let modes: Vec<Mode> = reply.attempts.iter().map(|attempt| attempt.mode).collect();
    assert_eq!(modes, [Mode::Reflex, Mode::Reflex, Mode::Cloud]);
    assert_eq!(rig.local.requests_on(Route::Chat), 3, "one of the probe, two of the call");
    rig.prove(run.id());
}

/// What of prompt and answer the record keeps, by mode: (prompt, answer).
#[tokio::test]
async fn the_capture_mode_says_what_is_kept() {
    use FilterAction::{HashOnly, Keep};
    let words = "words of the prompt qxv";
    for (mode, want) in
        [("none", [HashOnly, HashOnly]), ("prompts-only", [Keep, HashOnly]), ("full-io", [Keep, Keep])]
    {
        let rig = Setup::new().edit("mode = \"full-io\"", &format!("mode = \"{mode}\"")).start().await;
        let run = rig.run().await;
        let reply = run.call(question(words)).await.unwrap();
        assert!(reply.text.contains(words), "the answer is the caller's whatever is kept: {}", reply.text);
        let envelope: ModelCallEnvelope = rig.recorded(run.id(), EventKind::ModelCallEnvelope).remove(0);
        let response = envelope.response.unwrap();
        assert_eq!([envelope.request.action, response.action], want, "{mode}");
        for captured in [&envelope.request, &response] {
            let kept = captured.action == Keep;
            assert_eq!((captured.text.is_some(), captured.salt.is_some()), (kept, kept), "{mode}");
            assert_ne!(captured.commitment, Digest::ZERO, "{mode}");
            assert!(captured.bytes > 0, "{mode}");
        }
        assert_eq!(rig.stored(words), want[0] == Keep, "{mode}");
        rig.prove(run.id());
    }
}

#[tokio::test]
async fn what_came_from_a_file_of_secrets_is_dropped() {
    let words = "words of the prompt qxv";
    for (path, dropped) in [("src/main.rs", false), ("deploy/.env", true), ("home/.aws/credentials", true)] {
        let rig = Setup::new().start().await;
        let run = rig.run().await;
        let request = CallRequest { paths: vec!["README.md".into(), path.into()], ..question(words) };
        run.call(request).await.unwrap();
        let envelope: ModelCallEnvelope = rig.recorded(run.id(), EventKind::ModelCallEnvelope).remove(0);
        let action = if dropped { FilterAction::Drop } else { FilterAction::Keep };
        assert_eq!((envelope.request.action, envelope.request.text.is_none()), (action, dropped), "{path}");
        assert_eq!(rig.stored(words), !dropped, "{path}");
        rig.prove(run.id());
    }
}

/// A text too large for an event is committed to and not kept; the call is made and recorded all the same.
#[tokio::test]
async fn what_is_too_large_for_the_record_is_committed_to() {
    let rig = Setup::new().edit("run_max = 500_000", "run_max = \"unlimited\"").start().await;
    let run = rig.run().await;
    let prompt = "A long prompt.\n".repeat(150_000);
    let reply = run.call(CallRequest { output_tokens_max: Some(100), ..question(&prompt) }).await.unwrap();
    assert_eq!(reply.model, "gemini-2.0-flash", "the only one with room for it");
    let envelope: ModelCallEnvelope = rig.recorded(run.id(), EventKind::ModelCallEnvelope).remove(0);
    assert_eq!((envelope.request.action, envelope.request.text), (FilterAction::HashOnly, None));
    assert!(envelope.request.bytes > 2 << 20 && envelope.request.commitment != Digest::ZERO);
    assert_eq!(envelope.response.unwrap().action, FilterAction::Keep);
    rig.prove(run.id());
}

/// A run that another process goes on with has the sums, the numbers and the health of its record.
#[tokio::test]
async fn a_run_goes_on_where_its_record_ends() {
    let rig = Setup::new().start().await;
    let first = rig.run().await;
    let id = first.id().clone();
    first.call(small_task("Write this function.")).await.unwrap();
    first.call(question("Plan this.")).await.unwrap();
    let spent = first.spent();
    drop(first);
    let again = || RunOptions { id: Some(id.clone()), ..RunOptions::default() };
    let second = rig.gateway.start(again()).await.unwrap();
    assert_eq!(second.spent(), spent);
    let reply = second.call(small_task("Write this function.")).await.unwrap();
    assert_eq!((reply.call, reply.model.as_str()), (3, QWEN));
    assert_eq!(rig.local.requests_on(Route::Models), 1, "the verdict is in the record");
    second.finish("ok").await.unwrap();
    rig.prove(&id);
    let Err(refused) = rig.gateway.start(again()).await else { panic!("a finished run went on") };
    assert!(matches!(refused, StartError::Finished(_)) && refused.hint().is_some(), "{refused}");
}

/// Every kind of plugin decision, replayed twice: the same report, to the last unit of fuel.
#[tokio::test]
async fn replay_gives_the_same_report_each_time() {
    let token = rig::token();
    let rig = Setup::new().cloud(Rule::new(Behaviour::Fail(503)).for_model(CLAUDE).times(1)).start().await;
    let run = rig.run().await;
    let id = run.id().clone();
    run.call(question(&format!("Plan this. REGISTRY_TOKEN={token}"))).await.unwrap();
    run.call(small_task("Write this function.")).await.unwrap();
    let judge = CallRequest::new(Role::Judge, Stage::Unlock, "May it go in?");
    run.call(CallRequest { stream: true, ..judge }).await.unwrap();
    run.finish("ok").await.unwrap();
    let (one, two) = (rig.prove(&id), rig.prove(&id));
    assert_eq!(serde_json::to_value(&one).unwrap(), serde_json::to_value(&two).unwrap());
    assert!(one.fuel_compared && one.machine_faults == 0);
    for check in
        ["policy", "budget", "candidates", "route", "redaction", "filter", "health", "text", "envelope"]
    {
        assert!(one.checks.get(check).is_some_and(|tally| tally.matched > 0), "{check}");
    }
    assert_eq!(one.checks["escalation"].matched, 1);
    let envelopes: Vec<ModelCallEnvelope> = rig.recorded(&id, EventKind::ModelCallEnvelope);
    assert_eq!(envelopes[1].model, GPT);
    assert!(envelopes.iter().all(|envelope| envelope.fuel.len() == 3 && envelope.plugins.len() == 4));
}
