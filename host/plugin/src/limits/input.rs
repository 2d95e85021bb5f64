//! How large an input is: the number that fuel and transfer limits grow with. It depends on the input alone, not
//! on how a contract version lays it out, so that a replay allows what the live call allowed.

use sluice_core::contract::Ext;
use sluice_core::contract::capture_filter::FilterItem;
use sluice_core::contract::health_probe::{PastProbe, ProbeEndpoint, ProbeExchange};
use sluice_core::contract::redactor::Field;
use sluice_core::contract::router::{Candidate, RouteFacts};

/// Counted for each record besides its texts: its fixed part, rounded.
const RECORD_BYTES: u64 = 64;

/// Counted for each pair of texts besides the texts.
const PAIR_BYTES: u64 = 16;

fn text(text: &str) -> u64 {
    text.len() as u64
}

fn optional(value: Option<&str>) -> u64 {
    value.map_or(0, text)
}

fn pairs(pairs: &[(String, String)]) -> u64 {
    pairs.iter().map(|(key, value)| PAIR_BYTES + text(key) + text(value)).sum()
}

fn texts(texts: &[String]) -> u64 {
    texts.iter().map(|item| PAIR_BYTES + text(item)).sum()
}

/// Bytes of a router's input.
pub(crate) fn of_route(config: &str, facts: &RouteFacts, candidates: &[Candidate]) -> u64 {
    let own = [&facts.run_id, &facts.role, &facts.stage, &facts.operation, &facts.mode_asked, &facts.risk];
    let earlier: u64 =
        facts.earlier.iter().map(|one| RECORD_BYTES + text(&one.candidate) + text(&one.kind)).sum();
    text(config)
        + 4 * RECORD_BYTES
        + own.into_iter().map(|value| text(value)).sum::<u64>()
        + optional(facts.spec_id.as_deref())
        + optional(facts.session_id.as_deref())
        + earlier
        + pairs(&facts.tags)
        + pairs(&facts.ext)
        + candidates.iter().map(of_candidate).sum::<u64>()
}

fn of_candidate(candidate: &Candidate) -> u64 {
    let Candidate { id, provider, model, mode, prices, capabilities, health, ext, .. } = candidate;
    2 * RECORD_BYTES
        + [id, provider, model, mode, &health.state, &health.reason]
            .into_iter()
            .map(|value| text(value))
            .sum::<u64>()
        + prices.iter().map(|price| PAIR_BYTES + text(&price.unit)).sum::<u64>()
        + texts(capabilities)
        + pairs(ext)
}

/// Bytes of a scan's input.
pub(crate) fn of_scan(config: &str, fields: &[Field<'_>]) -> u64 {
    text(config) + fields.iter().map(of_field).sum::<u64>()
}

fn of_field(field: &Field<'_>) -> u64 {
    2 * RECORD_BYTES
        + [field.path, field.direction, field.author, field.media_type, field.before]
            .into_iter()
            .map(text)
            .sum::<u64>()
        + optional(field.key)
        + optional(field.tool_name)
        + field.content.as_bytes().len() as u64
        + field.carry.len() as u64
        + pairs(field.ext)
}

/// Bytes of a filter's input.
pub(crate) fn of_filter(config: &str, mode: &str, items: &[FilterItem]) -> u64 {
    text(config) + text(mode) + items.iter().map(of_item).sum::<u64>()
}

fn of_item(item: &FilterItem) -> u64 {
    RECORD_BYTES
        + text(&item.kind)
        + text(&item.field)
        + texts(&item.paths)
        + optional(item.tool.as_deref())
        + pairs(&item.tags)
        + pairs(&item.ext)
}

/// Bytes of a probe's input for planning.
pub(crate) fn of_plan(config: &str, endpoint: &ProbeEndpoint, history: &[PastProbe]) -> u64 {
    text(config)
        + of_endpoint(endpoint)
        + history.iter().map(|past| RECORD_BYTES + text(&past.state) + text(&past.reason)).sum::<u64>()
}

/// Bytes of a probe's input for judging.
pub(crate) fn of_judge(config: &str, endpoint: &ProbeEndpoint, exchanges: &[ProbeExchange]) -> u64 {
    text(config) + of_endpoint(endpoint) + exchanges.iter().map(of_exchange).sum::<u64>()
}

fn of_endpoint(endpoint: &ProbeEndpoint) -> u64 {
    let ProbeEndpoint { id, provider, model, mode, dialect, ext, .. } = endpoint;
    RECORD_BYTES
        + [id, provider, model, mode, dialect].into_iter().map(|value| text(value)).sum::<u64>()
        + pairs(ext)
}

fn of_exchange(exchange: &ProbeExchange) -> u64 {
    let ProbeExchange { request, error, body, ext, .. } = exchange;
    let ext: &Ext = ext;
    RECORD_BYTES + text(request) + text(error) + text(body) + pairs(ext)
}
