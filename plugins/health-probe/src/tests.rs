//! Answers as real servers gave them (llama-server, SGLang, OpenAI, Anthropic, a proxy's page).

use super::*;
use kit::json;
use probing::{State, Verdict};

const LIST: &str =
    r#"{"object":"list","data":[{"id":"other","object":"model"},{"id":"gpt-oss-20b","object":"model"}]}"#;
const OPENAI_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-oss-20b","choices":[{"index":0,"message":{"role":"assistant","content":"p"},"finish_reason":"length"}],"usage":{"prompt_tokens":4,"completion_tokens":1},"timings":{"prompt_ms":1.5}}"#;
const ANTHROPIC_ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"p"}],"stop_reason":"max_tokens"}"#;

fn endpoint(mode: &str, dialect: &str, model: &str) -> Endpoint {
    Endpoint {
        id: format!("p/{model}"),
        provider: "p".to_owned(),
        model: model.to_owned(),
        mode: mode.to_owned(),
        dialect: dialect.to_owned(),
        now_ms: 1,
        ext: Vec::new(),
    }
}

fn local() -> Endpoint {
    endpoint("reflex", "openai-chat", "gpt-oss-20b")
}

fn answer(request: &str, status: u16, body: &str) -> Exchange {
    Exchange {
        request: request.to_owned(),
        status: Some(status),
        error: String::new(),
        duration_ms: 20,
        body: body.to_owned(),
        truncated: false,
        ext: Vec::new(),
    }
}

fn no_answer(request: &str, error: &str) -> Exchange {
    Exchange { status: None, error: error.to_owned(), ..answer(request, 0, "") }
}

fn verdict_on(endpoint: &Endpoint, exchanges: &[Exchange]) -> Verdict {
    match judge("{}", endpoint, exchanges).unwrap() {
        Judgement::Verdict(verdict) => verdict,
        Judgement::More(requests) => panic!("asks for more: {requests:?}"),
    }
}

fn more_on(endpoint: &Endpoint, exchanges: &[Exchange]) -> Vec<Request> {
    match judge("{}", endpoint, exchanges).unwrap() {
        Judgement::More(requests) => requests,
        Judgement::Verdict(verdict) => panic!("has a verdict: {verdict:?}"),
    }
}

#[test]
fn plans_the_list_and_one_token_of_chat_in_the_endpoints_dialect() {
    for (dialect, path) in [("openai-chat", "chat/completions"), ("anthropic-messages", "messages")] {
        let requests = first_round("{}", &endpoint("cloud", dialect, "a \"model\""), &[]).unwrap();
        let paths: Vec<_> =
            requests.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
        assert_eq!(paths, [("GET", "models"), ("POST", path)]);
        let body = json::parse(&requests[1].body).unwrap();
        assert_eq!(body.get("model").unwrap().as_text(), Some("a \"model\""));
        assert_eq!(body.get("max_tokens").unwrap().as_u64(), Some(1));
        assert!(requests[0].timeout_ms > 0 && requests[1].timeout_ms > 0);
    }
    assert_eq!(
        first_round("{}", &endpoint("cloud", "gopher", "m"), &[]).unwrap_err().code,
        FaultCode::Unsupported
    );
    assert_eq!(first_round("{\"x\":1}", &local(), &[]).unwrap_err().code, FaultCode::BadConfig);
}

