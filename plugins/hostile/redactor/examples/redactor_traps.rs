//! Traps in `scan`.

use hostile_redactor::{Field, FieldResult, Hostile};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::panic, reason = "the point")]
    fn scan(_: Vec<Field>) -> Vec<FieldResult> {
        panic!("a panic is an `unreachable`, and its words are lost")
    }
}

hostile_redactor::export!(Guest);
