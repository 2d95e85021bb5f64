//! What the body of an answer says: its text, and the tools that it asks for. One reading for everybody, since what
//! the caller is handed and what the record is held against must be the same strings.

use crate::words::Dialect;
use serde_json::Value;
use std::fmt;

/// A tool that a model asks its caller to run, or asked for earlier in a conversation.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's own id: the result names it.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// A JSON object as text; what a model sends is not always one.
    pub arguments: String,
}

impl ToolCall {
    /// Longest name of a tool; both dialects allow no longer ones.
    pub const NAME_BYTES_MAX: usize = 64;

    /// Whether a tool can have this name.
    pub fn is_name(name: &str) -> bool {
        let byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        (1..=Self::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(byte)
    }

    /// Whether the arguments are a JSON object: all that a tool can be called with.
    pub fn is_complete(&self) -> bool {
        serde_json::from_str::<Value>(&self.arguments).is_ok_and(|arguments| arguments.is_object())
    }

    /// As an entry of OpenAI's `tool_calls`. `None` where it is another kind of thing.
    pub fn of_openai(entry: &Value) -> Option<ToolCall> {
        let function = entry.get("function").filter(|function| function.is_object())?;
        Some(ToolCall {
            id: text(entry.get("id")).to_owned(),
            name: text(function.get("name")).to_owned(),
            arguments: arguments(function.get("arguments")),
        })
    }

    /// As a block of Anthropic's `content`. `None` where it is another kind of block.
    pub fn of_anthropic(block: &Value) -> Option<ToolCall> {
        (text(block.get("type")) == "tool_use").then(|| ToolCall {
            id: text(block.get("id")).to_owned(),
            name: text(block.get("name")).to_owned(),
            arguments: arguments(block.get("input")),
        })
    }
}

// Names and arguments are a model's own words, redacted or not: sizes alone.
impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolCall({} bytes)", self.arguments.len())
    }
}

/// What an answer says.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The text of the first choice, or of every text block; a refusal's words where there is no other text.
    pub text: String,
    /// The tools it asks for, in its order.
    pub tool_calls: Vec<ToolCall>,
}

impl Spoken {
    /// Reads a whole body in the dialect's shape without streaming. What is missing or of another type says nothing.
    pub fn of(dialect: Dialect, body: &Value) -> Spoken {
        match dialect {
            Dialect::OpenAiChat => openai(body),
            Dialect::AnthropicMessages => anthropic(body),
        }
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spoken({} bytes, {} tool calls)", self.text.len(), self.tool_calls.len())
    }
}

fn openai(body: &Value) -> Spoken {
    let Some(message) = body.pointer("/choices/0/message") else { return Spoken::default() };
    let said = match message.get("content") {
        None | Some(Value::Null) => text(message.get("refusal")).to_owned(),
        Some(Value::Array(parts)) => parts.iter().map(|part| text(part.get("text"))).collect(),
        other => text(other).to_owned(),
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Spoken { text: said, tool_calls: calls.iter().filter_map(ToolCall::of_openai).collect() }
}

fn anthropic(body: &Value) -> Spoken {
    let blocks = body.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().filter(|block| text(block.get("type")) == "text");
    Spoken {
        text: texts.map(|block| text(block.get("text"))).collect(),
        tool_calls: blocks.iter().filter_map(ToolCall::of_anthropic).collect(),
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// Some servers send the object itself where its text is promised; where a stream broke off inside of an object its
/// text stands in the object's place.
fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_dialects_say_the_same() {
        let call = |name: &str, arguments: &str| ToolCall {
            id: "c".into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        let openai = json!({ "choices": [{ "message": { "content": "hello", "tool_calls": [
            { "id": "c", "function": { "name": "read", "arguments": "{\"path\":\"a\"}" } },
            { "id": "c", "function": { "name": "list", "arguments": { "n": 1.50 } } },
            { "id": "c", "type": "custom", "custom": {} },
        ] } }] });
        let anthropic = json!({ "content": [
            { "type": "text", "text": "hel" }, { "type": "thinking", "thinking": "x" },
            { "type": "tool_use", "id": "c", "name": "read", "input": { "path": "a" } },
            { "type": "text", "text": "lo" },
            { "type": "tool_use", "id": "c", "name": "list", "input": { "n": 1.50 } },
        ] });
        let want = Spoken {
            text: "hello".into(),
            tool_calls: vec![call("read", r#"{"path":"a"}"#), call("list", r#"{"n":1.5}"#)],
        };
        assert_eq!(Spoken::of(Dialect::OpenAiChat, &openai), want);
        assert_eq!(Spoken::of(Dialect::AnthropicMessages, &anthropic), want);
        assert_eq!(Spoken::of(Dialect::OpenAiChat, &anthropic), Spoken::default());
        assert_eq!(format!("{want:?}"), "Spoken(5 bytes, 2 tool calls)");
    }

    #[test]
    fn only_an_object_is_complete() {
        let is_complete =
            |arguments: &str| ToolCall { arguments: arguments.into(), ..ToolCall::default() }.is_complete();
        assert!(is_complete("{}") && is_complete(" {\"a\": [1]}\n"));
        for broken in ["", "false", "[]", "\"{}\"", "{\"a\": ", "{} {}"] {
            assert!(!is_complete(broken), "{broken}");
        }
    }
}
