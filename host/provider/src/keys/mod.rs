//! Which key belongs to which origin. Policy names base URLs and never keys or variables: a policy from a
//! repository cannot make the host send somebody's key to a server of the author's choice.
//!
//! 1. An entry for the origin in the operator's file, which lies outside every repository.
//! 2. The official origins and their usual variables, bound here.
//! 3. No key: loopback servers, and others that ask for none. One that does answers 401.
//!
//! The environment is a parameter, so that it is read in one place alone and tests have none.

mod known;
mod operator;

pub use known::known_secrets;
pub use operator::{OperatorEntry, OperatorFile, OperatorKey};

use crate::endpoint::{self, UrlProblem};
use sluice_core::Secret;
use std::path::PathBuf;

/// Official origins, and the variables their own SDKs read, in the order in which these look.
pub const OFFICIAL: &[(&str, &[&str])] = &[
    ("https://api.openai.com", &["OPENAI_API_KEY"]),
    ("https://api.anthropic.com", &["ANTHROPIC_API_KEY"]),
    ("https://generativelanguage.googleapis.com", &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
];

/// Why there is no key, or none that may be used. No variant holds a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// An origin that needs a key has none.
    #[error("no key for provider `{provider}`: {} not set", listed(variables))]
    Missing {
        /// The provider's name in policy.
        provider: String,
        /// The variables that were looked at.
        variables: Vec<String>,
        /// Where else the key may be named.
        file: Option<PathBuf>,
    },
    /// The base URL cannot be used, or not with a key.
    #[error("cannot use the base URL of provider `{provider}`")]
    Url {
        /// The provider's name in policy.
        provider: String,
        /// What is wrong with it.
        #[source]
        problem: UrlProblem,
    },
    /// The operator's file exists and cannot be read.
    #[error("cannot read the operator file: {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operator's file could be read or changed by others.
    #[error("the operator file must belong to you and be readable by you alone: {}", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// The operator's file is not of its form. Says where and never what: the text holds keys.
    #[error("the operator file is not of its form: {} {at}: {what}", file.display())]
    Form {
        /// The file.
        file: PathBuf,
        /// `line 3`, `entry 2`.
        at: String,
        /// What is wrong, in fixed words.
        what: &'static str,
    },
}

impl KeyProblem {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KeyProblem::Missing { variables, file, .. } => {
                let variable = variables.first().map_or("the variable", String::as_str);
                let place = file.as_ref().map_or_else(
                    || "`$XDG_CONFIG_HOME/sluice/operator.toml`".to_owned(),
                    |file| format!("`{}`", file.display()),
                );
                format!("set `{variable}`, or give the origin an entry in {place}; `--loopback` needs no key")
            }
            KeyProblem::Url { problem, .. } => return problem.hint(),
            KeyProblem::Read { file, .. } => {
                format!("make `{}` a file that you can read, or remove it", file.display())
            }
            KeyProblem::Exposed { file } => format!("run `chmod 600 {0}`, as the owner of `{0}`", file.display()),
            KeyProblem::Form { .. } => {
                "write each entry as `[[origin]]`, `url = \"https://host\"`, and `key_env = \"NAME\"` or `key = \"…\"`"
                    .to_owned()
            }
        })
    }
}

fn listed(variables: &[String]) -> String {
    let quoted: Vec<String> = variables.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [one] => format!("{one} is"),
        many => format!("{} are", many.join(" and ")),
    }
}

