//! `[plugins.capture_filter.config]`.

use kit::json::{self, Value};

/// The configuration's JSON Schema.
pub const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"more_markers":{"description":"what else marks a path whose content is dropped, besides .env, .envrc, credentials and secrets","type":"array","items":{"type":"string","minLength":2,"maxLength":64},"maxItems":64,"uniqueItems":true},"hash_only_above_bytes":{"description":"above this size a commitment is kept instead of the content","type":"integer","minimum":0}},"additionalProperties":false}"#;

/// What the policy sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// More markers, in lower case.
    pub more_markers: Vec<String>,
    /// Above this size, a commitment.
    pub hash_only_above_bytes: Option<u64>,
}

/// The configuration does not follow [`SCHEMA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadConfig;

impl Config {
    /// Reads the JSON text, strictly.
    pub fn parse(text: &str) -> Result<Config, BadConfig> {
        let Ok(Value::Object(members)) = json::parse(text) else {
            return Err(BadConfig);
        };
        let mut config = Config::default();
        for (key, value) in &members {
            match key.as_str() {
                "more_markers" => {
                    let values = value.as_list().ok_or(BadConfig)?;
                    let lower = |value: &Value| value.as_text().map(str::to_ascii_lowercase).ok_or(BadConfig);
                    config.more_markers = values.iter().map(lower).collect::<Result<_, _>>()?;
                }
                "hash_only_above_bytes" => {
                    config.hash_only_above_bytes = Some(value.as_u64().ok_or(BadConfig)?);
                }
                _ => return Err(BadConfig),
            }
        }
        // An empty marker would stand in every path.
        if config.more_markers.iter().any(String::is_empty) { Err(BadConfig) } else { Ok(config) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_json_and_the_reader_is_strict() {
        assert!(json::parse(SCHEMA).is_ok());
        assert_eq!(Config::parse("{}"), Ok(Config::default()));
        for text in [
            "",
            "[]",
            r#"{"more_markers":[""]}"#,
            r#"{"more_markers":"x"}"#,
            r#"{"hash_only_above_bytes":"1"}"#,
        ] {
            assert_eq!(Config::parse(text), Err(BadConfig), "{text}");
        }
    }
}
