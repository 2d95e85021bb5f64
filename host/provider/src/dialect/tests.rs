//! Captured shapes, read as they came.

use super::*;
use crate::call::{EXCERPT_BYTES_MAX, Message};
use proptest::prelude::*;
use serde_json::json;
use sluice_core::Usage;

const JSON: &str = "application/json; charset=utf-8";
const SSE: &str = "text/event-stream";

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/", $name)).as_slice()
    };
}

fn openai(content_type: &str, body: &[u8]) -> Result<Answer, CallProblem> {
    decode(Dialect::OpenAiChat, 200, content_type, body)
}

fn anthropic(content_type: &str, body: &[u8]) -> Result<Answer, CallProblem> {
    decode(Dialect::AnthropicMessages, 200, content_type, body)
}

fn usage(input_tokens: u64, cached_input_tokens: u64, output_tokens: u64) -> Option<Usage> {
    Some(Usage { input_tokens, cached_input_tokens, output_tokens })
}

fn call() -> ChatCall {
    let message = |role: &str, text: &str| Message::new(role, text);
    ChatCall {
        messages: vec![
            message("system", "be brief"),
            message("developer", "no jokes"),
            message("user", "hello"),
        ],
        output_tokens_max: 64,
        reasoning_effort: None,
        schema: None,
        stream: false,
        tools: Vec::new(),
        tool_choice: None,
    }
}

#[test]
fn openai_bodies_say_what_was_asked_and_no_more() {
    let plain = encode(Dialect::OpenAiChat, "gpt-4o", &call());
    assert_eq!(
        plain,
        json!({
            "model": "gpt-4o",
            "messages": [
                { "role": "system", "content": "be brief" }, { "role": "developer", "content": "no jokes" },
                { "role": "user", "content": "hello" }
            ],
            "max_completion_tokens": 64
        })
    );
    let schema = json!({ "type": "object" });
    let all = ChatCall {
        reasoning_effort: Some("high".into()),
        schema: Some(schema.clone()),
        stream: true,
        ..call()
    };
    let body = encode(Dialect::OpenAiChat, "gpt-5.2", &all);
    assert_eq!(body["reasoning_effort"], "high");
    assert_eq!(
        body["response_format"],
        json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema, "strict": true } })
    );
    assert_eq!(body["stream_options"], json!({ "include_usage": true }));
}

#[test]
fn anthropic_bodies_have_the_system_text_apart() {
    let plain = encode(Dialect::AnthropicMessages, "claude", &call());
    assert_eq!(
        plain,
        json!({
            "model": "claude", "max_tokens": 64, "system": "be brief\n\nno jokes",
            "messages": [{ "role": "user", "content": "hello" }]
        })
    );
    let schema = json!({ "type": "object" });
    let all = ChatCall {
        reasoning_effort: Some("low".into()),
        schema: Some(schema.clone()),
        stream: true,
        ..call()
    };
    let body = encode(Dialect::AnthropicMessages, "claude", &all);
    let format = json!({ "type": "json_schema", "schema": schema });
    assert_eq!(body["output_config"], json!({ "effort": "low", "format": format }));
    assert_eq!(body["stream"], true);
}

#[test]
fn usage_follows_one_convention_whatever_the_server_counts() {
    let answer = openai(JSON, fixture!("openai_reasoning.json")).unwrap();
    assert_eq!(answer.usage, usage(86, 1920, 300), "cached tokens are inside the prompt");
    let answer = openai(JSON, fixture!("gemini_chat.json")).unwrap();
    assert_eq!(answer.usage, usage(20, 0, 716), "thoughts are in the total alone");
    let answer = anthropic(JSON, fixture!("anthropic_message.json")).unwrap();
    assert_eq!(answer.usage, usage(110, 1000, 6), "cache reads and writes are beside the input");
}

#[test]
fn nonsense_counts_are_not_counts() {
    for bad in ["-1", "1.5", "\"7\"", "9007199254740993", "null", "{}"] {
        let body = format!(
            r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{{"prompt_tokens":{bad},"completion_tokens":1}}}}"#
        );
        assert_eq!(openai(JSON, body.as_bytes()).unwrap().usage, None, "{bad}");
    }
    let more_cached_than_prompt = br#"{"choices":[{"message":{"content":"x"}}],"usage":
        {"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9}}}"#;
    assert_eq!(openai(JSON, more_cached_than_prompt).unwrap().usage, usage(0, 5, 1));
}

