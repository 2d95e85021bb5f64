//! Spans that end behind the text.

use hostile_redactor::{Field, FieldResult, Hostile, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |bytes| vec![span(0, bytes.len() + 1)])
    }
}

hostile_redactor::export!(Guest);
