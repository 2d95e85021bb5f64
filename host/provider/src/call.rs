//! One call and its answer, apart from any wire shape.

use serde_json::Value;
use sluice_core::record::AttemptOutcome;
use sluice_core::{ToolCall, Usage};
use std::fmt;

/// Most bytes kept of a server's own words about an error: enough for a sentence or two.
pub const EXCERPT_BYTES_MAX: usize = 512;

/// One message of a conversation.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant`, `tool`.
    pub role: String,
    /// Text, not yet redacted; a tool's result. May be empty beside tool calls.
    pub text: String,
    /// Who speaks, where a role has several.
    pub name: Option<String>,
    /// Of an assistant: the tools that it asked for, arguments being JSON objects.
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool: the call that this is the result of.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message that is text and no more.
    pub fn new(role: &str, text: impl Into<String>) -> Message {
        Message { role: role.to_owned(), text: text.into(), ..Message::default() }
    }

    /// Bytes of everything that it says.
    pub fn bytes(&self) -> usize {
        let calls = self.tool_calls.iter().map(|call| call.name.len() + call.arguments.len());
        self.text.len() + calls.sum::<usize>()
    }
}

/// A tool that a model may ask for.
#[derive(Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Value>,
}

impl Tool {
    /// Bytes of everything that it says.
    pub fn bytes(&self) -> usize {
        let parameters = self.parameters.as_ref().map_or(0, |parameters| parameters.to_string().len());
        self.name.len() + self.description.as_ref().map_or(0, String::len) + parameters
    }
}

/// Whether a model is to ask for a tool.
#[derive(Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// No.
    None,
    /// Yes, whichever.
    Required,
    /// Yes, this one.
    Named(String),
}

/// What is asked of a model, before redaction.
#[derive(Clone, PartialEq)]
pub struct ChatCall {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Cap on the answer in tokens, reasoning included.
    pub output_tokens_max: u64,
    /// `low`, `medium`, `high`; `None` leaves it to the model, and is the only form that models without
    /// such a setting accept.
    pub reasoning_effort: Option<String>,
    /// JSON Schema that the answer must satisfy.
    pub schema: Option<Value>,
    /// Whether the answer is to come as server-sent events.
    pub stream: bool,
    /// The tools that the model may ask for.
    pub tools: Vec<Tool>,
    /// `None` leaves it to the server.
    pub tool_choice: Option<ToolChoice>,
}

// All of these hold text that was not redacted: their Debug shows sizes alone.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.role, self.bytes())
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({} bytes)", self.bytes())
    }
}

impl fmt::Debug for ToolChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ToolChoice::Auto => "Auto",
            ToolChoice::None => "None",
            ToolChoice::Required => "Required",
            ToolChoice::Named(_) => "Named",
        })
    }
}

impl fmt::Debug for ChatCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatCall")
            .field("messages", &self.messages)
            .field("output_tokens_max", &self.output_tokens_max)
            .field("reasoning_effort", &self.reasoning_effort)
            .field("schema", &self.schema.is_some())
            .field("stream", &self.stream)
            .field("tools", &self.tools)
            .field("tool_choice", &self.tool_choice)
            .finish()
    }
}

/// A whole answer. Its texts are the server's: nothing here was redacted.
#[derive(Clone, PartialEq)]
pub struct Answer {
    /// The text of the first choice, or of every text block; empty where the model only called tools.
    pub text: String,
    /// The tools that it asks for, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped, in the dialect's word; `other` where the server's word is no word.
    pub stop: Option<String>,
    /// As the server counted, in the convention of [`Usage`]; `None` where it did not say.
    pub usage: Option<Usage>,
    /// The model that the server says it ran. A claim, never proof; `None` also where it is not a name.
    pub served_model: Option<String>,
    /// Whether the server says, in any way, that it is the loopback stand-in.
    pub loopback: bool,
    /// The model declined. Still a whole answer, with outcome `ok`: asking elsewhere to get round a
    /// refusal is not for the transport to decide.
    pub refused: bool,
    /// The body in the dialect's shape without streaming, tool calls and unknown fields included: what the
    /// record keeps after redaction.
    pub body: Value,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("text_bytes", &self.text.len())
            .field("tool_calls", &self.tool_calls)
            .field("stop", &self.stop)
            .field("usage", &self.usage)
            .field("loopback", &self.loopback)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// Why what came back is not an answer.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CallProblem {
    /// What escalation reads.
    pub outcome: AttemptOutcome,
    /// The host's own words, from a fixed list.
    pub detail: &'static str,
    /// The server's words, at most [`EXCERPT_BYTES_MAX`]. They can repeat the prompt, or hold a path or a
    /// key of the server's: never printed or stored before redaction.
    pub excerpt: Option<String>,
}

impl CallProblem {
    /// A problem in the host's words alone.
    pub const fn new(outcome: AttemptOutcome, detail: &'static str) -> CallProblem {
        CallProblem { outcome, detail, excerpt: None }
    }

    /// A shape that the dialect does not promise.
    pub(crate) const fn bad(detail: &'static str) -> CallProblem {
        CallProblem::new(AttemptOutcome::BadAnswer, detail)
    }

    pub(crate) fn with_excerpt(mut self, words: &str) -> CallProblem {
        let words = words.trim();
        if !words.is_empty() {
            self.excerpt = Some(cut(words, EXCERPT_BYTES_MAX).to_owned());
        }
        self
    }
}

impl fmt::Debug for CallProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallProblem({}: {})", self.outcome.code(), self.detail)
    }
}

/// The longest prefix of at most `bytes_max` bytes that ends on a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
