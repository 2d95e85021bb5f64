//! One call: a fresh store, a fresh instance, limits, and nothing left of it afterwards.

use crate::engine::{PluginEngine, epochs};
use crate::error::Cause;
use crate::fault::{Stage, classify};
use crate::limits::{Budget, MemoryMeter};
use crate::wasi::Wasi;
use sluice_core::FaultCode;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{AsContextMut as _, Store};

/// Live handles of one instance: only guests on WASI have any, for their standard streams.
const HANDLES_MAX: usize = 1024;

/// A usable answer, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called<T> {
    /// The answer, checked against the contract.
    pub value: T,
    /// Fuel used, instantiation included. Exact: the same call under the same engine id uses the same.
    pub fuel_used: u64,
}

/// The only clock and the only randomness that a guest on WASI can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ambient {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    pub seed: u64,
}

/// What belongs to one store.
pub(crate) struct CallState {
    pub memory: MemoryMeter,
    pub ambient: Ambient,
    /// Made at the first WASI call: most guests make none.
    pub wasi: Option<Box<Wasi>>,
}

/// Runs `body` in a fresh instance. What `body` gives back is a fault of the plugin's, or its answer; what
/// wasmtime gives back is classified.
pub(crate) fn fresh<T>(
    engine: &PluginEngine,
    pre: &InstancePre<CallState>,
    budget: Budget,
    ambient: Ambient,
    body: impl FnOnce(&mut Store<CallState>, &Instance) -> wasmtime::Result<Result<T, FaultCode>>,
) -> Result<Called<T>, Cause> {
    // Dropped after the store: a slot is free when its memory is.
    let _slot = engine.slot()?;
    let mut store = store(engine, budget, ambient)?;
    let instance = match pre.instantiate(&mut store) {
        Ok(instance) => instance,
        Err(error) => return Err(fault(error, Stage::Instantiate, &store)),
    };
    match body(&mut store, &instance) {
        Ok(Ok(value)) => {
            let left = store.get_fuel().map_err(|error| Cause::Host(error.into()))?;
            Ok(Called { value, fuel_used: budget.fuel.saturating_sub(left) })
        }
        Ok(Err(code)) => Err(Cause::Fault(code)),
        Err(error) => Err(fault(error, Stage::Call, &store)),
    }
}

fn store(engine: &PluginEngine, budget: Budget, ambient: Ambient) -> Result<Store<CallState>, Cause> {
    let state = CallState { memory: MemoryMeter::new(budget.memory_bytes), ambient, wasi: None };
    let mut store = Store::try_new(engine.wasmtime(), state).map_err(|error| Cause::Host(error.into()))?;
    store.limiter(|state| &mut state.memory);
    store.set_fuel(budget.fuel).map_err(|error| Cause::Host(error.into()))?;
    store.set_epoch_deadline(epochs(budget.deadline_ms));
    store.set_hostcall_fuel(usize::try_from(budget.transfer_bytes).unwrap_or(usize::MAX));
    store.as_context_mut().set_max_component_handles(HANDLES_MAX);
    Ok(store)
}

/// Of a fault that is the plugin's, the code is all that is kept. Of one that is the host's, the cause too.
fn fault(error: wasmtime::Error, stage: Stage, store: &Store<CallState>) -> Cause {
    match classify(&error, stage, &store.data().memory) {
        FaultCode::HostFailure => Cause::Host(error.into()),
        code => Cause::Fault(code),
    }
}
