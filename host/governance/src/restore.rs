//! Restoring: the model saw placeholders, the caller gets its own secrets back.
//!
//! The map from placeholder to secret is made when a request is redacted, lives in memory as long as its call,
//! and is never stored, logged or shown. What is recorded of the answer keeps the placeholders. Only what the
//! redactor found in this very request is in the map: the host's own known values are not the caller's, and are
//! never given back.

use crate::guard::KNOWN_VALUE_RULE;
use crate::json;
use crate::open::open_from;
use crate::tag::placeholder;
use sluice_core::Secret;
use sluice_core::record::Finding;
use std::collections::BTreeMap;
use std::fmt;

/// JSON texts inside strings are opened this deep, as they are when a body is redacted: a secret that is put
/// back is escaped as often as the text around it.
const NESTING_MAX: usize = 3;

/// The secrets of one request by their placeholders.
#[derive(Clone, Default)]
pub struct Restorer(BTreeMap<String, Secret>);

impl Restorer {
    pub(crate) fn remember(&mut self, placeholder: &str, secret: &str) {
        if !self.0.contains_key(placeholder) {
            self.0.insert(placeholder.to_owned(), Secret::new(secret.to_owned()));
        }
    }

    /// Whether nothing was replaced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every placeholder of the request replaced by what it stands for, and with that alone: a secret
    /// that holds the text of another placeholder is not looked into again. Where `text` is JSON it stays JSON.
    pub fn restore(&self, text: &str) -> String {
        self.restore_counting(text).0
    }

    /// The same, and how many placeholders were replaced.
    pub(crate) fn restore_counting(&self, text: &str) -> (String, u64) {
        let mut count = 0;
        match self.0.is_empty() || !self.may_stand_in(text) {
            true => (text.to_owned(), 0),
            false => (self.restore_nested(text, NESTING_MAX, &mut count), count),
        }
    }

    /// The same for a text that comes in pieces. The end of a piece that may be the beginning of a placeholder
    /// waits in `held` for the next one.
    pub fn restore_piece(&self, held: &mut String, piece: &str) -> String {
        held.push_str(piece);
        let marks: Vec<&String> = self.0.keys().collect();
        let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(0);
        let open = held.floor_char_boundary(open_from(held.as_bytes(), &marks, longest));
        let rest = held.split_off(open);
        self.replace(&std::mem::replace(held, rest), &mut 0)
    }

    /// Where something is escaped, a placeholder may be.
    fn may_stand_in(&self, text: &str) -> bool {
        text.contains('\\') || self.0.keys().any(|placeholder| text.contains(placeholder.as_str()))
    }

    fn restore_nested(&self, text: &str, depth: usize, count: &mut u64) -> String {
        let looks_nested = text.trim_start().starts_with(['{', '[']);
        let leaves = if looks_nested { json::leaves(text).ok() } else { None };
        let Some(leaves) = leaves.filter(|leaves| !leaves.is_empty()) else {
            return self.replace(text, count);
        };
        let edits: Vec<_> = leaves
            .into_iter()
            .filter(|leaf| self.may_stand_in(&leaf.text))
            .filter_map(|leaf| {
                let inner = match depth {
                    0 => self.replace(&leaf.text, count),
                    _ => self.restore_nested(&leaf.text, depth - 1, count),
                };
                (inner != leaf.text).then_some((leaf.at, inner))
            })
            .collect();
        json::splice(text, &edits)
    }

