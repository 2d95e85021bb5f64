//! Every secret value that the host itself knows: what its guard must never let pass.

use super::{OFFICIAL, OperatorFile, OperatorKey};
use sluice_core::Secret;
use std::collections::BTreeSet;

/// Shortest value that is guarded. Shorter ones (`on`, `8080`, `eu-west`) turn up in ordinary text, and a
/// guard that blocks ordinary text gets switched off.
pub const SECRET_BYTES_MIN: usize = 8;

/// The values of every variable whose name matches one of `patterns` (`*` stands for any text, case does not
/// matter), of the variables that hold provider keys, and of the keys in the operator's file. Each value
/// stands as it is and, where it differs, without the white space around it: that form is what is sent.
pub fn known_secrets(
    variables: impl IntoIterator<Item = (String, String)>,
    patterns: &[String],
    operator: &OperatorFile,
) -> Vec<Secret> {
    let is_key_variable = |name: &str| {
        OFFICIAL.iter().any(|(_, variables)| variables.contains(&name))
            || operator
                .entries
                .iter()
                .any(|entry| matches!(&entry.key, OperatorKey::Variable(variable) if variable == name))
    };
    let mut secrets = Vec::new();
    for (name, value) in variables {
        let value = Secret::new(value);
        if is_key_variable(&name) || patterns.iter().any(|pattern| matches(pattern, &name)) {
            secrets.push(value);
        }
    }
    for entry in &operator.entries {
        if let OperatorKey::Value(key) = &entry.key {
            secrets.push(key.clone());
        }
    }
    let mut seen = BTreeSet::new();
    let forms = secrets.iter().flat_map(|secret| [secret.expose(), secret.expose().trim()]);
    forms
        .filter(|form| form.len() >= SECRET_BYTES_MIN && seen.insert(*form))
        .map(|form| Secret::new(form.to_owned()))
        .collect()
}

/// Whether `name` is what `pattern` says. Linear in the name for each star: after a star the first place
/// where the next piece fits is as good as any later one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_uppercase(), name.to_ascii_uppercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(name) = name.strip_prefix(first) else { return false };
    let Some(mut name) = name.strip_suffix(last) else { return false };
    for piece in middle.split('*') {
        match name.find(piece) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, want) in [
            ("*_KEY", "OPENAI_API_KEY", true),
            ("*_KEY", "api_key", true),
            ("*_KEY", "KEY", false),
            ("*_KEY", "A_KEY_FILE", false),
            ("AWS_*", "AWS_SECRET", true),
            ("*_PASS*", "DB_PASSWORD", true),
            ("A*B*C", "AxByC", true),
            ("A*B*C", "AxC", false),
            ("A*A", "A", false),
            ("*", "", true),
            ("EXACT", "exact", true),
            ("", "A", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn all_that_is_known_once_and_nothing_short() {
        let operator = OperatorFile::parse(
            "/o".into(),
            "[[origin]]\nurl = \"https://a.example\"\nkey = \"file-key-1\"\n\
             [[origin]]\nurl = \"https://b.example\"\nkey_env = \"ODD_NAME\"\n",
        )
        .unwrap();
        let variables = [
            ("DB_PASSWORD", "hunter22"),
            ("OTHER_PASSWORD", "hunter22"),
            ("SHORT_KEY", "1234567"),
            ("GEMINI_API_KEY", "gemini-value"),
            ("ODD_NAME", "odd-value\n"),
            ("PATH", "/usr/bin:/bin"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = known_secrets(variables, &["*_PASSWORD".to_owned(), "SHORT_*".to_owned()], &operator);
        let values: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(values, ["hunter22", "gemini-value", "odd-value\n", "odd-value", "file-key-1"]);
    }
}
