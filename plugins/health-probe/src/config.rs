//! `[plugins.health_probe.config]`.

use kit::json::{self, Value};

/// The configuration's JSON Schema.
pub const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"models_timeout_ms":{"description":"deadline of the models list","type":"integer","minimum":1,"maximum":30000},"chat_timeout_ms":{"description":"deadline of the one-token chat","type":"integer","minimum":1,"maximum":30000},"slow_ms":{"description":"an endpoint whose one-token chat takes longer than this is degraded","type":"integer","minimum":1,"maximum":30000},"recheck_ms":{"description":"time until a healthy endpoint is probed again","type":"integer","minimum":1000,"maximum":86400000}},"additionalProperties":false}"#;

/// Longest deadline the contract allows.
const TIMEOUT_MS_MAX: u32 = 30_000;
/// A list of names; a server that needs longer for it is not well.
const MODELS_TIMEOUT_MS: u32 = 5_000;
/// A healthy SGLang needs a second for one token, and twice that under load; a cloud model adds the way there.
const CHAT_TIMEOUT_MS_REFLEX: u32 = 5_000;
const CHAT_TIMEOUT_MS_CLOUD: u32 = 10_000;
/// The policy's default p95 for local endpoints, and a cloud model's slowest ordinary first token.
const SLOW_MS_REFLEX: u32 = 2_000;
const SLOW_MS_CLOUD: u32 = 5_000;
/// A minute: a call that fails is the faster signal, and it moves the endpoint back by itself.
const RECHECK_MS: u64 = 60_000;

/// What the policy sets, with the defaults of the endpoint's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub models_timeout_ms: u32,
    pub chat_timeout_ms: u32,
    pub slow_ms: u32,
    pub recheck_ms: u64,
}

/// The configuration does not follow [`SCHEMA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadConfig;

impl Config {
    /// Reads the JSON text, strictly.
    pub fn parse(text: &str, mode: &str) -> Result<Config, BadConfig> {
        let Ok(Value::Object(members)) = json::parse(text) else {
            return Err(BadConfig);
        };
        let reflex = mode == "reflex";
        let mut config = Config {
            models_timeout_ms: MODELS_TIMEOUT_MS,
            chat_timeout_ms: if reflex { CHAT_TIMEOUT_MS_REFLEX } else { CHAT_TIMEOUT_MS_CLOUD },
            slow_ms: if reflex { SLOW_MS_REFLEX } else { SLOW_MS_CLOUD },
            recheck_ms: RECHECK_MS,
        };
        for (key, value) in &members {
            match key.as_str() {
                "models_timeout_ms" => config.models_timeout_ms = timeout(value)?,
                "chat_timeout_ms" => config.chat_timeout_ms = timeout(value)?,
                "slow_ms" => config.slow_ms = timeout(value)?,
                "recheck_ms" => {
                    let recheck_ms = value.as_u64().filter(|ms| (1_000..=86_400_000).contains(ms));
                    config.recheck_ms = recheck_ms.ok_or(BadConfig)?;
                }
                _ => return Err(BadConfig),
            }
        }
        Ok(config)
    }
}

fn timeout(value: &Value) -> Result<u32, BadConfig> {
    let ms = value.as_u64().and_then(|ms| u32::try_from(ms).ok());
    ms.filter(|ms| (1..=TIMEOUT_MS_MAX).contains(ms)).ok_or(BadConfig)
}
