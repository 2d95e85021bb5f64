//! How a plugin can fail: fixed codes, so that a record never holds a plugin's own words.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose defect it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The plugin's author.
    Plugin,
    /// Whoever wrote the policy.
    Policy,
    /// This program or its machine.
    Host,
}

/// Why there is no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// `unreachable`, out-of-bounds access, division by zero, a panic.
    Trap,
    /// Fuel ran dry.
    OutOfFuel,
    /// The wall-clock backstop rang.
    Deadline,
    /// Stack overflow.
    StackOverflow,
    /// Asked for more memory than the limit.
    OutOfMemory,
    /// Returned more bytes than may cross the boundary.
    TooMuchOutput,
    /// The returned value cannot be read: bad pointer, bad UTF-8, bad discriminant.
    BadValue,
    /// The value can be read and breaks the contract: span out of range, unknown rule, wrong count.
    BrokenContract,
    /// A router named a candidate that policy does not allow.
    OutsidePolicy,
    /// The plugin declined: its configuration cannot be used.
    DeclinedBadConfig,
    /// The plugin declined: the input breaks the contract.
    DeclinedBadInput,
    /// The plugin declined: not supported.
    DeclinedUnsupported,
    /// The plugin declined for a reason of its own.
    DeclinedInternal,
    /// The host could not run it (out of instances, out of memory).
    HostFailure,
}

impl FaultCode {
    /// Whose defect this is.
    pub const fn blame(self) -> Blame {
        match self {
            FaultCode::HostFailure | FaultCode::DeclinedBadInput => Blame::Host,
            FaultCode::DeclinedBadConfig => Blame::Policy,
            _ => Blame::Plugin,
        }
    }

    /// The one spelling.
    pub const fn code(self) -> &'static str {
        match self {
            FaultCode::Trap => "trap",
            FaultCode::OutOfFuel => "out-of-fuel",
            FaultCode::Deadline => "deadline",
            FaultCode::StackOverflow => "stack-overflow",
            FaultCode::OutOfMemory => "out-of-memory",
            FaultCode::TooMuchOutput => "too-much-output",
            FaultCode::BadValue => "bad-value",
            FaultCode::BrokenContract => "broken-contract",
            FaultCode::OutsidePolicy => "outside-policy",
            FaultCode::DeclinedBadConfig => "declined-bad-config",
            FaultCode::DeclinedBadInput => "declined-bad-input",
            FaultCode::DeclinedUnsupported => "declined-unsupported",
            FaultCode::DeclinedInternal => "declined-internal",
            FaultCode::HostFailure => "host-failure",
        }
    }

    /// Whether the same call would fail the same way on another machine. Deadlines and host failures
    /// depend on the machine: replay reports them and does not expect to see them again.
    pub const fn deterministic(self) -> bool {
        !matches!(self, FaultCode::Deadline | FaultCode::HostFailure)
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
