//! A value that satisfies a JSON Schema, always the same for the same schema.
//!
//! The subset that models are asked for: types, enumerations, constants, objects, arrays, lengths, bounds,
//! `anyOf`, `oneOf`, `allOf`, local references. What is outside it is refused and not guessed at: an answer
//! that breaks its schema would test the wrong thing.

use crate::answer::MARK;
use serde_json::{Map, Value, json};

/// Deepest nesting, and most values of one example: recursive schemas end somewhere.
const DEPTH_MAX: usize = 24;
const VALUES_MAX: usize = 4096;

/// Longest string that a schema may ask for, in characters.
const STRING_CHARS_MAX: u64 = 65_536;

/// Keywords that narrow a value in ways that this generator does not follow.
const REFUSED: [&str; 10] = [
    "not",
    "if",
    "pattern",
    "contains",
    "propertyNames",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "$dynamicRef",
    "minProperties",
];

/// An example. An error says what could not be followed.
pub(crate) fn example(schema: &Value) -> Result<Value, String> {
    let mut generator = Generator { root: schema, values: 0 };
    generator.value(schema, 0)
}

struct Generator<'a> {
    root: &'a Value,
    values: usize,
}

impl Generator<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Result<Value, String> {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return Err("the schema asks for too deep or too large a value".to_owned());
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(json!(MARK.trim_end())),
            Value::Object(schema) => schema,
            _ => return Err("the schema allows no value".to_owned()),
        };
        if let Some(keyword) = REFUSED.iter().find(|keyword| schema.contains_key(**keyword)) {
            return Err(format!("the schema uses `{keyword}`, which the loopback server does not follow"));
        }
        if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
            let target = place.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let target = target.ok_or("the schema has a reference that leads out of it")?.clone();
            return self.value(&merged(schema, "$ref", [&target])?, depth + 1);
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.value(&merged(schema, "allOf", all)?, depth + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(keyword).and_then(Value::as_array) {
                return self.first_of(schema, keyword, options, depth);
            }
        }
        if let Some(only) = schema.get("const") {
            return Ok(only.clone());
        }
        if let Some(words) = schema.get("enum") {
            return words.get(0).cloned().ok_or_else(|| "the schema allows no value".to_owned());
        }
        self.typed(schema, depth)
    }

    fn first_of(
        &mut self,
        schema: &Map<String, Value>,
        keyword: &str,
        options: &[Value],
        depth: usize,
    ) -> Result<Value, String> {
        let mut problem = "the schema allows no value".to_owned();
        for option in options {
            match merged(schema, keyword, [option]).and_then(|option| self.value(&option, depth + 1)) {
                Ok(value) => return Ok(value),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn typed(&mut self, schema: &Map<String, Value>, depth: usize) -> Result<Value, String> {
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str);
                kinds.find(|kind| *kind != "null").unwrap_or("null")
            }
            _ => inferred(schema),
        };
        match kind {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => string(schema),
            "integer" => number(schema, true),
            "number" => number(schema, false),
            "boolean" => Ok(json!(true)),
            "null" => Ok(Value::Null),
            other => Err(format!("the schema has an unknown type: {other}")),
        }
    }

    /// What is required; at the top also what is optional, where it can be made.
    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Result<Value, String> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let most = schema.get("maxProperties").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let mut object = Map::new();
        for (name, property) in properties {
            if required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(property, depth + 1)?);
            } else if depth == 0
                && most == u64::MAX
                && let Ok(value) = self.value(property, depth + 1)
            {
                object.insert(name.clone(), value);
            }
        }
        let other = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.value(other, depth + 1)?);
            }
        }
        if let Some((path, diff)) = a_change(properties, &object) {
            object.insert("path".to_owned(), json!(path));
            object.insert("diff".to_owned(), json!(diff));
        }
        if object.len() as u64 > most {
            return Err("the schema requires more properties than it allows".to_owned());
        }
        Ok(Value::Object(object))
    }

    /// As few items as may be, but one where one may be.
    fn array(&mut self, schema: &Map<String, Value>, depth: usize) -> Result<Value, String> {
        let count = |key: &str| schema.get(key).and_then(Value::as_u64);
        let prefix =
            schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let least = count("minItems").unwrap_or(0);
        if least > VALUES_MAX as u64 {
            return Err("the schema asks for too large an array".to_owned());
        }
        let most = count("maxItems").unwrap_or(u64::MAX);
        let wanted = least.max(prefix.len() as u64).max(1).min(most);
        let rest = schema.get("items").unwrap_or(&Value::Bool(true));
        let mut items = Vec::new();
        for index in 0..wanted {
            let item = prefix.get(items.len()).unwrap_or(rest);
            match self.value(item, depth + 1) {
                Ok(value) => items.push(value),
                Err(_) if index >= least => break,
                Err(problem) => return Err(problem),
            }
        }
        let unique = schema.get("uniqueItems") == Some(&json!(true));
        if unique && (1..items.len()).any(|at| items[..at].contains(&items[at])) {
            return Err("the schema asks for several different items".to_owned());
        }
        Ok(Value::Array(items))
    }
}

