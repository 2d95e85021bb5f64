//! Authored policy and plugin facts to a snapshot.

use crate::fixtures::{DEFAULT, authored, compiled, context, edited, facts, facts_of};
use sluice_core::{Mode, PluginKind, Role, Stage};
use sluice_policy::{PluginLock, Problem, compile, content_hash, load, parse};

fn problems(text: &str, change: impl FnOnce(&mut Vec<sluice_policy::PluginFacts>)) -> Vec<Problem> {
    let mut facts = facts();
    change(&mut facts);
    compile(&authored(text), &facts, &context()).unwrap_err()
}

#[test]
fn the_default_policy_and_both_profiles_compile() {
    let profiles = [
        DEFAULT,
        include_str!("../../../../docs/policies/gpt-5.2-profile.toml"),
        include_str!("../../../../docs/policies/task-class.toml"),
    ];
    for text in profiles {
        let compiled = compile(&authored(text), &facts(), &context()).unwrap();
        assert_eq!(load(&compiled.bytes).unwrap().snapshot, compiled.snapshot);
        assert_eq!(content_hash(&compiled.snapshot).unwrap(), compiled.snapshot.hash);
    }
}

#[test]
fn the_default_policy_says_what_the_design_says() {
    let snapshot = compiled().snapshot;
    let models = &snapshot.model_config;
    let role = |role: Role| models.roles[&role].models.join(" ");
    let sonnet = "anthropic/claude-sonnet-4-20250514";
    assert_eq!(role(Role::Architect), format!("{sonnet} openai/gpt-4o google/gemini-2.0-flash"));
    assert_eq!(role(Role::Implementer), format!("{sonnet} openai/gpt-4o"));
    assert_eq!(role(Role::Judge), sonnet);
    assert!(models.roles[&Role::Judge].needs_high_reasoning);
    let reflex = &models.reflex;
    assert_eq!((reflex.enabled, reflex.attempts_max), (false, 2));
    let local = &models.models[&reflex.model];
    assert_eq!((local.model.as_str(), local.mode), ("qwen2.5-coder-7b-instruct", Mode::Reflex));
    assert_eq!(models.providers[&local.provider].base_url, "http://127.0.0.1:3009/v1");
    let thresholds = reflex.thresholds;
    assert_eq!((thresholds.p95_ms_max, thresholds.parity_permille_min), (2000, 850));
    assert_eq!(thresholds.schema_permille_min, 1000);
    let sonnet = &models.models[sonnet];
    let prices: Vec<u64> = sonnet.prices.iter().map(|price| price.micro_usd_per_million).collect();
    assert_eq!(prices, [3_000_000, 300_000, 15_000_000]);
    assert!(sonnet.price_source.starts_with("2026-11-20 "), "{}", sonnet.price_source);
    assert_eq!(snapshot.governance.budgets.run_micro_usd_max, Some(25_000_000));
    assert_eq!(snapshot.governance.budgets.stage_tokens[&Stage::Plan], 8000);
    assert_eq!(snapshot.governance.approval_rules().unwrap().run_micro_usd_above, Some(10_000_000));
    assert_eq!(snapshot.governance.usage_rules().unwrap().operations, ["chat", "messages", "responses"]);
    let kinds: Vec<PluginKind> = snapshot.plugins.iter().map(|plugin| plugin.kind).collect();
    assert_eq!(kinds, PluginKind::ALL);
    assert_eq!(snapshot.source_files, ["docs/MODEL-POLICY.md", "model_policy.toml"]);
}

#[test]
fn the_strong_model_of_the_task_class_profile_is_in_no_role() {
    let policy = authored(include_str!("../../../../docs/policies/task-class.toml"));
    let codex = "openai/gpt-5.3-codex";
    assert!(policy.model_config.models.contains_key(codex));
    assert!(policy.model_config.roles.values().all(|role| !role.models.iter().any(|id| id == codex)));
    assert!(policy.governance.approval_rules().unwrap().models.contains_key(codex));
}

#[test]
fn a_model_without_an_entry_is_not_said_to_have_any_ability() {
    let text = edited(
        "[models.\"openai/gpt-4o\"]\ncontext_tokens = 128_000\noutput_tokens_max = 16_000\ntimeout_ms = 120_000\n\
                       capabilities = [\"schema\", \"streaming\", \"tools\", \"vision\"]\n",
        "",
    );
    let model = &authored(&text).model_config.models["openai/gpt-4o"];
    assert_eq!((model.context_tokens, model.capabilities.len()), (None, 0));
    assert!(model.timeout_ms > 0 && model.output_tokens_max > 0);
}

