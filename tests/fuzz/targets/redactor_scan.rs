//! The scanner takes any bytes, and what it finds lies in them, in order, none in another.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redactor_engine::{Switches, scan_text};

fuzz_target!(|bytes: &[u8]| {
    for strict in [false, true] {
        let found = scan_text(bytes, &Switches { strict, ..Switches::default() });
        assert!(found.iter().all(|one| one.start < one.end && one.end <= bytes.len()));
        assert!(found.windows(2).all(|two| two[0].start <= two[1].start && two[0].end < two[1].end));
    }
});
