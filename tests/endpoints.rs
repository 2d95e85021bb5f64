//! Endpoints that fail, each in its own way: what the record says, where the call goes next, what a person is
//! told.

use crate::rig::{self, CLAUDE, Rig, Setup, question};
use sluice_core::record::{AttemptOutcome, Escalation, ModelCallEnvelope, RoutingDecision};
use sluice_core::{EventKind, RunId};
use sluice_gateway::{CallFailure, CallRequest};
use sluice_loopback::{Behaviour, Rule};
use std::time::Duration;

const DIALECTS: [&str; 2] = ["openai-chat", "anthropic-messages"];

/// Longer than any test: what waits for this is ended by something else.
const FOR_EVER: Duration = Duration::from_secs(3_600);

fn speaking(dialect: &str) -> Setup {
    Setup::new().edit(
        "[providers.cloud]\ndialect = \"openai-chat\"",
        &format!("[providers.cloud]\ndialect = \"{dialect}\""),
    )
}

/// The first model of the list may take this long.
fn hurried(setup: Setup, timeout_ms: u64) -> Setup {
    let limits = "context_tokens = 200_000\noutput_tokens_max = 16_000\ntimeout_ms = ";
    setup.edit(&format!("{limits}60_000"), &format!("{limits}{timeout_ms}"))
}

fn short(stream: bool) -> CallRequest {
    CallRequest { stream, output_tokens_max: Some(300), ..question("Plan this change.") }
}

/// One call whose first model fails like this and whose second one answers.
async fn one_failure(
    rig: &Rig,
    run: &sluice_gateway::Run,
    behaviour: Behaviour,
    stream: bool,
    want: AttemptOutcome,
) {
    let what = format!("{behaviour:?}, stream {stream}");
    rig.cloud.add_rule(Rule::new(behaviour).for_model(CLAUDE).times(1));
    let reply = run.call(short(stream)).await.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    let ended: Vec<AttemptOutcome> = reply.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(ended, [want, AttemptOutcome::Ok], "{what}");
    assert!(reply.text.starts_with("[loopback] ") && reply.loopback, "{what}: {}", reply.text);
    let of_call = |envelope: &ModelCallEnvelope| envelope.call == reply.call;
    let envelopes: Vec<ModelCallEnvelope> = rig.recorded(run.id(), EventKind::ModelCallEnvelope);
    let envelopes: Vec<ModelCallEnvelope> = envelopes.into_iter().filter(of_call).collect();
    assert_eq!(envelopes.len(), 2, "{what}");
    assert_eq!(
        (envelopes[0].outcome, envelopes[0].candidate.as_str()),
        (want, "cloud/claude-sonnet-4-20250514")
    );
    let usage = envelopes[0].usage;
    assert!(
        envelopes[0].cost.is_none() && usage.is_none(),
        "{what}: an attempt without an answer costs nothing"
    );
    let escalations: Vec<Escalation> = rig.recorded(run.id(), EventKind::Escalation);
    let last = escalations.last().unwrap();
    assert_eq!((last.call, last.outcome, last.step.as_str()), (reply.call, want, "next-attempt"), "{what}");
}

