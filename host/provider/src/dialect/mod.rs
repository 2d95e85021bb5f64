//! Wire shapes. Pure: bytes in, an [`Answer`] or a [`CallProblem`] out.
//!
//! | came back | outcome |
//! |---|---|
//! | 401, 402, 403 | `auth` |
//! | 404 | `not-found` |
//! | 408 | `timeout` |
//! | 429, 503, 529; such an error as the first event of a 200 stream | `overloaded` |
//! | other 5xx | `server-error` |
//! | other 4xx | `bad-request` |
//! | 3xx, HTML, another content type, not JSON, empty, half a stream, any other error inside a 200, too large | `bad-answer` |

pub mod anthropic_messages;
pub mod openai_chat;

mod closing;
mod common;
mod tools;

use crate::call::{Answer, CallProblem, ChatCall};
use crate::sse;
use serde_json::Value;
use sluice_core::record::AttemptOutcome;
use sluice_core::{Dialect, ToolCall};

pub(crate) use common::status_problem;

/// Most bytes of an answer without streaming: 200,000 tokens are about 1 MB of text, escapes and reasoning
/// included a few.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// Most bytes of a stream. A token costs 200 to 500 bytes as an event of its own (SGLang's are the
/// longest), so this is about 130,000 tokens at the worst. What is kept of it is far less.
pub const STREAM_BYTES_MAX: usize = 64 << 20;

/// The request body, before redaction.
pub fn encode(dialect: Dialect, model: &str, call: &ChatCall) -> Value {
    match dialect {
        Dialect::OpenAiChat => openai_chat::encode(model, call),
        Dialect::AnthropicMessages => anthropic_messages::encode(model, call),
    }
}

/// The path of a chat call under the base URL.
pub(crate) const fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "chat/completions",
        Dialect::AnthropicMessages => "messages",
    }
}

/// Reads what came back: a body of JSON or a whole stream, told apart by `content_type` and not by what
/// was asked for (servers answer either to either).
pub fn decode(dialect: Dialect, status: u16, content_type: &str, body: &[u8]) -> Result<Answer, CallProblem> {
    if !(200..300).contains(&status) {
        return Err(status_problem(status, body));
    }
    match Shape::of(content_type) {
        Shape::Stream => {
            let mut decoder = StreamDecoder::new(dialect);
            decoder.push(body)?;
            decoder.finish()
        }
        shape => decode_whole(dialect, shape, body),
    }
}

pub(crate) fn decode_whole(dialect: Dialect, shape: Shape, body: &[u8]) -> Result<Answer, CallProblem> {
    let text = String::from_utf8_lossy(&body[..body.len().min(crate::call::EXCERPT_BYTES_MAX)]);
    if body.len() > BODY_BYTES_MAX {
        return Err(CallProblem::bad("the answer is larger than allowed"));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(CallProblem::bad("the answer is empty"));
    }
    match shape {
        Shape::Html => return Err(CallProblem::bad("the answer is a web page, not JSON").with_excerpt(&text)),
        Shape::Other => {
            return Err(CallProblem::bad("the answer has another content type than JSON").with_excerpt(&text));
        }
        Shape::Json | Shape::Stream => {}
    }
    let Ok(body) = serde_json::from_slice(body) else {
        return Err(CallProblem::bad("the answer is not JSON").with_excerpt(&text));
    };
    match dialect {
        Dialect::OpenAiChat => openai_chat::whole(body),
        Dialect::AnthropicMessages => anthropic_messages::whole(body),
    }
}

/// What a content type promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Json,
    Stream,
    Html,
    Other,
}

impl Shape {
    /// No content type at all is taken for JSON: small servers leave it out, and what is not JSON fails to parse.
    pub(crate) fn of(content_type: &str) -> Shape {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/json" => Shape::Json,
            "text/event-stream" => Shape::Stream,
            "text/html" | "application/xhtml+xml" => Shape::Html,
            other if other.ends_with("+json") => Shape::Json,
            _ => Shape::Other,
        }
    }
}

/// A stream on its way in. Feed it chunks as they come; an error inside the stream is an error of the chunk
/// that held it, so that nobody waits for the end of a stream that failed.
///
/// This is where streaming to a caller attaches: who holds the decoder sees each chunk before the next.
#[derive(Debug)]
pub struct StreamDecoder {
    parser: sse::Parser,
    fold: Fold,
    events: Vec<sse::Event>,
    bytes: usize,
    /// The stream said that it is complete. What comes after is not looked at.
    done: bool,
}

