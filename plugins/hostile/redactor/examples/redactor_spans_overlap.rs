//! Overlapping spans, twice the same, in no order. The contract allows all three; the host merges.

use hostile_redactor::{Field, FieldResult, Hostile, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |bytes| match bytes.len() {
            0..4 => Vec::new(),
            len => vec![span(2, len), span(0, 3), span(0, 3), span(1, 2)],
        })
    }
}

hostile_redactor::export!(Guest);
