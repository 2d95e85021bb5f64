//! What the models list showed.

use crate::chat::{is_error, is_html};
use crate::probing::Exchange;
use kit::json::{self, Value};

/// The outcome of the list, or of the one entry that was asked for after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    Listed,
    /// A complete list without the model.
    NotListed,
    /// The host caps what it records, and the model is not in the part before the cut.
    Cut,
    /// No list: a code.
    Missing(&'static str),
}

impl Models {
    pub fn code(self) -> &'static str {
        match self {
            Models::Listed => "listed",
            Models::NotListed => "model-not-listed",
            Models::Cut => "models-list-cut",
            Models::Missing(code) => code,
        }
    }

    /// Whether something that understands the question has answered it.
    pub fn is_answer(self) -> bool {
        !matches!(self, Models::Missing(_))
    }

    pub fn is_cut(self) -> bool {
        self == Models::Cut
    }

    pub fn of(exchange: &Exchange, model: &str, timeout_ms: u32) -> Models {
        match (exchange.error.as_str(), exchange.status) {
            ("", Some(200)) if exchange.duration_ms > u64::from(timeout_ms) => {
                Models::Missing("models-timeout")
            }
            ("", Some(200)) => list(&exchange.body, exchange.truncated, model),
            ("", Some(401 | 403)) => Models::Missing("auth"),
            ("", Some(_)) => Models::Missing("models-refused"),
            ("timeout", _) => Models::Missing("models-timeout"),
            ("unreachable", _) => Models::Missing("unreachable"),
            _ => Models::Missing("models-bad-answer"),
        }
    }

    /// The answer to `models/<model>`.
    pub fn of_one(exchange: &Exchange, model: &str) -> Models {
        match (exchange.error.as_str(), exchange.status) {
            ("", Some(200)) if json::parse(&exchange.body).is_ok_and(|value| is_entry_of(&value, model)) => {
                Models::Listed
            }
            // Not every server has this route, so that its absence says nothing of the model.
            _ => Models::Cut,
        }
    }
}

fn list(body: &str, truncated: bool, model: &str) -> Models {
    let Ok(value) = json::parse(body) else {
        return if is_html(body) {
            Models::Missing("models-html")
        } else if truncated {
            if is_in_part(body, model) { Models::Listed } else { Models::Cut }
        } else {
            Models::Missing("models-not-json")
        };
    };
    if is_error(&value) {
        return Models::Missing("models-error-in-answer");
    }
    match value.get("data").and_then(Value::as_list) {
        Some(entries) if entries.iter().any(|entry| is_entry_of(entry, model)) => Models::Listed,
        Some(_) => Models::NotListed,
        None => Models::Missing("models-bad-shape"),
    }
}

/// Gemini's compatible face lists `models/<name>` and takes either.
fn is_entry_of(entry: &Value, model: &str) -> bool {
    entry
        .get("id")
        .and_then(Value::as_text)
        .is_some_and(|id| id.strip_prefix("models/").unwrap_or(id) == model)
}

/// The beginning of a list cannot be parsed, but an `"id"` member with the model's whole name shows in its text.
fn is_in_part(body: &str, model: &str) -> bool {
    let names = [json::quote(model), json::quote(&format!("models/{model}"))];
    body.match_indices("\"id\"").any(|(at, key)| {
        let value = body[at + key.len()..].trim_start().strip_prefix(':').map(str::trim_start);
        value.is_some_and(|value| names.iter().any(|name| value.starts_with(name.as_str())))
    })
}
