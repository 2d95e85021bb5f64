//! `[plugins.redactor.config]`.

use kit::json::{self, Value};
use redactor_engine::{Switches, rules};

/// The configuration's JSON Schema.
pub const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"disable":{"description":"ids of rules that are switched off","type":"array","items":{"type":"string","pattern":"^[a-z0-9-]{1,48}$"},"maxItems":512,"uniqueItems":true},"extra_keys":{"description":"names whose values are secrets here, besides those the rules know","type":"array","items":{"type":"string","pattern":"^[A-Za-z0-9_.-]{3,64}$"},"maxItems":32,"uniqueItems":true}},"additionalProperties":false}"#;

/// Most names of its own that a policy may give: each costs a pass over the text.
const EXTRA_KEYS_MAX: usize = 32;

/// The configuration does not follow [`SCHEMA`], or switches off a rule that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadConfig;

/// Reads the JSON text, strictly: a misspelt rule id must not leave the rule on in silence.
///
/// # Errors
/// [`BadConfig`].
pub fn parse(text: &str, strict: bool) -> Result<Switches, BadConfig> {
    let mut switches = Switches { strict, ..Switches::default() };
    if text == "{}" {
        return Ok(switches);
    }
    let Ok(Value::Object(members)) = json::parse(text) else { return Err(BadConfig) };
    for (key, value) in &members {
        let texts: Vec<&str> = value
            .as_list()
            .ok_or(BadConfig)?
            .iter()
            .map(|v| v.as_text().ok_or(BadConfig))
            .collect::<Result<_, _>>()?;
        match key.as_str() {
            "disable" => {
                switches.disabled = vec![false; rules().len()];
                for id in texts {
                    let at = rules().iter().position(|rule| rule.id == id).ok_or(BadConfig)?;
                    switches.disabled[at] = true;
                }
            }
            "extra_keys" => {
                let named = |key: &str| {
                    (3..=64).contains(&key.len())
                        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
                };
                if texts.len() > EXTRA_KEYS_MAX || !texts.iter().all(|key| named(key)) {
                    return Err(BadConfig);
                }
                switches.extra_keys = texts.iter().map(|key| key.to_ascii_lowercase()).collect();
            }
            _ => return Err(BadConfig),
        }
    }
    Ok(switches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_json_and_the_reader_is_strict() {
        assert!(json::parse(SCHEMA).is_ok());
        for text in [
            "",
            "[]",
            r#"{"disable":"jwt"}"#,
            r#"{"disable":["no-such-rule"]}"#,
            r#"{"extra_keys":["a b c"]}"#,
            r#"{"extra_keys":[""]}"#,
            r#"{"other":[]}"#,
        ] {
            assert_eq!(parse(text, false).err(), Some(BadConfig), "{text}");
        }
        let switches = parse(r#"{"disable":["jwt"],"extra_keys":["Badge.No"]}"#, true).unwrap();
        let jwt = rules().iter().position(|rule| rule.id == "jwt").unwrap();
        assert!(switches.disabled[jwt] && switches.strict);
        assert_eq!(switches.extra_keys, ["badge.no"]);
    }
}
