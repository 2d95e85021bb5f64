//! The client against a server over real HTTP that behaves, and misbehaves, as it is told.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use serde_json::{Value, json};
use sluice_core::contract::health_probe::{PROBE_BODY_BYTES_MAX, ProbeExchange, ProbeRequest};
use sluice_core::record::AttemptOutcome;
use sluice_core::{Cleared, Dialect, Digest, Egress, ScanEvidence, Secret};
use sluice_loopback::{Behaviour, Loopback, Options, Route, Rule};
use sluice_provider::{CallError, ChatCall, Client, Endpoint, Message, Reply, encode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any test: a wait that is not cut short would be seen.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// For attempts that should end by themselves.
const AMPLE: Duration = Duration::from_secs(30);
const KEY: &str = "sk-test-0123456789abcdef";

const BOTH: [Dialect; 2] = [Dialect::OpenAiChat, Dialect::AnthropicMessages];

#[expect(clippy::disallowed_methods, reason = "a test stands in for governance: this text is the test's own")]
fn cleared(body: &Value) -> Cleared {
    let evidence = ScanEvidence { redactor: Digest::ZERO, findings: 0, egress: Egress::Redact };
    Cleared::attest(body.to_string().into_bytes(), evidence)
}

fn call(text: &str, stream: bool) -> ChatCall {
    let message = |role: &str, text: &str| Message::new(role, text);
    ChatCall {
        messages: vec![message("system", "You plan."), message("user", text)],
        output_tokens_max: 4096,
        reasoning_effort: None,
        schema: None,
        stream,
        tools: Vec::new(),
        tool_choice: None,
    }
}

async fn start(rules: Vec<Rule>) -> Loopback {
    Loopback::start(Options { rules, ..Options::default() }).await.unwrap()
}

fn endpoint(base_url: String, dialect: Dialect) -> Endpoint {
    Endpoint { provider: "test".into(), dialect, base_url, key: Some(Secret::new(KEY.into())) }
}

async fn send_to(endpoint: &Endpoint, call: &ChatCall, timeout: Duration) -> Result<Reply, CallError> {
    let body = cleared(&encode(endpoint.dialect, "a-model", call));
    Client::new().unwrap().send(endpoint, body, call.stream, timeout).await
}

async fn attempt(
    behaviour: Behaviour,
    dialect: Dialect,
    stream: bool,
    timeout: Duration,
) -> Result<Reply, CallError> {
    let server = start(vec![Rule::new(behaviour)]).await;
    let result = send_to(&endpoint(server.base_url(), dialect), &call("hello", stream), timeout).await;
    assert_eq!(server.requests(), 1, "one attempt is one request: nothing is repeated behind its back");
    server.stop().await;
    result
}

#[tokio::test]
async fn whole_answers_are_the_same_with_and_without_streaming() {
    for dialect in BOTH {
        let mut texts = Vec::new();
        for stream in [false, true] {
            let reply = attempt(Behaviour::Ok, dialect, stream, AMPLE).await.unwrap();
            let answer = reply.answer;
            assert!(answer.loopback, "the stand-in is known for what it is");
            assert!(answer.text.starts_with("[loopback] Plan\n"), "{}", answer.text);
            assert!(answer.text.contains("> hello\n"));
            assert_eq!(answer.served_model.as_deref(), Some("a-model"));
            let usage = answer.usage.unwrap();
            assert_eq!(usage.output_tokens as usize, answer.text.len().div_ceil(4));
            texts.push((answer.text, answer.stop, usage, reply.status));
        }
        assert_eq!(texts[0], texts[1]);
    }
}

#[tokio::test]
async fn each_misbehaviour_has_its_outcome() {
    use AttemptOutcome::{Auth, BadAnswer, BadRequest, NotFound, Overloaded, ServerError};
    let cases = [
        (Behaviour::Fail(400), BadRequest),
        (Behaviour::Fail(401), Auth),
        (Behaviour::Fail(404), NotFound),
        (Behaviour::Fail(500), ServerError),
        (Behaviour::Fail(529), Overloaded),
        (Behaviour::Html, BadAnswer),
        (Behaviour::Empty, BadAnswer),
        (Behaviour::Garbage, BadAnswer),
        (Behaviour::HalfStream, BadAnswer),
        (Behaviour::Cut, BadAnswer),
        (Behaviour::ErrorFirst, Overloaded),
    ];
    for (behaviour, want) in cases {
        for dialect in BOTH {
            for stream in [false, true] {
                let error = attempt(behaviour.clone(), dialect, stream, AMPLE).await.expect_err("no answer");
                assert_eq!(error.outcome, want, "{behaviour:?} {dialect} stream={stream}: {error}");
                assert!(error.loopback);
            }
        }
    }
    for dialect in BOTH {
        let error = attempt(Behaviour::ErrorInStream, dialect, true, AMPLE).await.expect_err("no answer");
        assert_eq!(error.outcome, BadAnswer);
    }
}

#[tokio::test]
async fn an_overloaded_server_says_when_to_come_back() {
    let overload = Behaviour::Overload { status: 429, retry_after_ms: 1500 };
    let error = attempt(overload, Dialect::OpenAiChat, false, AMPLE).await.unwrap_err();
    assert_eq!((error.outcome, error.status), (AttemptOutcome::Overloaded, Some(429)));
    assert_eq!(error.retry_after_ms, Some(1500));
}

#[tokio::test]
async fn the_deadline_covers_head_body_and_every_event() {
    for behaviour in [Behaviour::Stall(FOR_EVER), Behaviour::StallInside(FOR_EVER), Behaviour::Slow(FOR_EVER)]
    {
        for dialect in BOTH {
            let stream = behaviour != Behaviour::Stall(FOR_EVER);
            let error =
                attempt(behaviour.clone(), dialect, stream, Duration::from_millis(60)).await.unwrap_err();
            assert_eq!(error.outcome, AttemptOutcome::Timeout, "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn too_large_an_answer_is_dropped_and_not_held() {
    let large = sluice_provider::dialect::BODY_BYTES_MAX;
    // A server that floods keeps to no `max_completion_tokens`.
    let error = attempt(Behaviour::Flood(large), Dialect::OpenAiChat, false, AMPLE).await.unwrap_err();
    assert_eq!(error.detail, "the answer is larger than allowed");
    let most = attempt(Behaviour::Flood(large / 2), Dialect::OpenAiChat, false, AMPLE).await;
    assert!(most.is_ok(), "half of it is an answer");
}

#[tokio::test]
async fn a_redirect_takes_neither_text_nor_key_anywhere() {
    let elsewhere = start(vec![]).await;
    let place = format!("{}/chat/completions", elsewhere.base_url());
    let error = attempt(Behaviour::Redirect(place), Dialect::OpenAiChat, false, AMPLE).await.unwrap_err();
    assert_eq!((error.outcome, error.status), (AttemptOutcome::BadAnswer, Some(307)));
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn the_key_stands_in_its_header_and_nowhere_else() {
    for (dialect, header, value) in [
        (Dialect::OpenAiChat, "authorization", format!("Bearer {KEY}")),
        (Dialect::AnthropicMessages, "x-api-key", KEY.to_owned()),
    ] {
        let server = start(vec![]).await;
        let endpoint = endpoint(server.base_url(), dialect);
        send_to(&endpoint, &call("hello", false), AMPLE).await.unwrap();
        let received = server.received().remove(0);
        assert_eq!(received.header(header), Some(value.as_str()));
        assert!(!received.body.windows(8).any(|window| window == &KEY.as_bytes()[..8]));
        let other = if header == "x-api-key" { "authorization" } else { "x-api-key" };
        assert_eq!(received.header(other), None);
        assert!(!format!("{endpoint:?} {received:?}").contains(KEY));
    }
}

#[tokio::test]
async fn what_left_is_what_was_cleared_byte_for_byte() {
    let server = start(vec![Rule::new(Behaviour::Echo)]).await;
    let call = call("my words, \u{20ac}", true);
    let endpoint = endpoint(server.base_url(), Dialect::OpenAiChat);
    let reply = send_to(&endpoint, &call, AMPLE).await.unwrap();
    assert_eq!(reply.answer.text, "You plan.\n\nmy words, \u{20ac}");
    let body = encode(Dialect::OpenAiChat, "a-model", &call);
    assert_eq!(server.received()[0].body, body.to_string());
}

#[tokio::test]
async fn no_error_repeats_a_key_a_prompt_or_the_servers_words() {
    let server = start(vec![Rule::new(Behaviour::Fail(400))]).await;
    let mut wrong_dialect = endpoint(server.base_url(), Dialect::OpenAiChat);
    let error = send_to(&wrong_dialect, &call("PLANTED-PROMPT", false), AMPLE).await.unwrap_err();
    assert_eq!(error.excerpt.as_deref(), Some("loopback: told to fail"), "kept apart, for redaction");
    wrong_dialect.key = Some(Secret::new("PLANTED\nKEY".into()));
    let bad_key = send_to(&wrong_dialect, &call("x", false), AMPLE).await.unwrap_err();
    assert_eq!(bad_key.outcome, AttemptOutcome::Auth);
    for error in [error, bad_key] {
        let said = format!("{error} {error:?} {:?}", error.hint());
        for word in ["PLANTED", "told to fail", KEY, "127.0.0.1"] {
            assert!(!said.contains(word), "{said}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_may_be() {
    let refused = |base_url: &str| endpoint(base_url.to_owned(), Dialect::OpenAiChat);
    for (base_url, detail) in [
        ("http://192.0.2.1/v1", "a key would travel over plain HTTP to another machine"),
        ("ftp://127.0.0.1/v1", "the base URL is neither `http` nor `https`"),
        ("https://u:p@127.0.0.1/v1", "the base URL holds a user name or password"),
        ("127.0.0.1:80", "the base URL is not a URL"),
    ] {
        let error = send_to(&refused(base_url), &call("x", false), AMPLE).await.unwrap_err();
        assert_eq!((error.outcome, error.detail), (AttemptOutcome::Unreachable, detail), "{base_url}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let error = send_to(&refused(&gone), &call("x", false), AMPLE).await.unwrap_err();
    assert_eq!(error.detail, "nothing listens at the endpoint");
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    // A process of its own: the environment is shared by every test of this one.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "whole_answers_are_the_same_with_and_without_streaming"])
        .envs(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, "http://127.0.0.1:1")))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A server of the crudest kind: reads something, writes `answer`, closes.
async fn crude_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let _ = socket.write_all(answer).await;
    });
    base_url
}

#[tokio::test]
async fn what_is_not_http_or_not_asked_for_is_told_apart() {
    for (answer, outcome, detail) in [
        (&b""[..], AttemptOutcome::Unreachable, "the connection broke before an answer"),
        (b"220 mail.example ESMTP\r\n", AttemptOutcome::Unreachable, "the connection broke before an answer"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            AttemptOutcome::BadAnswer,
            "the answer is compressed, which was not asked for",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"choices\":",
            AttemptOutcome::BadAnswer,
            "the connection broke inside the answer",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", AttemptOutcome::BadAnswer, "the answer is empty"),
    ] {
        let endpoint = endpoint(crude_server(answer).await, Dialect::OpenAiChat);
        let error = send_to(&endpoint, &call("x", false), AMPLE).await.unwrap_err();
        assert_eq!((error.outcome, error.detail), (outcome, detail), "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_away() {
    let base_url = crude_server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.replace("http://", "https://");
    let error =
        send_to(&endpoint(base_url, Dialect::OpenAiChat), &call("x", false), AMPLE).await.unwrap_err();
    assert_eq!(error.outcome, AttemptOutcome::Unreachable);
    let tls = "no TLS connection to the endpoint: certificate or handshake refused";
    let bare_machine = "this machine has no certificate authorities to check the server with";
    assert!([tls, bare_machine].contains(&error.detail), "{error}");
}

#[tokio::test]
async fn the_label_in_the_head_alone_is_enough() {
    let base_url = crude_server(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-sluice-loopback: 1\r\nconnection: close\r\n\r\n\
          {\"choices\":[{\"message\":{\"content\":\"x\"}}]}",
    );
    let endpoint = endpoint(base_url.await, Dialect::OpenAiChat);
    assert!(send_to(&endpoint, &call("x", false), AMPLE).await.unwrap().answer.loopback);
}

#[tokio::test]
async fn schemas_are_asked_for_and_kept_in_both_dialects() {
    let schema = json!({
        "type": "object", "properties": { "verdict": { "enum": ["pass", "fail"] }, "score": { "type": "integer" } },
        "required": ["verdict", "score"], "additionalProperties": false
    });
    let server = start(vec![]).await;
    for dialect in BOTH {
        for stream in [false, true] {
            let call = ChatCall { schema: Some(schema.clone()), ..call("judge", stream) };
            let reply = send_to(&endpoint(server.base_url(), dialect), &call, AMPLE).await.unwrap();
            let value: Value = serde_json::from_str(&reply.answer.text).unwrap();
            assert_eq!(value, json!({ "verdict": "pass", "score": 0 }));
        }
    }
}

#[tokio::test]
async fn tool_calls_stay_in_the_body() {
    let server = start(vec![]).await;
    let parameters =
        json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] });
    for dialect in BOTH {
        for stream in [false, true] {
            let mut body = encode(dialect, "a-model", &call("read it", stream));
            let pointer = if dialect == Dialect::OpenAiChat {
                body["tools"] =
                    json!([{ "type": "function", "function": { "name": "read", "parameters": parameters } }]);
                body["tool_choice"] = json!("required");
                "/choices/0/message/tool_calls/0/function/name"
            } else {
                body["tools"] = json!([{ "name": "read", "input_schema": parameters }]);
                body["tool_choice"] = json!({ "type": "any" });
                "/content/0/name"
            };
            let endpoint = endpoint(server.base_url(), dialect);
            let reply = Client::new().unwrap().send(&endpoint, cleared(&body), stream, AMPLE).await.unwrap();
            assert_eq!(reply.answer.body.pointer(pointer), Some(&json!("read")), "{}", reply.answer.body);
            assert_eq!(reply.answer.text, "");
        }
    }
}

fn probe(method: &str, path: &str, timeout_ms: u32) -> ProbeRequest {
    ProbeRequest {
        id: "r1".into(),
        method: method.into(),
        path: path.into(),
        body: String::new(),
        timeout_ms,
        ext: Vec::new(),
    }
}

async fn exchange(server: &Loopback, request: &ProbeRequest, body: Option<&Value>) -> ProbeExchange {
    let endpoint = endpoint(server.base_url(), Dialect::OpenAiChat);
    Client::new().unwrap().exchange(&endpoint, request, body.map(cleared)).await
}

#[tokio::test]
async fn a_probe_is_told_what_came_back() {
    let options = Options { models: vec!["m-1".into()], ..Options::default() };
    let server = Loopback::start(options).await.unwrap();
    let told = exchange(&server, &probe("GET", "models", 5000), None).await;
    assert_eq!((told.request.as_str(), told.status, told.error.as_str()), ("r1", Some(200), ""));
    assert!(told.body.contains("\"m-1\"") && !told.truncated);
    assert_eq!(told.ext, [("loopback".to_owned(), "true".to_owned())]);
    let body = encode(Dialect::OpenAiChat, "m-1", &ChatCall { output_tokens_max: 1, ..call("hi", false) });
    let told = exchange(&server, &probe("POST", "chat/completions", 5000), Some(&body)).await;
    assert_eq!(told.status, Some(200));
    assert!(told.body.contains("\"finish_reason\":\"length\""), "{}", told.body);
    let told = exchange(&server, &probe("GET", "no/such/route", 5000), None).await;
    assert_eq!((told.status, told.error.as_str()), (Some(404), ""), "an answer is an answer");
    server.add_rule(Rule::new(Behaviour::WrongModels));
    let told = exchange(&server, &probe("GET", "models", 5000), None).await;
    assert!(!told.body.contains("m-1"));
}

#[tokio::test]
async fn a_probe_is_bounded_in_time_size_and_reach() {
    let rules = vec![
        Rule::new(Behaviour::Stall(FOR_EVER)).on(Route::Models),
        Rule::new(Behaviour::Garbage).times(1),
        Rule::new(Behaviour::Cut),
    ];
    let server = start(rules).await;
    let told = exchange(&server, &probe("GET", "models", 40), None).await;
    assert_eq!((told.status, told.error.as_str()), (None, "timeout"));
    let body = encode(Dialect::OpenAiChat, "m", &call("hi", false));
    let told = exchange(&server, &probe("POST", "chat/completions", 5000), Some(&body)).await;
    assert_eq!((told.body.len(), told.truncated), (PROBE_BODY_BYTES_MAX, true));
    let told = exchange(&server, &probe("POST", "chat/completions", 5000), Some(&body)).await;
    assert_eq!((told.status, told.error.as_str()), (Some(200), "bad-answer"));

    let before = server.requests();
    let large = json!("x".repeat(PROBE_BODY_BYTES_MAX));
    for (request, body) in [
        (probe("GET", "../v1/models", 5000), None),
        (probe("GET", "//evil.example/models", 5000), None),
        (probe("GET", "http://evil.example/", 5000), None),
        (probe("DELETE", "models", 5000), None),
        (probe("GET", "models", 5000), Some(&body)),
        (probe("POST", "chat/completions", 5000), None),
        (probe("POST", "chat/completions", 5000), Some(&large)),
    ] {
        let told = exchange(&server, &request, body).await;
        assert_eq!((told.status, told.error.as_str()), (None, "unreachable"), "{request:?}");
    }
    assert_eq!(server.requests(), before, "none of these was sent");
}

#[tokio::test]
async fn connections_serve_again_also_after_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    // One connection is all that this server takes. Like uvicorn, it sends the end of a stream's body by
    // itself, behind the end mark.
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        for _ in 0..2 {
            assert!(socket.read(&mut request).await.unwrap() > 0);
            let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
            let begun = format!("{head}\r\n\r\n{:x}\r\n{event}\r\n", event.len());
            socket.write_all(begun.as_bytes()).await.unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            socket.write_all(b"0\r\n\r\n").await.unwrap();
        }
    });
    let client = Client::new().unwrap();
    let endpoint = endpoint(base_url, Dialect::OpenAiChat);
    for _ in 0..2 {
        let body = cleared(&encode(Dialect::OpenAiChat, "m", &call("hi", true)));
        client.send(&endpoint, body, true, AMPLE).await.unwrap();
    }
    served.await.unwrap();
}
