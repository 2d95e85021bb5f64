//! Exports a redactor and says that it is a router.

use hostile_redactor::{Field, FieldResult, Hostile, spans};

struct Guest;

impl Hostile for Guest {
    const KIND: &'static str = "router";

    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |_| Vec::new())
    }
}

hostile_redactor::export!(Guest);
