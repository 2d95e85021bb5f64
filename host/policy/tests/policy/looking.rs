//! `diff` and `lint`.

use crate::fixtures::{DEFAULT, authored, compiled, context, edited, facts, facts_of, today};
use serde_json::json;
use sluice_core::{PluginKind, Timestamp};
use sluice_policy::{PolicySnapshot, compile, diff, lint};
use std::collections::BTreeSet;

fn snapshot(text: &str) -> PolicySnapshot {
    compile(&authored(text), &facts(), &context()).unwrap().snapshot
}

fn codes(text: &str, at: Timestamp) -> BTreeSet<String> {
    lint(&snapshot(text), at).into_iter().map(|warning| warning.code).collect()
}

#[test]
fn a_difference_names_its_path_and_both_values() {
    let a = compiled().snapshot;
    assert_eq!(diff(&a, &a), []);
    let later = sluice_policy::CompileContext {
        policy_id: "6f2c1e0e-7f0b-4c57-9d5e-0f4f3f0a9b12".parse().unwrap(),
        created_at: Timestamp::from_millis(1),
        ..context()
    };
    let b = compile(&authored(DEFAULT), &facts(), &later).unwrap().snapshot;
    assert_eq!(diff(&a, &b), [], "id and time are no content");

    let text = edited("run_max = 2_000_000", "run_max = \"unlimited\"")
        .replace("input = 2.50", "input = 2.75")
        .replace("[\"anthropic/claude-sonnet-4-20250514\", \"openai/gpt-4o\"]", "[\"openai/gpt-4o\"]")
        .replace("[prompts]", "[prompts]\nplan = \"Plan.\"");
    let mut changed = facts();
    changed[1] = facts_of(PluginKind::Redactor, b"new bytes");
    let b = compile(&authored(&text), &changed, &context()).unwrap().snapshot;
    let changes = diff(&a, &b);
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "governance.budgets.run_tokens_max",
            "model_config.models.\"openai/gpt-4o\".prices.input-token.micro_usd_per_million",
            "model_config.roles.implementer.models",
            "plugins.redactor.sha256",
            "prompts.plan",
        ]
    );
    assert_eq!(changes[0].before, Some(json!(2_000_000)));
    assert_eq!(changes[1].to_string().split(": ").last(), Some("2500000 -> 2750000"));
    assert_eq!((&changes[4].before, &changes[4].after), (&None, &Some(json!("Plan."))));
    assert_eq!(diff(&b, &a)[4].to_string(), "prompts.plan: \"Plan.\" removed");
}

#[test]
fn the_default_policy_is_warned_of_only_for_its_old_models() {
    let warnings = lint(&snapshot(DEFAULT), today());
    let paths: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(
        paths,
        ["models.\"anthropic/claude-sonnet-4-20250514\"", "models.\"google/gemini-2.0-flash\""],
        "{warnings:?}"
    );
}

#[test]
fn prices_grow_old_unless_they_are_of_our_own_machine() {
    let later: Timestamp = "2027-05-20T00:00:00Z".parse().unwrap();
    let old: Vec<String> = lint(&snapshot(DEFAULT), later)
        .into_iter()
        .filter(|warning| warning.code == "price-old")
        .map(|warning| warning.path)
        .collect();
    assert_eq!(old.len(), 3, "{old:?}");
    assert!(
        !codes(DEFAULT, "2027-05-19T00:00:00Z".parse().unwrap()).contains("price-old"),
        "180 days are allowed"
    );
    assert!(codes(DEFAULT, "2026-11-19T00:00:00Z".parse().unwrap()).contains("price-future"));
}

#[test]
fn a_deprecated_model_is_told_before_and_after() {
    let snapshot = snapshot(include_str!("../../../../docs/policies/task-class.toml"));
    let told = |at: &str| {
        lint(&snapshot, at.parse().unwrap()).into_iter().find(|w| w.code == "model-going").unwrap().message
    };
    assert!(told("2026-12-10T23:59:59Z").contains("will be deprecated on 2026-12-11"));
    assert!(told("2026-12-11T00:00:00Z").contains("is deprecated since 2026-12-11"));
}

#[test]
fn each_warning_is_given_for_what_it_warns_of() {
    let cases = [
        ("egress = \"redact\"", "egress = \"off\"", "egress-off"),
        ("\nmode = \"prompts-only\"", "\nmode = \"full-io\"", "full-capture"),
        ("encrypt = true", "encrypt = false", "export-plain"),
        ("local_memory_fallback = false", "local_memory_fallback = true", "fallback"),
        ("confidence_permille_min = 500", "confidence_permille_min = 950", "threshold-high"),
        ("effective_date = 2026-11-20", "effective_date = 2027-01-01", "not-yet"),
        ("enabled = false", "enabled = true", "no-bakeoff"),
        ("samples_min = 50\np95_ms_max = 2000", "samples_min = 50\np95_ms_max = 3000", "gate-laxer"),
        (
            "[scoring]",
            "[providers.spare]\ndialect = \"openai-chat\"\nbase_url = \"https://x.com\"\n[scoring]",
            "provider-unused",
        ),
        (
            "[\"anthropic/claude-sonnet-4-20250514\", \"openai/gpt-4o\", \"google/gemini-2.0-flash\"]",
            "[\"openai/gpt-4o\"]",
            "model-unused",
        ),
        (
            "[routing.reflex.thresholds]\np95_ms_max = 2000",
            "[routing.reflex.thresholds]\np95_ms_max = 20000",
            "threshold-low",
        ),
        ("\"http://127.0.0.1:3009/v1\"", "\"http://10.0.0.5:3009/v1\"\nplain_http = true", "plain-http"),
        (
            "[providers.anthropic]",
            "[routing.reflex.bakeoff]\nsamples = 10\np95_ms = 900\nparity_permille = 900\nschema_permille = 1000\n\
             source = \"bench box, one evening\"\n[providers.anthropic]",
            "bakeoff-small",
        ),
    ];
    let quiet = codes(DEFAULT, today());
    for (from, to, code) in cases {
        assert!(!quiet.contains(code), "{code} is given without reason");
        assert!(codes(&edited(from, to), today()).contains(code), "{code}");
    }
}