/// The key for a provider's base URL: `None` where the origin is not known to need one.
pub fn resolve(
    provider: &str,
    base_url: &str,
    operator: &OperatorFile,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, KeyProblem> {
    let url_problem = |problem| KeyProblem::Url { provider: provider.to_owned(), problem };
    let url = endpoint::parse_base(base_url).map_err(url_problem)?;
    let origin = endpoint::origin(&url);
    let missing = |variables: Vec<String>| KeyProblem::Missing {
        provider: provider.to_owned(),
        variables,
        file: operator.path.clone(),
    };
    if let Some(entry) = operator.entries.iter().find(|entry| entry.origin == origin) {
        endpoint::check_key_may_travel(&url).map_err(url_problem)?;
        return match &entry.key {
            OperatorKey::Value(key) => Ok(Some(key.clone())),
            OperatorKey::Variable(name) => {
                read(name, env).map(Some).ok_or_else(|| missing(vec![name.clone()]))
            }
        };
    }
    let Some((_, variables)) = OFFICIAL.iter().find(|(official, _)| *official == origin) else {
        return Ok(None);
    };
    variables
        .iter()
        .find_map(|name| read(name, env))
        .map(Some)
        .ok_or_else(|| missing(variables.iter().map(|name| (*name).to_owned()).collect()))
}

/// A variable's value without the white space around it (`export KEY="$(cat file)"` and editors leave a
/// line end); an empty one is not set.
fn read(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
    let value = Secret::new(env(name)?);
    let trimmed = value.expose().trim();
    (!trimmed.is_empty()).then(|| Secret::new(trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    fn key(base_url: &str, set: &[(&str, &str)]) -> Result<Option<String>, KeyProblem> {
        let operator = OperatorFile::parse(
            "/o/operator.toml".into(),
            "[[origin]]\nurl = \"https://llm.example:8443\"\nkey_env = \"TEAM_KEY\"\n\
             [[origin]]\nurl = \"http://127.0.0.1:3009\"\nkey = \"local-key\"\n\
             [[origin]]\nurl = \"https://plain.example\"\nkey = \"plain-key\"\n",
        )
        .unwrap();
        let key = resolve("p", base_url, &operator, &env(set))?;
        Ok(key.map(|key| key.expose().to_owned()))
    }

    #[test]
    fn a_key_goes_to_its_own_origin_alone() {
        let all =
            [("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", "a"), ("GOOGLE_API_KEY", "g"), ("TEAM_KEY", "t")];
        for (base_url, want) in [
            ("https://api.openai.com/v1", Some("o")),
            ("https://API.openai.com:443/v1", Some("o")),
            ("https://api.anthropic.com/v1", Some("a")),
            ("https://generativelanguage.googleapis.com/v1beta/openai", Some("g")),
            ("https://llm.example:8443/v1", Some("t")),
            ("http://127.0.0.1:3009/v1", Some("local-key")),
            // One letter, port or scheme off is another origin.
            ("http://api.openai.com/v1", None),
            ("https://api.openai.com:8443/v1", None),
            ("https://api.openai.com.evil.example/v1", None),
            ("https://llm.example/v1", None),
            ("https://plain.example.evil.example/v1", None),
            ("https://plain.example:4443/v1", None),
            ("http://127.0.0.1:3010/v1", None),
            ("http://localhost:3009/v1", None),
        ] {
            assert_eq!(key(base_url, &all).unwrap().as_deref(), want, "{base_url}");
        }
    }

    #[test]
    fn a_missing_key_names_the_variable_and_the_file() {
        let error =
            key("https://generativelanguage.googleapis.com/v1beta/openai", &[("GEMINI_API_KEY", " \n")]);
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no key for provider `p`: `GEMINI_API_KEY` and `GOOGLE_API_KEY` are not set"
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains("`GEMINI_API_KEY`") && hint.contains("/o/operator.toml"), "{hint}");
        let error = key("https://llm.example:8443/v1", &[]).unwrap_err();
        assert_eq!(error.to_string(), "no key for provider `p`: `TEAM_KEY` is not set");
    }

    #[test]
    fn values_lose_the_line_end_that_a_header_could_not_carry() {
        assert_eq!(
            key("https://api.openai.com/v1", &[("OPENAI_API_KEY", " o\r\n")]).unwrap().as_deref(),
            Some("o")
        );
    }

    #[test]
    fn a_base_url_with_a_password_is_refused_without_repeating_it() {
        let error = key("https://user:hunter2@api.openai.com/v1", &[]).unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("hunter2"));
    }
}
