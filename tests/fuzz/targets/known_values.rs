//! What the guard finds lies in the text, its mask leaves nothing that it would find, and a value stays found whatever
//! stands around it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_core::{Guard, Secret};
use sluice_fuzz::guard::{KNOWN_VALUE_BYTES_MIN, KnownValues};

fuzz_target!(|input: (Vec<String>, String, String)| {
    let (values, before, after) = input;
    let secrets: Vec<Secret> = values.iter().cloned().map(Secret::new).collect();
    let Ok(guard) = KnownValues::new(&secrets) else { return };
    let looked = |text: &str| {
        let spans = guard.spans(text.as_bytes());
        assert!(spans.iter().all(|span| span.start < span.end && span.end <= text.len()));
        assert!(spans.windows(2).all(|two| two[0].end <= two[1].start));
        assert_eq!(guard.finds_secret(text.as_bytes()), !spans.is_empty());
        guard.mask(text)
    };
    looked(&before);
    for value in values.iter().filter(|value| value.len() >= KNOWN_VALUE_BYTES_MIN) {
        let text = format!("{before}{value}{after}");
        assert!(guard.finds_secret(text.as_bytes()));
        looked(&text);
    }
});
