//! The OpenAI-compatible face.

use crate::answer::{Asked, Said, arguments_pieces};
use crate::wire;
use bytes::Bytes;
use serde_json::{Value, json};

/// Reads `/v1/chat/completions`. An error is in words for its 400.
pub(crate) fn read(body: &Value) -> Result<Asked, String> {
    let model = body["model"].as_str().ok_or("`model` is missing")?;
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or("`messages` is missing or empty")?;
    let messages = messages
        .iter()
        .map(|message| {
            let role = message["role"].as_str().ok_or("a message has no `role`")?;
            Ok((role.to_owned(), text_of(&message["content"])))
        })
        .collect::<Result<_, String>>()?;
    Ok(Asked {
        model: model.to_owned(),
        messages,
        stream: body["stream"].as_bool().unwrap_or(false),
        include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        tokens_max: body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64()),
        schema: schema(&body["response_format"])?,
        tools: offered(body, |tool| &tool["function"]["name"]),
        tool: tool(body)?,
    })
}

/// A text, or the texts of its parts. Shared with the other face, whose parts look the same.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Names of the tools that a request offers and does not forbid. Shared with the other face.
pub(crate) fn offered(body: &Value, name: impl Fn(&Value) -> &Value) -> Vec<String> {
    let choice = &body["tool_choice"];
    if choice == "none" || choice["type"] == "none" {
        return Vec::new();
    }
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().filter_map(|tool| name(tool).as_str().map(str::to_owned)).collect()
}

fn schema(format: &Value) -> Result<Option<Value>, String> {
    match format["type"].as_str() {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({
            "type": "object", "properties": { "note": { "type": "string" } }, "required": ["note"]
        }))),
        Some("json_schema") => {
            let wrapper = &format["json_schema"];
            match (wrapper["name"].as_str(), wrapper.get("schema")) {
                (Some(_), Some(schema)) => Ok(Some(schema.clone())),
                _ => Err("`response_format.json_schema` needs `name` and `schema`".to_owned()),
            }
        }
        Some(_) => Err("`response_format.type` is not known".to_owned()),
    }
}

fn tool(body: &Value) -> Result<Option<(String, Value)>, String> {
    let choice = &body["tool_choice"];
    let named = choice["function"]["name"].as_str();
    if named.is_none() && choice.as_str() != Some("required") {
        return Ok(None);
    }
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let function = tools
        .iter()
        .map(|tool| &tool["function"])
        .find(|function| function["name"].is_string() && named.is_none_or(|name| function["name"] == name))
        .ok_or("`tool_choice` names no tool of `tools`")?;
    let name = function["name"].as_str().unwrap_or_default().to_owned();
    Ok(Some((name, function.get("parameters").cloned().unwrap_or(json!({ "type": "object" })))))
}

fn finish_reason(said: &Said) -> &'static str {
    match (said.calls.is_empty(), said.cut) {
        (false, _) => "tool_calls",
        (true, true) => "length",
        (true, false) => "stop",
    }
}

fn usage(said: &Said) -> Value {
    json!({
        "prompt_tokens": said.input_tokens, "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens
    })
}

fn head(asked: &Asked, said: &Said, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-loopback-{}", said.id), "object": object, "created": 0, "model": asked.model,
        "system_fingerprint": "sluice-loopback", "sluice_loopback": true
    })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

pub(crate) fn whole(asked: &Asked, said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.text });
    if !said.calls.is_empty() {
        let call = |(at, (name, arguments)): (usize, &(String, String))| tool_call(said, at, name, arguments);
        message["tool_calls"] = said.calls.iter().enumerate().map(call).collect();
        if said.text.is_empty() {
            message["content"] = Value::Null;
        }
    }
    let choice =
        json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(said) });
    let body = with(head(asked, said, "chat.completion"), "choices", json!([choice]));
    with(body, "usage", usage(said))
}

fn tool_call(said: &Said, at: usize, name: &str, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    json!({ "id": format!("call_loopback_{}", said.call_id(at)), "type": "function", "function": function })
}

/// What a stream says, piece by piece: a piece of the text, then one of each call, and so on.
fn deltas(said: &Said) -> Vec<Value> {
    let texts = said.pieces().into_iter().map(|piece| json!({ "content": piece })).collect();
    let call = |(at, (name, arguments)): (usize, &(String, String))| {
        let first = with(tool_call(said, at, name, ""), "index", json!(at));
        let more = arguments_pieces(arguments)
            .into_iter()
            .map(|piece| json!({ "index": at, "function": { "arguments": piece } }));
        let calls = std::iter::once(first).chain(more);
        calls.map(|call| json!({ "tool_calls": [call] })).collect()
    };
    let calls = said.calls.iter().enumerate().map(call);
    let mut lanes: Vec<Vec<Value>> = std::iter::once(texts).chain(calls).collect();
    lanes.iter_mut().for_each(|lane| lane.reverse());
    let mut out = Vec::new();
    while lanes.iter().any(|lane| !lane.is_empty()) {
        out.extend(lanes.iter_mut().filter_map(Vec::pop));
    }
    out
}

/// The stream, event by event; the last is `[DONE]`.
pub(crate) fn events(asked: &Asked, said: &Said) -> Vec<Bytes> {
    let chunk = |choices: Value| {
        let body = with(head(asked, said, "chat.completion.chunk"), "choices", choices);
        if asked.include_usage { with(body, "usage", Value::Null) } else { body }
    };
    let delta = |delta: Value| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]));
    let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }))];
    chunks.extend(deltas(said).into_iter().map(delta));
    chunks.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish_reason(said) }])));
    if asked.include_usage {
        chunks.push(with(chunk(json!([])), "usage", usage(said)));
    }
    let mut events: Vec<Bytes> = chunks.iter().map(|chunk| wire::event(None, chunk)).collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

pub(crate) fn models(models: &[String]) -> Value {
    let list: Vec<Value> = models
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "sluice-loopback" }))
        .collect();
    json!({ "object": "list", "data": list })
}

pub(crate) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": status } })
}