/// Where an object has a `path` and a `diff`, two texts without further conditions: a diff that applies, of a file
/// that says what it is.
fn a_change(properties: &Map<String, Value>, object: &Map<String, Value>) -> Option<(&'static str, String)> {
    let is_free = |name: &str| {
        let schema = properties.get(name).and_then(Value::as_object);
        object.contains_key(name)
            && schema.is_some_and(|schema| {
                schema.get("type") == Some(&json!("string"))
                    && schema.keys().all(|key| ["type", "description", "title"].contains(&key.as_str()))
            })
    };
    if !is_free("path") || !is_free("diff") {
        return None;
    }
    let line = format!("{MARK}No model was asked; this file is the stand-in's.");
    Some(("loopback.md", format!("--- /dev/null\n+++ b/loopback.md\n@@ -0,0 +1 @@\n+{line}\n")))
}

/// The schema without `keyword`, narrowed by `others`. Properties and requirements add up; of other keywords
/// said twice in different words only one could be followed, so that is refused.
fn merged<'a>(
    schema: &Map<String, Value>,
    keyword: &str,
    others: impl IntoIterator<Item = &'a Value>,
) -> Result<Value, String> {
    let mut all = schema.clone();
    all.remove(keyword);
    for other in others {
        let other = match other {
            Value::Object(other) => other,
            Value::Bool(true) => continue,
            _ => return Err("the schema allows no value".to_owned()),
        };
        for (key, value) in other {
            match (all.get_mut(key), value) {
                (None, value) => {
                    all.insert(key.clone(), value.clone());
                }
                (Some(Value::Object(into)), Value::Object(more)) if key == "properties" => {
                    into.extend(more.clone());
                }
                (Some(Value::Array(into)), Value::Array(more)) if key == "required" => {
                    into.extend(more.clone())
                }
                (Some(same), value) if same == value => {}
                _ if matches!(
                    key.as_str(),
                    "title" | "description" | "default" | "examples" | "$comment"
                ) => {}
                _ => {
                    return Err(format!(
                        "the schema says `{key}` twice, which the loopback server does not follow"
                    ));
                }
            }
        }
    }
    Ok(Value::Object(all))
}

fn inferred(schema: &Map<String, Value>) -> &'static str {
    let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
    if has(&["properties", "required", "additionalProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else {
        "string"
    }
}

