//! Says that more bytes are settled than there are.

use hostile_redactor::{Field, FieldResult, Hostile, bytes, nothing};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        fields.iter().map(|field| nothing(bytes(field).len() + 1)).collect()
    }
}

hostile_redactor::export!(Guest);
