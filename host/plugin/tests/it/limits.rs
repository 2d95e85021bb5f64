//! Limits as numbers: fuel is exact, instances are counted.

use crate::guest::{candidates, engine, facts, guest, limits, load_router, sound_router};
use sluice_core::PluginKind;
use sluice_plugin::{Allocation, PluginEngine};
use std::sync::atomic::{AtomicU64, Ordering};

/// A router that counts to ten thousand before it answers.
fn counting() -> crate::guest::Guest {
    let mut guest = guest(PluginKind::Router);
    let (answer, _) = crate::guest::choosing(&mut guest.image);
    guest.body(
        "route",
        format!(
            "(local $left i32) (local.set $left (i32.const 10000))
             (loop $next (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             (i32.const {answer})"
        ),
    )
}

#[test]
fn fuel_is_the_same_every_time_and_with_both_allocations() {
    let artifact = counting().build();
    let usual = sluice_core::PluginLimits::default_for(PluginKind::Router);
    let used = load_router(&artifact).unwrap().route("{}", &facts(), &candidates()).unwrap().fuel_used;
    assert!(used > 10_000, "{used}");
    for allocation in [Allocation::OnDemand, Allocation::Pooling] {
        let engine = PluginEngine::with_allocation(None, allocation).unwrap();
        let router = engine.load_router(&artifact, artifact.digest(), usual).unwrap();
        for _ in 0..5 {
            assert_eq!(router.route("{}", &facts(), &candidates()).unwrap().fuel_used, used);
        }
    }
}

#[test]
fn the_last_unit_of_fuel_decides() {
    let artifact = counting().build();
    let used = load_router(&artifact).unwrap().route("{}", &facts(), &candidates()).unwrap().fuel_used;
    let route_with = |fuel: u64| {
        let tight = limits(PluginKind::Router, |limits| limits.fuel_base = fuel);
        let router = engine().load_router(&artifact, artifact.digest(), tight).unwrap();
        router.route("{}", &facts(), &candidates()).map(|called| called.fuel_used)
    };
    // wasmtime asks for fuel at loop heads and function entries, so the exact edge lies within one block.
    assert_eq!(route_with(used + 100).unwrap(), used);
    assert!(route_with(used - 100).is_err());
}

#[test]
fn more_input_brings_more_fuel() {
    let artifact = counting().build();
    let by_the_byte = limits(PluginKind::Router, |limits| {
        limits.fuel_base = 5_000;
        limits.fuel_per_input_byte = 10;
    });
    let router = engine().load_router(&artifact, artifact.digest(), by_the_byte).unwrap();
    assert!(router.route("{}", &facts(), &[]).is_err());
    let many: Vec<_> = std::iter::repeat_with(candidates).take(40).flatten().collect();
    router.route("{}", &facts(), &many).unwrap();
}

#[test]
fn handles_are_called_from_many_threads() {
    let router = load_router(&sound_router().build()).unwrap();
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    router.clone().route("{}", &facts(), &candidates()).unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(calls.into_inner(), 100);
}
