//! Conversations with tools: what leaves, what comes back in arguments, and what is told while it comes.

use crate::rig::{self, CLAUDE, GPT, Rig, Setup, question};
use crate::streaming::Heard;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_core::record::{ErrorRecord, RedactionApplied, RoutingDecision};
use sluice_core::{EventKind, ToolCall};
use sluice_gateway::{CallFailure, CallReply, CallRequest, Conversation, Run};
use sluice_loopback::{Behaviour, Rule};
use sluice_provider::{Message, Tool, ToolChoice};

const DIALECTS: [&str; 2] = ["openai-chat", "anthropic-messages"];
const KNOWN: &str = "opensesame-0123456789";

fn speaking(dialect: &str) -> Setup {
    let chat = "[providers.cloud]\ndialect = \"openai-chat\"";
    Setup::new().known(KNOWN).edit(chat, &format!("[providers.cloud]\ndialect = \"{dialect}\""))
}

/// Secrets come back in the arguments of these tools.
fn restoring(dialect: &str, tools: &[&str]) -> Setup {
    let lines = format!("responses = true\nrestore = true\nrestore_tools = {tools:?}\n");
    speaking(dialect).edit(
        "responses = true\n",
        if tools.is_empty() { "responses = true\nrestore = true\n" } else { &lines },
    )
}

fn tool(name: &str) -> Tool {
    let parameters = json!({ "type": "object" });
    Tool { name: name.to_owned(), description: None, parameters: Some(parameters) }
}

/// A conversation whose model may call `publish` and `look`.
fn talk(messages: Vec<Message>) -> CallRequest {
    let tools = vec![tool("publish"), tool("look")];
    CallRequest { conversation: Some(Conversation { messages, tools, tool_choice: None }), ..question("") }
}

fn asks(stream: bool, prompt: &str) -> CallRequest {
    CallRequest { stream, ..talk(vec![Message::new("user", prompt)]) }
}

/// The words that have the stand-in call a tool.
fn calling(name: &str, arguments: &Value) -> String {
    format!("```tool-call\n{}\n```\n", json!({ "name": name, "arguments": arguments }))
}

fn rule(calls: &[(&str, &str)]) -> Rule {
    let owned = |(name, arguments): &(&str, &str)| ((*name).to_owned(), (*arguments).to_owned());
    Rule::new(Behaviour::Call(calls.iter().map(owned).collect()))
}

fn watching(rig: &Rig, run: &Run) -> Heard {
    Heard { record: Some((rig.state(), run.id().clone())), ..Heard::default() }
}

/// One call, heard by a listener where it is a stream; what was heard is the answer.
async fn ask(rig: &Rig, request: CallRequest) -> (CallReply, Heard) {
    let run = rig.run().await;
    let mut heard = watching(rig, &run);
    let reply = run.call_listening(request, &mut heard).await.unwrap_or_else(|failure| panic!("{failure}"));
    let mut told = heard.calls.clone();
    told.sort_by_key(|(index, _)| *index);
    let told: Vec<ToolCall> = told.into_iter().map(|(_, call)| call).collect();
    assert_eq!((heard.pieces.concat(), told), (reply.text.clone(), reply.tool_calls.clone()));
    rig.prove(&reply.run_id);
    (reply, heard)
}

fn arguments(call: &ToolCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|error| panic!("{error}: {}", call.arguments))
}

fn restored(rig: &Rig, reply: &CallReply) -> u64 {
    let applied: Vec<RedactionApplied> = rig.recorded(&reply.run_id, EventKind::RedactionApplied);
    applied.iter().map(|scan| scan.restored).sum()
}