#[tokio::test]
async fn each_failure_has_its_code_and_the_next_model_answers() {
    use AttemptOutcome::{Auth, BadAnswer, NotFound, Overloaded, ServerError};
    let overload = |status| Behaviour::Overload { status, retry_after_ms: 3_600_000 };
    for dialect in DIALECTS {
        let rig = speaking(dialect).start().await;
        let run = rig.run().await;
        let elsewhere = format!("{}/chat/completions", rig.local.base_url());
        let either = [
            (Behaviour::Fail(500), ServerError),
            (Behaviour::Fail(401), Auth),
            (Behaviour::Fail(403), Auth),
            (Behaviour::Fail(404), NotFound),
            (overload(429), Overloaded),
            (overload(503), Overloaded),
            (overload(529), Overloaded),
            (Behaviour::Redirect(elsewhere), BadAnswer),
            (Behaviour::Html, BadAnswer),
            (Behaviour::Empty, BadAnswer),
            (Behaviour::Garbage, BadAnswer),
            (Behaviour::HalfStream, BadAnswer),
            (Behaviour::Cut, BadAnswer),
            (Behaviour::ErrorFirst, Overloaded),
        ];
        for stream in [false, true] {
            for (behaviour, want) in &either {
                one_failure(&rig, &run, behaviour.clone(), stream, *want).await;
            }
        }
        one_failure(&rig, &run, Behaviour::ErrorInStream, true, BadAnswer).await;
        one_failure(&rig, &run, Behaviour::ErrorInStream, false, Overloaded).await;
        assert_eq!(rig.local.requests(), 0, "a redirect was followed");
        finish_and_prove(&rig, run).await;
    }
}

async fn finish_and_prove(rig: &Rig, run: sluice_gateway::Run) -> RunId {
    let id = run.id().clone();
    run.finish("ok").await.unwrap();
    rig.prove(&id);
    let verified = rig.reader().verify().unwrap();
    assert!(verified.is_sound(), "{:?}", verified.flaws);
    assert_eq!(verified.frames, verified.signed_frames + 1, "all but the checkpoint itself is signed");
    id
}

#[tokio::test]
async fn a_server_that_stalls_is_left_at_the_deadline() {
    for dialect in DIALECTS {
        let rig = hurried(speaking(dialect), 250).start().await;
        let run = rig.run().await;
        for stream in [false, true] {
            one_failure(&rig, &run, Behaviour::Stall(FOR_EVER), stream, AttemptOutcome::Timeout).await;
            one_failure(&rig, &run, Behaviour::StallInside(FOR_EVER), stream, AttemptOutcome::Timeout).await;
        }
        finish_and_prove(&rig, run).await;
    }
}

/// More than any answer may have. The caps on tokens are raised out of the way, so that the size alone decides.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let rig = Setup::new()
        .edit(
            "context_tokens = 200_000\noutput_tokens_max = 16_000",
            "context_tokens = 9_000_000\noutput_tokens_max = 8_000_000",
        )
        .edit("run_usd_max = 5.00", "run_usd_max = \"unlimited\"")
        .edit("run_max = 500_000", "run_max = \"unlimited\"")
        .cloud(Rule::new(Behaviour::Flood(17 << 20)).for_model(CLAUDE))
        .start()
        .await;
    let run = rig.run().await;
    let request = CallRequest { output_tokens_max: Some(5_000_000), ..question("Plan this change.") };
    let failure = run.call(request).await.unwrap_err();
    // No other model of the policy could take so much: the failure of the first one is what a person is told.
    let CallFailure::Failed { attempts, detail, .. } = &failure else { panic!("{failure}") };
    assert_eq!(attempts[0].outcome, AttemptOutcome::BadAnswer);
    assert_eq!(detail, "the answer is larger than allowed");
    finish_and_prove(&rig, run).await;
}

/// A request that the server calls wrong is wrong everywhere: it is given up, and said so once.
#[tokio::test]
async fn what_cannot_succeed_elsewhere_is_given_up() {
    for status in [400, 422] {
        let rig = Setup::new().cloud(Rule::new(Behaviour::Fail(status))).start().await;
        let run = rig.run().await;
        let failure = run.call(short(false)).await.unwrap_err();
        let CallFailure::Failed { attempts, last, .. } = &failure else { panic!("{failure}") };
        assert_eq!((attempts.len(), *last), (1, "bad-request"));
        assert_eq!(rig.cloud.requests(), 1);
        let escalations: Vec<Escalation> = rig.recorded(run.id(), EventKind::Escalation);
        assert_eq!(
            (escalations[0].step.as_str(), escalations[0].reason.as_str()),
            ("given-up", "not-retryable")
        );
        finish_and_prove(&rig, run).await;
    }
}

