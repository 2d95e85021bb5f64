//! Never returns from the function that runs when it is instantiated, before any call.

use hostile_redactor::{Field, FieldResult, Hostile, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |_| Vec::new())
    }
}

hostile_redactor::export!(Guest);

/// What the component linker makes the start function.
#[unsafe(no_mangle)]
#[expect(clippy::empty_loop, reason = "the point")]
extern "C" fn _initialize() {
    loop {}
}
