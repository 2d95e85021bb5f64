//! `/messages`: Anthropic.

use super::common::{append, error_inside, model_name, says_loopback, stop_word, tokens};
use super::{ARGUMENTS_EARLY_BYTES_MAX, CALLS_EARLY_MAX, Progress, StreamedCall, StreamedText, tools};
use crate::call::{Answer, CallProblem, ChatCall};
use crate::sse::Event;
use serde_json::{Map, Value, json};
use sluice_core::{Dialect, Spoken, ToolCall, Usage};
use std::collections::BTreeMap;

/// The version whose shapes this file reads; sent with each request.
pub(crate) const VERSION: &str = "2023-06-01";

/// The request body. System and developer messages become `system`, in their order: the dialect has no such
/// role inside a conversation. A reasoning effort becomes `output_config.effort`, which models before
/// Claude Opus 4.5 refuse: policy sets an effort only for models that take one.
pub(super) fn encode(model: &str, call: &ChatCall) -> Value {
    let is_system = |role: &str| matches!(role, "system" | "developer");
    let system: Vec<&str> =
        call.messages.iter().filter(|m| is_system(&m.role)).map(|m| m.text.as_str()).collect();
    let messages = tools::anthropic_messages(call.messages.iter().filter(|m| !is_system(&m.role)));
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("max_tokens".to_owned(), json!(call.output_tokens_max));
    if !system.is_empty() {
        body.insert("system".to_owned(), json!(system.join("\n\n")));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    tools::anthropic_offer(call, &mut body);
    let mut output = Map::new();
    if let Some(effort) = &call.reasoning_effort {
        output.insert("effort".to_owned(), json!(effort));
    }
    if let Some(schema) = &call.schema {
        output.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema }));
    }
    if !output.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(output));
    }
    if call.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    Value::Object(body)
}

/// Reads a whole body.
pub(super) fn whole(body: Value) -> Result<Answer, CallProblem> {
    let Value::Object(map) = &body else {
        return Err(CallProblem::bad("the answer is not a JSON object"));
    };
    if let Some(problem) = error_inside(map, true) {
        return Err(problem);
    }
    if !map.get("content").is_some_and(Value::is_array) {
        return Err(CallProblem::bad("the answer has no content"));
    }
    let Spoken { text, tool_calls } = Spoken::of(Dialect::AnthropicMessages, &body);
    let stop = stop_word(map.get("stop_reason"));
    Ok(Answer {
        text,
        tool_calls,
        refused: stop.as_deref() == Some("refusal"),
        stop,
        usage: usage(map.get("usage")),
        served_model: model_name(map),
        loopback: says_loopback(map),
        body,
    })
}

/// `input_tokens` excludes what was read from the cache and what was written to it. Writing is input that
/// was not served from a cache.
fn usage(usage: Option<&Value>) -> Option<Usage> {
    let usage = usage?;
    let input = tokens(usage.get("input_tokens"))?;
    let output_tokens = tokens(usage.get("output_tokens"))?;
    let written = tokens(usage.get("cache_creation_input_tokens")).unwrap_or(0);
    let cached_input_tokens = tokens(usage.get("cache_read_input_tokens")).unwrap_or(0);
    Some(Usage { input_tokens: input + written, cached_input_tokens, output_tokens })
}

/// A stream's events, folded into the message that the same answer has without streaming.
#[derive(Debug, Default)]
pub(super) struct Fold {
    message: Option<Map<String, Value>>,
    blocks: BTreeMap<u64, Block>,
}

#[derive(Debug, Default)]
struct Block {
    fields: Map<String, Value>,
    /// A tool's input arrives as pieces of JSON text.
    input: String,
    /// The server said that it is whole.
    stopped: bool,
    /// It was told of.
    told: bool,
}

const OUT_OF_ORDER: CallProblem = CallProblem::bad("the stream's events are out of order");

