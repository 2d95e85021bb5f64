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

    type Spans = Vec<(usize, usize, String)>;

    /// Spans of one rule that touch are one, as in the host.
    fn add(out: &mut Spans, result: &FieldResult, from: usize) {
        for span in &result.spans {
            let (start, end) = (from + span.start as usize, from + span.end as usize);
            match out.last_mut() {
                Some(last) if last.1 == start && last.2 == span.rule => last.1 = end,
                _ => out.push((start, end, span.rule.clone())),
            }
        }
    }

    fn ask(field: Field) -> FieldResult {
        scan("{}", false, &[field]).unwrap().remove(0)
    }

    /// One call a piece, with what is unsettled in front, the carry of the last call and the text before, as the host
    /// does it.
    fn in_pieces(key: &str, text: &str, size: usize) -> Spans {
        const BEFORE_BYTES_MAX: usize = 1024;
        let mut out = Spans::new();
        let (mut settled, mut seen, mut carry) = (0usize, 0usize, Vec::new());
        loop {
            seen = text.ceil_char_boundary(seen + size);
            let from = text.floor_char_boundary(settled.saturating_sub(BEFORE_BYTES_MAX));
            let result = ask(Field {
                before: text[from..settled].to_owned(),
                final_: seen == text.len(),
                carry,
                ..field(Some(key), &text[settled..seen])
            });
            add(&mut out, &result, settled);
            settled += result.settled as usize;
            assert!(text.is_char_boundary(settled) && seen - settled <= redactor_engine::HOLD_BYTES_MAX);
            assert!(result.spans.iter().all(|span| span.end <= result.settled));
            carry = result.carry;
            if seen == text.len() {
                assert_eq!(settled, seen);
                return out;
            }
        }
    }

    #[test]
    fn a_field_that_comes_in_pieces_gets_the_spans_of_the_whole() {
        let words = "We walked along the river — and spoke of other things, as one does. ";
        let lines = "MIIEowIBAAKCAQEA7bq0Zk3p9Qw1xL8mN2vB7tR4yU6iO5pA1sDfGhJkLzXcVbNm\n".repeat(20);
        let run = "aK3x9Qm2Wz7Lp5Rt8Vb1Nc4Yd6Hf0Js".repeat(30);
        for (key, text) in [
            ("content", format!("{words}API_KEY=9aKd02mXz81Lq and more, {words}")),
            ("content", format!("{}key 123456789012345|{} é", words.repeat(30), &run[..270])),
            (
                "content",
                format!("{words}-----BEGIN RSA PRIVATE KEY-----\n{lines}-----END RSA PRIVATE KEY----- x"),
            ),
            ("content", format!("{}password=\"é{run}\" and {words}", words.repeat(20))),
            ("content", format!("the token is {run} and {words}")),
            ("DB_PASSWORD", format!("hunter22é{}", &run[..40])),
            (
                "content",
                format!("password: hunter22x, {}[REDACTED:jwt:0123456789abcdef] {run}", words.repeat(9)),
            ),
        ] {
            let mut whole = Spans::new();
            add(&mut whole, &ask(field(Some(key), &text)), 0);
            assert!(!whole.is_empty(), "{text}");
            // A long text by the byte is many scans.
            let small = if text.len() < 400 { 1 } else { 41 };
            for size in [small, 300, 2000] {
                assert_eq!(in_pieces(key, &text, size), whole, "{size}: {text}");
            }
        }
    }

    #[test]
    fn what_stands_before_a_first_piece_counts_as_its_context() {
        let text = "9aKd02mXz81Lq and more";
        let alone = ask(field(Some("content"), text));
        let behind = ask(Field { before: "API_KEY=".to_owned(), ..field(Some("content"), text) });
        assert_eq!((alone.spans.len(), behind.spans.len()), (0, 1));
        assert_eq!((behind.spans[0].start, behind.spans[0].end), (0, 13));
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
