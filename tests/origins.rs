//! Whose words each string is, as a redactor is told: a guest that finds its words and says of each, in the
//! placeholder, what it was told.

use crate::redaction::Scanner;
use crate::replay::{forge, unsign};
use crate::rig::{self, CLAUDE, Rig, Setup, question};
use crate::streaming::Heard;
use rusqlite::Connection;
use serde_json::{Value, json};
use sluice_bundled::hostile::REDACTOR_ECHOES;
use sluice_core::record::{ModelCallEnvelope, RedactionApplied};
use sluice_core::{EventKind, PluginKind, ToolCall};
use sluice_gateway::{CallReply, CallRequest, Conversation};
use sluice_governance::redact::Scan;
use sluice_governance::{Direction, Memo};
use sluice_loopback::{Behaviour, Rule};
use sluice_provider::{Message, Tool};
use std::sync::OnceLock;

const DIALECTS: [&str; 2] = ["openai-chat", "anthropic-messages"];

fn echoing(dialect: &str) -> Setup {
    let chat = "[providers.cloud]\ndialect = \"openai-chat\"";
    Setup::new()
        .plugin(PluginKind::Redactor, REDACTOR_ECHOES)
        .edit(chat, &format!("[providers.cloud]\ndialect = \"{dialect}\""))
}

fn scanner() -> &'static Scanner {
    static SCANNER: OnceLock<Scanner> = OnceLock::new();
    SCANNER.get_or_init(|| Scanner::new(REDACTOR_ECHOES))
}

/// The rule that a placeholder names; texts without one as they are.
fn rule(value: &Value) -> &str {
    let text = value.as_str().unwrap();
    let rule = text.split("[REDACTED:").nth(1).and_then(|rest| rest.split(':').next());
    rule.unwrap_or(text)
}

fn call(id: &str, name: &str, arguments: &Value) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.to_string() }
}

fn result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new("tool", text) }
}

fn talk(messages: Vec<Message>, stream: bool) -> CallRequest {
    let tool = |name: &str| Tool { name: name.into(), description: None, parameters: None };
    let tools = vec![tool("look"), tool("publish")];
    let conversation = Conversation { messages, tools, tool_choice: None };
    CallRequest { conversation: Some(conversation), stream, ..question("") }
}

/// JSON in a string, so many deep.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("echo"), |inner, _| json!(json!({ "in": inner }).to_string()))
}

/// The innermost string of [`nested`].
fn innermost(value: &Value, depth: usize) -> Value {
    (0..depth).fold(value.clone(), |value, _| {
        let inner: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
        inner["in"].clone()
    })
}

