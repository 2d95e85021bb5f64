//! A conversation instead of a prompt: messages, calls of tools with their results, tools to choose from. What could
//! only end in a server's refusal is refused before anything is decided.

use sluice_core::ToolCall;
use sluice_provider::{Message, Tool, ToolChoice};
use std::collections::BTreeSet;

/// Most messages, and most tools: more is no conversation. What they say is bounded as a prompt is.
const MESSAGES_MAX: usize = 10_000;
const TOOLS_MAX: usize = 512;

/// What is said to the model after the policy's own prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// What the model may ask for.
    pub tools: Vec<Tool>,
    /// Whether it is to.
    pub tool_choice: Option<ToolChoice>,
}

/// Why something is no conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct NoConversation {
    /// Where, such as `messages[2].tool_call_id`.
    pub path: String,
    /// What is wrong. It repeats nothing of what is said there, which was not redacted.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl NoConversation {
    /// All three.
    pub fn new(
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> NoConversation {
        NoConversation { path: path.into(), message: message.into(), hint: hint.into() }
    }
}

type Checked = Result<(), NoConversation>;

fn refuse(path: impl Into<String>, message: &str, hint: &str) -> Checked {
    Err(NoConversation::new(path, message, hint))
}

impl Conversation {
    /// Bytes of everything that is said.
    pub fn bytes(&self) -> usize {
        let tools = self.tools.iter().map(Tool::bytes).sum::<usize>();
        self.messages.iter().map(Message::bytes).sum::<usize>() + tools
    }

    /// Refuses what is no conversation.
    pub fn check(&self) -> Checked {
        if self.messages.is_empty() {
            return refuse("messages", "the list is empty", "a conversation has at least one message");
        }
        if self.messages.len() > MESSAGES_MAX {
            let message = format!("too many messages: {}, at most {MESSAGES_MAX}", self.messages.len());
            return refuse("messages", &message, "leave the oldest ones out");
        }
        let mut called = BTreeSet::new();
        for (at, message) in self.messages.iter().enumerate() {
            check_message(message, &format!("messages[{at}]"), &mut called)?;
        }
        if self.messages.iter().all(|message| matches!(message.role.as_str(), "system" | "developer")) {
            return refuse("messages", "nobody asks anything", "add a message of the role `user`");
        }
        self.check_tools()
    }

    fn check_tools(&self) -> Checked {
        if self.tools.len() > TOOLS_MAX {
            let message = format!("too many tools: {}, at most {TOOLS_MAX}", self.tools.len());
            return refuse("tools", &message, "offer those that this call needs");
        }
        let mut names = BTreeSet::new();
        for (at, tool) in self.tools.iter().enumerate() {
            let path = format!("tools[{at}].function");
            check_name(&tool.name, format!("{path}.name"))?;
            if tool.parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
                let hint = "want a JSON Schema such as {\"type\": \"object\", …}, or leave it out";
                return refuse(format!("{path}.parameters"), "not a JSON object", hint);
            }
            if !names.insert(tool.name.as_str()) {
                let hint = "a model asks for a tool by its name: give each its own";
                return refuse(format!("{path}.name"), "another tool has this name", hint);
            }
        }
        match &self.tool_choice {
            Some(_) if self.tools.is_empty() => {
                refuse("tool_choice", "there are no tools to choose from", "add `tools`, or leave it out")
            }
            Some(ToolChoice::Named(name)) if !names.contains(name.as_str()) => {
                let hint = "name one of `tools`, or say \"auto\", \"none\" or \"required\"";
                refuse("tool_choice.function.name", "no tool has this name", hint)
            }
            _ => Ok(()),
        }
    }
}

/// `called` holds the ids of the calls so far.
fn check_message<'m>(message: &'m Message, path: &str, called: &mut BTreeSet<&'m str>) -> Checked {
    let role = message.role.as_str();
    if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool") {
        let hint = "want system, developer, user, assistant or tool";
        return refuse(format!("{path}.role"), "unknown role", hint);
    }
    if message.name.as_ref().is_some_and(String::is_empty) {
        return refuse(format!("{path}.name"), "the name is empty", "say it, or leave it out");
    }
    if role != "assistant" && !message.tool_calls.is_empty() {
        let hint = "the role `assistant` asks for tools";
        return refuse(format!("{path}.tool_calls"), "only an assistant asks for tools", hint);
    }
    for (at, call) in message.tool_calls.iter().enumerate() {
        check_call(call, &format!("{path}.tool_calls[{at}]"))?;
        called.insert(&call.id);
    }
    let id = || format!("{path}.tool_call_id");
    match (role, message.tool_call_id.as_deref()) {
        ("tool", None) => {
            let hint = "give the `id` of the call that this is the result of";
            return refuse(id(), "missing", hint);
        }
        ("tool", Some(answers)) if !called.contains(answers) => {
            let hint = "put the assistant's message with this id in its `tool_calls` before its result";
            return refuse(id(), "no call before it has this id", hint);
        }
        ("tool", Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            return refuse(id(), "only a tool's message is the result of a call", "use the role `tool`");
        }
    }
    // A tool may well have nothing to say.
    if role != "tool" && message.tool_calls.is_empty() && message.text.trim().is_empty() {
        return refuse(format!("{path}.content"), "the message is empty", "say something, or leave it out");
    }
    Ok(())
}

fn check_call(call: &ToolCall, path: &str) -> Checked {
    if call.id.is_empty() {
        return refuse(format!("{path}.id"), "the id is empty", "the call's result names it by its id");
    }
    check_name(&call.name, format!("{path}.function.name"))?;
    if !call.is_complete() {
        let hint =
            "want the text of an object, as the model sent it: \"{\\\"path\\\": \\\"a\\\"}\", or \"{}\"";
        return refuse(format!("{path}.function.arguments"), "not a JSON object as text", hint);
    }
    Ok(())
}

fn check_name(name: &str, path: String) -> Checked {
    if ToolCall::is_name(name) {
        return Ok(());
    }
    let hint = "want 1 to 64 letters, digits, `_`, `.` or `-`";
    refuse(path, "not a name of a tool", hint)
}
