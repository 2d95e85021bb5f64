//! From what was seen to a state.

use crate::chat::Chat;
use crate::config::Config;
use crate::models::Models;
use crate::plan::{CHAT, CHAT_AGAIN, Dialect, MODEL, MODELS};
use crate::probing::{Exchange, State, Verdict};
use kit::text;

/// First wait after a failure, doubled with each further one.
const RECHECK_FAILED_MS: u64 = 5_000;
/// Longest wait: an endpoint that came back is noticed within five minutes.
const RECHECK_FAILED_MS_MAX: u64 = 300_000;

/// All exchanges, read.
pub struct Seen<'a> {
    pub models: Models,
    pub chat: Chat,
    pub is_second_round: bool,
    /// Whether the second chat repeats a first one that came too late.
    pub late_once: bool,
    /// Unhealthy verdicts in a row before this probe.
    pub failures: u32,
    models_exchange: &'a Exchange,
    chat_exchange: &'a Exchange,
}

impl<'a> Seen<'a> {
    /// `None` where the exchanges do not answer this probe's own requests.
    pub fn new(
        config: &Config,
        dialect: Dialect,
        model: &str,
        exchanges: &'a [Exchange],
    ) -> Option<Seen<'a>> {
        let find = |prefix: &str| exchanges.iter().find(|exchange| exchange.request.starts_with(prefix));
        let list = exchanges.iter().find(|exchange| exchange.request == MODELS)?;
        let one = exchanges.iter().find(|exchange| exchange.request == MODEL);
        let first = find(CHAT)?;
        let again = find(CHAT_AGAIN);
        let failures = first.request.strip_prefix(CHAT)?.parse().ok()?;
        let chat_exchange = again.unwrap_or(first);
        let chat_of = |exchange| Chat::of(dialect, exchange, config.chat_timeout_ms);
        let models = match (Models::of(list, model, config.models_timeout_ms), one) {
            (Models::Cut, Some(one)) => Models::of_one(one, model),
            (models, _) => models,
        };
        Some(Seen {
            models,
            chat: chat_of(chat_exchange),
            is_second_round: one.is_some() || again.is_some(),
            late_once: again.is_some() && chat_of(first).is_timeout(),
            failures,
            models_exchange: one.unwrap_or(list),
            chat_exchange,
        })
    }
}

pub fn verdict(config: &Config, seen: &Seen<'_>) -> Verdict {
    let (state, reason) = state(config, seen);
    Verdict {
        state,
        reason: reason.to_owned(),
        evidence: evidence(seen),
        recheck_after_ms: recheck_after_ms(config, state, seen.failures),
        ext: Vec::new(),
    }
}

/// The chat decides first: without it nothing else counts.
fn state(config: &Config, seen: &Seen<'_>) -> (State, &'static str) {
    match (seen.chat, seen.models) {
        (Chat::Failed(code), _) => (State::Unhealthy, code),
        // A complete list that does not know the model: whatever answered the chat, it was another one.
        (_, Models::NotListed) => (State::Unhealthy, Models::NotListed.code()),
        (_, Models::Cut | Models::Missing(_)) => (State::Degraded, seen.models.code()),
        _ if seen.chat_exchange.duration_ms > u64::from(config.slow_ms) => (State::Degraded, "slow"),
        _ if seen.late_once => (State::Degraded, "late-once"),
        _ => (State::Healthy, "listed-and-answered"),
    }
}

fn evidence(seen: &Seen<'_>) -> Vec<(String, String)> {
    let status = |exchange: &Exchange| exchange.status.map_or("none".to_owned(), |status| status.to_string());
    text::bounded(vec![
        text::pair("models", seen.models.code()),
        text::pair("models-status", &status(seen.models_exchange)),
        text::pair("models-ms", &seen.models_exchange.duration_ms.to_string()),
        text::pair("chat", seen.chat.code()),
        text::pair("chat-status", &status(seen.chat_exchange)),
        text::pair("chat-ms", &seen.chat_exchange.duration_ms.to_string()),
        text::pair("failures-before", &seen.failures.to_string()),
    ])
}

fn recheck_after_ms(config: &Config, state: State, failures: u32) -> u64 {
    match state {
        State::Healthy => config.recheck_ms,
        State::Degraded => config.recheck_ms / 2,
        State::Unhealthy => {
            // 2^6 times the first wait is past the longest one.
            let doubled = RECHECK_FAILED_MS << failures.min(6);
            doubled.min(RECHECK_FAILED_MS_MAX)
        }
    }
}
