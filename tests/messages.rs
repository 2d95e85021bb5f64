//! `sluice call --messages`: what is refused, what is printed, what is on the wire.

use crate::rig;
use crate::support::{Workspace, ran};
use serde_json::{Value, json};
use sluice_loopback::{Loopback, Options};
use std::fs;

const CALL: &str = "call --role architect --stage plan";

fn written(workspace: &Workspace, document: &Value) {
    fs::write(workspace.path("talk.json"), document.to_string()).unwrap();
}

/// The words of the command, `talk.json` of the workspace among them.
fn words(workspace: &Workspace, more: &str) -> String {
    format!("{CALL} --messages {} {more}", workspace.path("talk.json").display())
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } })
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    json!({ "role": "assistant", "tool_calls": [{ "id": id, "type": "function", "function": function }] })
}

fn result(id: &str, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": text })
}

/// Documents, each with the place and the words that its refusal is told in.
fn refused() -> Vec<(Value, &'static str)> {
    let messages = |messages: Value| json!({ "messages": messages });
    let with = |key: &str, value: Value| {
        let mut document = messages(json!([user("Go.")]));
        document[key] = value;
        document
    };
    vec![
        (json!([]), "the document: want an object, found a list"),
        (json!({}), "messages: missing"),
        (messages(json!({})), "messages: want a list, found an object"),
        (messages(json!([])), "messages: the list is empty"),
        (messages(json!(["hello"])), "messages[0]: want an object, found a string"),
        (messages(json!([{ "content": "a" }])), "messages[0].role: missing"),
        (messages(json!([{ "role": "robot", "content": "a" }])), "messages[0].role: unknown role"),
        (messages(json!([{ "role": "user" }])), "messages[0].content: missing"),
        (messages(json!([{ "role": "user", "content": 7 }])), "messages[0].content: want a string or a list"),
        (messages(json!([user(" ")])), "messages[0].content: the message is empty"),
        (messages(json!([{ "role": "user", "content": "a", "mood": "b" }])), "messages[0].mood: unknown key"),
        (
            messages(json!([{ "role": "user", "content": [{ "type": "image_url", "text": "a" }] }])),
            "messages[0].content[0].type: want \"text\"",
        ),
        (messages(json!([{ "role": "system", "content": "a" }])), "messages: nobody asks anything"),
        (messages(json!([user("a"), result("c", "b")])), "messages[1].tool_call_id: no call before it"),
        (
            messages(json!([user("a"), { "role": "tool", "content": "b" }])),
            "messages[1].tool_call_id: missing",
        ),
        (
            messages(json!([{ "role": "user", "content": "a", "tool_call_id": "c" }])),
            "messages[0].tool_call_id: only a tool's",
        ),
        (
            messages(
                json!([{ "role": "user", "content": "a", "tool_calls": called("c", "f", "{}")["tool_calls"] }]),
            ),
            "messages[0].tool_calls: only an assistant",
        ),
        (
            messages(json!([called("c", "f", "[]")])),
            "messages[0].tool_calls[0].function.arguments: not a JSON",
        ),
        (
            messages(json!([called("c", "f", "{")])),
            "messages[0].tool_calls[0].function.arguments: not a JSON",
        ),
        (messages(json!([called("", "f", "{}")])), "messages[0].tool_calls[0].id: the id is empty"),
        (messages(json!([called("c", "f g", "{}")])), "messages[0].tool_calls[0].function.name: not a name"),
        (with("tools", json!([])), "tools: the list is empty"),
        (with("tools", json!([{ "type": "function" }])), "tools[0].function: missing"),
        (with("tools", json!([{ "type": "function", "function": {} }])), "tools[0].function.name: missing"),
        (with("tools", json!([{ "type": "web", "function": {} }])), "tools[0].type: want \"function\""),
        (with("tools", json!([tool("a"), tool("a")])), "tools[1].function.name: another tool"),
        (with("tool_choice", json!("auto")), "tool_choice: there are no tools"),
        (with("model", json!("gpt-4o")), "model: not for the conversation to say"),
        (with("stream", json!(true)), "stream: not for the conversation to say"),
        (with("temperature", json!(0)), "temperature: not for the conversation to say"),
        (with("Sw0rdf1sh-x9Q2-kk", json!(0)), "?: unknown key"),
    ]
}

/// None of the refusals repeats what was said, and none leaves a run.
#[test]
fn what_is_no_conversation_is_refused_with_its_place() {
    let workspace = Workspace::authored();
    for (document, told) in refused() {
        written(&workspace, &document);
        let error = workspace.json(&words(&workspace, "--loopback")).exits(2).error();
        assert_eq!(error.code, "bad-messages", "{document}");
        assert!(error.message.contains(&format!("talk.json`: {told}")), "{document}: {}", error.message);
        assert!(!error.hint.is_empty() && !error.message.contains("Sw0rdf1sh"), "{document}");
    }
    fs::write(workspace.path("talk.json"), "{\"messages\": [\n}").unwrap();
    let error = workspace.json(&words(&workspace, "--loopback")).exits(2).error();
    assert!(error.message.ends_with("is not JSON: line 2, column 1"), "{}", error.message);
    assert_eq!(workspace.json(&words(&workspace, "Hello. --loopback")).exits(2).error().code, "usage");
    assert_eq!(workspace.json(&format!("{CALL} --loopback")).exits(2).error().code, "usage");
    assert!(!workspace.journal_path().exists(), "no run was begun");
}

