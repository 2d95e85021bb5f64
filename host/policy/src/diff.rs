//! What changed between two policies, by path.

use crate::hash::OUTSIDE_HASH;
use crate::problem::join_exact;
use crate::snapshot::PolicySnapshot;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Dotted path in the snapshot; entries of lists by their kind, unit or id: `plugins.router.sha256`.
    pub path: String,
    /// What stood there; `None` for nothing.
    pub before: Option<Value>,
    /// What stands there now; `None` for nothing.
    pub after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{}: {before} -> {after}", self.path),
            (Some(before), None) => write!(f, "{}: {before} removed", self.path),
            (None, Some(after)) => write!(f, "{}: {after} added", self.path),
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

/// Every difference in content, in order of paths. Empty exactly where the hashes are equal: `hash`,
/// `policy_id` and `created_at` are no content.
pub fn diff(a: &PolicySnapshot, b: &PolicySnapshot) -> Vec<Change> {
    let mut before = leaves_of(a);
    let mut changes = Vec::new();
    for (path, after) in leaves_of(b) {
        match before.remove(&path) {
            Some(same) if same == after => {}
            before => changes.push(Change { path, before, after: Some(after) }),
        }
    }
    changes.extend(before.into_iter().map(|(path, gone)| Change { path, before: Some(gone), after: None }));
    changes.sort_by(|x, y| x.path.cmp(&y.path));
    changes
}

fn leaves_of(snapshot: &PolicySnapshot) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // A snapshot is plain data and always serialises; were it not so, everything would show as changed.
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(snapshot) {
        fields.retain(|name, _| !OUTSIDE_HASH.contains(&name.as_str()));
        flatten("", Value::Object(fields), &mut leaves);
    }
    leaves
}

/// What tells the entries of a list of objects apart.
const NAMES: [&str; 3] = ["kind", "unit", "id"];

fn flatten(path: &str, value: Value, leaves: &mut BTreeMap<String, Value>) {
    let below = |name: &str| join_exact(path, name);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&below(&name), value, leaves);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            for (index, item) in items.into_iter().enumerate() {
                let name = NAMES.iter().find_map(|key| item.get(key)?.as_str()).map(str::to_owned);
                flatten(&below(&name.unwrap_or_else(|| index.to_string())), item, leaves);
            }
        }
        // The order of a list of models is its meaning: it changes as a whole.
        other => {
            leaves.insert(path.to_owned(), other);
        }
    }
}