#[test]
fn configuration_is_checked_against_the_plugins_own_schema() {
    let text = edited(
        "source = \"bundled:router\"",
        "source = \"bundled:router\"\n[plugins.router.config]\nmode = \"fsat\"\nlimit = 11\npaths = [\"a\", 1]\nxtra = true",
    );
    let found = problems(&text, |_| {});
    let paths: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    let at = |rest: &str| format!("plugins.router.config{rest}");
    assert_eq!(paths, [at(""), at(".limit"), at(".mode"), at(".paths[1]")], "{found:?}");

    let good = edited(
        "source = \"bundled:router\"",
        "source = \"bundled:router\"\n[plugins.router.config]\nmode = \"fast\"\nlimit = 0x0a\n[plugins.router.limits]\nfuel_base = 7",
    );
    let snapshot = compile(&authored(&good), &facts(), &context()).unwrap().snapshot;
    let router = snapshot.plugin(PluginKind::Router).unwrap();
    assert_eq!(router.config.to_string(), r#"{"limit":10,"mode":"fast"}"#);
    assert_eq!(router.limits.fuel_base, 7);
}

#[test]
fn a_plugin_with_an_unusable_schema_is_its_authors_fault() {
    for schema in ["", "[]", "{\"$ref\":\"https://example.com/x\"}", "{\"type\":7}"] {
        let found = problems(DEFAULT, |facts| facts[0].config_schema = schema.to_owned());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].hint.contains("author"), "{found:?}");
    }
}

#[test]
fn facts_that_do_not_fit_the_policy_are_refused() {
    type Change = fn(&mut Vec<sluice_policy::PluginFacts>);
    let cases: [(&str, Change); 9] = [
        ("no plugin of this kind", |facts| drop(facts.pop())),
        ("two plugins of this kind", |facts| facts.push(facts[0].clone())),
        ("loaded from `bundled:other`", |facts| facts[0].source = "bundled:other".into()),
        ("description is not usable", |facts| facts[0].name = "Router!".into()),
        ("description is not usable", |facts| facts[0].world = "two words".into()),
        ("only a redactor has rules", |facts| facts[0].rules = facts[1].rules.clone()),
        ("has 1 to", |facts| facts[1].rules.clear()),
        ("malformed or stands there twice", |facts| facts[1].rules[0].id = "AWS".into()),
        ("malformed or stands there twice", |facts| {
            let again = facts[1].rules[0].clone();
            facts[1].rules.push(again);
        }),
    ];
    for (words, change) in cases {
        let found = problems(DEFAULT, change);
        assert!(found.len() == 1 && found[0].message.contains(words), "{words}: {found:?}");
    }
}

#[test]
fn bytes_that_are_not_the_pinned_ones_are_refused() {
    let mut lock = PluginLock::default();
    facts().iter().for_each(|facts| lock.insert(facts));
    let locked = sluice_policy::CompileContext { lock, ..context() };
    assert!(compile(&authored(DEFAULT), &facts(), &locked).is_ok());

    let mut changed = facts();
    changed[1] = facts_of(PluginKind::Redactor, b"bytez");
    let found = compile(&authored(DEFAULT), &changed, &locked).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, "plugins.redactor.source");
    assert!(found[0].message.contains("plugins.lock"), "{found:?}");

    let own = edited(
        "source = \"bundled:redactor\"",
        &format!("source = \"bundled:redactor\"\nsha256 = \"{}\"", facts()[0].sha256),
    );
    let found = compile(&authored(&own), &facts(), &context()).unwrap_err();
    assert!(found[0].message.contains("pinned in the policy"), "{found:?}");
}

#[test]
fn a_plugin_file_without_a_pin_is_refused_even_when_only_compiled() {
    let text = edited("source = \"bundled:router\"", "source = \"file:plugins/mine.wasm\"");
    let found = problems(&text, |facts| facts[0].source = "file:plugins/mine.wasm".into());
    assert!(found.len() == 1 && found[0].message.contains("no pin"), "{found:?}");
}

#[test]
fn authored_files_lie_inside_the_workspace() {
    for path in ["/etc/passwd", "../model_policy.toml", "a//b", "a/./b", ""] {
        let mut context = context();
        context.sources.push((path.to_owned(), sluice_core::Digest::ZERO));
        assert!(compile(&authored(DEFAULT), &facts(), &context).is_err(), "{path}");
    }
    let none = sluice_policy::CompileContext { sources: Vec::new(), ..context() };
    assert!(compile(&authored(DEFAULT), &facts(), &none).is_err());
}

#[test]
fn keys_go_only_where_nobody_listens() {
    let provider = |url: &str, more: &str| {
        let text =
            edited("base_url = \"https://api.openai.com/v1\"", &format!("base_url = \"{url}\"\n{more}"));
        parse(&text).map(|authored| authored.model_config.providers["openai"].clone())
    };
    assert!(provider("https://llm.example.com/v1", "").unwrap().may_carry_key());
    assert!(provider("http://localhost:8080", "").unwrap().may_carry_key());
    assert!(provider("http://10.0.0.5:30000/v1", "").is_err());
    assert!(!provider("http://10.0.0.5:30000/v1", "plain_http = true").unwrap().may_carry_key());
}
