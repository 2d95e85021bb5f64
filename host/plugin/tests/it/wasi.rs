//! Guests that import WASI: a clock that stands still, randomness from the seed, and nothing else.

use crate::guest::{Guest, Image, candidates, choosing, engine, facts, guest, load_router};
use sluice_core::contract::router::{RouteFacts, RouteVerdict};
use sluice_core::{FaultCode, PluginKind};
use sluice_plugin::PluginError;

const CLOCKS: &str = "package wasi:clocks@0.2.6;
    interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    interface monotonic-clock {
        use wasi:io/poll@0.2.6.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    }";
const RANDOM: &str = "package wasi:random@0.2.6;
    interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
    interface random { get-random-u64: func() -> u64; get-random-bytes: func(len: u64) -> list<u8>; }";
const IO: &str = "package wasi:io@0.2.6;
    interface error { resource error; }
    interface poll { resource pollable { block: func(); } }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            write-zeroes: func(len: u64) -> result<_, stream-error>;
        }
    }";
const CLI: &str = "package wasi:cli@0.2.6;
    interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
    interface environment { get-arguments: func() -> list<string>; }
    interface exit { exit: func(status: result); }";
const FILESYSTEM: &str = "package wasi:filesystem@0.2.6;
    interface types { resource descriptor { sync: func(); } }
    interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }";
const SOCKETS: &str = "package wasi:sockets@0.2.6;
    interface network { resource network; }
    interface instance-network { use network.{network}; instance-network: func() -> network; }";

/// What a router did to the one choice of its answer.
struct Seen {
    timeout_ms: Option<u32>,
    output_tokens_max: Option<u64>,
}

/// A router that runs `body` first; `$choice` in it stands for the address of its choice.
fn running(mut guest: Guest, body: impl FnOnce(&mut Image) -> String) -> Guest {
    let (answer, choice) = choosing(&mut guest.image);
    let body = body(&mut guest.image).replace("$choice", &format!("(i32.const {choice})"));
    guest.body("route", format!("{body} (i32.const {answer})"))
}

fn route(guest: Guest, facts: &RouteFacts) -> Result<Seen, PluginError> {
    let router = load_router(&guest.build())?;
    assert!(router.inspection().needs_wasi);
    let outcome = router.route("{}", facts, &candidates())?.value;
    let RouteVerdict::Choose(choices) = outcome.verdict else { panic!("no choice") };
    Ok(Seen { timeout_ms: choices[0].timeout_ms, output_tokens_max: choices[0].output_tokens_max })
}

fn fault(guest: Guest) -> Option<FaultCode> {
    route(guest, &facts()).err().and_then(|error| error.fault_code())
}

