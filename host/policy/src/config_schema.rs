//! A plugin's configuration against the plugin's own JSON Schema. Schema and configuration come from two
//! people; neither is trusted with more than a yes or a no.

use crate::problem::{join, shown};
use boon::{
    CompileError, Compiler, Draft, ErrorKind, InstanceLocation, InstanceToken, SchemaIndex, Schemas,
    UrlLoader, ValidationError,
};
use serde_json::Value;
use std::error::Error;

/// Largest schema in bytes: ten times what a plugin with many settings needs.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Where the schema stands while it is compiled: a place that does not exist (RFC 2606).
const SCHEMA_URL: &str = "https://plugin.invalid/config-schema.json";

/// Most mistakes that are reported of one configuration.
const MISTAKES_MAX: usize = 20;

/// Loads nothing: a schema that refers to a file or a server is refused.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _: &str) -> Result<Value, Box<dyn Error>> {
        Err("a plugin's schema refers to nothing outside itself".into())
    }
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The schema itself cannot be used: the plugin author's mistake.
    Schema(String),
    /// The configuration does not match: path below `config`, and what is wrong there.
    Config(Vec<(String, String)>),
}

/// Checks `config` against the schema's text.
pub(crate) fn check(schema: &str, config: &Value) -> Result<(), Mismatch> {
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(Mismatch::Schema(format!(
            "it is longer than {SCHEMA_BYTES_MAX} bytes: {}",
            schema.len()
        )));
    }
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| Mismatch::Schema(format!("it is not JSON: {error}")))?;
    if !schema.is_object() {
        return Err(Mismatch::Schema("it is not a JSON object".to_owned()));
    }
    let mut schemas = Schemas::new();
    let index = compile(schema, &mut schemas).map_err(|error| Mismatch::Schema(shown(&error.to_string())))?;
    schemas.validate(config, index).map_err(|error| {
        let mut mistakes = Vec::new();
        leaves(&error, &mut mistakes);
        mistakes.sort();
        mistakes.dedup();
        mistakes.truncate(MISTAKES_MAX);
        Mismatch::Config(mistakes)
    })
}

fn compile(schema: Value, schemas: &mut Schemas) -> Result<SchemaIndex, Box<CompileError>> {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(NoLoader));
    compiler.add_resource(SCHEMA_URL, schema)?;
    Ok(compiler.compile(SCHEMA_URL, schemas)?)
}

fn leaves(error: &ValidationError<'_, '_>, out: &mut Vec<(String, String)>) {
    if error.causes.is_empty() {
        out.push((location(&error.instance_location), told(&error.kind)));
    }
    for cause in &error.causes {
        leaves(cause, out);
    }
}

fn location(at: &InstanceLocation<'_>) -> String {
    let mut path = String::new();
    for token in &at.tokens {
        match token {
            InstanceToken::Prop(name) => path = join(&path, name),
            InstanceToken::Item(index) => path = format!("{path}[{index}]"),
        }
    }
    path
}

/// What is wrong, in our words where the library would repeat the configured value.
fn told(kind: &ErrorKind<'_, '_>) -> String {
    let names =
        |names: &[&str]| names.iter().map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
    match kind {
        ErrorKind::AdditionalProperties { got } => {
            let got: Vec<&str> = got.iter().map(AsRef::as_ref).collect();
            format!("the plugin takes no setting {}", names(&got))
        }
        ErrorKind::Required { want } => format!("the plugin wants the setting {}", names(want)),
        ErrorKind::Pattern { want, .. } => format!("the value does not match the pattern {}", shown(want)),
        ErrorKind::Format { want, .. } => format!("the value is not a valid {}", shown(want)),
        ErrorKind::PropertyName { prop } => format!("the plugin takes no such name: `{}`", shown(prop)),
        ErrorKind::ContentEncoding { want, .. } | ErrorKind::ContentMediaType { want, .. } => {
            format!("the value is not {}", shown(want))
        }
        ErrorKind::FalseSchema => "the plugin takes nothing here".to_owned(),
        // The rest repeats bounds, types and counts, and numbers out of the configuration.
        other => shown(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mistakes(schema: &Value, config: &Value) -> Vec<(String, String)> {
        match check(&schema.to_string(), config) {
            Ok(()) => Vec::new(),
            Err(Mismatch::Config(mistakes)) => mistakes,
            Err(Mismatch::Schema(why)) => panic!("{why}"),
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_path() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["mode"],
            "properties": {
                "mode": {"enum": ["fast", "safe"]},
                "limit": {"type": "integer", "minimum": 1, "maximum": 10},
                "paths": {"type": "array", "items": {"type": "string", "pattern": "^/"}}
            }
        });
        assert_eq!(mistakes(&schema, &json!({"mode": "fast", "limit": 10, "paths": ["/a"]})), []);
        let found = mistakes(&schema, &json!({"limit": 11, "paths": ["/a", "b"], "extra.x": 1}));
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["", "", "limit", "paths[1]"], "{found:?}");
        assert!(found.iter().all(|(_, message)| !message.contains("\"b\"")), "{found:?}");
    }

    #[test]
    fn a_schema_reaches_nothing_outside_itself() {
        // A file that exists and would do as a schema: it must not even be opened.
        let file = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/tests/golden/snapshot-1.0.json");
        for bad in [
            json!({"$ref": "https://example.com/x.json"}),
            json!({"$ref": file}),
            json!({"$ref": "other.json"}),
            json!({"$schema": "https://example.com/meta"}),
            json!({"$ref": "#/nowhere"}),
            json!({"type": "no-such-type"}),
            json!({"pattern": "("}),
            json!([]),
        ] {
            assert!(matches!(check(&bad.to_string(), &json!({})), Err(Mismatch::Schema(_))), "{bad}");
        }
        assert!(matches!(check("{", &json!({})), Err(Mismatch::Schema(_))));
        let long = format!("{{\"title\":\"{}\"}}", "x".repeat(SCHEMA_BYTES_MAX));
        assert!(matches!(check(&long, &json!({})), Err(Mismatch::Schema(_))));
        let own = json!({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}});
        assert_eq!(mistakes(&own, &json!({"a": 1})), []);
    }
}
