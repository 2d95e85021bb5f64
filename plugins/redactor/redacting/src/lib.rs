//! What both redactors share: the contract, the configuration, and the way from fields to spans.

mod config;

/// The contract's types and export macro, generated from `wit/`.
#[expect(missing_docs, reason = "generated; documented in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "redactor",
        pub_export_macro: true,
        default_bindings_module: "redacting::bindings",
        additional_derives: [PartialEq, Eq],
    });
}

pub use bindings::exports::sluicegate::plugin::{about, redaction as contract};
pub use bindings::sluicegate::plugin::types::{Fault, FaultCode};
use contract::{Content, Field, FieldResult, Span};
use redactor_engine::{Piece, Switches, scan_piece};

/// What `about.describe` says.
pub fn describe(name: &str) -> about::Description {
    about::Description {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: "redactor".to_owned(),
        capabilities: vec!["streaming".to_owned()],
        config_schema: config::SCHEMA.to_owned(),
        ext: Vec::new(),
    }
}

/// The rules that are switched on.
///
/// # Errors
/// `bad-config` where the configuration cannot be used.
pub fn rules(config: &str, strict: bool) -> Result<Vec<contract::Rule>, Fault> {
    let switches = read(config, strict)?;
    let on = redactor_engine::rules().iter().enumerate().filter(|(at, _)| switches.runs(*at));
    Ok(on
        .map(|(_, rule)| contract::Rule {
            id: rule.id.to_owned(),
            title: rule.title.to_owned(),
            severity: rule.severity.to_owned(),
            ext: Vec::new(),
        })
        .collect())
}

/// One result per field, in order; no field knows of another.
///
/// # Errors
/// `bad-config` where the configuration cannot be used.
pub fn scan(config: &str, strict: bool, fields: &[Field]) -> Result<Vec<FieldResult>, Fault> {
    let switches = read(config, strict)?;
    Ok(fields.iter().map(|field| scan_field(field, &switches)).collect())
}

fn read(config: &str, strict: bool) -> Result<Switches, Fault> {
    config::parse(config, strict)
        .map_err(|config::BadConfig| Fault { code: FaultCode::BadConfig, ext: Vec::new() })
}

fn scan_field(field: &Field, switches: &Switches) -> FieldResult {
    let content = match &field.content {
        Content::Text(text) | Content::Reference(text) => text.as_bytes(),
        Content::Bytes(bytes) => bytes,
    };
    let piece = Piece {
        content,
        before: field.before.as_bytes(),
        key: field.key.as_deref().unwrap_or_default(),
        carry: &field.carry,
        last: field.final_,
    };
    let outcome = scan_piece(&piece, switches);
    let id = |rule: u16| redactor_engine::rules().get(usize::from(rule)).map_or("", |rule| rule.id);
    FieldResult {
        spans: outcome
            .findings
            .iter()
            .map(|found| Span {
                start: found.start as u32,
                end: found.end as u32,
                rule: id(found.rule).to_owned(),
                confidence_permille: u32::from(found.confidence),
            })
            .collect(),
        settled: outcome.settled as u32,
        carry: outcome.carry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(key: Option<&str>, text: &str) -> Field {
        Field {
            path: "/messages/0/content".to_owned(),
            key: key.map(str::to_owned),
            direction: "request".to_owned(),
            author: "user".to_owned(),
            tool_name: None,
            media_type: String::new(),
            content: Content::Text(text.to_owned()),
            before: String::new(),
            final_: true,
            carry: Vec::new(),
            ext: Vec::new(),
        }
    }

    #[test]
    fn the_answer_for_a_field_does_not_depend_on_the_others() {
        let fields = [
            field(Some("content"), "the password is below"),
            field(Some("DB_PASSWORD"), "correct-horse-9"),
            field(Some("content"), "API_KEY=9aKd02mXz81Lq and more"),
            field(None, ""),
        ];
        let together = scan("{}", false, &fields).unwrap();
        for (at, alone) in fields.iter().enumerate() {
            assert_eq!(scan("{}", false, std::slice::from_ref(alone)).unwrap(), together[at..=at]);
        }
        let mut backwards = fields.clone();
        backwards.reverse();
        let mut answers = scan("{}", false, &backwards).unwrap();
        answers.reverse();
        assert_eq!(answers, together);
        let found: Vec<usize> = together.iter().map(|result| result.spans.len()).collect();
        assert_eq!(found, [0, 1, 1, 0]);
    }

    #[test]
    fn every_span_names_a_rule_that_is_switched_on() {
        for strict in [false, true] {
            let ids: Vec<String> = rules("{}", strict).unwrap().into_iter().map(|rule| rule.id).collect();
            assert_eq!(ids.contains(&"entropy".to_owned()), strict);
            let result =
                &scan("{}", strict, &[field(None, "value Zk3p9Qw1xL8mN2vB7tR4yU6iO5pA1sD here")]).unwrap()[0];
            assert_eq!(result.spans.len(), usize::from(strict));
            assert!(result.spans.iter().all(|span| ids.contains(&span.rule)));
        }
        assert_eq!(rules(r#"{"disable":["no-such-rule"]}"#, false).unwrap_err().code, FaultCode::BadConfig);
    }
}