#[test]
fn a_stream_gives_the_body_that_the_same_answer_has_without_streaming() {
    let answer = openai(SSE, fixture!("llama_chat.sse")).unwrap();
    assert_eq!(answer.text, "Gr\u{fc}\u{df}e \u{20ac}");
    assert_eq!(answer.stop.as_deref(), Some("length"));
    assert_eq!(answer.usage, usage(8, 4, 5));
    assert_eq!(answer.served_model.as_deref(), Some("gpt-oss-20b"));
    assert_eq!(answer.body["object"], "chat.completion");
    assert_eq!(answer.body["timings"]["predicted_n"], 5, "unknown fields are kept");
    let choice = json!({
        "index": 0, "message": { "role": "assistant", "content": answer.text }, "finish_reason": "length"
    });
    assert_eq!(answer.body["choices"], json!([choice]));
    assert_eq!(openai(JSON, answer.body.to_string().as_bytes()).unwrap(), answer);
}

#[test]
fn sglang_repeats_nulls_and_leaves_usage_out() {
    let answer = openai(SSE, fixture!("sglang_chat.sse")).unwrap();
    assert_eq!(answer.text, "fn main() {}");
    assert_eq!(answer.usage, None);
    assert_eq!(answer.body["choices"][0]["matched_stop"], 151_645);
    assert_eq!(answer.body["metadata"]["weight_version"], "default");
    let answer = openai(SSE, fixture!("sglang_tools.sse")).unwrap();
    assert_eq!((answer.text.as_str(), answer.stop.as_deref()), ("", Some("tool_calls")));
    let function = json!({ "name": "read_file", "arguments": "{\"path\":\"a.rs\"}" });
    let calls = json!([{ "id": "call_1", "type": "function", "function": function }]);
    assert_eq!(answer.body["choices"][0]["message"]["tool_calls"], calls);
}

#[test]
fn anthropic_streams_fold_into_a_message() {
    let answer = anthropic(SSE, fixture!("anthropic_tools.sse")).unwrap();
    assert_eq!(answer.text, "I read it.");
    assert_eq!(answer.stop.as_deref(), Some("tool_use"));
    assert_eq!(answer.usage, usage(377, 50, 89), "the last count wins; null says nothing");
    assert_eq!(
        answer.body["content"],
        json!([
            { "type": "thinking", "thinking": "Let me look.", "signature": "EqQBCgIYAg==" },
            { "type": "text", "text": "I read it." },
            { "type": "tool_use", "id": "toolu_01", "name": "read_file", "input": { "path": "a.rs" } }
        ])
    );
    assert_eq!(anthropic(JSON, answer.body.to_string().as_bytes()).unwrap(), answer);
}

