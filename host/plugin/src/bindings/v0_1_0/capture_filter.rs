//! Capture filter.

use super::generated::exports::sluicegate::plugin::filtering as wit;
use super::{Fault, borrowed, declined};
use crate::bindings::{Function, find};
use crate::error::Cause;
use crate::run::CallState;
use sluice_core::contract::capture_filter::{FilterAction, FilterItem, FilterVerdict};
use sluice_core::{CaptureMode, FaultCode};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

type Params<'a> = (&'a str, &'a str, &'a [wit::Item<'a>]);
type Results = (Result<Vec<wit::Verdict>, Fault>,);

pub(crate) struct Filtering {
    filter: Function,
}

impl Filtering {
    pub fn bind(pre: &InstancePre<CallState>, instance: &str) -> Result<Filtering, Cause> {
        Ok(Filtering { filter: find::<Params<'_>, Results>(pre, instance, "filter")? })
    }

    pub fn filter(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (config, mode, items): (&str, CaptureMode, &[FilterItem]),
    ) -> wasmtime::Result<Result<Vec<FilterVerdict>, FaultCode>> {
        let parts: Vec<Parts<'_>> = items.iter().map(Parts::of).collect();
        let lowered: Vec<wit::Item<'_>> =
            items.iter().zip(&parts).map(|(item, parts)| lower_item(item, parts)).collect();

        let function = instance.get_typed_func::<Params<'_>, Results>(&mut *store, &self.filter)?;
        let (answer,) = function.call(store, (config, mode.code(), &lowered))?;
        Ok(answer
            .map(|verdicts| verdicts.into_iter().map(lift_verdict).collect())
            .map_err(|fault| declined(&fault)))
    }
}

/// The lists of an item, borrowed by its lowered form.
struct Parts<'a> {
    paths: Vec<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    ext: Vec<(&'a str, &'a str)>,
}

impl Parts<'_> {
    fn of(item: &FilterItem) -> Parts<'_> {
        Parts {
            paths: item.paths.iter().map(String::as_str).collect(),
            tags: borrowed(&item.tags),
            ext: borrowed(&item.ext),
        }
    }
}

fn lower_item<'a>(item: &'a FilterItem, parts: &'a Parts<'a>) -> wit::Item<'a> {
    wit::Item {
        kind: &item.kind,
        field: &item.field,
        bytes: item.bytes,
        paths: &parts.paths,
        tool: item.tool.as_deref(),
        tags: &parts.tags,
        findings: item.findings,
        ext: &parts.ext,
    }
}

fn lift_verdict(verdict: wit::Verdict) -> FilterVerdict {
    FilterVerdict {
        action: match verdict.action {
            wit::Action::Keep => FilterAction::Keep,
            wit::Action::HashOnly => FilterAction::HashOnly,
            wit::Action::Drop => FilterAction::Drop,
        },
        reason: verdict.reason,
        ext: verdict.ext,
    }
}