/// The tools of a request are offered, its calls and results are said, each as its dialect has it; only models that
/// can call tools are asked.
#[tokio::test]
async fn a_conversation_is_said_in_both_dialects() {
    let called = |id: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: arguments.into(),
    };
    let result =
        |id: &str, text: &str| Message { tool_call_id: Some(id.into()), ..Message::new("tool", text) };
    let messages = || {
        vec![
            Message::new("system", "Mind the gap."),
            Message::new("user", "Look twice."),
            Message {
                tool_calls: vec![called("c1", "{\"n\": 1.50}"), called("c2", "{}")],
                ..Message::new("assistant", "")
            },
            result("c1", "one"),
            result("c2", "two"),
            Message::new("user", "And?"),
        ]
    };
    for dialect in DIALECTS {
        let rig = speaking(dialect).start().await;
        let mut request = talk(messages());
        request.conversation.as_mut().unwrap().tool_choice = Some(ToolChoice::Named("look".into()));
        let (reply, _) = ask(&rig, request).await;
        assert_eq!(reply.tool_calls[0].name, "look");
        let sent: Value = serde_json::from_slice(&rig.cloud.received().last().unwrap().body).unwrap();
        let messages = sent["messages"].as_array().unwrap();
        let decisions: Vec<RoutingDecision> = rig.recorded(&reply.run_id, EventKind::RoutingDecision);
        assert!(decisions[0].facts.needs.tools);
        assert!(
            decisions[0].candidates.iter().all(|candidate| candidate.capabilities.contains(&"tools".into()))
        );
        if dialect == "openai-chat" {
            assert!(messages[0]["content"].as_str().unwrap().contains("Stage plan"), "policy speaks first");
            assert_eq!(messages[1], json!({ "role": "system", "content": "Mind the gap." }));
            assert_eq!(messages[3]["content"], Value::Null);
            assert_eq!(messages[3]["tool_calls"][0]["function"]["arguments"], "{\"n\": 1.50}");
            assert_eq!(messages[5], json!({ "role": "tool", "content": "two", "tool_call_id": "c2" }));
            assert_eq!(sent["tool_choice"], json!({ "type": "function", "function": { "name": "look" } }));
            assert_eq!(sent["tools"][1]["function"]["name"], "look");
        } else {
            let system = sent["system"].as_str().unwrap();
            assert!(system.contains("Stage plan") && system.ends_with("\n\nMind the gap."), "{system}");
            assert_eq!(messages[1]["content"][0]["input"].to_string(), "{\"n\":1.50}");
            let results = json!([
                { "type": "tool_result", "tool_use_id": "c1", "content": "one" },
                { "type": "tool_result", "tool_use_id": "c2", "content": "two" },
            ]);
            assert_eq!(messages[2], json!({ "role": "user", "content": results }));
            assert_eq!((messages.len(), &messages[3]["content"]), (4, &json!("And?")));
            assert_eq!(sent["tool_choice"], json!({ "type": "tool", "name": "look" }));
            assert_eq!(sent["tools"][1], json!({ "name": "look", "input_schema": { "type": "object" } }));
        }
    }
}

/// A secret that stands nowhere but in a tool's description, its parameters, or the arguments of a call made before.
#[tokio::test]
async fn a_secret_beside_the_messages_does_not_leave() {
    let token = rig::token();
    let secret = json!({ "auth": json!({ "token": token, "other": KNOWN }).to_string() }).to_string();
    let call = ToolCall { id: "c1".into(), name: "look".into(), arguments: secret };
    let before = Message { tool_calls: vec![call], ..Message::new("assistant", "") };
    for dialect in DIALECTS {
        let described = Tool { description: Some(format!("Sends {token} and {KNOWN}.")), ..tool("publish") };
        let schema =
            json!({ "type": "object", "properties": { "a": { "default": format!("{token} {KNOWN}") } } });
        let preset = Tool { parameters: Some(schema), ..tool("publish") };
        let user = || Message::new("user", "Go on.");
        for (messages, tool) in
            [(vec![user()], described), (vec![user()], preset), (vec![before.clone(), user()], tool("look"))]
        {
            let rig = speaking(dialect).start().await;
            let conversation = Conversation { messages, tools: vec![tool], tool_choice: None };
            let (reply, _) =
                ask(&rig, CallRequest { conversation: Some(conversation), ..question("") }).await;
            assert_eq!(reply.findings.len(), 2, "{dialect}");
            for secret in [token.as_str(), KNOWN] {
                assert!(!rig.left(secret) && !rig.stored(secret), "{dialect}");
            }
        }
    }
}