/// A text of an answer on its way: not redacted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamedText<'a> {
    /// Position among the choices or blocks of the whole body.
    pub index: usize,
    /// JSON pointer of the leaf, `{}` being the position.
    pub path: &'static str,
    /// The leaf's key.
    pub key: &'static str,
    /// What has come of it.
    pub text: &'a str,
}

impl std::fmt::Debug for StreamedText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamedText({} {}, {} bytes)", self.path, self.index, self.text.len())
    }
}

/// A tool call of an answer on its way whose arguments are complete: not redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamedCall {
    /// Position among the tool calls (OpenAI) or blocks (Anthropic) of the whole body.
    pub index: usize,
    /// Place among the tool calls of the whole answer.
    pub place: usize,
    /// The call.
    pub call: ToolCall,
}

/// A part of an answer on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streamed<'a> {
    /// All of a text so far.
    Text(StreamedText<'a>),
    /// A whole tool call.
    Call(StreamedCall),
}

/// Most tool calls of one answer that are told of before its end, and most bytes of the arguments of each: what is
/// beyond comes with the whole answer.
pub(crate) const CALLS_EARLY_MAX: usize = 128;
pub(crate) const ARGUMENTS_EARLY_BYTES_MAX: usize = 256 << 10;

#[derive(Debug)]
enum Fold {
    OpenAi(openai_chat::Fold),
    Anthropic(anthropic_messages::Fold),
}

/// Whether more of a stream is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl StreamDecoder {
    /// Before the first byte.
    pub fn new(dialect: Dialect) -> StreamDecoder {
        let fold = match dialect {
            Dialect::OpenAiChat => Fold::OpenAi(openai_chat::Fold::default()),
            Dialect::AnthropicMessages => Fold::Anthropic(anthropic_messages::Fold::default()),
        };
        StreamDecoder { parser: sse::Parser::default(), fold, events: Vec::new(), bytes: 0, done: false }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), CallProblem> {
        if self.done {
            return Ok(());
        }
        self.bytes += chunk.len();
        if self.bytes > STREAM_BYTES_MAX {
            return Err(CallProblem::bad("the stream is larger than allowed"));
        }
        let parsed = self.parser.push(chunk, &mut self.events);
        // Events before the broken place come first: one of them may say why the stream broke.
        self.take_events()?;
        if self.done { Ok(()) } else { parsed.map_err(sse_problem) }
    }

    /// Whether the stream has said that it is complete.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The answer's text as far as it has come, with the place that it has in the body of the whole answer; of
    /// several texts the first. `None` before there is one. It only ever grows.
    pub fn text(&self) -> Option<StreamedText<'_>> {
        match &self.fold {
            Fold::OpenAi(fold) => fold.text(),
            Fold::Anthropic(fold) => fold.text(),
        }
    }

    /// The tool calls that have become complete since this was asked last: each once, and none where the place that
    /// it will have in the whole body is not certain yet.
    pub fn tool_calls(&mut self) -> Vec<StreamedCall> {
        match &mut self.fold {
            Fold::OpenAi(fold) => fold.tool_calls(),
            Fold::Anthropic(fold) => fold.tool_calls(),
        }
    }

    /// Says that no more bytes come, and gives the whole answer.
    pub fn finish(mut self) -> Result<Answer, CallProblem> {
        let parsed = std::mem::take(&mut self.parser).finish(&mut self.events);
        self.take_events()?;
        if !self.done {
            parsed.map_err(sse_problem)?;
            let detail =
                if self.bytes == 0 { "the stream is empty" } else { "the stream ended before its end mark" };
            return Err(CallProblem::bad(detail));
        }
        match self.fold {
            Fold::OpenAi(fold) => openai_chat::whole(fold.into_body()),
            Fold::Anthropic(fold) => anthropic_messages::whole(fold.into_body()),
        }
    }

    fn take_events(&mut self) -> Result<(), CallProblem> {
        for event in self.events.drain(..) {
            let progress = match &mut self.fold {
                Fold::OpenAi(fold) => fold.event(&event)?,
                Fold::Anthropic(fold) => fold.event(&event)?,
            };
            if progress == Progress::Done {
                self.done = true;
                break;
            }
        }
        Ok(())
    }
}

fn sse_problem(problem: sse::SseProblem) -> CallProblem {
    CallProblem::new(
        AttemptOutcome::BadAnswer,
        match problem {
            sse::SseProblem::TooLarge => "an event of the stream is larger than allowed",
            sse::SseProblem::NotUtf8 => "the stream is not UTF-8",
        },
    )
}

#[cfg(test)]
mod tests;
