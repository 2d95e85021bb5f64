//! `/chat/completions`: OpenAI, SGLang, vLLM, llama.cpp, Gemini's compatible face.

use super::closing::Closing;
use super::common::{append, error_inside, model_name, says_loopback, stop_word, tokens};
use super::{CALLS_EARLY_MAX, Progress, StreamedCall, StreamedText, tools};
use crate::call::{Answer, CallProblem, ChatCall};
use crate::sse::Event;
use serde_json::{Map, Value, json};
use sluice_core::{Dialect, Spoken, ToolCall, Usage};
use std::collections::BTreeMap;

/// The request body. `max_completion_tokens` and not `max_tokens`: OpenAI's reasoning models refuse the old
/// name, and SGLang, vLLM, llama.cpp (since February 2026) and Gemini read the new one.
pub(super) fn encode(model: &str, call: &ChatCall) -> Value {
    let messages: Vec<Value> = call.messages.iter().map(tools::openai_message).collect();
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), Value::Array(messages));
    body.insert("max_completion_tokens".to_owned(), json!(call.output_tokens_max));
    if let Some(effort) = &call.reasoning_effort {
        body.insert("reasoning_effort".to_owned(), json!(effort));
    }
    if let Some(schema) = &call.schema {
        // The wrapper is needed: SGLang answers 400 to a bare schema, and OpenAI wants a name.
        let wrapped = json!({ "name": "answer", "schema": schema, "strict": true });
        body.insert("response_format".to_owned(), json!({ "type": "json_schema", "json_schema": wrapped }));
    }
    tools::openai_offer(call, &mut body);
    if call.stream {
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
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
    let choice = map.get("choices").and_then(|choices| choices.get(0)).and_then(Value::as_object);
    let message = choice.and_then(|choice| choice.get("message")).and_then(Value::as_object);
    let (Some(choice), Some(message)) = (choice, message) else {
        return Err(CallProblem::bad("the answer has no choice with a message"));
    };
    let stop = stop_word(choice.get("finish_reason"));
    // SGLang says `abort`, gateways in front of several providers say `error`: half an answer either way.
    if matches!(stop.as_deref(), Some("abort" | "error")) {
        return Err(CallProblem::bad("the server broke the answer off"));
    }
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|words| !words.is_empty());
    let called = ["tool_calls", "function_call"]
        .iter()
        .any(|key| message.get(*key).is_some_and(|calls| !calls.is_null() && calls != &json!([])));
    match message.get("content") {
        Some(Value::String(_) | Value::Array(_)) => {}
        // Reasoning models that ran out of tokens send null.
        None | Some(Value::Null) if called || refusal.is_some() || stop.is_some() => {}
        None | Some(Value::Null) => return Err(CallProblem::bad("the answer has no content")),
        Some(_) => return Err(CallProblem::bad("the answer's content is not text")),
    }
    let Spoken { text, tool_calls } = Spoken::of(Dialect::OpenAiChat, &body);
    Ok(Answer {
        text,
        tool_calls,
        refused: refusal.is_some() || stop.as_deref() == Some("content_filter"),
        stop,
        usage: usage(map.get("usage")),
        served_model: model_name(map),
        loopback: says_loopback(map),
        body,
    })
}

/// OpenAI counts cached tokens inside the prompt and reasoning inside the completion. Gemini's compatible
/// face and Grok leave reasoning out of `completion_tokens` and count it in `total_tokens` alone; it is
/// paid as output, so what the total holds beyond the prompt is output.
fn usage(usage: Option<&Value>) -> Option<Usage> {
    let usage = usage?;
    let prompt = tokens(usage.get("prompt_tokens"))?;
    let completion = tokens(usage.get("completion_tokens"))?;
    let cached = tokens(usage.pointer("/prompt_tokens_details/cached_tokens")).unwrap_or(0).min(prompt);
    let beyond_prompt = tokens(usage.get("total_tokens")).unwrap_or(0).saturating_sub(prompt);
    Some(Usage {
        input_tokens: prompt - cached,
        cached_input_tokens: cached,
        output_tokens: completion.max(beyond_prompt),
    })
}

/// A stream's chunks, folded into the body that the same answer has without streaming.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Top-level fields; the last chunk that has one wins.
    head: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    fields: Map<String, Value>,
    message: Map<String, Value>,
    tool_calls: BTreeMap<u64, Map<String, Value>>,
    /// How far the arguments of each have come.
    closing: BTreeMap<u64, Closing>,
}

impl Fold {
    pub(super) fn event(&mut self, event: &Event) -> Result<Progress, CallProblem> {
        if event.data == "[DONE]" {
            return Ok(Progress::Done);
        }
        let Ok(Value::Object(chunk)) = serde_json::from_str(&event.data) else {
            return Err(
                CallProblem::bad("an event of the stream is not a JSON object").with_excerpt(&event.data)
            );
        };
        if let Some(problem) = error_inside(&chunk, self.choices.is_empty()) {
            return Err(problem);
        }
        for (key, value) in chunk {
            match (key.as_str(), value) {
                ("choices", Value::Array(choices)) => choices.into_iter().try_for_each(|c| self.choice(c))?,
                // `usage: null` stands in every chunk but the last.
                ("choices" | "object", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.head.insert(key, value);
                }
            }
        }
        Ok(Progress::More)
    }

