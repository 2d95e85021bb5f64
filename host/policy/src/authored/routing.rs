//! `routing.cloud` and `routing.reflex`.

use crate::cursor::Cursor;
use crate::node::Node;
use crate::problem::{nearest, one_of, shown};
use crate::snapshot::{Reflex, ReflexThresholds, RoleModels};
use crate::values::split_model_id;
use sluice_core::contract::router::Bakeoff;
use sluice_core::{Role, Stage};
use std::collections::BTreeMap;

/// Most cloud models of one role: a router orders at most 16 candidates, and reflex may be one of them.
const ROLE_MODELS_MAX: usize = 15;

/// Longest note on where a number comes from, in bytes.
pub(super) const NOTE_BYTES_MAX: usize = 240;

/// Longest candidate id in bytes: provider, slash, model.
pub(super) const ID_BYTES_MAX: usize = 161;

/// Roles that the six stages of a run cannot do without.
const ROLES_NEEDED: [Role; 3] = [Role::Architect, Role::Implementer, Role::Judge];

/// Efforts that the contract knows.
const EFFORTS: [&str; 3] = ["low", "medium", "high"];

/// What routing says, before models are put together.
pub(super) struct Routing {
    pub roles: BTreeMap<Role, RoleModels>,
    pub reflex: Reflex,
}

pub(super) fn read(routing: &Cursor<'_, '_>) -> Routing {
    Routing { roles: cloud(&routing.section("cloud")), reflex: reflex(&routing.section("reflex")) }
}

fn cloud(cloud: &Cursor<'_, '_>) -> BTreeMap<Role, RoleModels> {
    let mut roles = BTreeMap::new();
    for (name, node) in cloud.entries() {
        match name.parse::<Role>() {
            Ok(role) => {
                roles.insert(role, role_models(role, &node.table()));
            }
            Err(error) => {
                node.problem(format!("unknown role `{}`", shown(name)), one_of(name, error.known));
            }
        }
    }
    for role in ROLES_NEEDED.iter().filter(|role| !roles.contains_key(role)) {
        cloud.problem(
            role.code(),
            format!("role `{role}` has no models"),
            format!("add `[routing.cloud.{role}]` with `models`"),
        );
    }
    roles
}

fn role_models(role: Role, table: &Cursor<'_, '_>) -> RoleModels {
    let models = model_ids(table, "models", ROLE_MODELS_MAX);
    if models.is_empty() {
        table.problem("models", format!("role `{role}` has no models"), "name at least one, best first");
    }
    let high = table.maybe("needs_high_reasoning").and_then(|node| node.flag());
    if role == Role::Judge && high == Some(false) {
        table.problem(
            "needs_high_reasoning",
            "the judge always needs high reasoning",
            "leave the key out: for the judge it is true",
        );
    }
    let effort = table.maybe("reasoning_effort").and_then(|node| node.code("effort", &EFFORTS));
    RoleModels {
        models,
        needs_high_reasoning: role == Role::Judge || high.unwrap_or(false),
        reasoning_effort: effort,
    }
}

/// A list of candidate ids; malformed ones are reported and left out.
pub(super) fn model_ids(table: &Cursor<'_, '_>, key: &'static str, items_max: usize) -> Vec<String> {
    let nodes = table.list(key, items_max);
    nodes.iter().filter_map(model_id).collect()
}

pub(super) fn model_id(node: &Node<'_, '_>) -> Option<String> {
    let id = node.text(ID_BYTES_MAX)?;
    if split_model_id(id).is_none() {
        node.problem(
            format!("not a model id: `{}`", shown(id)),
            "want <provider>/<model>, such as `openai/gpt-4o`, where `[providers.<provider>]` exists",
        );
        return None;
    }
    Some(id.to_owned())
}

fn reflex(table: &Cursor<'_, '_>) -> Reflex {
    let roles: Vec<Role> = table.words("roles", Role::ALL.len());
    Reflex {
        enabled: table.flag("enabled").unwrap_or(false),
        model: table.need("model").as_ref().and_then(model_id).unwrap_or_default(),
        roles,
        stages: table.words("stages", Stage::ALL.len()),
        attempts_max: table.whole_u32("attempts_max", 1..=8).unwrap_or(0),
        thresholds: thresholds(&table.section("thresholds")),
        bakeoff: table.optional_section("bakeoff").map(|bakeoff| bakeoff_result(&bakeoff)),
    }
}

fn thresholds(table: &Cursor<'_, '_>) -> ReflexThresholds {
    ReflexThresholds {
        p95_ms_max: table.whole("p95_ms_max", 1..=600_000).unwrap_or(1),
        parity_permille_min: table.whole_u32("parity_permille_min", 0..=1000).unwrap_or(1000),
        schema_permille_min: table.whole_u32("schema_permille_min", 0..=1000).unwrap_or(1000),
    }
}

/// What a bakeoff showed. The note says where it was run; it stays in the authored file, whose digest is in
/// the snapshot.
fn bakeoff_result(table: &Cursor<'_, '_>) -> Bakeoff {
    table.text("source", NOTE_BYTES_MAX);
    Bakeoff {
        samples: table.whole_u32("samples", 1..=1_000_000).unwrap_or(1),
        p95_ms: table.whole("p95_ms", 0..=3_600_000).unwrap_or(0),
        parity_permille: table.whole_u32("parity_permille", 0..=1000).unwrap_or(0),
        schema_permille: table.whole_u32("schema_permille", 0..=1000).unwrap_or(0),
    }
}

/// A hint for a name that is not among those that the author gave.
pub(super) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, otherwise: String) -> String {
    nearest(word, known).map_or(otherwise, |near| format!("did you mean `{near}`?"))
}
