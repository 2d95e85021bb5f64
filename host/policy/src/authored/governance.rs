//! Every section that is neither models nor plugins.

use super::routing::{NOTE_BYTES_MAX, model_ids};
use crate::cursor::Cursor;
use crate::node::Node;
use crate::problem::{one_of, shown};
use crate::rules::{Approvals, ApprovedModel, Gates, LocalMemorySunset, ReflexPromotion, UsageRules};
use crate::snapshot::{
    Budgets, Capture, EscalationRules, Export, Meta, PipelineRules, Redaction, SCHEMA_VERSION, Security,
    SystemOfRecord,
};
use crate::values::{is_env_pattern, split_model_id};
use serde::Serialize;
use serde_json::Value;
use sluice_core::contract::is_code;
use sluice_core::{CaptureMode, Egress, Protected, Role, Stage, ToolCall};
use std::collections::BTreeMap;

/// Longest system prompt in bytes: it is sent, and paid for, with every call of its role.
const PROMPT_BYTES_MAX: usize = 32 << 10;

/// Most tokens and milliseconds that a limit may name: larger ones are slips of the keyboard.
const TOKENS_MAX: u64 = 1_000_000_000_000;
const BACKOFF_MS_MAX: u64 = 600_000;

/// Most words of the validation command, most bytes of each, and longest it may take: an hour is a test suite that
/// nobody waits for.
const COMMAND_WORDS_MAX: usize = 32;
const COMMAND_WORD_BYTES_MAX: usize = 512;
const COMMAND_MS_MAX: u64 = 3_600_000;

/// Most tools that a list may name.
const TOOLS_MAX: usize = 64;

/// Operations that a caller can ask for.
const OPERATIONS: [&str; 4] = ["chat", "responses", "messages", "embeddings"];

/// What scoring weighs.
const WEIGHTS: [&str; 4] = ["usage", "recency", "priority", "decay"];

pub(super) fn meta(table: &Cursor<'_, '_>) -> Meta {
    let schema_version = table.text("schema_version", 16).unwrap_or_default();
    if !schema_version.is_empty() && schema_version != SCHEMA_VERSION {
        table.problem(
            "schema_version",
            format!("unknown schema version `{}`", shown(&schema_version)),
            format!("this program reads \"{SCHEMA_VERSION}\""),
        );
    }
    Meta {
        schema_version,
        policy_version: table.text("policy_version", 64).unwrap_or_default(),
        effective_date: table.date("effective_date").unwrap_or_default(),
    }
}

pub(super) fn system_of_record(table: &Cursor<'_, '_>) -> SystemOfRecord {
    SystemOfRecord {
        kind: table.code("kind", "system of record", &["capsule"]).unwrap_or_default(),
        local_memory_fallback: table.flag("local_memory_fallback").unwrap_or(false),
    }
}

pub(super) fn capture(table: &Cursor<'_, '_>) -> Capture {
    Capture {
        mode: table.word("mode").unwrap_or(CaptureMode::None),
        artifacts: table.code("artifacts", "way to keep artefacts", &["content", "hash"]).unwrap_or_default(),
        store_embeddings: table.flag("store_embeddings").unwrap_or(false),
    }
}

pub(super) fn budgets(table: &Cursor<'_, '_>) -> Budgets {
    let marks_permille: Vec<u32> = table
        .list("marks_permille", 16)
        .iter()
        .filter_map(|node| node.whole(1..=1000).and_then(|mark| u32::try_from(mark).ok()))
        .collect();
    if !marks_permille.is_sorted_by(|a, b| a < b) {
        table.problem("marks_permille", "the marks do not ascend", "put the smallest first, each once");
    }
    let tokens = table.section("tokens");
    let stages = tokens.section("stages");
    let stage = |stage: &Stage| Some((*stage, stages.whole(stage.code(), 1..=TOKENS_MAX)?));
    let cost = table.section("cost");
    let run_micro_usd_max = cost.usd_or_unlimited("run_usd_max");
    if run_micro_usd_max == Some(0) {
        cost.problem("run_usd_max", "a budget of 0 allows no call", "name an amount, or \"unlimited\"");
    }
    Budgets {
        run_micro_usd_max,
        run_tokens_max: tokens.whole_or_unlimited("run_max", 1..=TOKENS_MAX),
        stage_tokens: Stage::ALL.iter().filter_map(stage).collect(),
        marks_permille,
    }
}

pub(super) fn weights(table: &Cursor<'_, '_>) -> BTreeMap<String, u32> {
    let weight = |key: &&'static str| Some(((*key).to_owned(), table.whole_u32(key, 0..=1000)?));
    WEIGHTS.iter().filter_map(weight).collect()
}