#[test]
fn a_refusal_is_an_answer_that_says_so() {
    let answer = openai(JSON, fixture!("openai_refusal.json")).unwrap();
    assert_eq!((answer.text.as_str(), answer.refused), ("I can't help with that.", true));
    let filtered = br#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#;
    let answer = openai(JSON, filtered).unwrap();
    assert_eq!((answer.text.as_str(), answer.refused), ("", true));
    let answer = anthropic(JSON, br#"{"content":[],"stop_reason":"refusal"}"#).unwrap();
    assert!(answer.refused);
}

#[test]
fn an_error_inside_a_200_is_no_answer() {
    use AttemptOutcome::{BadAnswer, Overloaded};
    let whole_then_error = [fixture!("sglang_chat.sse").split(|b| *b == b'[').next().unwrap(), b""].concat();
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let late = format!("{begun}data: {{\"error\":{{\"message\":\"x\",\"code\":503}}}}\n\ndata: [DONE]\n\n");
    let cases: [(&str, &[u8], AttemptOutcome); 10] = [
        (SSE, fixture!("sglang_overload.sse"), Overloaded),
        (SSE, late.as_bytes(), BadAnswer),
        (SSE, b"data: {\"error\":\"boom\"}\n\ndata: [DONE]\n\n", BadAnswer),
        (SSE, whole_then_error.as_slice(), BadAnswer),
        (JSON, br#"{"error":{"message":"x","code":"rate_limit_exceeded"}}"#, Overloaded),
        (JSON, br#"{"error":{"message":"x","status":"UNAVAILABLE","code":503}}"#, Overloaded),
        (
            JSON,
            br#"{"object":"error","message":"max_tokens","type":"BadRequest","param":null,"code":400}"#,
            BadAnswer,
        ),
        (JSON, br#"{"error":"Unauthorized"}"#, BadAnswer),
        (JSON, br#"{"choices":[{"message":{"content":"ha"},"finish_reason":"abort"}]}"#, BadAnswer),
        (JSON, br#"{"error":null,"choices":[]}"#, BadAnswer),
    ];
    for (content_type, body, want) in cases {
        let problem = openai(content_type, body).unwrap_err();
        assert_eq!(problem.outcome, want, "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(anthropic(SSE, fixture!("anthropic_overload.sse")).unwrap_err().outcome, Overloaded);
    let whole = fixture!("anthropic_tools.sse");
    let mid = [&whole[..whole.len() / 2], b"\n\n", fixture!("anthropic_overload.sse")].concat();
    assert_eq!(anthropic(SSE, &mid).unwrap_err().outcome, BadAnswer, "an answer had begun");
}

#[test]
fn half_a_stream_is_no_answer_wherever_it_is_cut() {
    for (dialect, whole, mark) in [
        (Dialect::OpenAiChat, fixture!("llama_chat.sse"), b"[DONE]".as_slice()),
        (Dialect::AnthropicMessages, fixture!("anthropic_tools.sse"), b"{\"type\":\"message_stop\"}"),
    ] {
        let end = whole.windows(mark.len()).rposition(|window| window == mark).unwrap() + mark.len();
        for cut in (0..end).step_by(7).chain([end - 1]) {
            let problem = decode(dialect, 200, SSE, &whole[..cut]).expect_err("half a stream");
            assert_eq!(problem.outcome, AttemptOutcome::BadAnswer, "{cut}");
        }
        assert!(decode(dialect, 200, SSE, &whole[..end]).is_ok(), "the closing blank line may be missing");
    }
}

#[test]
fn anthropic_events_out_of_order_are_refused() {
    for events in [
        "data: {\"type\":\"message_stop\"}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{}}\n\n",
        "data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
        "data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":3}\n\n",
        "data: {\"type\":\"message_start\"}\n\n",
    ] {
        let problem = anthropic(SSE, events.as_bytes()).unwrap_err();
        assert_eq!(problem.detail, "the stream's events are out of order", "{events}");
    }
}

#[test]
fn what_is_not_the_dialect_is_a_bad_answer() {
    for (content_type, body) in [
        ("text/html; charset=UTF-8", "<!doctype html><title>Sign in</title>"),
        ("text/plain", "{\"choices\":[]}"),
        ("application/octet-stream", "\u{0}"),
        (JSON, ""),
        (JSON, " \n"),
        (SSE, ""),
        (JSON, "<html>"),
        (JSON, "[]"),
        (JSON, "42"),
        (JSON, "{}"),
        (JSON, "{\"choices\":[{}]}"),
        (JSON, "{\"choices\":[{\"message\":{}}]}"),
        (JSON, "{\"choices\":[{\"message\":{\"content\":7}}]}"),
        (SSE, "<html>\n\n"),
        (SSE, "data: <html>\n\n"),
        (SSE, "data: [1]\n\ndata: [DONE]\n\n"),
        (SSE, "data: {\"choices\":[7]}\n\ndata: [DONE]\n\n"),
        (SSE, "data: [DONE]\n\n"),
    ] {
        for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let problem = decode(dialect, 200, content_type, body.as_bytes()).expect_err(body);
            assert_eq!(problem.outcome, AttemptOutcome::BadAnswer, "{content_type} {body}");
        }
    }
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    assert_eq!(openai(JSON, &large).unwrap_err().detail, "the answer is larger than allowed");
    let deep = "[".repeat(100_000);
    assert_eq!(openai(JSON, deep.as_bytes()).unwrap_err().detail, "the answer is not JSON");
}

#[test]
fn statuses_become_outcomes() {
    use AttemptOutcome::{Auth, BadAnswer, BadRequest, NotFound, Overloaded, ServerError, Timeout};
    for (status, want) in [
        (100, BadAnswer),
        (302, BadAnswer),
        (307, BadAnswer),
        (400, BadRequest),
        (401, Auth),
        (402, Auth),
        (403, Auth),
        (404, NotFound),
        (408, Timeout),
        (413, BadRequest),
        (422, BadRequest),
        (429, Overloaded),
        (500, ServerError),
        (502, ServerError),
        (503, Overloaded),
        (529, Overloaded),
        (599, ServerError),
        (999, BadAnswer),
    ] {
        let problem = decode(Dialect::OpenAiChat, status, JSON, b"{}").unwrap_err();
        assert_eq!(problem.outcome, want, "{status}");
    }
}

#[test]
fn the_servers_words_are_kept_apart_and_short() {
    for (body, want) in [
        (r#"{"error":{"message":"No such model","type":"x"}}"#, Some("No such model")),
        (r#"{"error":"Unauthorized"}"#, Some("Unauthorized")),
        (r#"{"object":"error","message":"bad","code":400}"#, Some("bad")),
        (r#"{"detail":"Not Found"}"#, Some("Not Found")),
        (r#"{"other":"x"}"#, None),
        ("<h1>502</h1>", Some("<h1>502</h1>")),
        ("", None),
    ] {
        let problem = decode(Dialect::OpenAiChat, 404, JSON, body.as_bytes()).unwrap_err();
        assert_eq!(problem.excerpt.as_deref(), want);
        let said = format!("{problem} {problem:?}");
        assert!(want.is_none_or(|words| !said.contains(words)), "{said}");
    }
    let long = format!(r#"{{"error":"{}"}}"#, "\u{20ac}".repeat(10_000));
    let excerpt = decode(Dialect::OpenAiChat, 500, JSON, long.as_bytes()).unwrap_err().excerpt.unwrap();
    assert!(excerpt.len() <= EXCERPT_BYTES_MAX && excerpt.chars().all(|c| c == '\u{20ac}'));
}

#[test]
fn the_loopback_label_is_seen_wherever_it_stands() {
    for body in [
        r#"{"choices":[{"message":{"content":"x"}}],"sluice_loopback":true}"#,
        r#"{"choices":[{"message":{"content":"x"}}],"system_fingerprint":"sluice-loopback"}"#,
    ] {
        assert!(openai(JSON, body.as_bytes()).unwrap().loopback, "{body}");
    }
    assert!(anthropic(JSON, br#"{"content":[],"sluice_loopback":true}"#).unwrap().loopback);
    assert!(!openai(JSON, fixture!("openai_reasoning.json")).unwrap().loopback);
}

#[test]
fn names_that_are_prose_are_not_kept_as_names() {
    let body =
        br#"{"model":"see /etc/passwd now","choices":[{"message":{"content":"x"},"finish_reason":"a b"}]}"#;
    let answer = openai(JSON, body).unwrap();
    assert_eq!((answer.served_model, answer.stop.as_deref()), (None, Some("other")));
}

/// Bytes of real answers with a few of them changed, and bytes of nothing at all.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let real = prop_oneof![
        Just(fixture!("llama_chat.sse")),
        Just(fixture!("sglang_tools.sse")),
        Just(fixture!("anthropic_tools.sse")),
        Just(fixture!("openai_reasoning.json")),
        Just(fixture!("anthropic_message.json")),
    ];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let changed = (real, changes).prop_map(|(bytes, changes)| {
        let mut bytes = bytes.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![changed, proptest::collection::vec(any::<u8>(), 0..512)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_bytes_make_decoding_panic_and_no_cutting_changes_it(
        body in answers(), anthropic in any::<bool>(), size in 1usize..64
    ) {
        let dialect = if anthropic { Dialect::AnthropicMessages } else { Dialect::OpenAiChat };
        let _ = decode(dialect, 200, JSON, &body);
        let _ = decode(dialect, 500, JSON, &body);
        let whole = decode(dialect, 200, SSE, &body);
        let mut decoder = StreamDecoder::new(dialect);
        let pushed = body.chunks(size).try_for_each(|chunk| decoder.push(chunk));
        prop_assert_eq!(pushed.and_then(|()| decoder.finish()), whole);
    }
}