impl Fold {
    pub(super) fn event(&mut self, event: &Event) -> Result<Progress, CallProblem> {
        let Ok(Value::Object(mut data)) = serde_json::from_str(&event.data) else {
            return Err(
                CallProblem::bad("an event of the stream is not a JSON object").with_excerpt(&event.data)
            );
        };
        if let Some(problem) = error_inside(&data, self.blocks.is_empty()) {
            return Err(problem);
        }
        // The type is said twice; the one inside is what every SDK reads.
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => match (data.remove("message"), &self.message) {
                (Some(Value::Object(message)), None) => self.message = Some(message),
                _ => return Err(OUT_OF_ORDER),
            },
            "content_block_start" => self.start_block(data)?,
            "content_block_delta" => self.block(&data)?.delta(data),
            "content_block_stop" => {
                let block = self.block(&data)?;
                block.stop();
                block.stopped = true;
            }
            "message_delta" => self.message_delta(data)?,
            "message_stop" if self.message.is_some() => return Ok(Progress::Done),
            "message_stop" => return Err(OUT_OF_ORDER),
            // `ping`, and what later versions add.
            _ => {}
        }
        Ok(Progress::More)
    }

    fn start_block(&mut self, mut data: Map<String, Value>) -> Result<(), CallProblem> {
        let index = data.get("index").and_then(Value::as_u64);
        match (index, data.remove("content_block"), &self.message) {
            (Some(index), Some(Value::Object(fields)), Some(_)) if !self.blocks.contains_key(&index) => {
                self.blocks.insert(index, Block { fields, ..Block::default() });
                Ok(())
            }
            _ => Err(OUT_OF_ORDER),
        }
    }

    fn block(&mut self, data: &Map<String, Value>) -> Result<&mut Block, CallProblem> {
        let index = data.get("index").and_then(Value::as_u64).ok_or(OUT_OF_ORDER)?;
        self.blocks.get_mut(&index).ok_or(OUT_OF_ORDER)
    }

    /// Usage here is cumulative: what it states replaces what `message_start` said.
    fn message_delta(&mut self, mut data: Map<String, Value>) -> Result<(), CallProblem> {
        let message = self.message.as_mut().ok_or(OUT_OF_ORDER)?;
        if let Some(Value::Object(delta)) = data.remove("delta") {
            message.extend(delta);
        }
        if let Some(Value::Object(stated)) = data.remove("usage") {
            let usage = message.entry("usage").or_insert_with(|| json!({}));
            if let Value::Object(usage) = usage {
                usage.extend(stated.into_iter().filter(|(_, value)| !value.is_null()));
            }
        }
        Ok(())
    }

    /// The first block of text.
    pub(super) fn text(&self) -> Option<StreamedText<'_>> {
        let is_text = |block: &Block| block.fields.get("type").and_then(Value::as_str) == Some("text");
        let (index, block) = self.blocks.values().enumerate().find(|(_, block)| is_text(block))?;
        let text = block.fields.get("text").and_then(Value::as_str)?;
        Some(StreamedText { index, path: "/content/{}/text", key: "text", text })
    }

    /// Blocks that ask for a tool and were stopped. One counts from where every block before it was begun: then
    /// nothing can come that would move it.
    pub(super) fn tool_calls(&mut self) -> Vec<StreamedCall> {
        let (mut complete, mut place) = (Vec::new(), 0);
        for (position, (index, block)) in self.blocks.iter_mut().enumerate().take(CALLS_EARLY_MAX) {
            if *index != position as u64 {
                break;
            }
            if block.fields.get("type").and_then(Value::as_str) != Some("tool_use") {
                continue;
            }
            place += 1;
            if !block.stopped || std::mem::replace(&mut block.told, true) {
                continue;
            }
            let call = ToolCall::of_anthropic(&Value::Object(block.fields.clone())).filter(|call| {
                let is_bounded = call.arguments.len() <= ARGUMENTS_EARLY_BYTES_MAX;
                is_bounded && !call.id.is_empty() && !call.name.is_empty() && call.is_complete()
            });
            complete.extend(call.map(|call| StreamedCall { index: position, place: place - 1, call }));
        }
        complete
    }

    pub(super) fn into_body(self) -> Value {
        let mut body = self.message.unwrap_or_default();
        let blocks = self.blocks.into_values().map(Block::into_value).collect();
        body.insert("content".to_owned(), Value::Array(blocks));
        Value::Object(body)
    }
}

impl Block {
    fn delta(&mut self, mut data: Map<String, Value>) {
        let Some(Value::Object(mut delta)) = data.remove("delta") else { return };
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or_default();
        let grows = match kind {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "signature_delta" => "signature",
            "input_json_delta" => "partial_json",
            "citations_delta" => {
                self.citation(delta.remove("citation"));
                return;
            }
            _ => return,
        };
        let Some(more) = delta.get(grows).and_then(Value::as_str) else { return };
        if grows == "partial_json" {
            self.input.push_str(more);
        } else {
            append(&mut self.fields, grows, more);
        }
    }

    fn citation(&mut self, citation: Option<Value>) {
        let Some(citation) = citation else { return };
        match self.fields.get_mut("citations") {
            Some(Value::Array(citations)) => citations.push(citation),
            _ => {
                self.fields.insert("citations".to_owned(), json!([citation]));
            }
        }
    }

    /// An input that is not JSON (the answer hit its token cap inside it) is kept as the text it is.
    fn stop(&mut self) {
        if !self.input.is_empty() {
            let input = std::mem::take(&mut self.input);
            let value = serde_json::from_str(&input).unwrap_or(Value::String(input));
            self.fields.insert("input".to_owned(), value);
        }
    }

    /// A block that was never stopped is stopped by the end of its message.
    fn into_value(mut self) -> Value {
        self.stop();
        Value::Object(self.fields)
    }
}
