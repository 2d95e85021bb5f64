//! Finds secrets in text: the rule table of `rules.toml` as static tables, and the scanner that runs them.
//!
//! The build turns the table into a flag for each three bytes by which an anchor is found, and one small program
//! a pattern. The scanner tests one flag a position, runs the program of a rule where one of its anchors stands, and
//! looks at long runs of token characters with the words left of them: runs, and the beginnings of words, are bit
//! arithmetic on 64 bytes at a time. All in integers, without allocation until something is found, and in time
//! linear in the text.

mod assign;
mod carry;
mod check;
mod classes;
mod decode;
mod encoded;
mod escaped;
mod judge;
mod merge;
mod names;
mod operator;
mod page;
mod passing;
mod placeholder;
mod program;
mod random;
mod rules;
mod runs;
mod sample;
mod scan;
mod stream;
mod structure;
mod text;
mod value;

pub use page::rules_page;
pub use rules::Rule;
pub use scan::{Finding, Switches, Tail};
pub use stream::{CONTEXT_BYTES_MAX, HOLD_BYTES_MAX, Outcome, Piece, scan_piece};

#[cfg(debug_assertions)]
pub use text::take_steps;

/// All rules, in the order of the table.
pub fn rules() -> &'static [Rule] {
    &rules::RULES
}

/// Scans a text that is whole.
pub fn scan_text(text: &[u8], switches: &Switches) -> Vec<Finding> {
    scan_piece(&Piece { content: text, last: true, ..Piece::default() }, switches).findings
}
