//! What is found in a text, whole and in pieces, and what is left of it.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part")]

use redactor_engine::{HOLD_BYTES_MAX, Piece, Switches, scan_piece};

/// What is redacted, and by which rule: what decides about the text that comes out.
pub type Spans = Vec<(usize, usize, u16)>;

/// As the host joins them: two of one rule that touch are one.
pub fn joined(found: impl Iterator<Item = (usize, usize, u16)>) -> Spans {
    let mut out = Spans::new();
    for (start, end, rule) in found {
        match out.last_mut() {
            Some(last) if last.1 == start && last.2 == rule => last.1 = end,
            _ => out.push((start, end, rule)),
        }
    }
    out
}

pub fn switches(strict: bool) -> Switches {
    Switches { strict, ..Switches::default() }
}

/// Whether text may be cut here: not within a character. Bytes that are no text may be cut anywhere.
fn between_characters(text: &[u8], at: usize) -> bool {
    std::str::from_utf8(text).map_or(true, |text| text.is_char_boundary(at))
}

pub fn whole(text: &[u8], key: &str, strict: bool) -> Spans {
    let piece = Piece { content: text, key, last: true, ..Piece::default() };
    let found = scan_piece(&piece, &switches(strict)).findings;
    assert!(found.iter().all(|f| between_characters(text, f.start) && between_characters(text, f.end)));
    joined(found.iter().map(|f| (f.start, f.end, f.rule)))
}

/// Hands the text over in pieces as the host does: what is unsettled stands before the next piece.
pub fn streamed(text: &[u8], key: &str, strict: bool, mut next_cut: impl FnMut() -> usize) -> Spans {
    let switches = switches(strict);
    let mut out = Spans::new();
    let (mut from, mut seen, mut carry) = (0, 0, Vec::new());
    loop {
        seen = (seen + next_cut().max(1)).min(text.len());
        let last = seen == text.len();
        let piece = Piece { content: &text[from..seen], key, carry: &carry, last, ..Piece::default() };
        let outcome = scan_piece(&piece, &switches);
        assert!(outcome.settled <= piece.content.len());
        assert!(outcome.carry.len() <= 4096);
        assert!(piece.content.len() - outcome.settled <= HOLD_BYTES_MAX, "too much is held back");
        for found in &outcome.findings {
            assert!(found.start < found.end && found.end <= outcome.settled);
            out.push((from + found.start, from + found.end, found.rule));
        }
        from += outcome.settled;
        assert!(between_characters(text, from), "a character is settled in part");
        carry = outcome.carry;
        if last {
            assert_eq!(from, text.len());
            return joined(out.into_iter());
        }
    }
}

/// The bytes that are redacted.
pub fn marked(len: usize, spans: &Spans) -> Vec<bool> {
    let mut out = vec![false; len];
    spans.iter().for_each(|(start, end, _)| out[*start..*end].iter_mut().for_each(|byte| *byte = true));
    out
}

pub fn same_in_pieces(text: &[u8], key: &str, next_cut: impl FnMut() -> usize, what: &str) {
    compare(text, key, false, next_cut, what);
}

pub fn compare(text: &[u8], key: &str, strict: bool, next_cut: impl FnMut() -> usize, what: &str) {
    let (whole, pieces) = (whole(text, key, strict), streamed(text, key, strict, next_cut));
    let rules = redactor_engine::rules();
    let named = |spans: &Spans| -> Vec<(usize, usize, &str)> {
        spans.iter().map(|(start, end, rule)| (*start, *end, rules[usize::from(*rule)].id)).collect()
    };
    assert_eq!(named(&whole), named(&pieces), "{what}: {}", String::from_utf8_lossy(text));
}

pub fn shown(text: &[u8], mask: &[bool]) -> String {
    text.iter().zip(mask).map(|(byte, hidden)| if *hidden { '#' } else { char::from(*byte) }).collect()
}

pub fn redacted(text: &str, strict: bool) -> String {
    let mut out = text.as_bytes().to_vec();
    for (start, end, rule) in whole(text.as_bytes(), "", strict).into_iter().rev() {
        let id = redactor_engine::rules()[usize::from(rule)].id;
        out.splice(start..end, format!("[REDACTED:{id}:0123456789abcdef]").into_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Text of this many bytes with a secret in it at `at`, and one without.
pub fn letter(bytes: usize, at: usize, secret: &str) -> String {
    let prose = "We walked along the river and spoke of other things, as one does. ".repeat(bytes / 60 + 2);
    format!("{} {secret} {}", &prose[..at], &prose[at..bytes])
}
