//! Asks for 128 MiB before its first instruction.

use hostile_redactor::{Field, FieldResult, Hostile, nothing};

static HOARD: [core::sync::atomic::AtomicU8; 128 << 20] =
    [const { core::sync::atomic::AtomicU8::new(0) }; 128 << 20];

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        // The address is used, so that the memory stays in the component.
        let address = core::hint::black_box(&HOARD).as_ptr() as usize;
        fields.iter().map(|_| nothing(address)).collect()
    }
}

hostile_redactor::export!(Guest);
