//! Golden cases: what is told of each string of a body, and where nothing is.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Of each value: author, tool and media type, in the order of the body.
fn told(direction: Direction, raw: &str) -> Vec<(String, String)> {
    let slots = crate::json::slots(raw).unwrap();
    let origins = of(direction, raw, &slots);
    assert_eq!(origins.len(), slots.len());
    let shown = |origin: &Origin| {
        let tool = origin.tool.as_ref().map(|tool| format!(" {tool}"));
        let media_type = origin.media_type.as_ref().map(|media_type| format!(" as {media_type}"));
        [origin.author.code(), &tool.unwrap_or_default(), &media_type.unwrap_or_default()].concat()
    };
    slots.into_iter().zip(&origins).map(|(slot, origin)| (slot.path, shown(origin))).collect()
}

fn asked(body: &serde_json::Value) -> Vec<(String, String)> {
    told(Direction::Request, &body.to_string())
}

/// What is told of the values at these pointers.
fn check(all: &[(String, String)], wanted: &[(&str, &str)]) {
    for (path, want) in wanted {
        let found: Vec<&str> =
            all.iter().filter(|(at, _)| at == path).map(|(_, told)| told.as_str()).collect();
        assert_eq!(found, [*want], "{path}");
    }
}

#[test]
fn chat_completions() {
    let function = |name: &str, arguments: serde_json::Value| json!({ "name": name, "arguments": arguments });
    let all = asked(&json!({
        "model": "m", "user": "u-1", "tools": [{ "type": "function", "function": { "name": "look", "description": "d" } }],
        "messages": [
            { "role": "system", "content": "s" },
            { "role": "developer", "content": [{ "type": "text", "text": "d" }] },
            { "role": "user", "name": "ann", "content": [{ "type": "text", "text": "u" }] },
            { "role": "assistant", "content": "a", "tool_calls": [
                { "id": "c1", "type": "function", "function": function("look", json!("{\"at\":\"x\"}")) },
                { "id": "c2", "type": "function", "function": function("read", json!({ "path": "y" })) },
                { "id": "c3", "type": "custom", "custom": { "name": "shell", "input": "ls" } },
            ] },
            { "role": "tool", "tool_call_id": "c2", "content": "two" },
            { "role": "tool", "tool_call_id": "c1", "content": [{ "type": "text", "text": "one" }] },
            { "role": "tool", "tool_call_id": "c3", "content": "three" },
            { "role": "assistant", "content": null, "function_call": function("old", json!("{}")) },
            { "role": "function", "name": "old", "content": "of old" },
        ],
    }));
    check(
        &all,
        &[
            ("/model", ""),
            ("/user", ""),
            ("/tools/0/function/name", ""),
            ("/tools/0/function/description", ""),
            ("/messages/0/content", "system"),
            ("/messages/0/#key/1", "system"),
            ("/messages/1/content/0/text", "developer"),
            ("/messages/2/content/0/text", "user"),
            ("/messages/2/name", "user"),
            ("/messages/3/content", "assistant"),
            ("/messages/3/tool_calls/0/id", "assistant"),
            ("/messages/3/tool_calls/0/function/name", "assistant"),
            ("/messages/3/tool_calls/0/function/arguments", "assistant look"),
            ("/messages/3/tool_calls/1/function/arguments/path", "assistant read"),
            ("/messages/3/tool_calls/1/function/arguments/#key/0", "assistant read"),
            ("/messages/3/tool_calls/2/custom/input", "assistant shell"),
            ("/messages/4/content", "tool read"),
            ("/messages/5/content/0/text", "tool look"),
            ("/messages/6/content", "tool shell"),
            ("/messages/7/function_call/arguments", "assistant old"),
            ("/messages/8/content", "tool old"),
        ],
    );
}

