//! Says that nothing is settled where nothing follows.

use hostile_redactor::{Field, FieldResult, Hostile, nothing};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        fields.iter().map(|_| nothing(0)).collect()
    }
}

hostile_redactor::export!(Guest);