fn string(schema: &Map<String, Value>) -> Result<Value, String> {
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        return match format {
            "date-time" => Ok(json!("1970-01-01T00:00:00Z")),
            "date" => Ok(json!("1970-01-01")),
            "time" => Ok(json!("00:00:00Z")),
            "duration" => Ok(json!("PT0S")),
            "email" => Ok(json!("loopback@example.com")),
            "hostname" => Ok(json!("loopback.example")),
            "ipv4" => Ok(json!("127.0.0.1")),
            "ipv6" => Ok(json!("::1")),
            "uri" => Ok(json!("https://loopback.example/")),
            "uuid" => Ok(json!("00000000-0000-4000-8000-000000000000")),
            other => Err(format!("the schema has an unknown format: {other}")),
        };
    }
    let count = |key: &str| schema.get(key).and_then(Value::as_u64);
    let least = count("minLength").unwrap_or(0);
    let most = count("maxLength").unwrap_or(u64::MAX);
    if least > STRING_CHARS_MAX || least > most {
        return Err("the schema asks for a string that is too long, or longer than it allows".to_owned());
    }
    let mut text = format!("{MARK}text");
    while (text.len() as u64) < least {
        text.push('.');
    }
    // The text is ASCII: bytes are characters.
    text.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(json!(text))
}