/// A token in the prompt comes back in the arguments of the tool that policy lists, on a line of its own, as JSON,
/// and as a stream; and the run replays.
#[test]
fn tool_calls_are_printed() {
    let workspace = Workspace::authored();
    let lines = "responses = true\nrestore = true\nrestore_tools = [\"publish\"]\n";
    workspace.edit("model_policy.toml", "responses = true\n", lines);
    let token = rig::token();
    let call = |name: &str| {
        let call = json!({ "name": name, "arguments": { "token": token } });
        format!("```tool-call\n{call}\n```\n")
    };
    let asked = user(&format!("Publish it.\n{}{}", call("publish"), call("look")));
    let document = json!({ "messages": [asked], "tools": [tool("publish"), tool("look")] });
    written(&workspace, &document);
    let text = workspace.run(&words(&workspace, "--loopback")).exits(0).text();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("tool call: ")).collect();
    assert!(lines[0].starts_with(&format!("tool call: publish {{\"token\":\"{token}\"}} (toolu_")), "{text}");
    assert!(lines[1].starts_with("tool call: look {\"token\":\"[REDACTED:github-pat"), "{text}");
    let streamed = workspace.run(&words(&workspace, "--loopback --stream")).exits(0).text();
    let mut sorted: Vec<&str> = streamed.lines().filter(|line| line.starts_with("tool call: ")).collect();
    sorted.sort_by_key(|line| line.contains("look"));
    let untagged = |line: &&str| line.split(['[', '(']).next().unwrap().to_owned();
    assert_eq!(
        sorted.iter().map(untagged).collect::<Vec<_>>(),
        lines.iter().map(untagged).collect::<Vec<_>>()
    );
    let rest = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with("tool call: ") && !line.starts_with("Prompt: "))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(rest(&streamed), rest(&text), "no line of the text is broken by a call");
    // The same from standard input.
    let mut command = workspace.command();
    command.args(["--json"]).args(CALL.split_whitespace()).args(["--loopback", "--messages", "-"]);
    let reply = ran(&mut command, &document.to_string()).exits(0).json();
    assert_eq!(reply["tool_calls"][0]["name"], "publish");
    assert_eq!(reply["tool_calls"][0]["arguments"], json!({ "token": token }).to_string());
    assert!(reply["tool_calls"][1]["id"].as_str().unwrap().starts_with("toolu_"));
    let run = reply["run_id"].as_str().unwrap();
    let replayed = workspace.json(&format!("replay {run}")).exits(0).json();
    assert_eq!(replayed["mismatched"], 0);
    let journal = fs::read(workspace.journal_path()).unwrap();
    assert!(!journal.windows(token.len()).any(|window| window == token.as_bytes()));
}

/// What a tool read out of `.env` is left out whole, whatever it looks like; the rest of the conversation leaves.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_read_from_a_file_of_secrets_does_not_leave() {
    let plain = "colour blue\nsize seven";
    for dialect in ["anthropic-messages", "openai-chat"] {
        let server = Loopback::start(Options::default()).await.unwrap();
        let workspace = Workspace::authored();
        let place = "[providers.anthropic]\ndialect = \"anthropic-messages\"\nbase_url = \"https://api.anthropic.com/v1\"";
        let here =
            format!("[providers.anthropic]\ndialect = \"{dialect}\"\nbase_url = \"{}\"", server.base_url());
        workspace.edit("model_policy.toml", place, &here);
        let read = called("c1", "read", &json!({ "path": "deploy/.env" }).to_string());
        let list = called("c2", "read", &json!({ "path": "README.md" }).to_string());
        let talk =
            json!([user("Read both."), read, result("c1", plain), list, result("c2", "all about sluices")]);
        written(&workspace, &json!({ "messages": talk, "tools": [tool("read")] }));
        let reply = workspace.json(&words(&workspace, "")).exits(0).json();
        assert_eq!(reply["findings"]["request"][0]["rule"], "excluded-path", "{reply:#}");
        let received = server.received();
        let sent = received.last().unwrap();
        assert!(
            sent.contains(b"[REDACTED:excluded-path:") && sent.contains(b"all about sluices"),
            "{dialect}"
        );
        assert!(!sent.contains(b"colour blue") && !sent.contains(b"size seven"), "{dialect}");
        assert!(
            sent.contains(if dialect == "openai-chat" { "tool_call_id" } else { "tool_use_id" }.as_bytes())
        );
        let journal = fs::read(workspace.journal_path()).unwrap();
        assert!(!journal.windows(11).any(|window| window == b"colour blue"), "{dialect}");
    }
}
