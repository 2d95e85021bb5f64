//! A text in pieces: nothing is held back beyond the limit, findings lie in what is settled, and the bytes that are
//! redacted are those of the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redactor_engine::{HOLD_BYTES_MAX, Piece, Switches, scan_piece, scan_text};

/// Longer texts are compared by the engine's property tests: here they would leave few executions.
const COMPARED_BYTES_MAX: usize = 448;

fn hide(mask: &mut [bool], start: usize, end: usize) {
    mask[start..end].iter_mut().for_each(|byte| *byte = true);
}

fn in_pieces(text: &[u8], size: usize) -> Vec<bool> {
    let mut mask = vec![false; text.len()];
    let (mut from, mut seen, mut carry) = (0, 0, Vec::new());
    loop {
        seen = (seen + size).min(text.len());
        let last = seen == text.len();
        let piece = Piece { content: &text[from..seen], carry: &carry, last, ..Piece::default() };
        let outcome = scan_piece(&piece, &Switches::default());
        assert!(outcome.settled <= piece.content.len());
        assert!(piece.content.len() - outcome.settled <= HOLD_BYTES_MAX + 4, "too much is held back");
        for found in &outcome.findings {
            assert!(found.start < found.end && found.end <= outcome.settled);
            hide(&mut mask, from + found.start, from + found.end);
        }
        from += outcome.settled;
        carry = outcome.carry;
        if last {
            assert_eq!(from, text.len());
            return mask;
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, text)) = bytes.split_first() else { return };
    let pieces = in_pieces(text, usize::from(*size) + 1);
    if text.len() < COMPARED_BYTES_MAX {
        let mut whole = vec![false; text.len()];
        scan_text(text, &Switches::default())
            .iter()
            .for_each(|found| hide(&mut whole, found.start, found.end));
        assert_eq!(whole, pieces);
    }
});