pub(super) fn gates(table: &Cursor<'_, '_>) -> Gates {
    let reflex = table.section("reflex_promotion");
    let sunset = table.section("local_memory_sunset");
    Gates {
        reflex_promotion: ReflexPromotion {
            candidates: model_ids(&reflex, "candidates", 16),
            samples_min: reflex.whole_u32("samples_min", 1..=1_000_000).unwrap_or(1),
            p95_ms_max: reflex.whole("p95_ms_max", 1..=600_000).unwrap_or(1),
            parity_permille_min: reflex.whole_u32("parity_permille_min", 0..=1000).unwrap_or(1000),
            schema_permille_min: reflex.whole_u32("schema_permille_min", 0..=1000).unwrap_or(1000),
            golden_regressions_max: reflex.whole_u32("golden_regressions_max", 0..=1_000_000).unwrap_or(0),
        },
        local_memory_sunset: LocalMemorySunset {
            phase: sunset.whole_u32("phase", 0..=3).unwrap_or(0),
            retrieval_p95_parity: sunset.flag("retrieval_p95_parity").unwrap_or(true),
            search_quality_parity: sunset.flag("search_quality_parity").unwrap_or(true),
            stability_days_min: sunset.whole_u32("stability_days_min", 0..=3650).unwrap_or(0),
            fallback_activations_max: sunset
                .whole_u32("fallback_activations_max", 0..=1_000_000)
                .unwrap_or(0),
        },
    }
}

pub(super) fn escalation(table: &Cursor<'_, '_>) -> EscalationRules {
    let backoff_ms = table.whole("backoff_ms", 0..=BACKOFF_MS_MAX);
    let backoff_ms_max = table.whole("backoff_ms_max", 0..=BACKOFF_MS_MAX);
    if let (Some(first), Some(longest)) = (backoff_ms, backoff_ms_max)
        && first > longest
    {
        table.problem(
            "backoff_ms_max",
            format!("the longest wait is shorter than the first: {longest} ms and {first} ms"),
            "raise `backoff_ms_max`, or lower `backoff_ms`",
        );
    }
    EscalationRules {
        // The stand-in is large, so that reflex is not said to use up attempts that nobody stated.
        attempts_max: table.whole_u32("attempts_max", 1..=16).unwrap_or(u32::MAX),
        backoff_ms: backoff_ms.unwrap_or(0),
        backoff_ms_max: backoff_ms_max.unwrap_or(0),
    }
}

pub(super) fn usage(table: &Cursor<'_, '_>) -> UsageRules {
    let operations = table.codes("operations", "operation", &OPERATIONS);
    if operations.is_empty() {
        table.problem(
            "operations",
            "no operation is allowed: no call could be made",
            "name at least \"chat\"",
        );
    }
    let tags = table.list("tags_required", 16);
    let tag = |node: &Node<'_, '_>| {
        let tag = node.text(64)?;
        if !is_code(tag) {
            node.problem(format!("not a label: `{}`", shown(tag)), "want 1 to 48 of a-z, 0-9, `-`");
            return None;
        }
        Some(tag.to_owned())
    };
    UsageRules { operations, tags_required: tags.iter().filter_map(tag).collect() }
}

pub(super) fn approvals(table: &Cursor<'_, '_>) -> Approvals {
    let mut models = BTreeMap::new();
    if let Some(section) = table.optional_section("models") {
        for (id, node) in section.entries() {
            let entry = node.table();
            let roles: Vec<Role> = entry.words("roles", Role::ALL.len());
            let reason = entry.text("reason", NOTE_BYTES_MAX).unwrap_or_default();
            if split_model_id(id).is_none() {
                node.problem(
                    format!("not a model id: `{}`", shown(id)),
                    "want \"<provider>/<model>\" in double quotes",
                );
                continue;
            }
            models.insert(id.to_owned(), ApprovedModel { roles, reason });
        }
    }
    Approvals { run_micro_usd_above: table.usd_or_unlimited("run_usd_above"), models }
}

