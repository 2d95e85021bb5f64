//! Every way a call can fail, and the code that is recorded for it.

use crate::guest::{
    Guest, candidates, engine, facts, guest, limits, load_redactor, load_router, scanning, sound_router,
};
use sluice_core::contract::redactor::{Content, Field};
use sluice_core::{Blame, FaultCode, PluginKind, PluginLimits};
use sluice_plugin::{Phase, PluginError};

const LOOP: &str = "(loop $forever (br $forever)) unreachable";

fn route_under(guest: Guest, limits: PluginLimits) -> Result<u64, PluginError> {
    let artifact = guest.build();
    let router = engine().load_router(&artifact, artifact.digest(), limits)?;
    router.route("{}", &facts(), &candidates()).map(|called| called.fuel_used)
}

#[track_caller]
fn assert_fault(guest: Guest, limits: PluginLimits, code: FaultCode) {
    let error = route_under(guest, limits).unwrap_err();
    assert_eq!(error.fault_code(), Some(code), "{error}");
    assert_eq!(error.phase(), Phase::Call, "{error}");
    assert_eq!(error.blame(), code.blame());
    assert!(error.digest().is_some());
}

fn router() -> Guest {
    guest(PluginKind::Router)
}

fn usual() -> PluginLimits {
    PluginLimits::default_for(PluginKind::Router)
}

#[test]
fn a_trap() {
    assert_fault(router(), usual(), FaultCode::Trap);
    assert_fault(router().body("route", "(i32.div_u (i32.const 1) (i32.const 0))"), usual(), FaultCode::Trap);
    assert_fault(router().body("route", "(i32.load (i32.const -4))"), usual(), FaultCode::Trap);
}

#[test]
fn a_trap_after_the_answer_takes_the_answer_back() {
    assert_fault(sound_router().post_return("route", "unreachable"), usual(), FaultCode::Trap);
}

#[test]
fn a_loop_runs_out_of_fuel() {
    assert_fault(router().body("route", LOOP), usual(), FaultCode::OutOfFuel);
    assert_fault(sound_router().post_return("route", "(loop $l (br $l))"), usual(), FaultCode::OutOfFuel);
}

#[test]
fn a_loop_with_all_the_fuel_in_the_world_meets_the_deadline() {
    let patient = limits(PluginKind::Router, |limits| {
        limits.fuel_base = u64::MAX;
        limits.deadline_ms = 1;
    });
    assert_fault(router().body("route", LOOP), patient, FaultCode::Deadline);
}

#[test]
fn a_loop_while_starting_is_stopped_too() {
    let looping = sound_router().with(&format!("(func $start {LOOP}) (start $start)"));
    let error = route_under(looping, usual()).unwrap_err();
    // It cannot even describe itself, so it is never admitted.
    assert_eq!(error.phase(), Phase::Check, "{error}");
    assert_eq!(error.fault_code(), Some(FaultCode::OutOfFuel));
}

#[test]
fn endless_recursion() {
    let recursing = router()
        .body("route", "(call $deeper)")
        .with("(func $deeper (result i32) (call $deeper) drop (call $deeper))");
    assert_fault(recursing, usual(), FaultCode::StackOverflow);
}

#[test]
fn hoarding_memory_is_told_from_the_trap_that_follows() {
    let hoarding =
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_fault(router().body("route", hoarding), usual(), FaultCode::OutOfMemory);
}

#[test]
fn a_guest_that_lives_with_less_memory_is_not_at_fault() {
    let mut modest = router();
    let (answer, _) = crate::guest::choosing(&mut modest.image);
    let modest = modest.body("route", format!("(drop (memory.grow (i32.const 10000))) (i32.const {answer})"));
    route_under(modest, usual()).unwrap();
}

#[test]
fn more_memory_than_allowed_from_the_start() {
    let error = route_under(sound_router().memory(300), usual()).unwrap_err();
    assert_eq!(error.fault_code(), Some(FaultCode::OutOfMemory), "{error}");
    let roomy = limits(PluginKind::Router, |limits| limits.memory_bytes_max = 32 << 20);
    route_under(sound_router().memory(300), roomy).unwrap();
}

#[test]
fn declining_is_recorded_by_its_code_alone() {
    let codes = [
        (FaultCode::DeclinedBadConfig, Blame::Policy),
        (FaultCode::DeclinedBadInput, Blame::Host),
        (FaultCode::DeclinedUnsupported, Blame::Plugin),
        (FaultCode::DeclinedInternal, Blame::Plugin),
    ];
    for (discriminant, (code, blame)) in codes.into_iter().enumerate() {
        let mut declining = router();
        let [secret, secret_len] = declining.image.text("sk-secret");
        let ext = declining.image.record(&[secret, secret_len, secret, secret_len]);
        let answer = declining.image.record(&[1, discriminant as u32, ext, 1]);
        let error =
            route_under(declining.body("route", format!("(i32.const {answer})")), usual()).unwrap_err();
        assert_eq!(error.fault_code(), Some(code));
        assert_eq!(error.blame(), blame);
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }
}

/// A router whose answer is the given words.
fn answering(words: impl FnOnce(&mut crate::guest::Image) -> Vec<u32>) -> Guest {
    let mut guest = router();
    let words = words(&mut guest.image);
    let answer = guest.image.record(&words);
    guest.body("route", format!("(i32.const {answer})"))
}

