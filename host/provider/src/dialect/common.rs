//! What both dialects read the same way: statuses, errors in a body, counts and names.

use crate::call::{CallProblem, EXCERPT_BYTES_MAX, cut};
use serde_json::{Map, Value};
use sluice_core::record::AttemptOutcome;

/// Most tokens that one call can plausibly have used. A count above is taken as not stated: it would
/// overflow a budget, or the record's 2^53.
const TOKENS_MAX: u64 = 1_000_000_000;

/// Longest model name and stop word that is kept.
const NAME_BYTES_MAX: usize = 128;

/// What a status other than 2xx means.
pub(crate) fn status_problem(status: u16, body: &[u8]) -> CallProblem {
    let (outcome, detail) = match status {
        300..=399 => (AttemptOutcome::BadAnswer, "the server redirects; redirects are not followed"),
        401..=403 => (AttemptOutcome::Auth, "the server does not accept the key, or lacks one"),
        404 => (AttemptOutcome::NotFound, "the server has no such model or route"),
        408 => (AttemptOutcome::Timeout, "the server gave up waiting"),
        429 | 503 | 529 => (AttemptOutcome::Overloaded, "the server is overloaded or limits the rate"),
        400..=499 => (AttemptOutcome::BadRequest, "the server refuses the request"),
        500..=599 => (AttemptOutcome::ServerError, "the server failed"),
        _ => (AttemptOutcome::BadAnswer, "the server answered with a status that means nothing here"),
    };
    CallProblem::new(outcome, detail).with_excerpt(&excerpt(body))
}

fn excerpt(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(body)) => error_words(&body).unwrap_or_default().to_owned(),
        _ => String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES_MAX)]).into_owned(),
    }
}

/// The sentence in an error body: `error.message` (OpenAI, Anthropic, Gemini), `error` as a string
/// (SGLang's 401), `message` (SGLang's flat form), `detail` (FastAPI).
fn error_words(body: &Map<String, Value>) -> Option<&str> {
    let error = body.get("error");
    error
        .and_then(|error| error.get("message"))
        .or(error)
        .and_then(Value::as_str)
        .or_else(|| body.get("message").and_then(Value::as_str))
        .or_else(|| body.get("detail").and_then(Value::as_str))
}

/// An error where an answer was promised. `first`: nothing of an answer came before it.
pub(super) fn error_inside(body: &Map<String, Value>, first: bool) -> Option<CallProblem> {
    let marked = body.get("error").is_some_and(|error| !error.is_null())
        || ["object", "type"].iter().any(|key| body.get(*key).and_then(Value::as_str) == Some("error"));
    if !marked {
        return None;
    }
    let problem = if first && says_overloaded(body) {
        CallProblem::new(AttemptOutcome::Overloaded, "the server is overloaded, and says so inside a 200")
    } else {
        CallProblem::bad("the server put an error inside a 200")
    };
    Some(problem.with_excerpt(cut(error_words(body).unwrap_or_default(), EXCERPT_BYTES_MAX)))
}

/// 429, 503 or 529 as a number or as text, or the dialects' words for them.
fn says_overloaded(body: &Map<String, Value>) -> bool {
    let inner = body.get("error").and_then(Value::as_object);
    [Some(body), inner].into_iter().flatten().any(|object| {
        ["code", "type", "status"].iter().filter_map(|key| object.get(*key)).any(|word| match word {
            Value::Number(number) => matches!(number.as_u64(), Some(429 | 503 | 529)),
            Value::String(word) => matches!(
                word.as_str(),
                "429"
                    | "503"
                    | "529"
                    | "overloaded_error"
                    | "rate_limit_error"
                    | "rate_limit_exceeded"
                    | "UNAVAILABLE"
            ),
            _ => false,
        })
    })
}

/// A plausible token count; `None` for anything else.
pub(super) fn tokens(value: Option<&Value>) -> Option<u64> {
    value?.as_u64().filter(|count| *count <= TOKENS_MAX)
}

/// A model's name, where it is one: what is stored as a name must not be prose.
pub(super) fn model_name(body: &Map<String, Value>) -> Option<String> {
    let name = body.get("model")?.as_str()?;
    let byte =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'@' | b'+');
    ((1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(byte)).then(|| name.to_owned())
}

/// The dialect's word for why the model stopped. The set is open; prose is not a word.
pub(super) fn stop_word(value: Option<&Value>) -> Option<String> {
    let word = value?.as_str()?;
    let byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_word = (1..=NAME_BYTES_MAX).contains(&word.len()) && word.bytes().all(byte);
    Some(if is_word { word.to_owned() } else { "other".to_owned() })
}

/// Whether a body says that it comes from the loopback stand-in. Any sign is enough.
pub(super) fn says_loopback(body: &Map<String, Value>) -> bool {
    body.get("sluice_loopback").and_then(Value::as_bool) == Some(true)
        || body.get("system_fingerprint").and_then(Value::as_str) == Some("sluice-loopback")
}

/// Appends to the string at `key`, which is made where it is missing or null.
pub(super) fn append(object: &mut Map<String, Value>, key: &str, more: &str) {
    match object.get_mut(key) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            object.insert(key.to_owned(), Value::String(more.to_owned()));
        }
    }
}
