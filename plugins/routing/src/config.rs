//! `[plugins.router.config]`.

use kit::json::{self, Value};

/// The configuration's JSON Schema.
pub const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"prefer":{"description":"candidate ids, providers or models to try first, best first; health, budget and earlier failures still count","type":"array","items":{"type":"string","minLength":1},"maxItems":32,"uniqueItems":true},"max_cost_micro_usd_per_call":{"description":"a candidate whose estimate for one attempt is above this is passed over","type":"integer","minimum":0}},"additionalProperties":false}"#;

/// What the policy sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Candidate ids, providers or models to move to the front.
    pub prefer: Vec<String>,
    /// Most that one attempt may be estimated to cost.
    pub max_cost_micro_usd_per_call: Option<u64>,
}

/// The configuration does not follow [`SCHEMA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadConfig;

impl Config {
    /// Reads the JSON text. Strict, although the host has checked it against the schema: a replay may hand over
    /// a configuration that was written for another router.
    pub fn parse(text: &str) -> Result<Config, BadConfig> {
        let Ok(Value::Object(members)) = json::parse(text) else {
            return Err(BadConfig);
        };
        let mut config = Config::default();
        for (key, value) in &members {
            match key.as_str() {
                "prefer" => config.prefer = texts(value)?,
                "max_cost_micro_usd_per_call" => {
                    config.max_cost_micro_usd_per_call = Some(value.as_u64().ok_or(BadConfig)?);
                }
                _ => return Err(BadConfig),
            }
        }
        Ok(config)
    }
}

fn texts(value: &Value) -> Result<Vec<String>, BadConfig> {
    let values = value.as_list().ok_or(BadConfig)?;
    values.iter().map(|value| value.as_text().map(str::to_owned).ok_or(BadConfig)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_json() {
        let schema = json::parse(SCHEMA).unwrap();
        assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)));
    }

    #[test]
    fn reads_both_settings_and_refuses_others() {
        assert_eq!(Config::parse("{}"), Ok(Config::default()));
        let config = Config::parse(r#"{"prefer":["openai"],"max_cost_micro_usd_per_call":7}"#).unwrap();
        assert_eq!(
            config,
            Config { prefer: vec!["openai".to_owned()], max_cost_micro_usd_per_call: Some(7) }
        );
        for text in [
            "",
            "[]",
            r#"{"prefer":"openai"}"#,
            r#"{"prefer":[1]}"#,
            r#"{"max_cost_micro_usd_per_call":-1}"#,
            r#"{"x":1}"#,
        ] {
            assert_eq!(Config::parse(text), Err(BadConfig), "{text}");
        }
    }
}