#[test]
fn anthropic_messages() {
    let all = asked(&json!({
        "system": [{ "type": "text", "text": "s" }],
        "messages": [
            { "role": "user", "content": "u" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "t", "signature": "EqQB" },
                { "type": "tool_use", "id": "toolu_1", "name": "look", "input": { "a": ["x"], "role": "user" } },
                { "type": "server_tool_use", "id": "srvtoolu_2", "name": "web_search", "input": { "query": "q" } },
                { "type": "web_search_tool_result", "tool_use_id": "srvtoolu_2", "content": [{ "title": "w" }] },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "r" }] },
                { "tool_use_id": "toolu_1", "content": "short", "type": "tool_result" },
                { "type": "text", "text": "and?" },
            ] },
        ],
    }));
    check(
        &all,
        &[
            ("/system/0/text", "system"),
            ("/messages/0/content", "user"),
            ("/messages/1/content/0/thinking", "assistant"),
            ("/messages/1/content/1/name", "assistant"),
            ("/messages/1/content/1/input/a/0", "assistant look"),
            ("/messages/1/content/1/input/role", "assistant look"),
            ("/messages/1/content/2/input/query", "assistant web_search"),
            ("/messages/1/content/3/content/0/title", "tool web_search"),
            ("/messages/2/content/0/content/0/text", "tool look"),
            ("/messages/2/content/1/content", "tool look"),
            ("/messages/2/content/2/text", "user"),
            ("/messages/2/role", "user"),
        ],
    );
    check(&asked(&json!({ "system": "s", "messages": [] })), &[("/system", "system"), ("/#key/0", "")]);
}

#[test]
fn responses_and_contents() {
    let all = asked(&json!({
        "instructions": "i", "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": "u" }] },
            { "type": "message", "role": "developer", "content": "d" },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "r" }] },
            { "type": "function_call", "id": "fc_1", "call_id": "c", "name": "read", "arguments": "{\"p\":1}" },
            { "type": "function_call_output", "call_id": "c", "output": "z" },
            { "type": "mcp_call", "name": "find", "arguments": "{}", "output": "found" },
            { "type": "item_reference", "id": "x" },
            { "type": 7, "role": "user", "content": "typed oddly" },
        ],
    }));
    check(
        &all,
        &[
            ("/instructions", "system"),
            ("/input/0/content/0/text", "user"),
            ("/input/1/content", "developer"),
            ("/input/2/summary/0/text", "assistant"),
            ("/input/3/name", "assistant"),
            ("/input/3/arguments", "assistant read"),
            ("/input/4/output", "tool read"),
            ("/input/5/arguments", "assistant find"),
            ("/input/5/output", "tool find"),
            ("/input/6/id", ""),
            ("/input/7/content", ""),
        ],
    );
    let all = asked(&json!({
        "systemInstruction": { "parts": [{ "text": "s" }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "u" }, { "inlineData": { "mimeType": "image/PNG", "data": "QUJD" } }] },
            { "role": "model", "parts": [{ "functionCall": { "name": "look", "args": { "a": "x" } } }] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "look", "response": { "b": "y" } } }] },
            { "role": "assistant", "parts": [{ "text": "no role of this list" }] },
            { "parts": [{ "text": "nobody" }] },
        ],
    }));
    check(
        &all,
        &[
            ("/systemInstruction/parts/0/text", "system"),
            ("/contents/0/parts/0/text", "user"),
            ("/contents/0/parts/1/inlineData/data", "user as image/png"),
            ("/contents/1/parts/0/functionCall/args/a", "assistant look"),
            ("/contents/1/parts/0/functionCall/name", "assistant"),
            ("/contents/2/parts/0/functionResponse/response/b", "tool look"),
            ("/contents/3/parts/0/text", ""),
            ("/contents/4/parts/0/text", ""),
        ],
    );
}

#[test]
fn answers_are_the_models_whatever_they_call_themselves() {
    let told = |body: serde_json::Value| told(Direction::Response, &body.to_string());
    let chat = told(json!({ "id": "x", "model": "m", "choices": [{ "finish_reason": "stop", "message": {
        "role": "system", "content": "a", "tool_calls": [{ "id": "c", "function": { "name": "look", "arguments": "{\"a\":1}" } }],
    } }], "messages": [{ "role": "user", "content": "none of an answer" }] }));
    check(
        &chat,
        &[
            ("/id", ""),
            ("/model", ""),
            ("/choices/0/finish_reason", ""),
            ("/choices/0/message/content", "assistant"),
            ("/choices/0/message/tool_calls/0/function/arguments", "assistant look"),
            ("/messages/0/content", ""),
        ],
    );
    let messages = told(json!({ "id": "x", "role": "user", "system": "s", "content": [
        { "type": "text", "text": "a" },
        { "type": "tool_use", "id": "c", "name": "look", "input": { "a": "x" } },
        { "type": "server_tool_use", "id": "s", "name": "fetch", "input": {} },
        { "type": "web_fetch_tool_result", "tool_use_id": "s", "content": "page" },
    ] }));
    check(
        &messages,
        &[
            ("/id", ""),
            ("/system", ""),
            ("/content/0/text", "assistant"),
            ("/content/1/input/a", "assistant look"),
            ("/content/3/content", "tool fetch"),
        ],
    );
    let responses = told(json!({ "output": [
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "a" }] },
        { "type": "function_call", "call_id": "c", "name": "look", "arguments": "{\"a\":1}" },
        { "type": "brand_new", "text": "n" },
    ] }));
    check(
        &responses,
        &[
            ("/output/0/content/0/text", "assistant"),
            ("/output/1/arguments", "assistant look"),
            ("/output/2/text", "assistant"),
        ],
    );
    // What comes by itself is told the same.
    for (path, want) in [
        ("/choices/0/message/content", Author::Assistant),
        ("/content", Author::Assistant),
        ("/content/3/text", Author::Assistant),
        ("/output/0/content/0/text", Author::Assistant),
        ("/choices/0/finish_reason", Author::Unknown),
        ("/contents", Author::Unknown),
        ("", Author::Unknown),
    ] {
        assert_eq!(author_of_answer(path), want, "{path}");
    }
}

