//! A first look for keys in places where none belongs. The redactor is the real judge; this one needs no
//! plugin, so that a key in a policy is refused before any plugin was loaded.

/// Beginnings of well-known keys. Each is followed by at least [`BODY_BYTES_MIN`] bytes of the key itself.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_live_",
    "rk_live_",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "hf_",
    "npm_",
    "pypi-",
    "SG.",
    "dop_v1_",
    "eyJ",
];

/// Least bytes after a prefix: `sk-learn` and `npm_config` are words, keys are longer.
const BODY_BYTES_MIN: usize = 16;

/// Whether `text` holds something that begins like a well-known key, or a private key in PEM form.
pub(crate) fn looks_secret(text: &str) -> bool {
    (text.contains("-----BEGIN") && text.contains("PRIVATE KEY"))
        || PREFIXES.iter().any(|prefix| text.match_indices(prefix).any(|(at, _)| is_key(text, at, prefix)))
}

fn is_key(text: &str, at: usize, prefix: &str) -> bool {
    let bytes = text.as_bytes();
    let starts_a_word = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let body = &bytes[at + prefix.len()..];
    let length = body.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.+/=".contains(b)).count();
    // A key mixes letters and digits; `sk-` before a long hyphenated phrase does not.
    starts_a_word && length >= BODY_BYTES_MIN && body[..length].iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn keys_are_seen_and_words_are_not() {
        for secret in [
            concat!("sk-", "proj-abcDEF0123456789abcd"),
            concat!("use AK", "IAIOSFODNN7EXAMPLE2 please"),
            concat!("x=gh", "p_0123456789abcdefghij0123456789"),
            concat!("-----BEGIN EC ", "PRIVATE KEY-----\nMHc"),
        ] {
            assert!(looks_secret(secret), "{secret}");
        }
        for word in ["", "sk-learn", "npm_config_registry", "task-1234567890123456789", "eyJ", "é-sk-é"] {
            assert!(!looks_secret(word), "{word}");
        }
    }
}
