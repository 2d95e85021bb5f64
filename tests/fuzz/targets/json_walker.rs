//! The walker is of one mind with serde_json about what is JSON, and about each string.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_fuzz::json::leaves;

fuzz_target!(|text: &str| {
    let found = leaves(text);
    // `IgnoredAny` asks for the grammar alone: no limit to nesting, and half a pair of surrogates is let be.
    assert_eq!(found.is_ok(), serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let mut end = 0;
    for leaf in found.iter().flatten() {
        assert!(leaf.at.start >= end && leaf.at.end <= text.len());
        end = leaf.at.end;
        if let Ok(peer) = serde_json::from_str::<String>(&text[leaf.at.clone()]) {
            assert_eq!(peer, leaf.text);
        }
    }
    if let Err(error) = found {
        assert!(error.at <= text.len());
    }
});
