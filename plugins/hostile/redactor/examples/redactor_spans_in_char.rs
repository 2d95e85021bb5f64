//! Spans that start inside a character; none where every character is one byte.

use hostile_redactor::{Field, FieldResult, Hostile, span, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |bytes| {
            // The first byte that continues a character.
            bytes
                .iter()
                .position(|byte| byte & 0xc0 == 0x80)
                .map(|at| span(at, bytes.len()))
                .into_iter()
                .collect()
        })
    }
}

hostile_redactor::export!(Guest);
