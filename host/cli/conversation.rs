//! `--messages`: a conversation in the shape of an OpenAI chat request, read strictly. What nobody acts on is refused
//! and not left out, for whoever wrote it meant something.

use crate::failure::Failure;
use serde_json::{Map, Value};
use sluice_core::ToolCall;
use sluice_gateway::{Conversation, NoConversation};
use sluice_provider::{Message, Tool, ToolChoice};

type Read<T> = Result<T, NoConversation>;

/// Reads a document; `name` is the file's, for people.
pub fn read(name: &str, text: &str) -> Result<Conversation, Failure> {
    let name = if name == "-" { "standard input".to_owned() } else { format!("`{name}`") };
    let bad = |message: String, hint: String| Failure::could_not("bad-messages", message).hint(hint);
    let document: Value = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        bad(
            format!("{name} is not JSON: {place}"),
            "want `{\"messages\": [{\"role\": \"user\", …}]}`".to_owned(),
        )
    })?;
    let read = conversation(&document).and_then(|conversation| {
        conversation.check()?;
        Ok(conversation)
    });
    read.map_err(|problem| bad(format!("{name}: {problem}"), problem.hint))
}

fn problem<T>(path: &str, message: impl Into<String>, hint: impl Into<String>) -> Read<T> {
    Err(NoConversation::new(path, message, hint))
}

/// An object whose every key is looked at.
struct Object<'v> {
    path: String,
    members: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    /// `known` are its keys.
    fn new(path: &str, value: &'v Value, known: &[&str]) -> Read<Object<'v>> {
        let shown = if path.is_empty() { "the document" } else { path };
        let Some(members) = value.as_object() else {
            return problem(shown, format!("want an object, found {}", kind(value)), "put it in braces");
        };
        let object = Object { path: path.to_owned(), members };
        match members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => object.unknown(key, known),
            None => Ok(object),
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Only short words are repeated: a key may be anything, a secret too.
    fn unknown<T>(&self, key: &str, known: &[&str]) -> Read<T> {
        let chosen = match (self.path.as_str(), key) {
            ("", "model") => Some("policy chooses the model; `--role`, `--stage` and `--mode` say what for"),
            ("", "stream" | "stream_options") => Some("`--stream` asks for a stream"),
            ("", "max_tokens" | "max_completion_tokens") => Some("`--max-tokens` bounds the answer"),
            ("", "response_format") => Some("`--schema FILE` asks for JSON"),
            ("", "reasoning_effort") => Some("policy sets the effort of each role"),
            ("", "temperature" | "top_p" | "n" | "seed" | "stop" | "logprobs" | "user" | "metadata") => {
                Some("a governed call has no such setting: leave it out")
            }
            _ => None,
        };
        let word = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && key.len() <= 24;
        let path = if word { self.at(key) } else { self.at("?") };
        match chosen {
            Some(hint) => problem(&path, "not for the conversation to say", hint),
            None => problem(&path, "unknown key", format!("known are: {}", known.join(", "))),
        }
    }

    fn get(&self, key: &str) -> Option<&'v Value> {
        self.members.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Read<Option<&'v str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                problem(&self.at(key), format!("want a string, found {}", kind(other)), "put it in quotes")
            }
        }
    }

    fn need(&self, key: &str) -> Read<&'v str> {
        let Some(text) = self.text(key)? else {
            return problem(&self.at(key), "missing", format!("add `{key}`, a string"));
        };
        Ok(text)
    }

    fn list(&self, key: &str) -> Read<Option<&'v [Value]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => {
                problem(&self.at(key), format!("want a list, found {}", kind(other)), "put it in brackets")
            }
        }
    }

    fn function_type(&self) -> Read<()> {
        match self.need("type")? {
            "function" => Ok(()),
            _ => problem(&self.at("type"), "want \"function\"", "no other kind of tool is known"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn conversation(document: &Value) -> Read<Conversation> {
    let object = Object::new("", document, &["messages", "tools", "tool_choice"])?;
    let Some(messages) = object.list("messages")? else {
        return problem("messages", "missing", "add `messages`, a list");
    };
    let each = |(at, value): (usize, &Value)| message(&format!("messages[{at}]"), value);
    let messages = messages.iter().enumerate().map(each).collect::<Read<_>>()?;
    let tools = match object.list("tools")? {
        Some([]) => return problem("tools", "the list is empty", "name a tool, or leave `tools` out"),
        tools => tools.unwrap_or_default(),
    };
    let each = |(at, value): (usize, &Value)| tool(&format!("tools[{at}]"), value);
    let tools = tools.iter().enumerate().map(each).collect::<Read<_>>()?;
    let tool_choice = object.get("tool_choice").map(choice).transpose()?;
    Ok(Conversation { messages, tools, tool_choice })
}

fn message(path: &str, value: &Value) -> Read<Message> {
    let known = ["role", "content", "tool_calls", "tool_call_id", "name"];
    let object = Object::new(path, value, &known)?;
    let role = object.need("role")?.to_owned();
    let calls = object.list("tool_calls")?;
    let text = match object.get("content") {
        Some(content) => text_of(&object.at("content"), content)?,
        // An assistant that only asks for tools says nothing.
        None if role == "assistant" && calls.is_some_and(|calls| !calls.is_empty()) => String::new(),
        None => return problem(&object.at("content"), "missing", "add `content`, a string or text parts"),
    };
    let each = |(at, value): (usize, &Value)| tool_call(&format!("{path}.tool_calls[{at}]"), value);
    Ok(Message {
        role,
        text,
        name: object.text("name")?.map(str::to_owned),
        tool_calls: calls.unwrap_or_default().iter().enumerate().map(each).collect::<Read<_>>()?,
        tool_call_id: object.text("tool_call_id")?.map(str::to_owned),
    })
}

/// A text, or parts of one: each stands on lines of its own.
fn text_of(path: &str, content: &Value) -> Read<String> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let part = |(at, part): (usize, &Value)| {
                let path = format!("{path}[{at}]");
                let object = Object::new(&path, part, &["type", "text"])?;
                match object.need("type")? {
                    "text" => Ok(object.need("text")?.to_owned()),
                    _ => problem(&object.at("type"), "want \"text\"", "only text can be scanned for secrets"),
                }
            };
            Ok(parts.iter().enumerate().map(part).collect::<Read<Vec<String>>>()?.join("\n"))
        }
        other => {
            let message = format!("want a string or a list of text parts, found {}", kind(other));
            problem(path, message, "put it in quotes")
        }
    }
}

