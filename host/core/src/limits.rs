//! What a plugin may use. Values stand in the snapshot, so that replay runs under the same limits.

use crate::PluginKind;
use serde::{Deserialize, Serialize};

/// Limits of one call into one plugin. Fuel is the limit that decides (it is exact and the same on every
/// machine); the deadline is a wall-clock backstop and generous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginLimits {
    /// Fuel for a call with empty input. One unit is about one wasm instruction.
    pub fuel_base: u64,
    /// More fuel for each byte of input.
    pub fuel_per_input_byte: u64,
    /// Linear memory in bytes, over all memories of the instance.
    pub memory_bytes_max: u64,
    /// Bytes that may cross the boundary for a call with empty input, in and out.
    pub transfer_bytes_base: u64,
    /// More bytes across the boundary for each byte of input.
    pub transfer_bytes_per_input_byte: u64,
    /// Wall clock in milliseconds, after which the call is stopped whatever fuel is left.
    pub deadline_ms: u64,
}

impl PluginLimits {
    /// The defaults. Sources: the reference router uses about 21,000 fuel a call, the table-driven redactor
    /// about 33 a byte; the factors leave room for guests in other languages (JavaScript and Python use
    /// some hundred times as much).
    pub const fn default_for(kind: PluginKind) -> PluginLimits {
        match kind {
            PluginKind::Redactor => PluginLimits {
                fuel_base: 5_000_000,
                fuel_per_input_byte: 200,
                memory_bytes_max: 64 << 20,
                transfer_bytes_base: 64 << 10,
                transfer_bytes_per_input_byte: 2,
                deadline_ms: 10_000,
            },
            PluginKind::Router | PluginKind::CaptureFilter | PluginKind::HealthProbe => PluginLimits {
                fuel_base: 10_000_000,
                fuel_per_input_byte: 0,
                memory_bytes_max: 16 << 20,
                transfer_bytes_base: 256 << 10,
                transfer_bytes_per_input_byte: 2,
                deadline_ms: 1_000,
            },
        }
    }

    /// Fuel for a call with `input_bytes` of input.
    pub const fn fuel(&self, input_bytes: u64) -> u64 {
        self.fuel_base.saturating_add(self.fuel_per_input_byte.saturating_mul(input_bytes))
    }

    /// Bytes that may cross the boundary in a call with `input_bytes` of input.
    pub const fn transfer_bytes(&self, input_bytes: u64) -> u64 {
        self.transfer_bytes_base
            .saturating_add(self.transfer_bytes_per_input_byte.saturating_mul(input_bytes))
    }
}
