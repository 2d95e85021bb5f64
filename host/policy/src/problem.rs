//! What is wrong with an authored file, in the words of a person who will mend it.

use crate::secretlike::looks_secret;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is wrong. A file with a problem gives no policy; all problems are reported at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Dotted TOML path: `routing.cloud.judge.models`; empty for the file as a whole.
    pub path: String,
    /// What is wrong; begins with `line N: ` where the place is known.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    /// A problem at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { path: path.into(), message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// Longest piece of a person's text that a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A person's text as a message may repeat it: short, on one line, and nothing that looks like a secret.
pub(crate) fn shown(text: &str) -> String {
    if looks_secret(text) {
        return "…".to_owned();
    }
    let mut out: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// Longest key that a path repeats, in characters: the longest model id fits.
const KEY_CHARS_MAX: usize = 170;

/// A dotted path with one more key, for a message: nothing that looks like a secret, nothing endless.
pub(crate) fn join(path: &str, key: &str) -> String {
    if looks_secret(key) {
        return join_exact(path, "…");
    }
    match key.char_indices().nth(KEY_CHARS_MAX) {
        Some((end, _)) => join_exact(path, &format!("{}…", &key[..end])),
        None => join_exact(path, key),
    }
}

/// A dotted path with one more key, quoted where TOML would want it quoted. Different keys give different
/// paths.
pub(crate) fn join_exact(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let key = if bare { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The known word nearest to `word`, where one is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given = plain(word);
    let allowed = (given.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(&given, &plain(candidate)), candidate))
        .filter(|(steps, _)| *steps <= allowed)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// `one of a, b, c`, with the nearest first where one is near.
pub(crate) fn one_of(word: &str, known: &[&str]) -> String {
    let list = format!("one of {}", known.join(", "));
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {list}"),
        None => list,
    }
}

/// Longest word that is compared, in bytes: the comparison is quadratic.
const COMPARED_BYTES_MAX: usize = 64;

/// Case, `-` and `_` are what people get wrong first: they do not count.
fn plain(word: &str) -> Vec<u8> {
    let fold = |b: u8| if b == b'-' { b'_' } else { b.to_ascii_lowercase() };
    word.bytes().take(COMPARED_BYTES_MAX).map(fold).collect()
}

/// Levenshtein distance, with a swap of neighbours as one step.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (previous[j] + 1).min(row[j - 1] + 1).min(previous[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["capture_filter", "redactor", "router", "mode"];
        assert_eq!(nearest("capture-filter", known), Some("capture_filter"));
        assert_eq!(nearest("Redcator", known), Some("redactor"));
        assert_eq!(nearest("mod", known), Some("mode"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn paths_quote_what_toml_quotes() {
        assert_eq!(join(&join("prices", "openai/gpt-4o"), "date"), "prices.\"openai/gpt-4o\".date");
    }

    #[test]
    fn a_message_does_not_repeat_a_secret() {
        let secret = concat!("sk-", "ant-0123456789abcdef0123456789");
        assert_eq!(shown(secret), "…");
        assert_eq!(join("providers", secret), "providers.\"…\"");
        assert_eq!(shown("two\nlines"), "two\\nlines");
    }
}