fn tool_call(path: &str, value: &Value) -> Read<ToolCall> {
    let object = Object::new(path, value, &["id", "type", "function"])?;
    object.function_type()?;
    let function = function(&object, &["name", "arguments"])?;
    Ok(ToolCall {
        id: object.need("id")?.to_owned(),
        name: function.need("name")?.to_owned(),
        arguments: function.need("arguments")?.to_owned(),
    })
}

fn tool(path: &str, value: &Value) -> Read<Tool> {
    let object = Object::new(path, value, &["type", "function"])?;
    object.function_type()?;
    let function = function(&object, &["name", "description", "parameters"])?;
    Ok(Tool {
        name: function.need("name")?.to_owned(),
        description: function.text("description")?.map(str::to_owned),
        parameters: function.get("parameters").cloned(),
    })
}

fn function<'v>(object: &Object<'v>, known: &[&str]) -> Read<Object<'v>> {
    let path = object.at("function");
    match object.get("function") {
        Some(value) => Object::new(&path, value, known),
        None => problem(&path, "missing", "add `function`, an object with the tool's `name`"),
    }
}

fn choice(value: &Value) -> Read<ToolChoice> {
    let want =
        "want \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}";
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => problem("tool_choice", "unknown word", want),
        },
        Value::Object(_) => {
            let object = Object::new("tool_choice", value, &["type", "function"])?;
            object.function_type()?;
            Ok(ToolChoice::Named(function(&object, &["name"])?.need("name")?.to_owned()))
        }
        other => problem("tool_choice", format!("want a string or an object, found {}", kind(other)), want),
    }
}
