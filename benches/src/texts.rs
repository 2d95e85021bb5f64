//! What redaction adds to a conversation: a history that is sent again, and an answer that is handed on while it
//! comes.

use crate::{corpus, figure, timed};
use serde_json::{Value, json};
use sluice_core::{Egress, PluginKind, PluginLimits, Protected, Secret};
use sluice_governance::redact::Scan;
use sluice_governance::{Direction, KnownValues, Memo, Tagger, TextStream};
use sluice_plugin::{PluginEngine, Redactor};
use std::collections::BTreeSet;

/// Bytes of the history, and of one message of it.
const HISTORY_BYTES: usize = 400 << 10;
const MESSAGE_BYTES: usize = 4 << 10;

/// Bytes of a piece of a stream: a few tokens.
const PIECE_BYTES: usize = 16;

struct Bench {
    redactor: Redactor,
    rules: BTreeSet<String>,
    guard: KnownValues,
    tagger: Tagger,
}

impl Bench {
    fn new() -> Bench {
        let engine = PluginEngine::new(None).unwrap();
        let artifact = crate::plugins::redactor();
        let limits = PluginLimits::default_for(PluginKind::Redactor);
        let redactor = engine.load_redactor(&artifact, artifact.digest(), limits).unwrap();
        let rules = redactor.rules("{}").unwrap().value.into_iter().map(|rule| rule.id).collect();
        // As many known values as a developer's environment holds.
        let known: Vec<Secret> = (0..8).map(|n| Secret::new(format!("known-value-{n}-0123456789"))).collect();
        Bench { redactor, rules, guard: KnownValues::new(&known).unwrap(), tagger: Tagger::new(&[7; 32]) }
    }

    fn scan<'a>(&'a self, memo: Option<&'a Memo>) -> Scan<'a> {
        Scan {
            redactor: &self.redactor,
            config: "{}",
            rules: &self.rules,
            guard: &self.guard,
            tagger: &self.tagger,
            egress: Egress::Redact,
            confidence_permille_min: 500,
            protected: Protected::Block,
            memo,
        }
    }
}

/// Prints the figures.
pub fn run() {
    let bench = Bench::new();
    history(&bench);
    stream(&bench);
}

fn body(text: &str, turn: usize) -> String {
    let said = text.as_bytes().chunks(MESSAGE_BYTES).map(String::from_utf8_lossy);
    let mut messages: Vec<Value> = said
        .enumerate()
        .map(|(at, text)| json!({ "role": if at % 2 == 0 { "user" } else { "assistant" }, "content": text }))
        .collect();
    messages.push(json!({ "role": "user", "content": format!("And now turn {turn}, please.") }));
    json!({ "model": "m", "messages": messages }).to_string()
}

fn history(bench: &Bench) {
    let text = corpus::mix(HISTORY_BYTES);
    let bodies: Vec<String> = (0..64).map(|turn| body(&text, turn)).collect();
    let memo = Memo::default();
    let mut turn = 0;
    let with = figure(
        "400 KB chat body, last message new, with the memo",
        timed(9, 20, || {
            turn += 1;
            bench.scan(Some(&memo)).body(Direction::Request, &bodies[turn % bodies.len()]).unwrap();
        }),
        "µs",
    );
    let without = figure(
        "the same without (peer)",
        timed(9, 5, || {
            bench.scan(None).body(Direction::Request, &bodies[0]).unwrap();
        }),
        "µs",
    );
    println!("| with / without the memo | {:.2} | | |", with / without);
}

fn stream(bench: &Bench) {
    let text = corpus::mix(16 << 10);
    let pieces: Vec<&str> = cut(&text);
    let per_event = timed(9, 4, || {
        let mut stream = TextStream::new(bench.scan(None), "/choices/0/message/content", "content");
        for piece in &pieces {
            stream.push(piece).unwrap();
        }
    });
    let per_event = per_event.into_iter().map(|total| total / pieces.len() as f64).collect();
    figure("a piece of a stream (16 bytes), scanned", per_event, "µs");
    let first = timed(9, 50, || {
        let mut stream = TextStream::new(bench.scan(None), "/choices/0/message/content", "content");
        let mut told = 0;
        for piece in ["Sure, ", "here ", "is ", "the ", "plan"] {
            told += stream.push(piece).unwrap().len();
        }
        assert!(told > 0, "plain words are not held back");
    });
    figure("until the first words of a stream are handed on", first, "µs");
}

fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(PIECE_BYTES.min(rest.len())));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
