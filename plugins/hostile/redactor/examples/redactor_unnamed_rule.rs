//! A rule that `rules` never named. Its id is what was scanned: the host must not record it.

use hostile_redactor::{Field, FieldResult, Hostile, Span, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |bytes| {
            let rule = String::from_utf8_lossy(bytes).into_owned();
            if bytes.is_empty() { Vec::new() } else { vec![Span { rule, ..span(0, 1) }] }
        })
    }
}

hostile_redactor::export!(Guest);