/// Arguments of listed tools hold the caller's own secret, at every depth and as valid JSON; those of any other, and
/// what the host itself knows, stay placeholders. The record has nothing but placeholders, and counts what came back.
#[tokio::test]
async fn secrets_come_back_in_arguments_of_listed_tools_alone() {
    let token = rig::token();
    let inner = json!({ "deep": json!({ "token": token }).to_string(), "q": "a\"b\\c\né" }).to_string();
    let given = json!({ "url": format!("https://x.example/?t={token}&k={KNOWN}"), "inner": inner, "n": 1.5 });
    let prompt = calling("publish", &given) + &calling("look", &given);
    for dialect in DIALECTS {
        for (tools, in_publish, in_look) in
            [(&[][..], 0, 0), (&["publish"][..], 2, 0), (&["look", "publish"][..], 2, 2)]
        {
            for stream in [false, true] {
                let rig = restoring(dialect, tools).start().await;
                let (reply, heard) = ask(&rig, asks(stream, &prompt)).await;
                let what = format!("{dialect}, {tools:?}, stream {stream}");
                let names: Vec<&str> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
                assert_eq!(names, ["publish", "look"], "{what}");
                for (call, want) in reply.tool_calls.iter().zip([in_publish, in_look]) {
                    assert_eq!(call.arguments.matches(&token).count(), want, "{what}: {}", call.arguments);
                    assert!(!call.arguments.contains(KNOWN), "{what}");
                    let read = arguments(call);
                    let inner: Value = serde_json::from_str(read["inner"].as_str().unwrap()).unwrap();
                    let deep: Value = serde_json::from_str(inner["deep"].as_str().unwrap()).unwrap();
                    assert_eq!(deep["token"] == token, want > 0, "{what}");
                    assert_eq!((&inner["q"], read["n"].to_string()), (&json!("a\"b\\c\né"), "1.5".into()));
                }
                let in_text = reply.text.matches(&token).count();
                assert_eq!(restored(&rig, &reply), (in_text + in_publish + in_look) as u64, "{what}");
                assert!(!rig.left(&token) && !rig.stored(&token) && !rig.stored(KNOWN), "{what}");
                assert_eq!(heard.early > 0, stream, "{what}: calls are told while the answer comes");
            }
        }
    }
}

/// Two calls by turns, cut into pieces of seven bytes, through escapes, characters, a token and a known value that
/// the model came up with by itself: nothing of them is told.
#[tokio::test]
async fn arguments_are_told_whole_and_scanned() {
    let token = rig::token();
    for dialect in DIALECTS {
        for shift in 0..7 {
            let pad = "x".repeat(shift);
            let nested = json!({ "t": token, "u": "é\u{1f600}\"\\" }).to_string();
            let first = json!({ "p": pad, "a": nested, "k": format!("{KNOWN}\n") }).to_string();
            let second = json!({ "b": format!("{pad}é\t{token}") }).to_string().replace('é', "\\u00e9");
            let rule = rule(&[("look", &first), ("publish", &second)]);
            let rig = restoring(dialect, &["publish"]).cloud(rule).start().await;
            let (reply, heard) = ask(&rig, asks(true, "Go.")).await;
            assert_eq!((heard.calls.len(), heard.early), (2, 2), "{dialect}, {shift}");
            let read: Vec<Value> = reply.tool_calls.iter().map(arguments).collect();
            let inner: Value = serde_json::from_str(read[0]["a"].as_str().unwrap()).unwrap();
            assert_eq!(inner["u"], "é\u{1f600}\"\\");
            assert!(inner["t"].as_str().unwrap().starts_with("[REDACTED:github-pat"));
            assert!(read[0]["k"].as_str().unwrap().starts_with("[REDACTED:known-value"));
            assert!(read[1]["b"].as_str().unwrap().ends_with(']') && reply.response_findings.len() == 3);
            for (_, call) in &heard.calls {
                assert!(!call.arguments.contains(&token[..12]) && !call.arguments.contains(&KNOWN[..12]));
            }
            assert!(!rig.stored(&token) && !rig.stored(KNOWN));
        }
    }
}

/// What never becomes a JSON object waits for the whole answer, is scanned as the text that it is, and gets nothing
/// back.
#[tokio::test]
async fn arguments_that_are_no_object_are_told_at_the_end() {
    let token = rig::token();
    for dialect in DIALECTS {
        for broken in ["{\"a\": \"@", "[\"@\"]", "\"@\"", "@", "{\"a\" \"@\"}"] {
            let text = broken.replace('@', &format!("{token} {KNOWN}"));
            let rig = restoring(dialect, &["publish"]).cloud(rule(&[("publish", &text)])).start().await;
            let run = rig.run().await;
            let mut heard = watching(&rig, &run);
            let prompt = format!("REGISTRY_TOKEN={token}");
            let ended = run.call_listening(asks(true, &prompt), &mut heard).await;
            let told: String = heard.calls.iter().map(|(_, call)| call.arguments.as_str()).collect();
            assert!(!told.contains(&token[..12]) && !told.contains(&KNOWN[..12]), "{dialect}: {told}");
            assert_eq!(heard.early, 0, "{dialect}: {broken}");
            let reply = ended.unwrap_or_else(|failure| panic!("{dialect}: {broken}: {failure}"));
            assert_eq!(reply.tool_calls.len(), 1);
            rig.prove(run.id());
        }
    }
}