/// What a body does not say, says oddly or says twice is told to nobody, and refused by nobody.
#[test]
fn what_is_doubtful_is_unknown() {
    for role in [
        r#""content": "x""#,
        r#""role": null, "content": "x""#,
        r#""role": 7, "content": "x""#,
        r#""role": ["user"], "content": "x""#,
        r#""role": {"role": "user"}, "content": "x""#,
        r#""role": "", "content": "x""#,
        r#""role": "User", "content": "x""#,
        r#""role": "critic", "content": "x""#,
        r#""role": "model", "content": "x""#,
        r#""role": "user", "content": "x", "role": "tool""#,
        r#""role": "user", "content": "x", "role": "user""#,
        r#""role": "user", "role": 7, "content": "x""#,
        r##""#key": {"0": "role"}, "0": "user", "content": "x""##,
    ] {
        let all = told(Direction::Request, &format!(r#"{{"messages": [{{{role}}}]}}"#));
        check(&all, &[("/messages/0/content", "")]);
    }
    // Escaped and late, a role is a role.
    let all = told(Direction::Request, r#"{"messages": [{"content": "x", "r\u006fle": "us\u0065r"}]}"#);
    check(&all, &[("/messages/0/content", "user")]);
    // Two conversations in one body: each message's role is its own.
    let twice =
        r#"{"messages": [{"role": "user", "content": "x"}], "messages": [{"role": "tool", "content": "y"}]}"#;
    let all = told(Direction::Request, twice);
    let contents =
        all.iter().filter(|(path, _)| path == "/messages/0/content").map(|(_, told)| told.as_str());
    assert_eq!(contents.collect::<Vec<_>>(), ["user", "tool"]);
    // Objects elsewhere that merely look like messages, or like results.
    let all = asked(&json!({
        "metadata": { "role": "system", "content": "m" },
        "role": "system", "content": "top",
        "messages": [
            "bare",
            { "role": "user", "content": [{ "role": "system", "type": "text", "text": "x", "tool_call_id": "c" }] },
            { "role": "user", "extra": { "messages": [{ "role": "tool", "content": "y" }] } },
            [{ "role": "user", "content": "in a list" }],
        ],
        "input": "text",
    }));
    check(
        &all,
        &[
            ("/metadata/content", ""),
            ("/content", ""),
            ("/messages/0", ""),
            ("/messages/1/content/0/text", "user"),
            ("/messages/2/extra/messages/0/content", "user"),
            ("/messages/3/0/content", ""),
            ("/input", ""),
        ],
    );
    assert!(
        told(Direction::Record, r#"{"messages":[{"role":"user","content":"x"}],"content":"y"}"#)
            .iter()
            .all(|(_, told)| told.is_empty())
    );
}

#[test]
fn results_of_no_certain_call_have_no_tool() {
    let name_of = |calls: &str, id: &str| {
        let raw = format!(
            r#"{{"messages": [{{"role": "assistant", "tool_calls": [{calls}]}},
                {{"role": "tool", {id}, "name": "claimed", "content": "x"}}]}}"#
        );
        let all = told(Direction::Request, &raw);
        all.into_iter().find(|(path, _)| path == "/messages/1/content").unwrap().1
    };
    let call = |id: &str, name: &str| {
        format!(r#"{{"id": "{id}", "function": {{"name": "{name}", "arguments": ""}}}}"#)
    };
    let id = r#""tool_call_id": "c""#;
    assert_eq!(name_of(&call("c", "look"), id), "tool look");
    assert_eq!(name_of(&format!("{}, {}", call("c", "look"), call("c", "look")), id), "tool look");
    for (calls, id) in [
        (String::new(), id),
        (call("d", "look"), id),
        (call("c", "look"), r#""tool_call_id": "C""#),
        (call("c", "look"), r#""tool_call_id": ["c"]"#),
        (call("c", "look"), r#""tool_call_id": "c", "tool_call_id": "c""#),
        (call("c", "look"), r#""tool_call_id": "c", "tool_use_id": "c""#),
        (call("c", "look"), r#""id": "c""#),
        (call("", "look"), r#""tool_call_id": """#),
        (format!("{}, {}", call("c", "look"), call("c", "read")), id),
        (format!("{}, {}", call("c", "look"), r#"{"id": "c", "function": {"name": 7}}"#), id),
        // No tool can be called this.
        (call("c", ""), id),
        (call("c", "look at it"), id),
        (call("c", "[REDACTED:a:0011223344556677]"), id),
        (call("c", &"l".repeat(65)), id),
        (r#"{"id": "c", "function": {"name": "look", "name": "read"}}"#.to_owned(), id),
        (r#"{"id": "c", "id": "c", "function": {"name": "look"}}"#.to_owned(), id),
    ] {
        assert_eq!(name_of(&calls, id), "tool", "{calls} {id}");
    }
    assert_eq!(name_of(&call("c", &"l".repeat(64)), id), format!("tool {}", "l".repeat(64)));
    // Servers count anew in each answer: the call before is the one. A call after its result is none of it.
    let assistant = |name: &str| json!({ "role": "assistant", "tool_calls": [{ "id": "0", "function": { "name": name } }] });
    let result = json!({ "role": "tool", "tool_call_id": "0", "content": "x" });
    let all = asked(&json!({ "messages": [result, assistant("look"), result, assistant("read"), result] }));
    check(
        &all,
        &[
            ("/messages/0/content", "tool"),
            ("/messages/2/content", "tool look"),
            ("/messages/4/content", "tool read"),
        ],
    );
}

#[test]
fn media_types_are_what_attachments_state() {
    let source = |source: &str| {
        let raw = format!(
            r#"{{"messages": [{{"role": "user", "content": [{{"type": "image", "source": {source}}}]}}]}}"#
        );
        let all = told(Direction::Request, &raw);
        all.into_iter().find(|(path, _)| path == "/messages/0/content/0/source/data").unwrap().1
    };
    let long = format!(r#"{{"media_type": "a/{}", "data": "x"}}"#, "b".repeat(126));
    let far = format!(r#"{{"media_type": "image/png", {} "data": "x"}}"#, r#""a": "b","#.repeat(16));
    for (stated, want) in [
        (r#"{"type": "base64", "media_type": "image/png", "data": "x"}"#, "user as image/png"),
        (r#"{"data": "x", "media_type": "Text/Plain; charset=utf-8"}"#, "user as text/plain"),
        (r#"{"media_type": "png", "data": "x"}"#, "user"),
        (r#"{"media_type": "a b/c", "data": "x"}"#, "user"),
        (r#"{"media_type": ["image/png"], "data": "x"}"#, "user"),
        (r#"{"media_type": "image/png", "data": "x", "media_type": "text/plain"}"#, "user"),
        (r#"{"media_type": null, "data": "x", "media_type": "text/plain"}"#, "user"),
        (long.as_str(), "user"),
        // Farther apart than members of an attachment are.
        (far.as_str(), "user"),
    ] {
        assert_eq!(source(stated), want, "{stated}");
    }
    // In a result it is an attachment too; in arguments it is whatever the tool makes of it.
    let image = json!({ "type": "base64", "media_type": "image/png", "data": "x" });
    let all = asked(&json!({ "messages": [{ "role": "assistant", "content": [
        { "type": "tool_use", "id": "c", "name": "look", "input": { "source": image } },
        { "type": "tool_result", "tool_use_id": "c", "content": [{ "type": "image", "source": image }] },
    ] }] }));
    check(
        &all,
        &[
            ("/messages/0/content/0/input/source/data", "assistant look"),
            ("/messages/0/content/1/content/0/source/data", "tool look as image/png"),
        ],
    );
}

#[test]
fn data_urls_state_what_they_are_where_they_are_whole() {
    let of = |key, text| of_data_url(Some(key), text);
    assert_eq!(of("url", "data:image/png;base64,QUJD").as_deref(), Some("image/png"));
    assert_eq!(
        of("file_data", "DATA:Application/PDF;name=a;base64,QUJD==").as_deref(),
        Some("application/pdf")
    );
    for (key, text) in [
        ("content", "data:image/png;base64,QUJD"),
        ("text", "data:image/png;base64,QUJD"),
        ("url", "data:image/png;base64,QUJD and words behind it"),
        ("url", "data:text/plain,words"),
        ("url", "data:;base64,QUJD"),
        ("url", "data:image/png;base64"),
        ("url", "https://example.com/a.png"),
        ("url", "dat\u{e9}"),
        ("url", ""),
    ] {
        assert_eq!(of(key, text), None, "{key} {text}");
    }
    assert_eq!(of_data_url(None, "data:image/png;base64,QUJD"), None);
}

/// Deep nesting, long names and many of everything cost a pass and no more.
#[test]
fn hostile_bodies_are_told_of_in_one_pass() {
    const DEEP: usize = 50_000;
    let deep = format!(
        r#"{{"messages": [{{"role": "user", "content": {}"x"{}}}]}}"#,
        r#"[{"role": "tool", "content": "#.repeat(DEEP),
        "}]".repeat(DEEP)
    );
    let all = told(Direction::Request, &deep);
    assert!(all.iter().filter(|(path, _)| path.starts_with("/messages/0")).all(|(_, told)| told == "user"));
    let many =
        (0..DEEP).map(|n| format!(r#"{{"id": "c", "function": {{"name": "n{n}", "arguments": "x"}}}}"#));
    let many = many.collect::<Vec<_>>().join(",");
    let types = r#""media_type": "image/png","#.repeat(DEEP);
    let raw = format!(
        r#"{{"messages": [{{"role": "assistant", "tool_calls": [{many}]}}, {{"role": "tool", "tool_call_id": "c", "content":
            [{{"source": {{{types} "data": "x"}}}}]}}]}}"#
    );
    let all = told(Direction::Request, &raw);
    check(&all, &[("/messages/1/content/0/source/data", "tool")]);
}

/// Objects out of the words that are looked for, in any order and nesting.
fn any_value() -> impl Strategy<Value = serde_json::Value> {
    const WORDS: [&str; 24] = [
        "messages",
        "input",
        "contents",
        "content",
        "parts",
        "output",
        "choices",
        "message",
        "role",
        "type",
        "id",
        "name",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "tool_calls",
        "function",
        "functionResponse",
        "source",
        "media_type",
        "data",
        "0",
        "#key",
        "#key/0",
    ];
    const TEXTS: [&str; 8] =
        ["user", "tool", "assistant", "tool_use", "tool_result", "function_call", "image/png", "\u{e9}"];
    let text = proptest::sample::select(&TEXTS).prop_map(serde_json::Value::from);
    text.prop_recursive(8, 64, 6, |inner| {
        let member = (proptest::sample::select(&WORDS), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec(member, 0..6).prop_map(|members| {
                members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A history that is sent again with more behind it is told of as before: else the memo would know nothing of it.
    #[test]
    fn what_comes_later_changes_nothing(
        messages in prop::collection::vec(any_value(), 0..6),
        more in any_value(),
        list in proptest::sample::select(&["messages", "input", "contents"]),
    ) {
        let all = |messages: &[serde_json::Value]| asked(&json!({ list: messages }));
        let before = all(&messages);
        let after = all(&[messages.as_slice(), &[more]].concat());
        prop_assert_eq!(&after[..before.len()], before);
    }

    /// Any body is told of, whatever it is and whichever way it goes; for the record, nothing.
    #[test]
    fn any_body_is_told_of(value in any_value()) {
        for body in [
            json!({ "messages": [value], "input": [value], "contents": [value], "system": value }),
            json!({ "content": [value], "output": [value], "choices": [{ "message": value }] }),
            value,
        ] {
            for direction in [Direction::Request, Direction::Response, Direction::Record] {
                let all = told(direction, &body.to_string());
                prop_assert!(direction != Direction::Record || all.iter().all(|(_, told)| told.is_empty()));
            }
        }
    }
}
