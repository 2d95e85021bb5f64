//! A splice changes the strings that it is told to change, and no other byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_fuzz::json::{leaves, splice};

fuzz_target!(|input: (String, Vec<Option<String>>)| {
    let (raw, replacements) = input;
    let Ok(found) = leaves(&raw) else { return };
    let replaced = |n: usize| replacements.get(n).and_then(Option::as_ref);
    let changes: Vec<_> = found
        .iter()
        .enumerate()
        .filter_map(|(n, leaf)| Some((leaf.at.clone(), replaced(n)?.clone())))
        .collect();
    let out = splice(&raw, &changes);
    let again = leaves(&out).expect("what was JSON is JSON");
    assert_eq!(again.len(), found.len());
    let (mut before, mut after) = (0, 0);
    for (n, (old, new)) in found.iter().zip(&again).enumerate() {
        assert_eq!(raw[before..old.at.start], out[after..new.at.start]);
        match replaced(n) {
            Some(text) => assert_eq!(*text, new.text),
            None => assert_eq!(raw[old.at.clone()], out[new.at.clone()]),
        }
        (before, after) = (old.at.end, new.at.end);
    }
    assert_eq!(raw[before..], out[after..]);
});