fn seeded() -> Guest {
    let core = "(import \"wasi:random/insecure-seed@0.2.6\" \"insecure-seed\" (func $seed (param i32)))
                (import \"wasi:random/random@0.2.6\" \"get-random-u64\" (func $random (result i64)))";
    let interfaces = ["wasi:random/insecure-seed@0.2.6", "wasi:random/random@0.2.6"];
    running(guest(PluginKind::Router).importing(RANDOM, &interfaces, core), |_| {
        "(i32.store8 offset=32 $choice (i32.const 1))
         (call $seed (i32.const 0))
         (i64.store offset=40 $choice (i64.and
            (i64.xor (i64.load (i32.const 0)) (call $random)) (i64.const 0xffffffffffff)))"
            .into()
    })
}

#[test]
fn randomness_comes_from_the_seed_alone() {
    let drawn = |seed| route(seeded(), &RouteFacts { seed, ..facts() }).unwrap().output_tokens_max.unwrap();
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn the_clock_stands_still_at_now() {
    let core = "(import \"wasi:clocks/wall-clock@0.2.6\" \"now\" (func $now (param i32)))
                (import \"wasi:clocks/monotonic-clock@0.2.6\" \"now\" (func $ticks (result i64)))
                (import \"wasi:clocks/monotonic-clock@0.2.6\" \"subscribe-duration\"
                    (func $sleep (param i64) (result i32)))
                (import \"wasi:io/poll@0.2.6\" \"[method]pollable.block\" (func $block (param i32)))";
    let guest = guest(PluginKind::Router).importing(IO, &["wasi:io/poll@0.2.6"], "").importing(
        CLOCKS,
        &["wasi:clocks/wall-clock@0.2.6", "wasi:clocks/monotonic-clock@0.2.6"],
        core,
    );
    let guest = running(guest, |_| {
        // Sleeps a year, which takes no time and moves no clock.
        "(local $before i64) (local.set $before (call $ticks))
         (call $block (call $sleep (i64.const 31536000000000000)))
         (if (i64.ne (local.get $before) (call $ticks)) (then unreachable))
         (call $now (i32.const 0))
         (i32.store8 offset=20 $choice (i32.const 1))
         (i32.store offset=24 $choice (i32.load (i32.const 0)))"
            .into()
    });
    let now_ms = 1_790_000_000_123;
    let seen = route(guest, &RouteFacts { now_ms, ..facts() }).unwrap();
    assert_eq!(seen.timeout_ms, Some(1_790_000_000));
}

fn printing(pages_of_zeroes: u64) -> Guest {
    let core = "(import \"wasi:cli/stdout@0.2.6\" \"get-stdout\" (func $stdout (result i32)))
                (import \"wasi:io/streams@0.2.6\" \"[method]output-stream.blocking-write-and-flush\"
                    (func $print (param i32 i32 i32 i32)))
                (import \"wasi:io/streams@0.2.6\" \"[method]output-stream.write-zeroes\"
                    (func $zeroes (param i32 i64 i32)))";
    let guest = guest(PluginKind::Router).importing(IO, &["wasi:io/streams@0.2.6"], "").importing(
        CLI,
        &["wasi:cli/stdout@0.2.6"],
        core,
    );
    running(guest, |image| {
        let [at, length] = image.text("sk-secret on standard output\n");
        format!(
            "(local $out i32) (local.set $out (call $stdout))
             (call $print (local.get $out) (i32.const {at}) (i32.const {length}) (i32.const 0))
             (call $zeroes (local.get $out) (i64.const {pages_of_zeroes}) (i32.const 0))"
        )
    })
}

#[test]
fn what_is_printed_is_thrown_away_inside_and_outside_a_runtime() {
    route(printing(10), &facts()).unwrap();
    for flavour in
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
    {
        let mut flavour = flavour;
        flavour.build().unwrap().block_on(async { route(printing(10), &facts()).unwrap() });
    }
}

#[test]
fn printing_has_an_end() {
    assert_eq!(fault(printing(1 << 40)), Some(FaultCode::Trap));
}

#[test]
fn leaving_is_a_trap() {
    let core = "(import \"wasi:cli/exit@0.2.6\" \"exit\" (func $exit (param i32)))";
    let guest =
        guest(PluginKind::Router).importing(IO, &[], "").importing(CLI, &["wasi:cli/exit@0.2.6"], core);
    assert_eq!(fault(running(guest, |_| "(call $exit (i32.const 0))".into())), Some(FaultCode::Trap));
}

#[test]
fn there_are_no_arguments_and_no_directories() {
    let core =
        "(import \"wasi:filesystem/preopens@0.2.6\" \"get-directories\" (func $directories (param i32)))
                (import \"wasi:cli/environment@0.2.6\" \"get-arguments\" (func $arguments (param i32)))";
    let guest = guest(PluginKind::Router)
        .importing(IO, &[], "")
        .importing(CLI, &["wasi:cli/environment@0.2.6"], "")
        .importing(FILESYSTEM, &["wasi:filesystem/types@0.2.6", "wasi:filesystem/preopens@0.2.6"], core);
    let guest = running(guest, |_| {
        "(call $directories (i32.const 0))
         (call $arguments (i32.const 8))
         (if (i32.or (i32.load (i32.const 4)) (i32.load (i32.const 12))) (then unreachable))"
            .into()
    });
    route(guest, &facts()).unwrap();
}

#[test]
fn sockets_fail() {
    let core =
        "(import \"wasi:sockets/instance-network@0.2.6\" \"instance-network\" (func $network (result i32)))";
    let interfaces = ["wasi:sockets/network@0.2.6", "wasi:sockets/instance-network@0.2.6"];
    let guest = guest(PluginKind::Router).importing(SOCKETS, &interfaces, core);
    assert_eq!(fault(running(guest, |_| "(drop (call $network))".into())), Some(FaultCode::Trap));
}

#[test]
fn random_bytes_have_an_end() {
    let core = "(import \"wasi:random/random@0.2.6\" \"get-random-bytes\" (func $bytes (param i64 i32)))";
    let guest = guest(PluginKind::Router).importing(RANDOM, &["wasi:random/random@0.2.6"], core);
    let guest = running(guest, |_| "(call $bytes (i64.const 1000000000000) (i32.const 0))".into());
    let error = route(guest, &facts()).err().unwrap();
    assert!(error.fault_code().is_some());
}

#[test]
fn a_guest_without_wasi_gets_none() {
    let artifact = crate::guest::sound_router().build();
    assert!(!engine().inspect(&artifact).unwrap().needs_wasi);
}
