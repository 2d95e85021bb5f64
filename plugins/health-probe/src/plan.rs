//! Which requests are made.
//!
//! A verdict's recheck time depends on how often the endpoint has failed, and the history is handed to `plan` alone.
//! So the plan writes that count into the request's id (`chat-3`), which comes back with the exchange.

use crate::config::Config;
use crate::probing::{Endpoint, Past, Request};
use crate::verdict::Seen;
use kit::json;

/// The models list.
pub const MODELS: &str = "models";
/// One model's own entry, asked for where the list was cut.
pub const MODEL: &str = "model";
/// The first chat, followed by the count of failures.
pub const CHAT: &str = "chat-";
/// The second chat, likewise.
pub const CHAT_AGAIN: &str = "again-";

/// Shapes that this probe speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    pub fn of(endpoint: &Endpoint) -> Option<Dialect> {
        match endpoint.dialect.as_str() {
            "openai-chat" => Some(Dialect::OpenAi),
            "anthropic-messages" => Some(Dialect::Anthropic),
            _ => None,
        }
    }

    fn chat_path(self) -> &'static str {
        match self {
            Dialect::OpenAi => "chat/completions",
            Dialect::Anthropic => "messages",
        }
    }
}

/// `None` for a dialect that is not known.
pub fn first_round(config: &Config, endpoint: &Endpoint, history: &[Past]) -> Option<Vec<Request>> {
    let dialect = Dialect::of(endpoint)?;
    let failures = history.iter().take_while(|past| past.state == "unhealthy").count();
    let id = format!("{CHAT}{failures}");
    Some(vec![
        get(MODELS, "models".to_owned(), config.models_timeout_ms),
        chat(dialect, id, &endpoint.model, "max_tokens", config.chat_timeout_ms),
    ])
}

/// Empty where everything is known, or a second round was made.
pub fn second_round(config: &Config, dialect: Dialect, endpoint: &Endpoint, seen: &Seen) -> Vec<Request> {
    if seen.is_second_round {
        return Vec::new();
    }
    let mut requests = Vec::new();
    let id = format!("{CHAT_AGAIN}{}", seen.failures);
    if seen.chat.is_timeout() && seen.models.is_answer() {
        // Alive, and one chat was late: a cold model or a passing stall. If nothing answered, asking again tells
        // nothing new.
        requests.push(chat(dialect, id, &endpoint.model, "max_tokens", config.chat_timeout_ms));
    } else if seen.chat.wants_other_limit() {
        requests.push(chat(dialect, id, &endpoint.model, "max_completion_tokens", config.chat_timeout_ms));
    }
    if seen.models.is_cut() && fits_in_a_path(&endpoint.model) {
        requests.push(get(MODEL, format!("models/{}", endpoint.model), config.models_timeout_ms));
    }
    requests
}

fn get(id: &str, path: String, timeout_ms: u32) -> Request {
    Request {
        id: id.to_owned(),
        method: "GET".to_owned(),
        path,
        body: String::new(),
        timeout_ms,
        ext: Vec::new(),
    }
}

/// `limit` is the name under which the dialect takes the most tokens of an answer: OpenAI's reasoning models refuse
/// `max_tokens`, and other servers do not know `max_completion_tokens`.
fn chat(dialect: Dialect, id: String, model: &str, limit: &str, timeout_ms: u32) -> Request {
    let model = json::quote(model);
    let body = format!(r#"{{"model":{model},"messages":[{{"role":"user","content":"ping"}}],"{limit}":1}}"#);
    Request {
        id,
        method: "POST".to_owned(),
        path: dialect.chat_path().to_owned(),
        body,
        timeout_ms,
        ext: Vec::new(),
    }
}

/// A name such as `Qwen/Qwen2.5` or one with `..` would make another path.
fn fits_in_a_path(model: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    !model.is_empty() && model.bytes().all(plain) && !model.contains("..")
}