#[test]
fn configuration_sets_the_deadlines() {
    let config = r#"{"models_timeout_ms":100,"chat_timeout_ms":200,"slow_ms":10}"#;
    let requests = first_round(config, &local(), &[]).unwrap();
    assert_eq!((requests[0].timeout_ms, requests[1].timeout_ms), (100, 200));
    let exchanges = [answer("models", 200, LIST), answer("chat-0", 200, OPENAI_ANSWER)];
    let Ok(Judgement::Verdict(verdict)) = judge(config, &local(), &exchanges) else { panic!() };
    assert_eq!((verdict.state, verdict.reason.as_str()), (State::Degraded, "slow"));
    assert!(first_round(r#"{"chat_timeout_ms":30001}"#, &local(), &[]).is_err());
}

#[test]
fn healthy_takes_both_the_list_and_the_chat() {
    let verdict = verdict_on(&local(), &[answer("models", 200, LIST), answer("chat-0", 200, OPENAI_ANSWER)]);
    assert_eq!((verdict.state, verdict.reason.as_str()), (State::Healthy, "listed-and-answered"));
    let sonnet = endpoint("cloud", "anthropic-messages", "claude-sonnet-4-20250514");
    let list = r#"{"data":[{"type":"model","id":"claude-sonnet-4-20250514"}],"has_more":false}"#;
    let verdict =
        verdict_on(&sonnet, &[answer("models", 200, list), answer("chat-0", 200, ANTHROPIC_ANSWER)]);
    assert_eq!(verdict.state, State::Healthy);
    let gemini = endpoint("cloud", "openai-chat", "gemini-2.0-flash");
    let list = r#"{"data":[{"id":"models/gemini-2.0-flash"}]}"#;
    let verdict = verdict_on(&gemini, &[answer("models", 200, list), answer("chat-0", 200, OPENAI_ANSWER)]);
    assert_eq!(verdict.state, State::Healthy);
}

#[test]
fn a_chat_that_is_not_answered_is_unhealthy_whatever_the_list_says() {
    let cases = [
        (answer("chat-0", 200, "<!doctype html><html>login</html>"), "chat-html"),
        (answer("chat-0", 200, &OPENAI_ANSWER[..90]), "chat-not-json"),
        (answer("chat-0", 200, ""), "chat-not-json"),
        (answer("chat-0", 200, r#"{"error":{"message":"x","code":503}}"#), "chat-error-in-answer"),
        (answer("chat-0", 200, r#"{"object":"error","message":"x","code":400}"#), "chat-error-in-answer"),
        (
            answer("chat-0", 200, r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
            "chat-error-in-answer",
        ),
        (answer("chat-0", 200, r#"{"detail":"Not Found"}"#), "chat-error-in-answer"),
        (answer("chat-0", 200, r#"{"choices":[]}"#), "chat-bad-shape"),
        (answer("chat-0", 200, ANTHROPIC_ANSWER), "chat-bad-shape"),
        (answer("chat-0", 401, r#"{"error":"Unauthorized"}"#), "auth"),
        (answer("chat-0", 404, r#"{"detail":"Not Found"}"#), "chat-not-found"),
        (answer("chat-0", 429, "{}"), "overloaded"),
        (answer("chat-0", 503, "The request queue is full."), "overloaded"),
        (answer("chat-0", 529, "{}"), "overloaded"),
        (answer("chat-0", 500, ""), "server-error"),
        (answer("chat-0", 302, ""), "redirected"),
        (answer("chat-0", 400, r#"{"error":{"message":"no"}}"#), "chat-refused"),
        (no_answer("chat-0", "unreachable"), "unreachable"),
        (no_answer("chat-0", "bad-answer"), "chat-bad-answer"),
    ];
    for (chat, code) in cases {
        let verdict = verdict_on(&local(), &[answer("models", 200, LIST), chat]);
        assert_eq!((verdict.state, verdict.reason.as_str()), (State::Unhealthy, code));
    }
}

#[test]
fn a_list_without_the_model_is_unhealthy_and_no_list_is_degraded() {
    let cases = [
        (answer("models", 200, r#"{"data":[{"id":"gpt-oss-20b-x"}]}"#), State::Unhealthy, "model-not-listed"),
        (answer("models", 200, r#"{"data":[]}"#), State::Unhealthy, "model-not-listed"),
        (answer("models", 404, r#"{"detail":"Not Found"}"#), State::Degraded, "models-refused"),
        (answer("models", 200, "<html>"), State::Degraded, "models-html"),
        (answer("models", 200, "{\"data\":[{\"id\":\"gpt-oss"), State::Degraded, "models-not-json"),
        (answer("models", 200, r#"{"object":"error"}"#), State::Degraded, "models-error-in-answer"),
        (answer("models", 200, "[]"), State::Degraded, "models-bad-shape"),
        (no_answer("models", "timeout"), State::Degraded, "models-timeout"),
    ];
    for (models, state, code) in cases {
        let verdict = verdict_on(&local(), &[models, answer("chat-0", 200, OPENAI_ANSWER)]);
        assert_eq!((verdict.state, verdict.reason.as_str()), (state, code));
    }
}

#[test]
fn one_timeout_is_asked_about_again_if_the_server_is_alive() {
    let late = [answer("models", 200, LIST), no_answer("chat-2", "timeout")];
    let more = more_on(&local(), &late);
    assert_eq!(more.iter().map(|request| request.id.as_str()).collect::<Vec<_>>(), ["again-2"]);

    let mut then = late.to_vec();
    then.push(answer("again-2", 200, OPENAI_ANSWER));
    let verdict = verdict_on(&local(), &then);
    assert_eq!((verdict.state, verdict.reason.as_str()), (State::Degraded, "late-once"));

    then[2] = no_answer("again-2", "timeout");
    let verdict = verdict_on(&local(), &then);
    assert_eq!((verdict.state, verdict.reason.as_str()), (State::Unhealthy, "chat-timeout"));

    let dead = [no_answer("models", "timeout"), no_answer("chat-0", "timeout")];
    assert_eq!(verdict_on(&local(), &dead).reason, "chat-timeout");

    let mut slow = answer("chat-0", 200, OPENAI_ANSWER);
    slow.duration_ms = 5_001;
    assert_eq!(
        more_on(&local(), &[answer("models", 200, LIST), slow]).len(),
        1,
        "past the deadline is late too"
    );
}

#[test]
fn a_model_that_refuses_max_tokens_is_asked_with_the_other_name() {
    let gpt = endpoint("cloud", "openai-chat", "gpt-5.2");
    let list = answer("models", 200, r#"{"data":[{"id":"gpt-5.2"}]}"#);
    let refused = r#"{"error":{"message":"Unsupported parameter: use 'max_completion_tokens' instead."}}"#;
    let mut exchanges = vec![list, answer("chat-0", 400, refused)];
    let more = more_on(&gpt, &exchanges);
    assert!(more[0].body.contains(r#""max_completion_tokens":1"#), "{}", more[0].body);
    exchanges.push(answer("again-0", 200, OPENAI_ANSWER));
    assert_eq!(verdict_on(&gpt, &exchanges).state, State::Healthy);
}

#[test]
fn a_list_that_was_cut_is_settled_by_the_models_own_entry() {
    let gpt = endpoint("cloud", "openai-chat", "gpt-4o");
    let cut = |body: &str| Exchange { truncated: true, ..answer("models", 200, body) };
    let chat = answer("chat-0", 200, OPENAI_ANSWER);

    let found = [cut(r#"{"data":[{"id":"a"},{ "id" : "gpt-4o", "obj"#), chat.clone()];
    assert_eq!(verdict_on(&gpt, &found).state, State::Healthy);

    let mut exchanges = vec![cut(r#"{"data":[{"id":"a"},{"id":"gpt-4o-mini","own"#), chat];
    let more = more_on(&gpt, &exchanges);
    assert_eq!((more[0].method.as_str(), more[0].path.as_str()), ("GET", "models/gpt-4o"));
    exchanges.push(answer("model", 200, r#"{"id":"gpt-4o","object":"model"}"#));
    assert_eq!(verdict_on(&gpt, &exchanges).state, State::Healthy);
    exchanges[2] = answer("model", 404, "{}");
    let verdict = verdict_on(&gpt, &exchanges);
    assert_eq!((verdict.state, verdict.reason.as_str()), (State::Degraded, "models-list-cut"));

    for model in ["Qwen/Qwen2.5", "..", "a?b"] {
        let odd = endpoint("cloud", "openai-chat", model);
        assert_eq!(verdict_on(&odd, &exchanges[..2]).reason, "models-list-cut", "{model} makes no path");
    }
}

#[test]
fn the_wait_grows_with_failures_in_a_row() {
    let past = |state: &str| Past { at_ms: 0, state: state.to_owned(), reason: String::new() };
    let mut waits = Vec::new();
    for failures in [0, 1, 2, 16] {
        let mut history = vec![past("unhealthy"); failures];
        history.push(past("healthy"));
        history.push(past("unhealthy"));
        let requests = first_round("{}", &local(), &history).unwrap();
        let exchanges =
            [no_answer(&requests[0].id, "unreachable"), no_answer(&requests[1].id, "unreachable")];
        waits.push(verdict_on(&local(), &exchanges).recheck_after_ms);
    }
    assert_eq!(waits, [5_000, 10_000, 20_000, 300_000]);
}

#[test]
fn exchanges_that_answer_something_else_are_bad_input() {
    for exchanges in [
        vec![],
        vec![answer("models", 200, LIST)],
        vec![answer("models", 200, LIST), answer("chat-x", 200, "")],
    ] {
        assert_eq!(judge("{}", &local(), &exchanges).unwrap_err().code, FaultCode::BadInput);
    }
}

#[test]
fn no_word_of_the_server_stands_in_the_verdict() {
    let leak = r#"{"error":{"message":"/srv/secret/path","type":"sk-planted"}}"#;
    for status in [200, 400, 500] {
        let verdict = verdict_on(&local(), &[answer("models", status, leak), answer("chat-0", status, leak)]);
        assert!(!format!("{verdict:?}").contains("planted") && !format!("{verdict:?}").contains("/srv"));
    }
}
