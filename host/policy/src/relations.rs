//! What must hold between sections. The same checks run over an authored policy, where their paths get
//! lines, and over every snapshot that is loaded: a stored policy is trusted no more than a written one.

use crate::problem::{Problem, nearest};
use crate::snapshot::{Governance, Model, ModelConfig};
use crate::values::{base_url, split_model_id};
use sluice_core::{Mode, PriceUnit, Role};
use std::collections::BTreeMap;

/// What scoring weights sum to.
const WEIGHTS_SUM: u32 = 1000;

/// The ability that the judge's models must have.
const HIGH_REASONING: &str = "high-reasoning";

/// Everything that is wrong between sections, by authored path.
pub(crate) fn check(
    models: &ModelConfig,
    weights: &BTreeMap<String, u32>,
    governance: &Governance,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_models(models, &mut problems);
    check_roles(models, &mut problems);
    check_reflex(models, governance, &mut problems);
    check_approvals(models, governance, &mut problems);
    // A weight that could not be read was reported; without it the sum says nothing.
    let sum: u32 = weights.values().fold(0, |sum, weight| sum.saturating_add(*weight));
    if weights.len() == 4 && sum != WEIGHTS_SUM {
        let parts: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        problems.push(Problem::new(
            "scoring",
            format!("the weights sum to {sum}, not to 1000: {}", parts.join(", ")),
            "weights are permille of one whole",
        ));
    }
    problems
}

fn price_path(id: &str) -> String {
    format!("prices.\"{id}\"")
}

fn is_local(models: &ModelConfig, model: &Model) -> bool {
    let provider = models.providers.get(&model.provider);
    model.mode == Mode::Reflex
        || provider.and_then(|p| base_url(&p.base_url).ok()).is_some_and(|url| url.loopback)
}

fn check_models(models: &ModelConfig, problems: &mut Vec<Problem>) {
    for (id, model) in &models.models {
        if !models.providers.contains_key(&model.provider) {
            let near = nearest(&model.provider, models.providers.keys().map(String::as_str));
            problems.push(Problem::new(
                first_use(models, id),
                format!("model `{id}` is at a provider that this policy does not have: `{}`", model.provider),
                match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `[providers.{}]`", model.provider),
                },
            ));
        }
        let priced = |unit| model.prices.iter().find(|price| price.unit == unit);
        if priced(PriceUnit::InputToken).is_none() || priced(PriceUnit::OutputToken).is_none() {
            problems.push(Problem::new(
                price_path(id),
                format!("model `{id}` has no price: an unknown price is never read as 0"),
                format!(
                    "add `[prices.\"{id}\"]` with date, source and usd_per_million; a local model may say 0"
                ),
            ));
        }
        let free = model.prices.iter().any(|price| price.micro_usd_per_million == 0);
        if free && !is_local(models, model) {
            problems.push(Problem::new(
                price_path(id),
                format!("model `{id}` costs 0 and is not local"),
                "a budget that counts nothing holds nothing: say what it costs",
            ));
        }
    }
}

/// Where a person first named a model: the place to mend.
fn first_use(models: &ModelConfig, id: &str) -> String {
    let in_role = models.roles.iter().find(|(_, role)| role.models.iter().any(|model| model == id));
    match in_role {
        Some((role, _)) => format!("routing.cloud.{role}.models"),
        None if models.reflex.model == id => "routing.reflex.model".to_owned(),
        None => format!("models.\"{id}\""),
    }
}

fn check_roles(models: &ModelConfig, problems: &mut Vec<Problem>) {
    for (role, wanted) in &models.roles {
        let path = format!("routing.cloud.{role}.models");
        for id in &wanted.models {
            let Some(model) = models.models.get(id) else { continue };
            if model.mode != Mode::Cloud {
                problems.push(Problem::new(
                    path.clone(),
                    format!("model `{id}` is both a cloud model and a reflex model"),
                    "a model has one place: give the local one a provider of its own",
                ));
            }
            if wanted.needs_high_reasoning && !model.capabilities.iter().any(|code| code == HIGH_REASONING) {
                problems.push(Problem::new(
                    path.clone(),
                    format!("role `{role}` needs high reasoning, and `{id}` is not said to have it"),
                    format!("choose another, or add \"{HIGH_REASONING}\" to `models.\"{id}\".capabilities` if it has it"),
                ));
            }
        }
    }
}

