//! What one call may use: the policy's limits, applied to the size of its input.

pub(crate) mod input;

use crate::engine::TABLE_ELEMENTS_MAX;
use sluice_core::PluginLimits;
use wasmtime::ResourceLimiter;

/// Bytes that may come back while a plugin is admitted: its description and its rules, which are not in
/// proportion to any input. Five hundred rules with titles have about 80 KiB.
const ADMISSION_TRANSFER_BYTES: u64 = 1 << 20;

/// The limits of one call, as numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub fuel: u64,
    pub transfer_bytes: u64,
    pub memory_bytes: u64,
    pub deadline_ms: u64,
}

impl Budget {
    /// For a governed call with `input_bytes` of input.
    pub fn of_call(limits: &PluginLimits, input_bytes: u64) -> Budget {
        Budget {
            fuel: limits.fuel(input_bytes),
            transfer_bytes: limits.transfer_bytes(input_bytes),
            memory_bytes: limits.memory_bytes_max,
            deadline_ms: limits.deadline_ms,
        }
    }

    /// For a question asked at admission.
    pub fn of_admission(limits: &PluginLimits, input_bytes: u64) -> Budget {
        let call = Budget::of_call(limits, input_bytes);
        Budget { transfer_bytes: call.transfer_bytes.max(ADMISSION_TRANSFER_BYTES), ..call }
    }
}

/// Counts linear memory over all memories of an instance, and remembers whether the cap was hit: the guest only
/// sees `memory.grow` return -1 and then most likely traps, which is not the fault to report.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    used: u64,
    max: u64,
    hit: bool,
}

impl MemoryMeter {
    pub fn new(max: u64) -> MemoryMeter {
        MemoryMeter { used: 0, max, hit: false }
    }

    /// Whether more was asked for than the cap.
    pub fn hit(&self) -> bool {
        self.hit
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.max {
            self.hit = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            self.hit = true;
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap(), "a second memory");
        assert!(!meter.hit());
        assert!(!meter.memory_growing(40, 41, None).unwrap());
        assert!(meter.hit());
        assert!(meter.memory_growing(40, 40, None).unwrap(), "what was refused is not counted");
    }
}
