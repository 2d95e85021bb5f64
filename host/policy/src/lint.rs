//! What is allowed and worth a second look. A warning never stops a policy.

use crate::authored::section_name;
use crate::snapshot::{Governance, Model, ModelConfig, PolicySnapshot};
use crate::values::{base_url, day_number, day_of};
use serde::{Deserialize, Serialize};
use sluice_core::{CaptureMode, Egress, Mode, Timestamp};
use std::collections::BTreeSet;
use std::fmt;

/// One thing worth a second look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Warning {
    /// Authored path.
    pub path: String,
    /// A code, to count and to silence by.
    pub code: String,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.code)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n  hint: {}", self.hint) }
    }
}

/// Days after which a price is looked up again: providers change them about twice a year.
const PRICE_AGE_DAYS_MAX: i64 = 180;

/// Slower than this is no reflex, in milliseconds.
const SLOW_MS: u64 = 10_000;

/// A confidence that only findings with a checksum reach, in permille.
const CONFIDENCE_HIGH: u32 = 900;

/// Fewer compared answers than this say little about a share in percent.
const SAMPLES_FEW: u32 = 30;

/// What is known of models that are going or gone: the model's name, the day from which it is, what to say.
/// Source: the price tables that model_policy.toml names, read on 2026-11-20.
const MODELS_KNOWN: &[(&str, Option<&str>, &str)] = &[
    ("gpt-5-mini", Some("2026-12-11"), "deprecated"),
    ("claude-sonnet-4-20250514", None, "absent from the current price table: its price is of an older one"),
    ("gemini-2.0-flash", None, "absent from the current price table: its price is of an older one"),
    ("gpt-5.2-mini", None, "in no price table"),
    ("gpt-codex-5.3", None, "in no price table: `gpt-5.3-codex` is"),
];

/// Everything worth a second look on the day of `today`, by path.
pub fn lint(snapshot: &PolicySnapshot, today: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |path: &str, code: &str, message: String, hint: &str| {
        warnings.push(Warning {
            path: path.to_owned(),
            code: code.to_owned(),
            message,
            hint: hint.to_owned(),
        });
    };
    lint_models(&snapshot.model_config, &snapshot.governance, today, &mut warn);
    lint_reflex(&snapshot.model_config, &snapshot.governance, &mut warn);
    lint_governance(&snapshot.governance, today, &mut warn);
    for plugin in snapshot.plugins.iter().filter(|plugin| plugin.source.starts_with("file:")) {
        let default = sluice_core::PluginLimits::default_for(plugin.kind);
        if plugin.limits.deadline_ms > default.deadline_ms {
            let message = format!(
                "the deadline is {} ms, more than the usual {}",
                plugin.limits.deadline_ms, default.deadline_ms
            );
            warn(
                &format!("plugins.{}", section_name(plugin.kind)),
                "long-deadline",
                message,
                "every call waits that long for a plugin that hangs",
            );
        }
    }
    warnings.sort();
    warnings
}

type Warn<'w> = dyn FnMut(&str, &str, String, &str) + 'w;

fn lint_models(models: &ModelConfig, governance: &Governance, today: Timestamp, warn: &mut Warn<'_>) {
    let mut used: BTreeSet<String> = models.roles.values().flat_map(|role| role.models.clone()).collect();
    used.insert(models.reflex.model.clone());
    used.extend(governance.gate_rules().map(|gates| gates.reflex_promotion.candidates).unwrap_or_default());
    used.extend(
        governance.approval_rules().map(|a| a.models.into_keys().collect::<Vec<_>>()).unwrap_or_default(),
    );
    for (id, model) in &models.models {
        let path = format!("models.\"{id}\"");
        if !used.contains(id) {
            warn(
                &path,
                "model-unused",
                format!("no role may use `{id}`"),
                "remove it, or name it where it is to be used",
            );
        }
        for (name, from, what) in MODELS_KNOWN.iter().filter(|(name, ..)| *name == model.model) {
            let message =
                match from.map(|date| (date, day_number(date).is_some_and(|day| day > day_of(today)))) {
                    Some((date, true)) => format!("`{name}` will be {what} on {date}"),
                    Some((date, false)) => format!("`{name}` is {what} since {date}"),
                    None => format!("`{name}` is {what}"),
                };
            warn(&path, "model-going", message, "plan its successor");
        }
        lint_price(id, model, today, warn);
    }
    let named: BTreeSet<&str> = models.models.values().map(|model| model.provider.as_str()).collect();
    for (name, provider) in &models.providers {
        let path = format!("providers.{name}");
        if !named.contains(name.as_str()) {
            warn(
                &path,
                "provider-unused",
                format!("no model is at `{name}`"),
                "remove it: what is listed may be called",
            );
        }
        if base_url(&provider.base_url).is_ok_and(|url| !url.encrypted && !url.loopback) {
            warn(
                &path,
                "plain-http",
                format!("prompts go to `{name}` unencrypted"),
                "use https where the server can",
            );
        }
    }
}

