//! `providers`, `models` and `prices`, put together with the ids that the rest of the policy names.

use super::routing::{NOTE_BYTES_MAX, Routing, meant};
use crate::cursor::Cursor;
use crate::node::Node;
use crate::problem::shown;
use crate::rules::{Approvals, Gates};
use crate::snapshot::{Model, ModelConfig, Provider};
use crate::values::{base_url, is_provider_name, split_model_id};
use sluice_core::{Mode, Price, PriceUnit};
use std::collections::{BTreeMap, BTreeSet};

/// Most providers, and most models: each is a candidate that a person has to be able to review.
const PROVIDERS_MAX: usize = 64;
const MODELS_MAX: usize = 256;

/// What a model without a `[models]` entry gets: two minutes, a middling answer, and no abilities, so that
/// a call that needs one does not go to a model of which nobody said that it has it.
const TIMEOUT_MS_DEFAULT: u64 = 120_000;
const OUTPUT_TOKENS_DEFAULT: u64 = 4_096;

/// Longest attempt: the contract's timeouts are milliseconds in 32 bits, and an hour is no answer.
const TIMEOUT_MS_MAX: u64 = 3_600_000;

/// Most tokens of a context or an answer that any model has.
const TOKENS_MAX: u64 = 100_000_000;

/// Abilities that the contract knows.
pub(crate) const CAPABILITIES: [&str; 6] =
    ["high-reasoning", "reasoning-effort", "schema", "streaming", "tools", "vision"];

/// Stands where a URL could not be read: reserved never to exist (RFC 2606), and never compiled.
const NO_URL: &str = "https://provider.invalid";

pub(super) fn read(
    root: &Cursor<'_, '_>,
    routing: Routing,
    gates: &Gates,
    approvals: &Approvals,
) -> ModelConfig {
    let providers = providers(&root.section("providers"));
    let mut models = details(root.optional_section("models"));
    let reflex_ids = std::iter::once(&routing.reflex.model).chain(&gates.reflex_promotion.candidates);
    let reflex_ids: BTreeSet<&String> = reflex_ids.filter(|id| !id.is_empty()).collect();
    let cloud_ids = routing.roles.values().flat_map(|role| &role.models).chain(approvals.models.keys());
    for id in cloud_ids.chain(reflex_ids.iter().copied()) {
        models.entry(id.clone()).or_insert_with(|| unsaid(id));
    }
    for (id, model) in &mut models {
        model.mode = if reflex_ids.contains(id) { Mode::Reflex } else { Mode::Cloud };
    }
    prices(&root.section("prices"), &mut models);
    ModelConfig { providers, models, roles: routing.roles, reflex: routing.reflex }
}

fn providers(table: &Cursor<'_, '_>) -> BTreeMap<String, Provider> {
    let entries = table.entries();
    if entries.len() > PROVIDERS_MAX {
        table.problem(
            "",
            format!("more than {PROVIDERS_MAX} providers: {}", entries.len()),
            "split the policy",
        );
    }
    let mut providers = BTreeMap::new();
    for (name, node) in entries.into_iter().take(PROVIDERS_MAX) {
        if !is_provider_name(name) {
            node.problem(
                format!("`{}` cannot name a provider", shown(name)),
                "want 1 to 32 of a-z, 0-9, `-`, beginning with a letter or digit",
            );
        }
        providers.insert(name.to_owned(), provider(&node.table()));
    }
    providers
}

fn provider(table: &Cursor<'_, '_>) -> Provider {
    let dialect = table.word("dialect").unwrap_or(sluice_core::Dialect::OpenAiChat);
    let plain = table.maybe("plain_http").and_then(|node| node.flag()).unwrap_or(false);
    let Some(url) = table.text("base_url", 4096) else {
        return Provider { dialect, base_url: NO_URL.to_owned() };
    };
    match base_url(&url) {
        Err(why) => table.problem(
            "base_url",
            format!("not a base URL: {why}"),
            "want https://host[:port][/path], lower case, without user info, query or trailing slash",
        ),
        Ok(place) if !place.encrypted && !place.loopback && !plain => table.problem(
            "base_url",
            "plain http to another machine: whoever is between reads every prompt, and a key that was sent",
            "use https; or, inside a network that you trust, add `plain_http = true`: then no key is ever sent there",
        ),
        Ok(place) if plain && (place.encrypted || place.loopback) => table.problem(
            "plain_http",
            "`plain_http` has no meaning here",
            "it is only for http:// to another machine: remove it",
        ),
        Ok(_) => return Provider { dialect, base_url: url },
    }
    Provider { dialect, base_url: NO_URL.to_owned() }
}

