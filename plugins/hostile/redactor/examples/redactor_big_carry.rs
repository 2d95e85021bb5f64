//! Carries what it scanned, and more than 4 KiB of it.

use hostile_redactor::{Field, FieldResult, Hostile, bytes, nothing};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        let carry = |field: &Field| bytes(field).iter().copied().cycle().take(5 << 10).collect();
        fields
            .iter()
            .map(|field| FieldResult { carry: carry(field), ..nothing(bytes(field).len()) })
            .collect()
    }
}

hostile_redactor::export!(Guest);
