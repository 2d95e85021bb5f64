//! What the one-token chat showed. Codes only: the server's own words may hold anything (validation errors of SGLang
//! leak file paths), so none of them is repeated.

use crate::plan::Dialect;
use crate::probing::Exchange;
use kit::json::{self, Value};

/// The outcome of one chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    Answered,
    /// A kebab-case code.
    Failed(&'static str),
}

const TIMEOUT: &str = "chat-timeout";
const OTHER_LIMIT: &str = "chat-token-limit-refused";

impl Chat {
    pub fn code(self) -> &'static str {
        match self {
            Chat::Answered => "answered",
            Chat::Failed(code) => code,
        }
    }

    pub fn is_timeout(self) -> bool {
        self == Chat::Failed(TIMEOUT)
    }

    pub fn wants_other_limit(self) -> bool {
        self == Chat::Failed(OTHER_LIMIT)
    }

    pub fn of(dialect: Dialect, exchange: &Exchange, timeout_ms: u32) -> Chat {
        if let Some(code) = transport(exchange) {
            return Chat::Failed(code);
        }
        if exchange.duration_ms > u64::from(timeout_ms) {
            return Chat::Failed(TIMEOUT);
        }
        let status = exchange.status.unwrap_or(0);
        match status {
            200 => body(dialect, &exchange.body),
            400 if dialect == Dialect::OpenAi && exchange.body.contains("max_completion_tokens") => {
                Chat::Failed(OTHER_LIMIT)
            }
            _ => Chat::Failed(refused(status)),
        }
    }
}

/// Why there is no HTTP answer, where there is none.
pub fn transport(exchange: &Exchange) -> Option<&'static str> {
    match exchange.error.as_str() {
        "" if exchange.status.is_some() => None,
        "timeout" => Some(TIMEOUT),
        "unreachable" => Some("unreachable"),
        _ => Some("chat-bad-answer"),
    }
}

/// The endpoint answered, but not with 200.
pub fn refused(status: u16) -> &'static str {
    match status {
        401 | 403 => "auth",
        404 => "chat-not-found",
        429 | 503 | 529 => "overloaded",
        500..=599 => "server-error",
        300..=399 => "redirected",
        _ => "chat-refused",
    }
}

/// A proxy's page: its status often says 200.
pub fn is_html(body: &str) -> bool {
    body.trim_start().starts_with('<')
}

/// The shapes seen of an error inside an answer of any status: `{"error":{…}}`, `{"error":"Unauthorized"}`,
/// `{"object":"error",…}`, `{"type":"error",…}`, `{"detail":"Not Found"}`.
pub fn is_error(value: &Value) -> bool {
    let says_error = |key| value.get(key).and_then(Value::as_text) == Some("error");
    value.get("error").is_some_and(|error| *error != Value::Null)
        || says_error("object")
        || says_error("type")
        || value.get("detail").is_some()
}

fn body(dialect: Dialect, text: &str) -> Chat {
    let Ok(value) = json::parse(text) else {
        return Chat::Failed(if is_html(text) { "chat-html" } else { "chat-not-json" });
    };
    if is_error(&value) {
        return Chat::Failed("chat-error-in-answer");
    }
    let is_answer = match dialect {
        // The content may be empty: one token of a reasoning model is spent before the first visible one.
        Dialect::OpenAi => {
            let choices = value.get("choices").and_then(Value::as_list);
            let message = choices.and_then(<[Value]>::first).and_then(|choice| choice.get("message"));
            matches!(message, Some(Value::Object(_)))
        }
        Dialect::Anthropic => {
            value.get("type").and_then(Value::as_text) == Some("message")
                && value.get("content").and_then(Value::as_list).is_some()
        }
    };
    if is_answer { Chat::Answered } else { Chat::Failed("chat-bad-shape") }
}
