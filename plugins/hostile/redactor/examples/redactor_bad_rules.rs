//! Two rules of one id, and an id that is no code.

use hostile_redactor::{Field, FieldResult, Hostile, Rule, rule, spans};

struct Guest;

impl Hostile for Guest {
    fn scan(fields: Vec<Field>) -> Vec<FieldResult> {
        spans(&fields, |_| Vec::new())
    }

    fn rules() -> Vec<Rule> {
        let named = |id: &str| Rule { id: id.to_owned(), ..rule() };
        vec![named("same"), named("same"), named("No Code!")]
    }
}

hostile_redactor::export!(Guest);
