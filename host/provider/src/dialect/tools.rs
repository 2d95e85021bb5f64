//! Tools and their calls as a request says them, in both dialects.

use crate::call::{ChatCall, Message, Tool, ToolChoice};
use serde_json::{Map, Value, json};
use sluice_core::ToolCall;

/// One message, as OpenAI has it.
pub(super) fn openai_message(message: &Message) -> Value {
    let mut out = Map::new();
    out.insert("role".to_owned(), json!(message.role));
    let silent = message.text.is_empty() && !message.tool_calls.is_empty();
    out.insert("content".to_owned(), if silent { Value::Null } else { json!(message.text) });
    if let Some(name) = &message.name {
        out.insert("name".to_owned(), json!(name));
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        };
        out.insert("tool_calls".to_owned(), message.tool_calls.iter().map(call).collect());
    }
    if let Some(id) = &message.tool_call_id {
        out.insert("tool_call_id".to_owned(), json!(id));
    }
    Value::Object(out)
}

/// `tools` and `tool_choice`, where there are any.
pub(super) fn openai_offer(call: &ChatCall, body: &mut Map<String, Value>) {
    let tool = |tool: &Tool| {
        let mut function = named(tool);
        function.extend(tool.parameters.clone().map(|parameters| ("parameters".to_owned(), parameters)));
        json!({ "type": "function", "function": function })
    };
    if !call.tools.is_empty() {
        body.insert("tools".to_owned(), call.tools.iter().map(tool).collect());
    }
    let choice = call.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    });
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
}

/// The conversation, as Anthropic has it: tools answer inside of a user's message, and those that answer one after
/// another do so in the same one. System messages are not for here.
pub(super) fn anthropic_messages<'m>(messages: impl Iterator<Item = &'m Message>) -> Vec<Value> {
    let mut out = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    for message in messages {
        if message.role == "tool" {
            let id = message.tool_call_id.as_deref().unwrap_or_default();
            results.push(json!({ "type": "tool_result", "tool_use_id": id, "content": message.text }));
            continue;
        }
        answered(&mut results, &mut out);
        let role = if message.role == "assistant" { "assistant" } else { "user" };
        out.push(json!({ "role": role, "content": anthropic_content(message) }));
    }
    answered(&mut results, &mut out);
    out
}

fn answered(results: &mut Vec<Value>, out: &mut Vec<Value>) {
    if !results.is_empty() {
        out.push(json!({ "role": "user", "content": std::mem::take(results) }));
    }
}

fn anthropic_content(message: &Message) -> Value {
    if message.tool_calls.is_empty() {
        return json!(message.text);
    }
    let text = (!message.text.is_empty()).then(|| json!({ "type": "text", "text": message.text }));
    let call = |call: &ToolCall| {
        // What is no JSON stays the text that it is: the scan sees every byte of it, and the server refuses it.
        let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
    };
    text.into_iter().chain(message.tool_calls.iter().map(call)).collect()
}

/// `tools` and `tool_choice`, where there are any.
pub(super) fn anthropic_offer(call: &ChatCall, body: &mut Map<String, Value>) {
    let tool = |tool: &Tool| {
        let mut out = named(tool);
        let any = || json!({ "type": "object" });
        out.insert("input_schema".to_owned(), tool.parameters.clone().unwrap_or_else(any));
        Value::Object(out)
    };
    if !call.tools.is_empty() {
        body.insert("tools".to_owned(), call.tools.iter().map(tool).collect());
    }
    let choice = call.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::Auto => json!({ "type": "auto" }),
        ToolChoice::None => json!({ "type": "none" }),
        ToolChoice::Required => json!({ "type": "any" }),
        ToolChoice::Named(name) => json!({ "type": "tool", "name": name }),
    });
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
}

fn named(tool: &Tool) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(tool.name));
    out.extend(tool.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    out
}

#[cfg(test)]
mod tests {
    use super::super::{StreamDecoder, StreamedCall};
    use sluice_core::{Dialect, ToolCall};

    /// What is told early of a stream that comes in pieces of this size, and what the whole answer says.
    fn told(dialect: Dialect, stream: &[u8], size: usize) -> (Vec<StreamedCall>, Vec<ToolCall>) {
        let mut decoder = StreamDecoder::new(dialect);
        let mut early = Vec::new();
        for piece in stream.chunks(size) {
            decoder.push(piece).unwrap();
            early.extend(decoder.tool_calls());
        }
        (early, decoder.finish().unwrap().tool_calls)
    }

    #[test]
    fn calls_are_told_once_wherever_a_stream_is_cut() {
        let fixtures: [(Dialect, &[u8]); 2] = [
            (Dialect::OpenAiChat, include_bytes!("../../tests/fixtures/sglang_tools.sse")),
            (Dialect::AnthropicMessages, include_bytes!("../../tests/fixtures/anthropic_tools.sse")),
        ];
        for (dialect, stream) in fixtures {
            for size in [1, 2, 3, 7, 64, stream.len()] {
                let (early, whole) = told(dialect, stream, size);
                let calls: Vec<ToolCall> = early.into_iter().map(|told| told.call).collect();
                assert!(!whole.is_empty() && calls == whole, "{dialect}, {size}");
            }
        }
    }

    fn openai(deltas: &[(u64, &str, &str)]) -> Vec<u8> {
        let chunk = |(index, id, arguments): &(u64, &str, &str)| {
            let id = if id.is_empty() { String::new() } else { format!("\"id\":\"{id}\",") };
            let name = if id.is_empty() { String::new() } else { "\"name\":\"f\",".to_owned() };
            let arguments = serde_json::json!(arguments);
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},{id}\"function\":\
                 {{{name}\"arguments\":{arguments}}}}}]}}}}]}}\n\n"
            )
        };
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
        (deltas.iter().map(chunk).collect::<String>() + end).into_bytes()
    }

    #[test]
    fn a_call_whose_place_may_change_waits() {
        let places = |deltas: &[(u64, &str, &str)]| -> Vec<(usize, String)> {
            let (early, whole) = told(Dialect::OpenAiChat, &openai(deltas), 1);
            assert!(early.iter().all(|told| whole[told.place] == told.call));
            early.into_iter().map(|told| (told.place, told.call.id)).collect()
        };
        let (one, two) = ("1".to_owned(), "2".to_owned());
        let by_turns = [(0, "1", "{\"a\":"), (1, "2", "{"), (1, "", "}"), (0, "", "\"}\"}")];
        assert_eq!(places(&by_turns), [(1, two.clone()), (0, one.clone())]);
        // The later one first: it is told when the earlier one has begun.
        assert_eq!(places(&[(1, "2", "{}"), (0, "1", "{}")]), [(0, one.clone()), (1, two)]);
        // A place that is never filled.
        assert_eq!(places(&[(0, "1", "{}"), (2, "3", "{}")]), [(0, one)]);
        // Without an id, broken, no object.
        assert!(places(&[(0, "", "{}")]).is_empty());
        assert!(places(&[(0, "1", "{\"a\" 1}")]).is_empty() && places(&[(0, "1", "[1]")]).is_empty());
    }
}
