//! Texts inside kept bodies. The dialects' full readers live beside a network client, so replay looks for the few
//! places where an answer's text can be.

use serde_json::Value;
use sluice_core::record::{AttemptOutcome, ModelCallEnvelope};

/// What begins every placeholder.
const PLACEHOLDER: &str = "[REDACTED:";

/// The text of an answer that was kept.
pub(crate) fn answer(envelope: &ModelCallEnvelope) -> Option<String> {
    if envelope.outcome != AttemptOutcome::Ok {
        return None;
    }
    let body: Value = serde_json::from_str(envelope.response.as_ref()?.text.as_ref()?).ok()?;
    let choice = body.pointer("/choices/0/message/content").or_else(|| body.get("content"))?;
    text(choice)
}

/// What was said last in a request that was kept.
pub(crate) fn said(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    text(body.get("messages")?.as_array()?.last()?.get("content")?)
}

/// Whether the request holds more placeholders than the context that it was made from.
pub(crate) fn has_placeholder_beyond(body: &str, context: &str) -> bool {
    said(body).is_some_and(|said| said.matches(PLACEHOLDER).count() > context.matches(PLACEHOLDER).count())
}

fn text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            Some(parts.iter().filter_map(|part| part.get("text")).filter_map(Value::as_str).collect())
        }
        _ => None,
    }
}