async fn sent(rig: &Rig, request: CallRequest) -> Value {
    let run = rig.run().await;
    let reply = run.call(request).await.unwrap_or_else(|failure| panic!("{failure}"));
    rig.prove(&reply.run_id);
    serde_json::from_slice(&rig.cloud.received().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_conversation_is_told_by_its_authors_in_both_dialects() {
    let messages = || {
        vec![
            Message::new("system", "system echo"),
            Message::new("user", "hush, echo"),
            Message {
                tool_calls: vec![
                    call("c1", "publish", &json!({ "a": "echo", "deep": nested(2) })),
                    call("c2", "look", &json!({})),
                ],
                ..Message::new("assistant", "an echo")
            },
            result("c2", "looked: echo"),
            result("c1", "hush"),
            Message::new("user", json!({ "pasted": "echo", "role": "tool" }).to_string()),
        ]
    };
    for dialect in DIALECTS {
        let rig = echoing(dialect).start().await;
        let sent = sent(&rig, talk(messages(), false)).await;
        let said = &sent["messages"];
        // The policy's own prompt comes first: there it is a message more, here all of it stands apart.
        let (system, user, arguments, looked, hushed, pasted) = match dialect {
            "openai-chat" => {
                let arguments = said[3]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                let content = |at: usize| &said[at]["content"];
                (content(1), content(2), arguments, content(4), content(5), content(6))
            }
            _ => {
                let results = &said[2]["content"];
                let input = said[1]["content"][1]["input"].clone();
                let result = |at: usize| &results[at]["content"];
                (&sent["system"], &said[0]["content"], input, result(0), result(1), &said[3]["content"])
            }
        };
        assert_eq!(rule(system), "system-none-any", "{dialect}");
        assert_eq!(rule(user), "user-none-any", "{dialect}");
        assert!(user.as_str().unwrap().starts_with("hush, "), "{dialect}: only a tool's is found");
        assert_eq!(rule(&arguments["a"]), "assistant-publish-any", "{dialect}");
        assert_eq!(rule(&innermost(&arguments["deep"], 2)), "assistant-publish-any", "{dialect}");
        assert_eq!(rule(looked), "tool-look-any", "{dialect}");
        assert_eq!(rule(hushed), "tool-publish-any", "{dialect}");
        let pasted: Value = serde_json::from_str(pasted.as_str().unwrap()).unwrap();
        assert_eq!((rule(&pasted["pasted"]), rule(&pasted["role"])), ("user-none-any", "tool"), "{dialect}");
    }
}

/// What a field says must not depend on whether its answer is listened to: the text in pieces and the calls by
/// themselves come to what the whole comes to, which the gateway holds against each other.
#[tokio::test]
async fn answers_are_told_alike_in_a_stream_and_in_the_whole() {
    async fn ask(rig: &Rig, stream: bool) -> (CallReply, Heard) {
        let run = rig.run().await;
        let mut heard = Heard { record: Some((rig.state(), run.id().clone())), ..Heard::default() };
        let request = talk(vec![Message::new("user", "Say it.")], stream);
        let reply =
            run.call_listening(request, &mut heard).await.unwrap_or_else(|failure| panic!("{failure}"));
        rig.prove(&reply.run_id);
        (reply, heard)
    }
    let arguments = json!({ "a": "an echo", "deep": nested(2) }).to_string();
    for dialect in DIALECTS {
        let leak = "Words and an echo of words, hush, stale words. ".repeat(20);
        let rig = echoing(dialect).cloud(Rule::new(Behaviour::Leak(leak))).start().await;
        let (whole, _) = ask(&rig, false).await;
        let (streamed, heard) = ask(&rig, true).await;
        assert_eq!(heard.pieces.concat(), streamed.text, "{dialect}");
        assert!(heard.pieces.len() > 10, "{dialect}: {} pieces are no stream", heard.pieces.len());
        assert_eq!(whole.text.matches("[REDACTED:assistant-none-any:").count(), 20, "{dialect}");
        assert_eq!(streamed.text.matches("[REDACTED:assistant-none-any:").count(), 20, "{dialect}");
        assert_eq!(whole.text.matches("hush, stale").count(), 20, "{dialect}");

        let calls =
            vec![("publish".to_owned(), arguments.clone()), ("unheard".to_owned(), arguments.clone())];
        let rig = echoing(dialect).cloud(Rule::new(Behaviour::Call(calls))).start().await;
        for stream in [false, true] {
            let (reply, heard) = ask(&rig, stream).await;
            assert_eq!(heard.early, if stream { 2 } else { 0 }, "{dialect}");
            for (call, want) in reply.tool_calls.iter().zip(["assistant-publish-any", "assistant-other-any"])
            {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
                assert_eq!(rule(&arguments["a"]), want, "{dialect}, {stream}");
                assert_eq!(rule(&innermost(&arguments["deep"], 2)), want, "{dialect}, {stream}");
            }
        }
    }
}

/// Shapes that only a body has, and what an attachment says that it is.
#[test]
fn bodies_are_told_by_what_they_state() {
    let wire = |body: &Value| -> Value {
        let scanned = scanner().body(&body.to_string()).unwrap();
        serde_json::from_str(&scanned.wire).unwrap()
    };
    let sent = wire(&json!({ "instructions": "echo", "tools": [{ "description": "echo" }], "messages": [
        { "role": "user", "content": [
            { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "echo" } },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,echo" } },
            { "type": "text", "text": "data:image/png;base64,echo" },
        ] },
        { "role": "critic", "content": "echo" },
        { "role": "tool", "tool_call_id": "of-no-call", "content": "echo" },
    ] }));
    for (path, want) in [
        ("/instructions", "system-none-any"),
        ("/tools/0/description", "nobody-none-any"),
        ("/messages/0/content/0/source/data", "user-none-text-plain"),
        ("/messages/0/content/1/image_url/url", "user-none-image-png"),
        ("/messages/0/content/2/text", "user-none-any"),
        ("/messages/1/content", "nobody-none-any"),
        ("/messages/2/content", "tool-none-any"),
    ] {
        assert_eq!(rule(sent.pointer(path).unwrap()), want, "{path}");
    }
    // Texts of no body are nobody's.
    let scanned = scanner().scan().text(Direction::Record, "echo").unwrap();
    assert_eq!(rule(&json!(scanned.record)), "nobody-none-any");
}

/// The same text at the same place, in which nothing was found when the user said it: from a tool it is another one.
#[test]
fn what_was_clean_of_one_is_looked_at_again_of_another() {
    let memo = Memo::default();
    let scan = Scan { memo: Some(&memo), ..scanner().scan() };
    let call = |name: &str| json!({ "role": "assistant", "tool_calls": [{ "id": "c", "function": { "name": name, "arguments": "{}" } }] });
    let body = |name: &str, role: &str, text: &str| {
        json!({ "messages": [call(name), { "role": role, "tool_call_id": "c", "content": text }] })
            .to_string()
    };
    let found = |raw: &str| {
        let before = memo.hits();
        let scanned = scan.body(Direction::Request, raw).unwrap();
        let asked = memo.hits().0 - before.0;
        (scanned.findings.len(), asked - (memo.hits().1 - before.1))
    };
    // Of no certain call, so that the author alone is another.
    let user = body("[none]", "user", "hush");
    assert_eq!(found(&user).0, 0);
    assert_eq!(found(&user), (0, 0), "a history that is sent again is not scanned again");
    let tool = body("[none]", "tool", "hush");
    assert_eq!(found(&tool).0, 1, "a tool's word is found");
    assert_eq!(found(&tool), (1, 0), "and remembered as one");
    assert_eq!(found(&user), (0, 0), "which changes nothing of the user's");
    // Another tool's result is another text, also where nothing is found.
    let one = body("look", "tool", "words");
    found(&one);
    assert_eq!(found(&one), (0, 0));
    let (findings, new) = found(&body("publish", "tool", "words"));
    assert!(findings == 0 && new > 1, "{new}");
}

/// A record says what the redactor was told, and a new scan tells it the same: nothing, where it is from before.
#[tokio::test]
async fn a_new_scan_tells_what_the_record_says_was_told() {
    let options = sluice_replay::Options::default();
    for (told, mismatched) in [(None, false), (Some(json!(null)), true), (Some(json!(2)), true)] {
        let rig = echoing("openai-chat").start().await;
        let run = rig.run().await;
        // Nobody's word is found, the user's is not.
        run.call(question("stale")).await.unwrap();
        let applied: Vec<RedactionApplied> = rig.recorded(run.id(), EventKind::RedactionApplied);
        assert!(applied.len() == 2 && applied.iter().all(|scan| scan.told == sluice_governance::TOLD));
        rig.prove(run.id());
        if let Some(told) = told {
            let journal = Connection::open(rig.state().join("capsule/journal.db")).unwrap();
            let id = run.id().to_string();
            let kinds: Vec<String> =
                rig.events(run.id()).iter().map(|event| event.kind.to_string()).collect();
            if kinds.last().is_some_and(|kind| kind == "Checkpoint") {
                unsign(&journal, &id);
            }
            forge(&journal, &id, "RedactionApplied", |payload| {
                let payload = payload.as_object_mut().unwrap();
                payload.remove("told");
                payload.extend((!told.is_null()).then(|| ("told".to_owned(), told)));
            });
        }
        let report = sluice_replay::replay(&rig.reader(), run.id(), rig::engine(), &options).unwrap();
        assert_eq!(!report.is_proof(), mismatched, "{:#?}", report.mismatches);
    }
}

/// What is kept of a server's words that were no answer was scanned for the record alone, and is scanned again as that.
#[tokio::test]
async fn words_of_a_failing_server_are_scanned_again_as_they_were() {
    let rig = echoing("openai-chat").cloud(Rule::new(Behaviour::Html).for_model(CLAUDE)).start().await;
    let run = rig.run().await;
    run.call(question("Plan this.")).await.unwrap();
    let envelopes: Vec<ModelCallEnvelope> = rig.recorded(run.id(), EventKind::ModelCallEnvelope);
    let kept = envelopes[0].response.as_ref().and_then(|response| response.text.as_deref());
    assert!(kept.is_some_and(|kept| kept.contains("Sign in")), "{kept:?}");
    rig.prove(run.id());
}
