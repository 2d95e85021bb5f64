//! `rules` and `scan`.

use super::{Kept, SENTENCE_BYTES_MAX, code, ext, require};
use sluice_core::FaultCode;
use sluice_core::contract::Ext;
use sluice_core::contract::redactor::{Content, Field, FieldResult, Rule, Span};
use std::collections::HashSet;

const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const RULES_MAX: usize = 4096;
/// Most bytes of the state that goes from one piece of a field to the next.
const CARRY_BYTES_MAX: usize = 4 << 10;
const CONFIDENCE_PERMILLE_MAX: u32 = 1000;

/// The rules, if they keep the contract.
pub(crate) fn rules(rules: Vec<(Rule, Ext)>) -> Result<Vec<Rule>, FaultCode> {
    require(rules.len() <= RULES_MAX)?;
    let mut ids = HashSet::with_capacity(rules.len());
    for (rule, pairs) in &rules {
        code(&rule.id)?;
        require(ids.insert(rule.id.as_str()))?;
        require(rule.title.len() <= SENTENCE_BYTES_MAX)?;
        require(SEVERITIES.contains(&rule.severity.as_str()))?;
        ext(pairs)?;
    }
    Ok(rules.into_iter().map(|(rule, _)| rule).collect())
}

/// The results of a scan, if they keep the contract: one a field, in the order of the fields.
pub(crate) fn results(
    results: Vec<FieldResult>,
    fields: &[Field<'_>],
) -> Result<Vec<FieldResult>, FaultCode> {
    require(results.len() == fields.len())?;
    for (result, field) in results.iter().zip(fields) {
        result_of(result, field)?;
    }
    Ok(results)
}

fn result_of(result: &FieldResult, field: &Field<'_>) -> Kept {
    let settled = result.settled as usize;
    require(is_boundary(field.content, settled))?;
    require(!field.is_final || settled == field.content.as_bytes().len())?;
    require(result.carry.len() <= CARRY_BYTES_MAX)?;
    result.spans.iter().try_for_each(|one| span(one, field.content))
}

fn span(span: &Span, content: Content<'_>) -> Kept {
    require(span.start < span.end)?;
    require(is_boundary(content, span.start as usize) && is_boundary(content, span.end as usize))?;
    require((1..=CONFIDENCE_PERMILLE_MAX).contains(&span.confidence_permille))?;
    code(&span.rule)
}

/// Whether `at` lies within the content and, where that is text, between two characters: replacing a span must
/// leave UTF-8.
fn is_boundary(content: Content<'_>, at: usize) -> bool {
    match content {
        Content::Text(text) | Content::Reference(text) => text.is_char_boundary(at),
        Content::Bytes(bytes) => at <= bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(content: Content<'_>, is_final: bool) -> Field<'_> {
        Field {
            path: "/messages/0/content",
            key: None,
            direction: "request",
            author: "user",
            tool_name: None,
            media_type: "text/plain",
            content,
            before: "",
            is_final,
            carry: &[],
            ext: &[],
        }
    }

    fn found(start: u32, end: u32) -> Span {
        Span { start, end, rule: "aws-key".into(), confidence_permille: 900 }
    }

    fn check(
        content: Content<'_>,
        is_final: bool,
        result: FieldResult,
    ) -> Result<Vec<FieldResult>, FaultCode> {
        results(vec![result], &[field(content, is_final)])
    }

    const TEXT: Content<'static> = Content::Text("aé€b");

    #[test]
    fn sound_results_pass() {
        let result = FieldResult { spans: vec![found(1, 3), found(0, 7)], settled: 7, carry: vec![] };
        assert!(check(TEXT, true, result).is_ok());
        let open = FieldResult { spans: vec![], settled: 3, carry: vec![0; 4096] };
        assert!(check(TEXT, false, open).is_ok());
        let bytes = FieldResult { spans: vec![found(1, 2)], settled: 2, carry: vec![] };
        assert!(check(Content::Bytes(&[0xff, 0xfe]), true, bytes).is_ok());
        assert!(check(Content::Text(""), true, FieldResult::default()).is_ok());
    }

    #[test]
    fn each_rule_is_kept() {
        let with =
            |spans: Vec<Span>, settled, carry: usize| FieldResult { spans, settled, carry: vec![0; carry] };
        let broken = [
            ("an empty span", with(vec![found(1, 1)], 7, 0)),
            ("a span backwards", with(vec![found(3, 1)], 7, 0)),
            ("a span past the end", with(vec![found(6, 8)], 7, 0)),
            ("a span far outside", with(vec![found(u32::MAX - 1, u32::MAX)], 7, 0)),
            ("a start within é", with(vec![found(2, 3)], 7, 0)),
            ("an end within €", with(vec![found(0, 5)], 7, 0)),
            ("a confidence of nothing", with(vec![Span { confidence_permille: 0, ..found(0, 1) }], 7, 0)),
            ("too much confidence", with(vec![Span { confidence_permille: 1001, ..found(0, 1) }], 7, 0)),
            ("a rule that is no code", with(vec![Span { rule: "A B".into(), ..found(0, 1) }], 7, 0)),
            ("unsettled although final", with(vec![], 3, 0)),
            ("settled past the end", with(vec![], 8, 0)),
            ("a large carry", with(vec![], 7, 4097)),
        ];
        for (what, result) in broken {
            assert_eq!(check(TEXT, true, result), Err(FaultCode::BrokenContract), "{what}");
        }
        let within = with(vec![], 2, 0);
        assert_eq!(check(TEXT, false, within), Err(FaultCode::BrokenContract), "settled within é");
        assert_eq!(results(vec![], &[field(TEXT, true)]), Err(FaultCode::BrokenContract), "too few");
        assert_eq!(results(vec![FieldResult::default()], &[]), Err(FaultCode::BrokenContract), "too many");
    }

    #[test]
    fn rules_are_codes_told_apart() {
        let rule = |id: &str, severity: &str| {
            (Rule { id: id.into(), title: "A title".into(), severity: severity.into() }, Ext::new())
        };
        assert_eq!(rules(vec![rule("a", "low"), rule("b", "critical")]).unwrap().len(), 2);
        for broken in [
            vec![rule("a", "low"), rule("a", "high")],
            vec![rule("A", "low")],
            vec![rule("a", "severe")],
            vec![(Rule { title: "x".repeat(241), ..rule("a", "low").0 }, Ext::new())],
            vec![(rule("a", "low").0, vec![(String::new(), "x".repeat(1025))])],
            (0..=RULES_MAX).map(|n| rule(&format!("r-{n}"), "low")).collect(),
        ] {
            assert_eq!(rules(broken), Err(FaultCode::BrokenContract));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The property that everything downstream rests on: an accepted span can be cut out of its text.
        #[test]
        fn an_accepted_span_can_be_cut_out(text in "\\PC{0,12}", start in 0_u32..40, end in 0_u32..40) {
            let result = FieldResult { spans: vec![found(start, end)], settled: 0, carry: vec![] };
            let cut = text.get(start as usize..end as usize).is_some_and(|cut| !cut.is_empty());
            prop_assert_eq!(check(Content::Text(&text), false, result).is_ok(), cut);
        }
    }
}
