//! A deterministic WASI 0.2, for guests whose toolchain insists on importing it (Rust `std` on wasip2, Python,
//! JavaScript). It is the only capability there is, and it is none: clocks stand still at the recorded `now`,
//! randomness comes out of the recorded seed, standard input is closed, what is printed is counted and thrown
//! away, arguments and environment are empty, and every call into files or sockets fails.
//!
//! wasmtime-wasi brings the interfaces, clocks, randomness and the command line's. Its streams and polling drive
//! a tokio runtime and panic when called from inside one, and they can wait for real time to pass; the ones in
//! [`io`] never block, so that a plugin runs alike on any thread.

mod io;

use crate::fault::Refused;
use crate::run::{Ambient, CallState};
use io::{Io, IoView};
use sluice_core::Digest;
use std::time::Duration;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, Linker, LinkerInstance, ResourceTable, ResourceType, Val};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, random, sync};
use wasmtime_wasi::random::{Deterministic, WasiRandom, WasiRandomView as _};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// Streams, pollables and errors that one guest holds at a time.
const RESOURCES_MAX: usize = 1024;

/// Random bytes of one call. A seed for a hash map takes 16.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Random bytes before they repeat. They are there so that programs run, not to keep a secret.
const RANDOM_PERIOD_BLOCKS: u64 = 32;

/// The WASI side of one store.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    printed_bytes: u64,
}

impl Wasi {
    fn new(ambient: Ambient) -> Wasi {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        // Streams are closed or sinks, arguments, environment and directories are empty by default.
        let ctx = WasiCtx::builder()
            .wall_clock(Still(Duration::from_millis(ambient.now_ms)))
            .monotonic_clock(Still(Duration::from_millis(ambient.now_ms)))
            .secure_random(stream_of(ambient, b"secure"))
            .insecure_random(stream_of(ambient, b"insecure"))
            .insecure_random_seed(u128::from(ambient.seed))
            .max_random_size(RANDOM_BYTES_MAX)
            .build();
        Wasi { ctx, table, printed_bytes: 0 }
    }
}

impl CallState {
    fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(self.ambient)))
    }

    fn io(&mut self) -> IoView<'_> {
        let wasi = self.wasi();
        IoView { table: &mut wasi.table, printed_bytes: &mut wasi.printed_bytes }
    }

    fn table(&mut self) -> &mut ResourceTable {
        &mut self.wasi().table
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

/// A clock that does not move: time within a call is one instant.
struct Still(Duration);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

fn stream_of(ambient: Ambient, name: &[u8]) -> Deterministic {
    let block = |index: u64| Digest::of_parts(&[name, &ambient.seed.to_be_bytes(), &index.to_be_bytes()]);
    Deterministic::new((0..RANDOM_PERIOD_BLOCKS).flat_map(|index| *block(index).as_bytes()).collect())
}

/// Errors of streams live in the table itself.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// A linker that gives the deterministic WASI, all but files and sockets.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    sync::io::error::add_to_linker::<CallState, Table>(l, CallState::table)?;
    sync::io::poll::add_to_linker::<CallState, Io>(l, CallState::io)?;
    sync::io::streams::add_to_linker::<CallState, Io>(l, CallState::io)?;
    clocks::wall_clock::add_to_linker::<CallState, WasiClocks>(l, CallState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<CallState, WasiClocks>(l, CallState::clocks)?;
    random::random::add_to_linker::<CallState, WasiRandom>(l, CallState::random)?;
    random::insecure::add_to_linker::<CallState, WasiRandom>(l, CallState::random)?;
    random::insecure_seed::add_to_linker::<CallState, WasiRandom>(l, CallState::random)?;
    cli::exit::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::environment::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::stdin::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::stdout::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::stderr::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::terminal_input::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::terminal_output::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::terminal_stdin::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::terminal_stdout::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    cli::terminal_stderr::add_to_linker::<CallState, WasiCli>(l, CallState::cli)?;
    Ok(linker)
}

/// A resource that no guest can come to hold: nothing that the stubs do makes one.
struct Nothing;

/// Resources that `wasi:io` defines; other interfaces only name them again.
const IO_RESOURCES: [&str; 4] = ["error", "input-stream", "output-stream", "pollable"];

/// Defines the file and socket interfaces that `component` imports, as functions that fail. Asked for the
/// directories that a guest may see, they say that there are none, because C libraries ask that when they start.
pub(crate) fn stub(linker: &mut Linker<CallState>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        if !name.starts_with("wasi:filesystem/") && !name.starts_with("wasi:sockets/") {
            continue;
        }
        let mut stubs = linker.instance(name)?;
        for (export, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => stub_function(&mut stubs, export)?,
                ComponentItem::Resource(_) if !IO_RESOURCES.contains(&export) => {
                    stubs.resource(export, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn stub_function(stubs: &mut LinkerInstance<'_, CallState>, name: &str) -> wasmtime::Result<()> {
    match name {
        "get-directories" => stubs.func_new(name, |_, _, _, results| answer(results, Val::List(Vec::new()))),
        "filesystem-error-code" => {
            stubs.func_new(name, |_, _, _, results| answer(results, Val::Option(None)))
        }
        _ => stubs.func_new(name, |_, _, _, _| Err(Refused("no files and no sockets").into())),
    }
}

fn answer(results: &mut [Val], value: Val) -> wasmtime::Result<()> {
    if let [result] = results {
        *result = value;
    }
    Ok(())
}
