//! Redactor.

use super::generated::exports::sluicegate::plugin::redaction as wit;
use super::{Fault, borrowed, declined};
use crate::bindings::{Function, find};
use crate::error::Cause;
use crate::run::CallState;
use sluice_core::FaultCode;
use sluice_core::contract::Ext;
use sluice_core::contract::redactor::{Content, Field, FieldResult, Rule, Span};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

type RulesParams<'a> = (&'a str,);
type RulesResults = (Result<Vec<wit::Rule>, Fault>,);
type ScanParams<'a> = (&'a str, &'a [wit::Field<'a>]);
type ScanResults = (Result<Vec<wit::FieldResult>, Fault>,);

pub(crate) struct Redaction {
    rules: Function,
    scan: Function,
}

impl Redaction {
    pub fn bind(pre: &InstancePre<CallState>, instance: &str) -> Result<Redaction, Cause> {
        Ok(Redaction {
            rules: find::<RulesParams<'_>, RulesResults>(pre, instance, "rules")?,
            scan: find::<ScanParams<'_>, ScanResults>(pre, instance, "scan")?,
        })
    }

    /// Rules with their `ext`, which the host's words have no place for and the shape check looks at.
    pub fn rules(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        config: &str,
    ) -> wasmtime::Result<Result<Vec<(Rule, Ext)>, FaultCode>> {
        let function = instance.get_typed_func::<RulesParams<'_>, RulesResults>(&mut *store, &self.rules)?;
        let (answer,) = function.call(store, (config,))?;
        Ok(answer.map(|rules| rules.into_iter().map(lift_rule).collect()).map_err(|fault| declined(&fault)))
    }

    pub fn scan(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (config, fields): (&str, &[Field<'_>]),
    ) -> wasmtime::Result<Result<Vec<FieldResult>, FaultCode>> {
        let exts: Vec<Vec<(&str, &str)>> = fields.iter().map(|field| borrowed(field.ext)).collect();
        let lowered: Vec<wit::Field<'_>> =
            fields.iter().zip(&exts).map(|(field, ext)| lower_field(field, ext)).collect();

        let function = instance.get_typed_func::<ScanParams<'_>, ScanResults>(&mut *store, &self.scan)?;
        let (answer,) = function.call(store, (config, &lowered))?;
        Ok(answer
            .map(|results| results.into_iter().map(lift_result).collect())
            .map_err(|fault| declined(&fault)))
    }
}

fn lower_field<'a>(field: &'a Field<'a>, ext: &'a [(&'a str, &'a str)]) -> wit::Field<'a> {
    wit::Field {
        path: field.path,
        key: field.key,
        direction: field.direction,
        author: field.author,
        tool_name: field.tool_name,
        media_type: field.media_type,
        content: match field.content {
            Content::Text(text) => wit::Content::Text(text),
            Content::Bytes(bytes) => wit::Content::Bytes(bytes),
            Content::Reference(reference) => wit::Content::Reference(reference),
        },
        before: field.before,
        final_: field.is_final,
        carry: field.carry,
        ext,
    }
}

fn lift_rule(rule: wit::Rule) -> (Rule, Ext) {
    (Rule { id: rule.id, title: rule.title, severity: rule.severity }, rule.ext)
}

fn lift_result(result: wit::FieldResult) -> FieldResult {
    let span = |span: wit::Span| Span {
        start: span.start,
        end: span.end,
        rule: span.rule,
        confidence_permille: span.confidence_permille,
    };
    FieldResult {
        spans: result.spans.into_iter().map(span).collect(),
        settled: result.settled,
        carry: result.carry,
    }
}