#[test]
fn answers_that_cannot_be_read() {
    let usual = usual();
    let unknown_variant = answering(|_| vec![77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_fault(unknown_variant, usual, FaultCode::BadValue);
    let unknown_verdict = answering(|_| vec![0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_fault(unknown_verdict, usual, FaultCode::BadValue);
    let outside = answering(|_| vec![0, 1, 0, 0, u32::MAX - 8, 4096, 0, 0, 0, 0, 0, 0]);
    assert_fault(outside, usual, FaultCode::BadValue);
    let bad_utf8 = answering(|image| {
        let [at, length] = image.text(b"\xff\xfe");
        vec![0, 1, 0, 0, at, length, 0, 0, 0, 0, 0, 0]
    });
    assert_fault(bad_utf8, usual, FaultCode::BadValue);
    assert_fault(router().body("route", "(i32.const -4)"), usual, FaultCode::BadValue);
    assert_fault(router().body("route", "(i32.const 1026)"), usual, FaultCode::BadValue);
}

#[test]
fn answers_that_break_the_contract() {
    let prose = answering(|image| {
        let [at, length] = image.text("Because I say so");
        vec![0, 1, 0, 0, at, length, 0, 0, 0, 0, 0, 0]
    });
    assert_fault(prose, usual(), FaultCode::BrokenContract);
}

fn field(content: Content<'_>) -> Field<'_> {
    Field {
        path: "/messages/0/content",
        key: None,
        direction: "request",
        author: "user",
        tool_name: None,
        media_type: "text/plain",
        content,
        before: "",
        is_final: true,
        carry: &[],
        ext: &[],
    }
}

fn scan_fault(guest: Guest, text: &str) -> Option<FaultCode> {
    let redactor = load_redactor(&guest.build()).unwrap();
    let error = redactor.scan("{}", &[field(Content::Text(text))]).unwrap_err();
    assert!(!format!("{error:?}").contains(text), "{error:?}");
    error.fault_code()
}

#[test]
fn spans_outside_the_text() {
    for (start, end) in [(0, 100), (5, 5), (7, 3), (u32::MAX - 1, u32::MAX)] {
        let guest = scanning(|image| {
            let [rule, rule_len] = image.text("aws-key");
            let span = image.record(&[start, end, rule, rule_len, 900]);
            vec![[span, 1, 18, 0, 0]]
        });
        assert_eq!(
            scan_fault(guest, "the text to scan.."),
            Some(FaultCode::BrokenContract),
            "{start}..{end}"
        );
    }
}

#[test]
fn a_wrong_number_of_results() {
    assert_eq!(scan_fault(scanning(|_| vec![]), "text"), Some(FaultCode::BrokenContract));
    let two = scanning(|_| vec![[0, 0, 4, 0, 0], [0, 0, 4, 0, 0]]);
    assert_eq!(scan_fault(two, "text"), Some(FaultCode::BrokenContract));
}

#[test]
fn a_million_strings_that_are_one_string() {
    // Two hundred thousand rules whose id, title and severity all alias one megabyte: a small component that
    // would fill hundreds of gigabytes if it were believed.
    let mut guest = guest(PluginKind::Redactor).memory(130);
    let list = guest.image.record(&[0; 0]);
    let answer = guest.image.record(&[0, 2 << 20, 200_000]);
    assert!(list > 0);
    let guest = guest.body(
        "rules",
        format!(
            "(local $at i32) (local $left i32)
             (local.set $at (i32.const {base})) (local.set $left (i32.const 600000))
             (loop $next
               (i32.store (local.get $at) (i32.const 65536))
               (i32.store offset=4 (local.get $at) (i32.const 1048576))
               (local.set $at (i32.add (local.get $at) (i32.const 8)))
               (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             (i32.const {answer})",
            base = 2 << 20,
        ),
    );
    let artifact = guest.build();
    assert!(artifact.bytes().len() < 4096, "{}", artifact.bytes().len());
    let plenty = limits(PluginKind::Redactor, |limits| limits.fuel_base = 100_000_000);
    let redactor = engine().load_redactor(&artifact, artifact.digest(), plenty).unwrap();
    let error = redactor.rules("{}").unwrap_err();
    assert_eq!(error.fault_code(), Some(FaultCode::TooMuchOutput), "{error}");
}

#[test]
fn a_list_that_is_too_large() {
    let guest = scanning(|image| {
        let [carry, _] = image.text("x");
        // One result whose carry is all of memory.
        vec![[0, 0, 4, carry, 120_000]]
    });
    assert_eq!(scan_fault(guest, "text"), Some(FaultCode::TooMuchOutput));
}

#[test]
fn a_fault_leaves_nothing_behind() {
    // Traps on odd calls only if it could remember them: it counts in a global.
    let mut counting = router();
    let (answer, _) = crate::guest::choosing(&mut counting.image);
    let counting = counting.with("(global $calls (mut i32) (i32.const 0))").body(
        "route",
        format!(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (if (i32.gt_u (global.get $calls) (i32.const 1)) (then unreachable))
             (i32.const {answer})"
        ),
    );
    let router = load_router(&counting.build()).unwrap();
    let first = router.route("{}", &facts(), &candidates()).unwrap();
    for _ in 0..3 {
        assert_eq!(router.route("{}", &facts(), &candidates()).unwrap(), first);
    }
}
