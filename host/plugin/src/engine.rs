//! The compiler, its switches, the code cache, and the count of running instances.

mod config;
mod ticker;

use crate::admission::{self, Admission, Inspection};
use crate::artifact::Artifact;
use crate::cache::{Cache, CacheCounts, CodeCache};
use crate::error::{Cause, PluginError};
use crate::run::CallState;
use crate::wasi;
use sluice_core::{Digest, PluginKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use ticker::Ticker;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

pub(crate) use config::TABLE_ELEMENTS_MAX;
pub use config::{Allocation, INSTANCES_MAX};
pub(crate) use ticker::epochs;

/// Compiles plugins and runs them. Cheap to clone; the last clone dropped stops the thread that rings deadlines.
#[derive(Clone)]
pub struct PluginEngine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: Engine,
    /// Gives nothing at all.
    empty: Linker<CallState>,
    /// Gives the deterministic WASI.
    wasi: Linker<CallState>,
    cache: Option<Cache>,
    running: AtomicU32,
    _ticker: Ticker,
}

/// The right to one instance, given back when dropped.
pub(crate) struct Slot<'a>(&'a AtomicU32);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl PluginEngine {
    /// An engine with the allocation that measured best, or the other where the machine does not allow it (a
    /// cap on address space): fuel and results are the same with both.
    ///
    /// # Errors
    /// Load phase: the sandbox cannot be set up, or the cache folder can be written by others.
    pub fn new(cache: Option<CodeCache>) -> Result<PluginEngine, PluginError> {
        let cache = cache
            .map(|cache| Cache::open(cache, &config::engine_id()))
            .transpose()
            .map_err(PluginError::load)?;
        let engine = config::engine(Allocation::Pooling).or_else(|_| config::engine(Allocation::OnDemand));
        engine.and_then(|engine| PluginEngine::assemble(engine, cache)).map_err(PluginError::load)
    }

    /// An engine with a given allocation, for measuring one against the other.
    ///
    /// # Errors
    /// As [`PluginEngine::new`].
    pub fn with_allocation(
        cache: Option<CodeCache>,
        allocation: Allocation,
    ) -> Result<PluginEngine, PluginError> {
        let cache = cache
            .map(|cache| Cache::open(cache, &config::engine_id()))
            .transpose()
            .map_err(PluginError::load)?;
        config::engine(allocation)
            .and_then(|engine| PluginEngine::assemble(engine, cache))
            .map_err(PluginError::load)
    }

    fn assemble(wasmtime: Engine, cache: Option<Cache>) -> Result<PluginEngine, Cause> {
        let ticker = Ticker::start(&wasmtime).map_err(|error| Cause::Engine(error.into()))?;
        let wasi = wasi::linker(&wasmtime).map_err(|error| Cause::Engine(error.into()))?;
        Ok(PluginEngine {
            inner: Arc::new(Inner {
                empty: Linker::new(&wasmtime),
                wasi,
                wasmtime,
                cache,
                running: AtomicU32::new(0),
                _ticker: ticker,
            }),
        })
    }

    /// Names the engine: the wasmtime version and every switch that fuel or results depend on. Two runs of one
    /// plugin on one input under one engine id use the same fuel and give the same answer.
    pub fn engine_id() -> String {
        config::engine_id()
    }

    /// What an artifact is. Nothing is compiled, no guest code runs.
    ///
    /// # Errors
    /// Load phase: not a component. Check phase: not a plugin, a contract version that this host does not speak,
    /// or imports that plugins are not given.
    pub fn inspect(&self, artifact: &Artifact) -> Result<Inspection, PluginError> {
        admission::admit(artifact)
            .map(|admission| admission.inspection)
            .map_err(|cause| PluginError::about(None, artifact.digest(), cause))
    }

    /// What the code cache did so far; zeros where there is none.
    pub fn cache_counts(&self) -> CacheCounts {
        self.inner.cache.as_ref().map(Cache::counts).unwrap_or_default()
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.inner.wasmtime
    }

    /// Takes a slot, or says that all are taken.
    pub(crate) fn slot(&self) -> Result<Slot<'_>, Cause> {
        let running = &self.inner.running;
        if running.fetch_add(1, Ordering::Acquire) < INSTANCES_MAX {
            Ok(Slot(running))
        } else {
            running.fetch_sub(1, Ordering::Release);
            Err(Cause::Busy)
        }
    }

    /// The steps of admission, in the order that matters: the pin before anything looks at the bytes, structure
    /// before the compiler does, and all of it before guest code runs.
    pub(crate) fn admit(
        &self,
        artifact: &Artifact,
        pin: Digest,
        wanted: PluginKind,
    ) -> Result<(Admission, InstancePre<CallState>), Cause> {
        if artifact.digest() != pin {
            return Err(Cause::Pin { pinned: pin, found: artifact.digest() });
        }
        let admission = admission::admit(artifact)?;
        let found = admission.inspection.kind;
        if found != wanted {
            return Err(Cause::WrongKind { wanted, found });
        }
        let component = self.compile(artifact)?;
        let pre = self.link(&component, admission.inspection.needs_wasi)?;
        Ok((admission, pre))
    }

    fn compile(&self, artifact: &Artifact) -> Result<Component, Cause> {
        let engine = &self.inner.wasmtime;
        let cache = self.inner.cache.as_ref();
        if let Some(component) = cache.and_then(|cache| cache.load(engine, artifact.digest())) {
            return Ok(component);
        }
        let component =
            Component::new(engine, artifact.bytes()).map_err(|error| Cause::Compile(error.into()))?;
        if let Some(cache) = cache {
            cache.store(artifact.digest(), &component);
        }
        Ok(component)
    }

    fn link(&self, component: &Component, needs_wasi: bool) -> Result<InstancePre<CallState>, Cause> {
        let linked = if needs_wasi {
            let mut linker = self.inner.wasi.clone();
            wasi::stub(&mut linker, component).and_then(|()| linker.instantiate_pre(component))
        } else {
            self.inner.empty.instantiate_pre(component)
        };
        linked.map_err(|error| Cause::Link(error.into()))
    }
}

impl std::fmt::Debug for PluginEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PluginEngine({} running)", self.inner.running.load(Ordering::Relaxed))
    }
}
