//! The Anthropic face.

use crate::answer::{Asked, Said, arguments_pieces};
use crate::openai::{offered, text_of};
use crate::wire;
use bytes::Bytes;
use serde_json::{Value, json};

/// Reads `/v1/messages` and, without the cap on tokens, `/v1/messages/count_tokens`. An error is in words
/// for its 400.
pub(crate) fn read(body: &Value, counting: bool) -> Result<Asked, String> {
    let model = body["model"].as_str().ok_or("`model` is missing")?;
    let tokens_max = body["max_tokens"].as_u64();
    if tokens_max.is_none() && !counting {
        return Err("`max_tokens` is missing".to_owned());
    }
    let turns = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let turns = turns.ok_or("`messages` is missing or empty")?;
    let mut messages = Vec::new();
    let system = text_of(&body["system"]);
    if !system.is_empty() {
        messages.push(("system".to_owned(), system));
    }
    for turn in turns {
        match turn["role"].as_str() {
            Some(role @ ("user" | "assistant")) => {
                messages.push((role.to_owned(), text_of(&turn["content"])))
            }
            _ => return Err("a message's `role` is neither `user` nor `assistant`".to_owned()),
        }
    }
    let format = &body["output_config"]["format"];
    let schema = match format["type"].as_str() {
        None => None,
        Some("json_schema") => {
            Some(format.get("schema").cloned().ok_or("`output_config.format` needs `schema`")?)
        }
        Some(_) => return Err("`output_config.format.type` is not known".to_owned()),
    };
    Ok(Asked {
        model: model.to_owned(),
        messages,
        stream: body["stream"].as_bool().unwrap_or(false),
        include_usage: true,
        tokens_max,
        schema,
        tools: offered(body, |tool| &tool["name"]),
        tool: tool(body)?,
    })
}

fn tool(body: &Value) -> Result<Option<(String, Value)>, String> {
    let choice = &body["tool_choice"];
    let named = match choice["type"].as_str() {
        Some("any") => None,
        Some("tool") => choice["name"].as_str(),
        _ => return Ok(None),
    };
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tool = tools
        .iter()
        .find(|tool| tool["name"].is_string() && named.is_none_or(|name| tool["name"] == name))
        .ok_or("`tool_choice` names no tool of `tools`")?;
    let name = tool["name"].as_str().unwrap_or_default().to_owned();
    Ok(Some((name, tool.get("input_schema").cloned().unwrap_or(json!({ "type": "object" })))))
}

fn stop_reason(said: &Said) -> &'static str {
    match (said.calls.is_empty(), said.cut) {
        (false, _) => "tool_use",
        (true, true) => "max_tokens",
        (true, false) => "end_turn",
    }
}

fn message(asked: &Asked, said: &Said, content: Value, stop: Value, output_tokens: usize) -> Value {
    json!({
        "id": format!("msg_loopback_{}", said.id), "type": "message", "role": "assistant", "model": asked.model,
        "content": content, "stop_reason": stop, "stop_sequence": null,
        "usage": {
            "input_tokens": said.input_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": output_tokens
        },
        "sluice_loopback": true
    })
}

fn tool_use(said: &Said, at: usize, name: &str, input: Value) -> Value {
    let id = format!("toolu_loopback_{}", said.call_id(at));
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

pub(crate) fn whole(asked: &Asked, said: &Said) -> Value {
    let text = (!said.text.is_empty() || said.calls.is_empty())
        .then(|| json!({ "type": "text", "text": said.text }));
    let calls = said.calls.iter().enumerate().map(|(at, (name, arguments))| {
        let input = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
        tool_use(said, at, name, input)
    });
    let content = text.into_iter().chain(calls).collect();
    message(asked, said, content, json!(stop_reason(said)), said.output_tokens)
}

/// Each block as it begins, and what is added to it.
fn blocks(said: &Said) -> Vec<(Value, Vec<Value>)> {
    let text = (!said.text.is_empty() || said.calls.is_empty()).then(|| {
        let delta = |piece| json!({ "type": "text_delta", "text": piece });
        (json!({ "type": "text", "text": "" }), said.pieces().into_iter().map(delta).collect())
    });
    let calls = said.calls.iter().enumerate().map(|(at, (name, arguments))| {
        let delta = |piece| json!({ "type": "input_json_delta", "partial_json": piece });
        let deltas = arguments_pieces(arguments).into_iter().map(delta).collect();
        (tool_use(said, at, name, json!({})), deltas)
    });
    text.into_iter().chain(calls).collect()
}

/// The stream, event by event; the last is `message_stop`.
pub(crate) fn events(asked: &Asked, said: &Said) -> Vec<Bytes> {
    let begun = message(asked, said, json!([]), Value::Null, 1);
    let mut events = vec![json!({ "type": "message_start", "message": begun })];
    for (at, (block, deltas)) in blocks(said).into_iter().enumerate() {
        events.push(json!({ "type": "content_block_start", "index": at, "content_block": block }));
        if at == 0 {
            events.push(json!({ "type": "ping" }));
        }
        let delta = |delta| json!({ "type": "content_block_delta", "index": at, "delta": delta });
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({ "type": "content_block_stop", "index": at }));
    }
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop_reason(said), "stop_sequence": null },
        "usage": { "output_tokens": said.output_tokens }
    }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(|event| wire::event(event["type"].as_str(), event)).collect()
}

pub(crate) fn models(models: &[String]) -> Value {
    let list: Vec<Value> = models
        .iter()
        .map(|id| json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" }))
        .collect();
    json!({ "data": list, "has_more": false, "first_id": models.first(), "last_id": models.last() })
}

pub(crate) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": null })
}
