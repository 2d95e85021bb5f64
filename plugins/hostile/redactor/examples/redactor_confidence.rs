//! Confidence above 1000 permille.

use hostile_redactor::{Field, FieldResult, Hostile, Span, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        let sure = || Span { confidence_permille: 1_001, ..span(0, 1) };
        spans(&fields, |bytes| if bytes.is_empty() { Vec::new() } else { vec![sure()] })
    }
}

hostile_redactor::export!(Guest);
