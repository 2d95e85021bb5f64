//! The engine's switches, each with its reason.

use crate::error::Cause;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
};

/// Most instances at one time. A call holds one for its own duration and runs on its caller's thread, so this is
/// a cap on threads calling at once; each instance reserves 4 GiB of address space (not memory) in the pool.
pub const INSTANCES_MAX: u32 = 128;

/// As pinned in the workspace (`tests` compare it with the lock file): the compiler's version decides fuel.
const WASMTIME_VERSION: &str = "48.0.8";

/// Enough for deep recursion in a parser; the host's threads have 2 MiB.
const WASM_STACK_BYTES: usize = 512 << 10;

/// Core instances, memories and tables of one component: WASI adapters bring three or four core instances.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 32;
const MEMORIES_PER_COMPONENT_MAX: u32 = 4;
const TABLES_PER_COMPONENT_MAX: u32 = 16;

/// Elements of one table: an interpreter compiled to wasm has tens of thousands of indirect functions.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Bytes of one core instance's own bookkeeping, which grows with its functions.
const INSTANCE_BYTES_MAX: usize = 8 << 20;

/// Bytes of a slot's linear memory that stay resident between calls and are reset by writing to them rather than
/// by giving them back to the kernel. More than the reference plugins touch in a call with a text of 1 MiB: with 1 MiB
/// kept, such a text cost 4 % more, and small ones the same.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;

/// Where an instance's memory comes from. Measured (docs/performance.md): a pooled instance routes in 17 µs and a
/// mapped one in 38, and with two threads in 18 and 117.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// Mapped for each instance, unmapped after it.
    OnDemand,
    /// Slots that are reset and used again.
    Pooling,
}

/// See [`crate::PluginEngine::engine_id`].
pub(super) fn engine_id() -> String {
    format!(
        "wasmtime-{WASMTIME_VERSION}/cranelift-speed/fuel/epoch/nan-canonical/relaxed-simd-deterministic/\
         stack-{}k/no-memory64/no-threads",
        WASM_STACK_BYTES >> 10
    )
}

pub(super) fn engine(allocation: Allocation) -> Result<Engine, Cause> {
    let mut config = Config::new();
    config
        // Winch counts fuel differently, so the compiler is part of the engine id.
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The limit that decides: exact, and the same on every machine.
        .consume_fuel(true)
        // The wall-clock backstop.
        .epoch_interruption(true)
        // Two results could differ between machines: NaN bits and relaxed SIMD.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        // A backtrace is the plugin's own words, and nobody reads it.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // 64-bit memories need explicit bounds checks and cannot cross the component boundary.
        .wasm_memory64(false)
        // Calls are synchronous: no scheduler in the store.
        .concurrency_support(false)
        .memory_init_cow(true);
    if allocation == Allocation::Pooling {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    Engine::new(&config).map_err(|error| Cause::Engine(error.into()))
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * 4)
        .total_memories(INSTANCES_MAX)
        .total_tables(INSTANCES_MAX * 4)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_tables_per_module(TABLES_PER_COMPONENT_MAX)
        .max_memories_per_module(MEMORIES_PER_COMPONENT_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX);
    // Keeping pages is a gain only where the kernel can say which of them were written (Linux 6.7); elsewhere
    // all of them would be overwritten after every call, which costs more than giving them back.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(KEEP_RESIDENT_BYTES);
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n")));
    }

    #[test]
    fn both_allocations_can_be_set_up() {
        for allocation in [Allocation::OnDemand, Allocation::Pooling] {
            engine(allocation).unwrap();
        }
    }
}
