//! Declines, and says what it read in the fault's `ext`: the host must record the code alone.

use hostile_redactor::{Fault, FaultCode, Field, FieldResult, Hostile, bytes};

struct Guest;

impl Hostile for Guest {
    fn scan(_: Vec<Field>) -> Vec<FieldResult> {
        Vec::new()
    }

    fn decline(fields: &[Field]) -> Option<Fault> {
        let said = |field: &Field| ("scanned".to_owned(), String::from_utf8_lossy(bytes(field)).into_owned());
        Some(Fault { code: FaultCode::Internal, ext: fields.iter().map(said).collect() })
    }
}

hostile_redactor::export!(Guest);
