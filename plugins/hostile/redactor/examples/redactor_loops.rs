//! Never returns from `scan`.

use hostile_redactor::{Field, FieldResult, Hostile};

struct Guest;

impl Hostile for Guest {
    #[expect(clippy::empty_loop, reason = "the point")]
    fn scan(_: Vec<Field>) -> Vec<FieldResult> {
        loop {}
    }
}

hostile_redactor::export!(Guest);