pub(super) fn security(table: &Cursor<'_, '_>) -> Security {
    let redaction = table.section("redaction");
    let export = table.section("export");
    let pattern = |node: &Node<'_, '_>| {
        let pattern = node.text(80)?;
        if !is_env_pattern(pattern) {
            node.problem(
                format!("not a pattern of variable names: `{}`", shown(pattern)),
                "want upper case with `*` at an end, such as \"*_KEY\", and at least two letters beside it",
            );
            return None;
        }
        Some(pattern.to_owned())
    };
    let egress = egress(&redaction).unwrap_or(Egress::Block);
    let restore = redaction.maybe("restore").and_then(|node| node.flag()).unwrap_or(false);
    if restore && egress != Egress::Redact {
        redaction.problem(
            "restore",
            "there is nothing to put back unless `egress` is \"redact\"",
            "leave `restore` out, or set `egress = \"redact\"`",
        );
    }
    Security {
        redaction: Redaction {
            egress,
            responses: redaction.flag("responses").unwrap_or(true),
            restore,
            restore_tools: restore_tools(&redaction, restore),
            protected: protected(&redaction, egress),
            confidence_permille_min: redaction.whole_u32("confidence_permille_min", 1..=1000).unwrap_or(1),
            env_patterns: redaction.list("env_patterns", 64).iter().filter_map(pattern).collect(),
        },
        export: Export {
            encrypt: export.flag("encrypt").unwrap_or(true),
            capture_mode_max: export.word("capture_mode_max").unwrap_or(CaptureMode::None),
        },
    }
}

/// Names of tools, as the dialects spell them.
fn restore_tools(redaction: &Cursor<'_, '_>, restore: bool) -> Vec<String> {
    let Some(node) = redaction.maybe("restore_tools") else { return Vec::new() };
    if !restore {
        redaction.problem(
            "restore_tools",
            "nothing is put back unless `restore` is true",
            "leave `restore_tools` out, or set `restore = true`",
        );
    }
    let name = |node: &Node<'_, '_>| {
        let name = node.text(ToolCall::NAME_BYTES_MAX)?;
        if !ToolCall::is_name(name) {
            node.problem(
                format!("not a name of a tool: `{}`", shown(name)),
                "want letters, digits, `_`, `.` and `-`; every tool is named by itself, there are no patterns",
            );
            return None;
        }
        Some(name.to_owned())
    };
    node.list(TOOLS_MAX).iter().filter_map(name).collect()
}

pub(super) fn pipeline(table: &Cursor<'_, '_>) -> PipelineRules {
    let words =
        table.need("validate_command").map(|node| node.sequence(COMMAND_WORDS_MAX)).unwrap_or_default();
    let validate_command: Vec<String> =
        words.iter().filter_map(|node| node.text(COMMAND_WORD_BYTES_MAX).map(str::to_owned)).collect();
    if words.is_empty() {
        table.problem(
            "validate_command",
            "the command has no words",
            "name a program and its arguments, or leave the section out",
        );
    }
    let validate_timeout_ms = table.whole("validate_timeout_ms", 1..=COMMAND_MS_MAX).unwrap_or(1);
    PipelineRules { validate_command, validate_timeout_ms }
}

/// Only what is replaced elsewhere can be left out here: under `off` nothing is, and `block` holds all back.
fn protected(table: &Cursor<'_, '_>, egress: Egress) -> Protected {
    if table.maybe("protected").is_none() {
        return Protected::Block;
    }
    let code = table.code("protected", "way with protected values", &["block", "drop"]).unwrap_or_default();
    if code == "drop" && egress != Egress::Redact {
        table.problem(
            "protected",
            "blocks are left out only where `egress` is \"redact\"",
            "leave `protected` out, or set `egress = \"redact\"`",
        );
    }
    if code == "drop" { Protected::Drop } else { Protected::Block }
}

fn egress(table: &Cursor<'_, '_>) -> Option<Egress> {
    let code = table.code("egress", "egress", &["off", "redact", "block"])?;
    Some(match code.as_str() {
        "off" => Egress::Off,
        "redact" => Egress::Redact,
        _ => Egress::Block,
    })
}

pub(super) fn prompts(table: &Cursor<'_, '_>) -> BTreeMap<String, String> {
    let known: Vec<&str> = Role::CODES.iter().chain(Stage::CODES).copied().collect();
    let mut prompts = BTreeMap::new();
    for (name, node) in table.entries() {
        if !known.contains(&name) {
            node.problem(format!("`{}` is neither a role nor a stage", shown(name)), one_of(name, &known));
        }
        if let Some(prompt) = node.text(PROMPT_BYTES_MAX) {
            prompts.insert(name.to_owned(), prompt.trim_end().to_owned());
        }
    }
    prompts
}

/// A section as the snapshot stores it. These types serialise to plain JSON objects; should one ever not,
/// `null` stands there, which no reader of the section takes: the snapshot is refused, not guessed.
pub(super) fn as_authored<T: Serialize>(section: &T) -> Value {
    serde_json::to_value(section).unwrap_or(Value::Null)
}