fn check_reflex(models: &ModelConfig, governance: &Governance, problems: &mut Vec<Problem>) {
    let reflex = &models.reflex;
    if reflex.roles.contains(&Role::Judge) {
        problems.push(Problem::new(
            "routing.reflex.roles",
            "the judge never runs on reflex",
            "remove \"judge\": who judges must not be the one who is judged",
        ));
    }
    if reflex.enabled && (reflex.roles.is_empty() || reflex.stages.is_empty()) {
        problems.push(Problem::new(
            "routing.reflex",
            "reflex is enabled, and no role and stage may use it",
            "name `roles` and `stages`, or set `enabled = false`",
        ));
    }
    let all = governance.escalation.attempts_max;
    if reflex.attempts_max >= all {
        problems.push(Problem::new(
            "routing.reflex.attempts_max",
            format!("reflex may use {} of {all} attempts: none is left for cloud", reflex.attempts_max),
            "raise `escalation.attempts_max`, or lower this",
        ));
    }
}

fn check_approvals(models: &ModelConfig, governance: &Governance, problems: &mut Vec<Problem>) {
    // A stored section that does not read is reported by the loader, which knows why.
    let Ok(approvals) = governance.approval_rules() else { return };
    for (id, entry) in &approvals.models {
        let path = format!("approvals.models.\"{id}\"");
        if models.roles.values().any(|role| role.models.contains(id)) || models.reflex.model == *id {
            problems.push(Problem::new(
                path.clone(),
                format!("model `{id}` needs approval, and a role may use it without"),
                "take it out of `routing`: approval adds it to its `roles` for one run",
            ));
        }
        if entry.roles.contains(&Role::Judge)
            && models
                .models
                .get(id)
                .is_some_and(|model| !model.capabilities.iter().any(|c| c == HIGH_REASONING))
        {
            problems.push(Problem::new(
                path,
                format!("role `judge` needs high reasoning, and `{id}` is not said to have it"),
                "choose another role, or say that it has it",
            ));
        }
    }
}

/// What only a stored snapshot can get wrong: the authored reader cannot build it. By authored path.
pub(crate) fn check_stored(models: &ModelConfig, governance: &Governance) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut broken = |path: String, message: &str| problems.push(Problem::new(path, message, ""));
    for (name, provider) in &models.providers {
        if let Err(why) = base_url(&provider.base_url) {
            broken(format!("providers.{name}.base_url"), why);
        }
    }
    for (id, model) in &models.models {
        if split_model_id(id) != Some((model.provider.as_str(), model.model.as_str())) {
            broken(format!("models.\"{id}\""), "the id is not `<provider>/<model>` of its entry");
        }
    }
    for role in [Role::Architect, Role::Implementer, Role::Judge] {
        let role_models = models.roles.get(&role);
        if role_models.is_none_or(|entry| entry.models.is_empty()) {
            broken(format!("routing.cloud.{role}"), "the role has no models");
        }
        if role == Role::Judge && role_models.is_some_and(|entry| !entry.needs_high_reasoning) {
            broken(format!("routing.cloud.{role}"), "the judge does not ask for high reasoning");
        }
    }
    let named = models.roles.values().flat_map(|role| &role.models).chain([&models.reflex.model]);
    for id in named.filter(|id| !models.models.contains_key(*id)) {
        broken(format!("models.\"{id}\""), "a role names a model that is not there");
    }
    if models.models.get(&models.reflex.model).is_some_and(|model| model.mode != Mode::Reflex) {
        broken("routing.reflex.model".to_owned(), "the reflex model is not of mode reflex");
    }
    for (section, read) in [
        ("gates", governance.gate_rules().err()),
        ("usage", governance.usage_rules().err()),
        ("approvals", governance.approval_rules().err()),
    ] {
        if let Some(error) = read {
            broken(section.to_owned(), &error.to_string());
        }
    }
    problems
}