    fn choice(&mut self, choice: Value) -> Result<(), CallProblem> {
        let Value::Object(choice) = choice else {
            return Err(CallProblem::bad("a choice of the stream is not a JSON object"));
        };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let into = self.choices.entry(index).or_default();
        for (key, value) in choice {
            match (key.as_str(), value) {
                ("delta", Value::Object(delta)) => into.delta(delta),
                ("delta" | "index", _) | (_, Value::Null) => {}
                (_, value) => {
                    into.fields.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// The first choice's, as in [`whole`].
    pub(super) fn text(&self) -> Option<StreamedText<'_>> {
        let choice = self.choices.get(&0)?;
        let text = choice.message.get("content").and_then(Value::as_str)?;
        Some(StreamedText { index: 0, path: "/choices/{}/message/content", key: "content", text })
    }

    /// The first choice's.
    pub(super) fn tool_calls(&mut self) -> Vec<StreamedCall> {
        self.choices.get_mut(&0).map(Choice::complete).unwrap_or_default()
    }

    pub(super) fn into_body(self) -> Value {
        let mut body = self.head;
        body.insert("object".to_owned(), json!("chat.completion"));
        let choices = self.choices.into_iter().map(|(index, choice)| choice.into_value(index)).collect();
        body.insert("choices".to_owned(), Value::Array(choices));
        Value::Object(body)
    }
}

impl Choice {
    /// Texts grow; everything else is set. `null` says nothing (llama.cpp begins with `content: null`,
    /// SGLang repeats `reasoning_content: null`), and `role` is said once or in every chunk.
    fn delta(&mut self, delta: Map<String, Value>) {
        for (key, value) in delta {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("tool_calls", Value::Array(calls)) => {
                    calls.into_iter().for_each(|call| self.tool_call(call))
                }
                ("role", value) => {
                    self.message.insert(key, value);
                }
                (_, Value::String(more)) => append(&mut self.message, &key, &more),
                (_, value) => {
                    self.message.insert(key, value);
                }
            }
        }
    }

    /// `id`, `type` and the function's name are said once, or again, or as null; arguments grow.
    fn tool_call(&mut self, call: Value) {
        let Value::Object(call) = call else { return };
        // Without an index a server sends whole calls, one after another.
        let next = self.tool_calls.len() as u64;
        let index = call.get("index").and_then(Value::as_u64).unwrap_or(next);
        let into = self.tool_calls.entry(index).or_default();
        for (key, value) in call {
            match (key.as_str(), value) {
                ("function", Value::Object(function)) => {
                    let more = function.get("arguments").and_then(Value::as_str).unwrap_or_default();
                    self.closing.entry(index).or_default().push(more);
                    let slot = into.entry("function").or_insert_with(|| json!({}));
                    if let Value::Object(slot) = slot {
                        function_delta(slot, function);
                    }
                }
                ("index" | "function", _) | (_, Value::Null) => {}
                (_, value) => {
                    into.insert(key, value);
                }
            }
        }
    }

    /// Calls whose arguments have closed. A call counts from where every index before its own was seen, and is a
    /// function's: then nothing can come that would move it.
    fn complete(&mut self) -> Vec<StreamedCall> {
        let mut complete = Vec::new();
        for (position, (index, fields)) in self.tool_calls.iter().enumerate().take(CALLS_EARLY_MAX) {
            let function = fields.get("function").filter(|function| function.is_object());
            let (true, Some(function)) = (*index == position as u64, function) else { break };
            let Some(closing) = self.closing.get_mut(index).filter(|closing| closing.is_news()) else {
                continue;
            };
            let has =
                |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            if !has(fields.get("id")) || !has(function.get("name")) {
                continue;
            }
            closing.told();
            let call = ToolCall::of_openai(&Value::Object(fields.clone())).filter(ToolCall::is_complete);
            complete.extend(call.map(|call| StreamedCall { index: position, place: position, call }));
        }
        complete
    }

    fn into_value(self, index: u64) -> Value {
        let mut message = self.message;
        message.entry("role").or_insert_with(|| json!("assistant"));
        message.entry("content").or_insert(Value::Null);
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.into_values().map(Value::Object).collect();
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        let mut choice = Map::new();
        choice.insert("index".to_owned(), json!(index));
        choice.insert("message".to_owned(), Value::Object(message));
        choice.extend(self.fields);
        Value::Object(choice)
    }
}

fn function_delta(into: &mut Map<String, Value>, function: Map<String, Value>) {
    for (key, value) in function {
        match (key.as_str(), value) {
            ("arguments", Value::String(more)) => append(into, "arguments", &more),
            (_, Value::Null) => {}
            (_, Value::String(word)) if word.is_empty() => {}
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