/// Nobody is left: one failure, in the host's words, with a hint; what was acknowledged before stays.
#[tokio::test]
async fn where_every_model_fails_a_person_is_told_why_and_what_to_do() {
    let cases = [
        (Behaviour::Html, "bad-answer", "a web page, not JSON", "`base_url` and `dialect`"),
        (Behaviour::Fail(401), "auth", "does not accept the key", "key of this origin"),
        (Behaviour::Fail(404), "not-found", "no such model or route", "model name and `base_url`"),
        (Behaviour::Fail(500), "server-error", "the server failed", "sluice capsule events"),
        (Behaviour::HalfStream, "bad-answer", "the answer is not JSON", "`base_url` and `dialect`"),
    ];
    for (behaviour, code, detail, hint) in cases {
        let rig = Setup::new().start().await;
        let run = rig.run().await;
        let acknowledged = run.call(short(false)).await.unwrap();
        rig.cloud.add_rule(Rule::new(behaviour.clone()));
        let failure = run.call(short(false)).await.unwrap_err();
        let CallFailure::Failed { attempts, last, .. } = &failure else { panic!("{behaviour:?}: {failure}") };
        assert_eq!(*last, code);
        assert!((3..=4).contains(&attempts.len()), "{behaviour:?}: {attempts:?}");
        let told = failure.to_string();
        assert!(
            told.contains(detail) && !told.contains("Sign in") && !told.contains("told to fail"),
            "{told}"
        );
        let advice = failure.hint().unwrap();
        assert!(advice.contains(hint), "{behaviour:?}: {advice}");
        assert!(!failure.is_refusal(), "it could not be carried out: nobody said no");
        finish_and_prove(&rig, run).await;
        assert!(rig.reader().resolve(&acknowledged.envelope).is_ok());
    }
}

#[tokio::test]
async fn where_nothing_listens_the_call_fails_and_the_run_stands() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rig = Setup::new().cloud_at(&format!("http://127.0.0.1:{port}/v1")).start().await;
    let run = rig.run().await;
    let failure = run.call(short(false)).await.unwrap_err();
    let told = failure.to_string();
    assert!(told.contains("unreachable") && told.contains("nothing listens at the endpoint"), "{told}");
    assert!(failure.hint().unwrap().contains("server runs"));
    finish_and_prove(&rig, run).await;
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let rig = Setup::new().keyless().start().await;
    let run = rig.run().await;
    let failure = run.call(short(false)).await.unwrap_err();
    let CallFailure::Failed { attempts, last, detail, .. } = &failure else { panic!("{failure}") };
    assert_eq!((attempts.len(), *last), (3, "missing-key"), "each model once, none twice");
    assert!(detail.contains("CLOUD_API_KEY"), "{detail}");
    assert!(failure.hint().is_some());
    assert_eq!((rig.cloud.requests(), rig.local.requests()), (0, 0));
    let decisions: Vec<RoutingDecision> = rig.recorded(run.id(), EventKind::RoutingDecision);
    assert_eq!(decisions.len(), 4, "the last decision is that nobody is left");
    finish_and_prove(&rig, run).await;
}

/// A failing server's words can repeat the prompt: they are scanned like any text before they are kept.
#[tokio::test]
async fn a_servers_words_are_redacted_before_they_are_kept() {
    let token = rig::token();
    let rig = Setup::new().cloud(Rule::new(Behaviour::Leak(format!("the token is {token}")))).start().await;
    let run = rig.run().await;
    let reply = run.call(short(true)).await.unwrap();
    assert!(!reply.text.contains(&token) && !rig.stored(&token), "{}", reply.text);
    assert_eq!(reply.response_findings.len(), 1, "a token cut into pieces of a stream is found whole");
    finish_and_prove(&rig, run).await;
}
