//! Finds something from its second call on: an instance that is used twice shows.

use hostile_redactor::{Field, FieldResult, Hostile, span, spans};

static CALLS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        let calls = CALLS.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        spans(&fields, |bytes| if calls == 0 || bytes.is_empty() { Vec::new() } else { vec![span(0, 1)] })
    }
}

hostile_redactor::export!(Guest);