/// The whole number nearest to 0 within the bounds; where there is none, a bound or what lies between.
fn number(schema: &Map<String, Value>, whole: bool) -> Result<Value, String> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let step = bound("multipleOf").unwrap_or(1.0);
    let none = || "the schema asks for a number that the loopback server does not find".to_owned();
    if step <= 0.0 {
        return Err(none());
    }
    // A whole step that is also a multiple of `multipleOf`, or for fractions that step itself.
    let step = if whole && step.fract() != 0.0 { return Err(none()) } else { step };
    let low = bound("minimum").unwrap_or(f64::NEG_INFINITY);
    let high = bound("maximum").unwrap_or(f64::INFINITY);
    let above = bound("exclusiveMinimum").unwrap_or(f64::NEG_INFINITY);
    let below = bound("exclusiveMaximum").unwrap_or(f64::INFINITY);
    let fits = |value: f64| value >= low && value <= high && value > above && value < below;
    let floor = low.max(above);
    let ceiling = high.min(below);
    let near = |edge: f64, by: f64| [(edge / step).ceil() * step, (edge / step).floor() * step + by];
    let mut candidates = vec![0.0];
    candidates.extend(near(floor, step));
    candidates.extend(near(ceiling, -step));
    candidates.push((ceiling / step).floor() * step);
    if !whole && !schema.contains_key("multipleOf") {
        candidates.extend([low, high, f64::midpoint(floor, ceiling)]);
    }
    let found = candidates.into_iter().find(|value| value.is_finite() && fits(*value)).ok_or_else(none)?;
    if found.fract() == 0.0 && found.abs() < 9_007_199_254_740_992.0 {
        Ok(json!(found as i64))
    } else if whole {
        Err(none())
    } else {
        Ok(json!(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The judge is a validator that knows nothing of the generator.
    fn satisfies(schema: &Value, value: &Value) -> bool {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("mem:///schema.json", schema.clone()).unwrap();
        let index = compiler.compile("mem:///schema.json", &mut schemas).unwrap();
        schemas.validate(value, index).is_ok()
    }

    #[test]
    fn examples_satisfy_what_models_are_asked_for() {
        for schema in [
            json!({}),
            json!({ "type": "object" }),
            json!({ "type": "object", "properties": { "verdict": { "enum": ["pass", "fail"] }, "score": { "type": "integer",
                "minimum": 1, "maximum": 5 }, "why": { "type": "string", "minLength": 40, "maxLength": 44 } },
                "required": ["verdict", "score", "why"], "additionalProperties": false }),
            json!({ "type": "array", "items": { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                "minItems": 3 }),
            json!({ "type": ["null", "string"], "maxLength": 3 }),
            json!({ "type": ["string", "null"], "format": "date-time" }),
            json!({ "anyOf": [{ "type": "string", "pattern": "^x" }, { "type": "integer", "multipleOf": 7, "minimum": 15 }] }),
            json!({ "allOf": [{ "properties": { "a": { "const": 1 } }, "required": ["a"] },
                { "properties": { "b": { "type": "boolean" } }, "required": ["b"] }] }),
            json!({ "$defs": { "node": { "type": "object", "properties": { "next": { "anyOf": [{ "$ref": "#/$defs/node" },
                { "type": "null" }] }, "name": { "type": "string" } }, "required": ["name"] } },
                "$ref": "#/$defs/node" }),
            json!({ "type": "array", "prefixItems": [{ "const": "a" }, { "type": "integer" }], "items": false }),
            json!({ "type": "object", "required": ["any"], "additionalProperties": { "type": "integer", "maximum": -3 } }),
            json!({ "type": "string", "format": "uuid" }),
            json!({ "type": "array", "maxItems": 0 }),
        ] {
            let value = example(&schema).unwrap_or_else(|problem| panic!("{problem}: {schema}"));
            assert!(satisfies(&schema, &value), "{schema} -> {value}");
            assert_eq!(example(&schema).unwrap(), value, "always the same");
        }
    }

    #[test]
    fn a_change_is_a_diff_that_applies() {
        let change = |path: Value| {
            json!({ "type": "object", "properties": { "path": path, "diff": { "type": "string" } },
            "required": ["path", "diff"], "additionalProperties": false })
        };
        let free = change(json!({ "type": "string", "description": "a file" }));
        let value = example(&free).unwrap();
        assert!(satisfies(&free, &value));
        assert_eq!(value["path"], "loopback.md");
        let diff = value["diff"].as_str().unwrap();
        assert!(diff.starts_with("--- /dev/null\n+++ b/loopback.md\n@@ -0,0 +1 @@\n+[loopback] "), "{diff}");
        // A schema with further conditions is followed and not improved on.
        let bound = change(json!({ "type": "string", "maxLength": 3 }));
        assert!(satisfies(&bound, &example(&bound).unwrap()));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_and_ends() {
        for schema in [
            json!(false),
            json!({ "type": "string", "pattern": "^a$" }),
            json!({ "not": {} }),
            json!({ "$ref": "https://evil.example/schema.json" }),
            json!({ "$ref": "#" }),
            json!({ "$defs": { "a": { "type": "object", "properties": { "a": { "$ref": "#/$defs/a" } },
                "required": ["a"] } }, "$ref": "#/$defs/a" }),
            json!({ "type": "array", "items": { "type": "array", "items": { "type": "array", "items": {},
                "minItems": 100 }, "minItems": 100 }, "minItems": 100 }),
            json!({ "type": "array", "uniqueItems": true, "minItems": 2 }),
            json!({ "type": "string", "minLength": 5, "maxLength": 4 }),
            json!({ "type": "integer", "minimum": 2, "maximum": 1 }),
            json!({ "enum": [] }),
            json!({ "type": "money" }),
        ] {
            assert!(example(&schema).is_err(), "{schema}");
        }
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({ "type": "boolean" })),
            Just(json!({ "enum": ["a", "b"] })),
            (0u64..40, 0u64..40)
                .prop_map(|(a, b)| json!({ "type": "string", "minLength": a, "maxLength": a + b })),
            (-50i64..50, 0i64..9, 1i64..6).prop_map(
                |(a, b, m)| json!({ "type": "integer", "minimum": a, "maximum": a + b, "multipleOf": m })
            ),
            (-50i64..50, 1i64..9).prop_map(
                |(a, b)| json!({ "type": "number", "exclusiveMinimum": a, "exclusiveMaximum": a + b })
            ),
        ];
        leaf.prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                (inner.clone(), 0u64..3).prop_map(|(i, n)| json!({ "type": "array", "items": i, "minItems": n })),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({
                    "type": "object", "properties": { "a": a, "b": b }, "required": ["a"], "additionalProperties": false
                })),
                (inner.clone(), inner).prop_map(|(a, b)| json!({ "anyOf": [a, b] })),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn an_example_always_satisfies_its_schema(schema in schemas()) {
            if let Ok(value) = example(&schema) {
                prop_assert!(satisfies(&schema, &value), "{schema} -> {value}");
            }
        }
    }
}
