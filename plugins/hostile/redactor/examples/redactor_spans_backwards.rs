//! Spans that end before they start.

use hostile_redactor::{Field, FieldResult, Hostile, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |bytes| vec![span(bytes.len(), 0)])
    }
}

hostile_redactor::export!(Guest);