    /// One pass from the left.
    fn replace(&self, text: &str, count: &mut u64) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(PLACEHOLDER_BEGINS) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let found = from.find(']').map(|end| from.split_at(end + 1));
            match found.and_then(|(mark, after)| Some((self.0.get(mark)?, after))) {
                Some((secret, after)) => {
                    out.push_str(secret.expose());
                    *count += 1;
                    rest = after;
                }
                None => {
                    let (begin, after) = from.split_at(PLACEHOLDER_BEGINS.len());
                    out.push_str(begin);
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// What every placeholder begins with.
const PLACEHOLDER_BEGINS: &str = "[REDACTED:";

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restorer({} placeholders)", self.0.len())
    }
}

/// By placeholders alone: equal ones stand for equal secrets, since they hold the secret's tag.
impl PartialEq for Restorer {
    fn eq(&self, other: &Restorer) -> bool {
        self.0.keys().eq(other.0.keys())
    }
}

impl Eq for Restorer {}

/// How often placeholders of the request stand anywhere in the recorded form of its answer. Records from before
/// answers had tool calls count so; [`crate::arguments::count`] counts what is put back.
pub(crate) fn count_anywhere(request: &[Finding], answer: &str) -> u64 {
    let mut marks: Vec<String> = request
        .iter()
        .filter(|finding| finding.rule != KNOWN_VALUE_RULE)
        .map(|finding| placeholder(&finding.rule, &finding.tag))
        .collect();
    marks.sort_unstable();
    marks.dedup();
    marks.iter().map(|mark| answer.matches(mark.as_str()).count() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn restorer(pairs: &[(&str, &str)]) -> Restorer {
        let mut restorer = Restorer::default();
        pairs.iter().for_each(|(mark, secret)| restorer.remember(mark, secret));
        restorer
    }

    const MARK: &str = "[REDACTED:github-pat:0011223344556677]";

    #[test]
    fn only_the_requests_own_placeholders_are_replaced() {
        let restorer = restorer(&[(MARK, "opensesame")]);
        let text = format!("a {MARK}, [REDACTED:github-pat:ffffffffffffffff], [REDACTED: and {MARK}");
        let want = "a opensesame, [REDACTED:github-pat:ffffffffffffffff], [REDACTED: and opensesame";
        assert_eq!(restorer.restore(&text), want);
        assert_eq!(restorer.restore("nothing here"), "nothing here");
        assert_eq!(format!("{restorer:?}"), "Restorer(1 placeholders)");
    }

    #[test]
    fn pieces_are_restored_like_the_whole() {
        let other = "[REDACTED:jwt:8899aabbccddeeff]";
        let restorer = restorer(&[(MARK, "opensesame"), (other, "é[REDACTED:")]);
        let text =
            format!("é [RED {MARK}{other}[REDACTED:[REDACTED:jwt:8899aabbccddeeff] {MARK} [REDACTED:jw");
        let whole = restorer.restore(&text);
        for size in 1..text.len() {
            let (mut held, mut told, mut rest) = (String::new(), String::new(), text.as_str());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                let more = restorer.restore_piece(&mut held, piece);
                assert!(!more.contains("opensesam") || more.contains("opensesame"));
                told.push_str(&more);
                rest = after;
            }
            assert_eq!(format!("{told}{held}"), whole, "{size}");
            assert_eq!(held, "[REDACTED:jw", "only what may become a placeholder waits");
        }
    }

    #[test]
    fn a_secret_is_not_read_as_text() {
        let other = "[REDACTED:jwt:8899aabbccddeeff]";
        let restorer = restorer(&[(MARK, other), (other, "inner")]);
        assert_eq!(restorer.restore(MARK), other);
    }

    #[test]
    fn json_stays_json_at_every_depth() {
        let secret = "quo\"te\\back\nline";
        let restorer = restorer(&[(MARK, secret)]);
        let inner = json!({ "password": MARK }).to_string();
        let text = json!({ "plain": MARK, "arguments": inner, "n": 1.50 }).to_string();
        let restored: Value = serde_json::from_str(&restorer.restore(&text)).unwrap();
        assert_eq!(restored["plain"], secret);
        let inner: Value = serde_json::from_str(restored["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(inner["password"], secret);
    }

    #[test]
    fn known_values_are_nobodys_to_restore() {
        let finding = |rule: &str| Finding {
            path: String::new(),
            rule: rule.to_owned(),
            start: 0,
            end: 1,
            tag: "0011223344556677".to_owned(),
        };
        let answer = format!("{MARK} and {MARK} and [REDACTED:known-value:0011223344556677]");
        assert_eq!(
            count_anywhere(&[finding("github-pat"), finding("github-pat"), finding("known-value")], &answer),
            2
        );
    }
}
