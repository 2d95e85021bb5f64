//! From what wasmtime says to the fixed code that is recorded.

use crate::limits::MemoryMeter;
use sluice_core::FaultCode;
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// How far a call had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Memory, tables, data, the start function.
    Instantiate,
    /// The exported function, lifting of its result, post-return.
    Call,
}

/// A host function of the deterministic WASI would not do what the guest asked.
#[derive(Debug, thiserror::Error)]
#[error("refused by the host: {0}")]
pub(crate) struct Refused(pub &'static str);

/// How wasmtime 48 begins the message when more is returned than hostcall fuel allows. Its type is private; a
/// test sees to it that the text is still this one.
const TRANSFER_EXHAUSTED: &str = "too much data is being copied between the host and the guest";

/// The code for a failed call.
///
/// The order matters: a guest that is denied memory goes on to trap, and the trap is not the cause.
pub(crate) fn classify(error: &wasmtime::Error, stage: Stage, memory: &MemoryMeter) -> FaultCode {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return of_trap(*trap, memory);
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return FaultCode::HostFailure;
    }
    if error.downcast_ref::<Refused>().is_some() || error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return FaultCode::Trap;
    }
    if error.chain().any(|cause| cause.to_string().starts_with(TRANSFER_EXHAUSTED)) {
        return FaultCode::TooMuchOutput;
    }
    match stage {
        // An initial memory over the cap.
        Stage::Instantiate if memory.hit() => FaultCode::OutOfMemory,
        // What remains is the machine: a mapping that failed.
        Stage::Instantiate => FaultCode::HostFailure,
        // What remains is a returned value that cannot be lifted.
        Stage::Call => FaultCode::BadValue,
    }
}

fn of_trap(trap: Trap, memory: &MemoryMeter) -> FaultCode {
    match trap {
        Trap::OutOfFuel => FaultCode::OutOfFuel,
        Trap::Interrupt => FaultCode::Deadline,
        Trap::StackOverflow => FaultCode::StackOverflow,
        Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::InvalidChar
        | Trap::UnalignedPointer => FaultCode::BadValue,
        _ if memory.hit() => FaultCode::OutOfMemory,
        _ => FaultCode::Trap,
    }
}
