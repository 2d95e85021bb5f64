//! Text within the contract's bounds.

/// Most bytes of a sentence, and of an evidence key or value (`wit/0.1.0/router.wit`).
pub const EVIDENCE_BYTES_MAX: usize = 240;

/// Most pairs of evidence (`wit/0.1.0/router.wit`).
pub const EVIDENCE_PAIRS_MAX: usize = 32;

/// The longest prefix of `text` that has at most `bytes_max` bytes and ends on a character boundary.
pub fn clip(text: &str, bytes_max: usize) -> &str {
    match text.get(..bytes_max) {
        Some(prefix) => prefix,
        None if text.len() <= bytes_max => text,
        None => &text[..text.floor_char_boundary(bytes_max)],
    }
}

/// One pair of evidence, clipped.
pub fn pair(key: &str, value: &str) -> (String, String) {
    (clip(key, EVIDENCE_BYTES_MAX).to_owned(), clip(value, EVIDENCE_BYTES_MAX).to_owned())
}

/// `pairs` cut to the bound; where some had to go, the last pair says how many.
pub fn bounded(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    if pairs.len() > EVIDENCE_PAIRS_MAX {
        let left_out = pairs.len() - (EVIDENCE_PAIRS_MAX - 1);
        pairs.truncate(EVIDENCE_PAIRS_MAX - 1);
        pairs.push(pair("left-out", &left_out.to_string()));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_on_a_character_boundary() {
        assert_eq!(clip("abc", 10), "abc");
        assert_eq!(clip("abc", 2), "ab");
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("é", 0), "");
    }

    #[test]
    fn says_how_many_pairs_were_left_out() {
        let pairs: Vec<_> = (0..40).map(|n| pair("k", &n.to_string())).collect();
        let bounded = bounded(pairs);
        assert_eq!(bounded.len(), EVIDENCE_PAIRS_MAX);
        assert_eq!(bounded.last(), Some(&pair("left-out", "9")));
    }
}