fn lint_price(id: &str, model: &Model, today: Timestamp, warn: &mut Warn<'_>) {
    let path = format!("prices.\"{id}\"");
    let free = model.prices.iter().all(|price| price.micro_usd_per_million == 0);
    let date = model.price_source.get(..10).and_then(|date| Some((date, day_number(date)?)));
    let Some((date, day)) = date else {
        warn(&path, "price-undated", "the price has no date".to_owned(), "look it up again, and say when");
        return;
    };
    let age = day_of(today) - day;
    if age < 0 {
        warn(
            &path,
            "price-future",
            format!("the price is dated {date}, after today"),
            "a price is a fact of the past",
        );
    }
    // What runs on one's own machine costs the same next year.
    if age > PRICE_AGE_DAYS_MAX && !(free && model.mode == Mode::Reflex) {
        warn(
            &path,
            "price-old",
            format!("the price is {age} days old"),
            "look it up again, and change the date",
        );
    }
}

fn lint_reflex(models: &ModelConfig, governance: &Governance, warn: &mut Warn<'_>) {
    let reflex = &models.reflex;
    let limits = &reflex.thresholds;
    let path = "routing.reflex.thresholds";
    for (name, permille) in [("parity", limits.parity_permille_min), ("schema", limits.schema_permille_min)] {
        if permille < 500 {
            let message =
                format!("{name} of {permille} permille is met by a model that is wrong every other time");
            warn(
                &format!("{path}.{name}_permille_min"),
                "threshold-low",
                message,
                "850 and 1000 are the usual ones",
            );
        }
    }
    if limits.parity_permille_min == 1000 {
        let message = "a parity of 1000 permille is met by no model".to_owned();
        warn(
            &format!("{path}.parity_permille_min"),
            "threshold-high",
            message,
            "to turn reflex off, set `enabled = false`",
        );
    }
    if limits.p95_ms_max > SLOW_MS {
        let message = format!("a local model may take {} ms", limits.p95_ms_max);
        warn(&format!("{path}.p95_ms_max"), "threshold-low", message, "2000 is the usual one");
    }
    if reflex.enabled && reflex.bakeoff.is_none() {
        let message = "reflex is enabled, and no bakeoff says that its model meets the thresholds".to_owned();
        warn(
            "routing.reflex.bakeoff",
            "no-bakeoff",
            message,
            "a careful router will not use it: run a bakeoff",
        );
    }
    if let Some(bakeoff) = reflex.bakeoff.filter(|bakeoff| bakeoff.samples < SAMPLES_FEW) {
        let message = format!("a bakeoff of {} answers says little", bakeoff.samples);
        warn("routing.reflex.bakeoff.samples", "bakeoff-small", message, "compare at least 30");
    }
    let Ok(gates) = governance.gate_rules() else { return };
    let gate = gates.reflex_promotion;
    if gate.p95_ms_max > limits.p95_ms_max
        || gate.parity_permille_min < limits.parity_permille_min
        || gate.schema_permille_min < limits.schema_permille_min
    {
        let message = "the gate lets models through that the thresholds then refuse".to_owned();
        warn(
            "gates.reflex_promotion",
            "gate-laxer",
            message,
            "make the gate at least as strict as `routing.reflex.thresholds`",
        );
    }
}

fn lint_governance(governance: &Governance, today: Timestamp, warn: &mut Warn<'_>) {
    let redaction = &governance.security.redaction;
    if redaction.egress == Egress::Off {
        let message = "secrets in prompts are sent to providers as written".to_owned();
        warn("security.redaction.egress", "egress-off", message, "`redact` is the default");
    }
    if redaction.confidence_permille_min > CONFIDENCE_HIGH {
        let message = format!("findings below {} permille are ignored", redaction.confidence_permille_min);
        warn(
            "security.redaction.confidence_permille_min",
            "threshold-high",
            message,
            "a missed secret costs more than a masked word",
        );
    }
    if redaction.env_patterns.is_empty() {
        let message = "no variable's value is guarded".to_owned();
        warn(
            "security.redaction.env_patterns",
            "no-guard",
            message,
            "name at least \"*_KEY\", \"*_SECRET\", \"*_TOKEN\"",
        );
    }
    if governance.capture.mode == CaptureMode::FullIo {
        let message = "the record keeps every prompt and every answer (redacted)".to_owned();
        warn("capture.mode", "full-capture", message, "`prompts-only` keeps enough to prove every decision");
    }
    if !governance.security.export.encrypt {
        let message = "exports are not encrypted".to_owned();
        warn(
            "security.export.encrypt",
            "export-plain",
            message,
            "a capsule that leaves is read by whoever finds it",
        );
    }
    if governance.system_of_record.local_memory_fallback {
        let message = "`local-memory` may stand in for the capsule: its record cannot be proven".to_owned();
        warn(
            "system_of_record.local_memory_fallback",
            "fallback",
            message,
            "the gate `local_memory_sunset` says when it can go",
        );
    }
    let budgets = &governance.budgets;
    if budgets.run_micro_usd_max.is_none() && budgets.run_tokens_max.is_none() {
        let message = "no run has a limit".to_owned();
        warn("budgets", "no-budget", message, "an agent in a loop spends until somebody looks");
    }
    if day_number(&governance.meta.effective_date).is_some_and(|day| day > day_of(today)) {
        let message = format!("the policy takes effect on {}, after today", governance.meta.effective_date);
        warn(
            "meta.effective_date",
            "not-yet",
            message,
            "the date is a statement: a compiled policy holds at once",
        );
    }
}
