//! Tokens, counted as models count them (o200k). Other families count a little otherwise; what matters is that
//! live and replay count the same, and that a budget is not a guess.

use bpe_openai::Tokenizer;
use std::sync::OnceLock;

/// The tables take some 50 ms to load: once a process, and only where something is counted.
fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<&'static Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(bpe_openai::o200k_base)
}

/// Tokens of a text.
pub fn count(text: &str) -> u64 {
    if text.is_empty() { 0 } else { tokenizer().count(text) as u64 }
}

/// Loads the tables, for whoever has a thread to spare before the first count.
pub fn warm() {
    tokenizer();
}