/// The `[models]` section: what is known of a model beyond its name.
fn details(table: Option<Cursor<'_, '_>>) -> BTreeMap<String, Model> {
    let Some(table) = table else { return BTreeMap::new() };
    let entries = table.entries();
    if entries.len() > MODELS_MAX {
        table.problem("", format!("more than {MODELS_MAX} models: {}", entries.len()), "split the policy");
    }
    let mut models = BTreeMap::new();
    for (id, node) in entries.into_iter().take(MODELS_MAX) {
        if is_id(id, &node) {
            models.insert(id.to_owned(), detail(id, &node.table()));
        }
    }
    models
}

fn is_id(id: &str, node: &Node<'_, '_>) -> bool {
    let ok = split_model_id(id).is_some();
    if !ok {
        node.problem(
            format!("not a model id: `{}`", shown(id)),
            "want \"<provider>/<model>\" in double quotes",
        );
    }
    ok
}

fn unsaid(id: &str) -> Model {
    let (provider, model) = split_model_id(id).unwrap_or_default();
    Model {
        provider: provider.to_owned(),
        model: model.to_owned(),
        mode: Mode::Cloud,
        prices: Vec::new(),
        price_source: String::new(),
        context_tokens: None,
        capabilities: Vec::new(),
        timeout_ms: TIMEOUT_MS_DEFAULT,
        output_tokens_max: OUTPUT_TOKENS_DEFAULT,
    }
}

fn detail(id: &str, table: &Cursor<'_, '_>) -> Model {
    let mut model = unsaid(id);
    let whole = |key, max| table.maybe(key).and_then(|node| node.whole(1..=max));
    model.context_tokens = whole("context_tokens", TOKENS_MAX);
    model.timeout_ms = whole("timeout_ms", TIMEOUT_MS_MAX).unwrap_or(model.timeout_ms);
    model.output_tokens_max = whole("output_tokens_max", TOKENS_MAX).unwrap_or(model.output_tokens_max);
    if let Some(node) = table.maybe("capabilities") {
        let codes = node.list(CAPABILITIES.len());
        model.capabilities = codes.iter().filter_map(|node| node.code("capability", &CAPABILITIES)).collect();
        model.capabilities.sort();
    }
    model
}

/// Puts the prices to their models. A price for a model that nothing names is a mistake in one of the two
/// names, so it is refused.
fn prices(table: &Cursor<'_, '_>, models: &mut BTreeMap<String, Model>) {
    for (id, node) in table.entries() {
        if !is_id(id, &node) {
            continue;
        }
        let (prices, source) = price(&node.table());
        match models.get_mut(id) {
            Some(model) => (model.prices, model.price_source) = (prices, source),
            None => node.problem(
                format!("a price for `{}`, which nothing in this policy names", shown(id)),
                meant(
                    id,
                    models.keys().map(String::as_str),
                    "remove it, or name the model under `[models]`".to_owned(),
                ),
            ),
        }
    }
}

/// One price entry. A wrong value gets a stand-in above 0, so that it is not reported as missing as well.
fn price(table: &Cursor<'_, '_>) -> (Vec<Price>, String) {
    let mut prices = Vec::new();
    let amounts = table.section("usd_per_million");
    let mut add = |unit, amount: Option<u64>| {
        prices.push(Price { unit, micro_usd_per_million: amount.unwrap_or(1) });
    };
    add(PriceUnit::InputToken, amounts.need("input").and_then(|node| node.usd()));
    if let Some(node) = amounts.maybe("cached_input") {
        add(PriceUnit::CachedInputToken, node.usd());
    }
    add(PriceUnit::OutputToken, amounts.need("output").and_then(|node| node.usd()));
    let date = table.date("date").unwrap_or_default();
    let source = table.text("source", NOTE_BYTES_MAX).unwrap_or_default();
    (prices, format!("{date} {source}"))
}
