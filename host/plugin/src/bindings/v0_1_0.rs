//! Contract version 0.1.0 (`wit/0.1.0`).

mod capture_filter;
mod health_probe;
mod redactor;
mod router;

use super::{Function, find};
use crate::error::Cause;
use crate::run::CallState;
use generated::exports::sluicegate::plugin::about;
use generated::sluicegate::plugin::types::{Fault, FaultCode as Declined};
use sluice_core::FaultCode;
use sluice_core::contract::Ext;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

pub(crate) use capture_filter::Filtering;
pub(crate) use health_probe::Probing;
pub(crate) use redactor::Redaction;
pub(crate) use router::Routing;

/// The contract's types. One world of all interfaces, of which no plugin exports all, so that the types that the
/// four kinds share are one type here too.
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        inline: "
            package sluicegate:host;
            world every-kind {
                export sluicegate:plugin/about@0.1.0;
                export sluicegate:plugin/routing@0.1.0;
                export sluicegate:plugin/redaction@0.1.0;
                export sluicegate:plugin/filtering@0.1.0;
                export sluicegate:plugin/probing@0.1.0;
            }",
        // What goes in is borrowed: content is copied once, into the guest's memory.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What a plugin says of itself, unchecked.
pub(crate) struct Said {
    pub name: String,
    pub version: String,
    pub kind: String,
    pub capabilities: Vec<String>,
    pub config_schema: String,
    pub ext: Ext,
}

/// `about.describe`.
pub(crate) struct About {
    describe: Function,
}

impl About {
    pub fn bind(pre: &InstancePre<CallState>, instance: &str) -> Result<About, Cause> {
        Ok(About { describe: find::<(), (about::Description,)>(pre, instance, "describe")? })
    }

    pub fn describe(&self, store: &mut Store<CallState>, instance: &Instance) -> wasmtime::Result<Said> {
        let function = instance.get_typed_func::<(), (about::Description,)>(&mut *store, &self.describe)?;
        let (said,) = function.call(store, ())?;
        let about::Description { name, version, kind, capabilities, config_schema, ext } = said;
        Ok(Said { name, version, kind, capabilities, config_schema, ext })
    }
}

/// Of a declined call, the code alone: `ext` is the plugin's own words.
fn declined(fault: &Fault) -> FaultCode {
    match fault.code {
        Declined::BadConfig => FaultCode::DeclinedBadConfig,
        Declined::BadInput => FaultCode::DeclinedBadInput,
        Declined::Unsupported => FaultCode::DeclinedUnsupported,
        Declined::Internal => FaultCode::DeclinedInternal,
    }
}

/// Pairs as the contract lowers them. Empty in nearly every call, and then nothing is allocated.
fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
