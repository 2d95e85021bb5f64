//! How a component runs: artifact (bytes and digest, read once) -> admission -> compiled code (cached under a
//! MAC) -> one fresh instance a call, under fuel, memory, transfer and wall-clock limits.
//!
//! * [`Artifact`] holds the bytes that are hashed, compiled and run: the same bytes, read once.
//! * [`PluginEngine`] owns the compiler, the code cache and the clock of deadlines. Its `load_*` methods admit
//!   an artifact as one kind of plugin and give a handle: [`Router`], [`Redactor`], [`CaptureFilter`],
//!   [`HealthProbe`].
//! * A handle's methods are pure functions of (bytes, configuration, input): each call gets an instance of its
//!   own, which is dropped at the end, whatever happened.
//! * [`PluginError`] says in which phase it failed (load, check, call), whose fault that is, and never a word
//!   that a running plugin chose.
//!
//! *Invariants*: nothing here opens a socket or knows policy or capsule. A plugin has no capability: the linker
//! is empty, or, for guests whose toolchain insists on WASI, holds a deterministic WASI without files, sockets
//! or environment ([`mod@wasi`]). `unsafe` stands in `cache/load.rs` alone.

mod admission;
mod artifact;
mod bindings;
mod cache;
mod engine;
mod error;
mod fault;
mod handles;
mod limits;
mod run;
mod shape;
mod wasi;

pub use admission::Inspection;
pub use artifact::{ARTIFACT_BYTES_MAX, Artifact};
pub use cache::{CacheCounts, CodeCache};
pub use engine::{Allocation, INSTANCES_MAX, PluginEngine};
pub use error::{Phase, PluginError};
pub use handles::{CaptureFilter, HealthProbe, Redactor, Router};
pub use run::Called;