/// A server that goes on after the last bracket: white space is nothing, anything else makes another call of it, and
/// then there is no answer.
#[tokio::test]
async fn what_follows_a_call_that_was_told_is_held_against_it() {
    for (more, differs) in [("\n  ", false), ("; and more", true)] {
        // Seven bytes: a piece of its own.
        let arguments = format!("{{\"a\":1}}{more}");
        let rig = speaking("openai-chat").cloud(rule(&[("look", &arguments)])).start().await;
        let run = rig.run().await;
        let mut heard = Heard::default();
        let ended = run.call_listening(asks(true, "Go."), &mut heard).await;
        assert_eq!((ended.is_err(), heard.calls[0].1.arguments.as_str()), (differs, "{\"a\":1}"));
        let errors: Vec<ErrorRecord> = rig.recorded(run.id(), EventKind::ErrorEvent);
        let codes: Vec<&str> = errors.iter().map(|error| error.code.as_str()).collect();
        assert_eq!(codes, if differs { vec!["stream-differs"] } else { vec![] });
        rig.prove(run.id());
    }
}

/// The first model breaks off after a call was told: it is void, and only the second one's counts.
#[tokio::test]
async fn a_call_of_an_answer_that_breaks_off_is_void() {
    let rig = Setup::new().cloud(Rule::new(Behaviour::Cut).for_model(CLAUDE)).start().await;
    let run = rig.run().await;
    let mut heard = Heard::default();
    let prompt = calling("look", &json!({ "a": 1 }));
    let reply = run.call_listening(asks(true, &prompt), &mut heard).await.unwrap();
    assert_eq!((reply.model.as_str(), heard.again, heard.void), (GPT, 1, 1));
    assert_eq!(heard.calls, [(0, reply.tool_calls[0].clone())]);
    rig.prove(run.id());
}

/// A conversation cannot be had that no server would take: refused before anything is decided.
#[tokio::test]
async fn what_is_no_conversation_is_not_admitted() {
    let rig = Setup::new().start().await;
    let run = rig.run().await;
    let before = rig.events(run.id()).len();
    let orphan = Message { tool_call_id: Some("c9".into()), ..Message::new("tool", "x") };
    let large = Message::new("user", "x".repeat(sluice_gateway::PROMPT_BYTES_MAX + 1));
    for (messages, words) in [
        (vec![], "messages: the list is empty"),
        (vec![Message::new("user", "a"), orphan], "messages[1].tool_call_id: no call"),
        (vec![Message::new("system", "a")], "nobody asks"),
        (vec![large], "too long"),
    ] {
        let failure = run.call(talk(messages)).await.unwrap_err();
        assert!(matches!(failure, CallFailure::NotAdmitted { .. }) && failure.to_string().contains(words));
        assert!(failure.hint().is_some());
    }
    assert_eq!((rig.events(run.id()).len(), rig.cloud.requests()), (before, 0));
    let errors: Vec<ErrorRecord> = rig.recorded(run.id(), EventKind::ErrorEvent);
    assert!(errors.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever arguments a model sends, a stream's listener ends up with what a whole answer gives.
    #[test]
    fn a_stream_says_what_the_whole_says(
        texts in prop::collection::vec("[a-zé\"\\\\\n{}\\[\\]]{0,20}", 1..4), secret in 0..3_u8, anthropic: bool,
    ) {
        let mut texts = texts;
        texts.push(match secret { 0 => rig::token(), 1 => KNOWN.to_owned(), _ => String::new() });
        let given = json!({ "a": texts, "b": json!({ "c": texts }).to_string() }).to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let setup = restoring(DIALECTS[usize::from(anthropic)], &["look"]);
            let rig = setup.cloud(rule(&[("look", &given), ("publish", &given)])).start().await;
            let prompt = format!("REGISTRY_TOKEN={}", rig::token());
            let (whole, _) = ask(&rig, asks(false, &prompt)).await;
            let (streamed, heard) = ask(&rig, asks(true, &prompt)).await;
            assert_eq!(heard.early, 2);
            // Tags are the run's own.
            let plain = |reply: &CallReply| -> Vec<Vec<String>> {
                let untagged = |call: &ToolCall| call.arguments.split("[REDACTED:").map(|part| {
                    part.split_once(']').map_or(part, |(_, rest)| rest).to_owned()
                }).collect();
                reply.tool_calls.iter().map(untagged).collect()
            };
            if secret == 2 || secret == 0 {
                assert_eq!(plain(&whole)[0], plain(&streamed)[0]);
            }
            assert_eq!(whole.tool_calls[0].arguments.contains(&rig::token()), secret == 0);
        });
    }
}
