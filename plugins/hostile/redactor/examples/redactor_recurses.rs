//! Calls itself without end.

use hostile_redactor::{Field, FieldResult, Hostile, nothing};

static DEPTH: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

/// The counter keeps the compiler from seeing that nothing comes of it; the sum keeps it from making a loop of it.
#[expect(unconditional_recursion, reason = "the point")]
fn deeper() -> usize {
    DEPTH.fetch_add(1, core::sync::atomic::Ordering::Relaxed) + 3 * deeper()
}

struct Guest;

impl Hostile for Guest {
    fn scan(_: Vec<Field>) -> Vec<FieldResult> {
        (0..deeper()).map(|_| nothing(0)).collect()
    }
}

hostile_redactor::export!(Guest);
