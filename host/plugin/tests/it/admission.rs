//! What is let in, and in which words the rest is refused.

use crate::guest::{engine, guest, load_router, sound_router, wrong_pin};
use sluice_core::{Blame, PluginKind, PluginLimits};
use sluice_plugin::{Artifact, Phase, PluginError};

fn artifact(text: &str) -> Artifact {
    Artifact::from_bytes(wat::parse_str(text).unwrap()).unwrap()
}

fn refusal(artifact: &Artifact) -> PluginError {
    load_router(artifact).unwrap_err()
}

#[track_caller]
fn assert_refused(artifact: &Artifact, phase: Phase, words: &str) {
    let error = refusal(artifact);
    assert_eq!(error.phase(), phase, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.digest(), Some(artifact.digest()));
    assert_eq!(error.kind(), Some(PluginKind::Router));
}

#[test]
fn a_sound_router_is_admitted() {
    let artifact = sound_router().build();
    let inspection = engine().inspect(&artifact).unwrap();
    assert_eq!(inspection.kind, PluginKind::Router);
    assert_eq!(inspection.contract, "0.1.0");
    assert_eq!(inspection.world, "sluicegate:plugin/routing@0.1.0");
    assert_eq!(inspection.imports, ["sluicegate:plugin/types@0.1.0"]);
    assert!(!inspection.needs_wasi);
    assert_eq!(inspection.size, artifact.bytes().len() as u64);

    let router = load_router(&artifact).unwrap();
    assert_eq!(router.inspection(), &inspection);
    assert_eq!(router.plugin_ref().name, "test-guest");
    assert_eq!(router.plugin_ref().version, "1.2.3");
    assert_eq!(router.plugin_ref().digest, artifact.digest());
    assert_eq!(router.description().config_schema, "{\"type\":\"object\",\"additionalProperties\":false}");
}

#[test]
fn other_files_are_told_apart() {
    let of = |bytes: &[u8]| Artifact::from_bytes(bytes).unwrap();
    assert_refused(&of(b""), Phase::Load, "not a WebAssembly component");
    assert_refused(&of(b"#!/bin/sh\necho"), Phase::Load, "not a WebAssembly component");
    assert_refused(&of(b"  (component)"), Phase::Load, "WebAssembly text");
    assert_refused(&artifact("(module)"), Phase::Load, "a core module");
    let whole = sound_router().build();
    assert_refused(&of(&whole.bytes()[..whole.bytes().len() / 2]), Phase::Load, "a malformed component");
    assert_eq!(refusal(&of(b"")).blame(), Blame::Plugin);
    assert!(refusal(&of(b"")).hint().is_some());
}

#[test]
fn a_component_that_the_structure_check_passes_is_still_validated() {
    let sound = sound_router().build();
    let mut bytes = sound.bytes().to_vec();
    // Within the nested core module, which the look at the structure steps over.
    let at = bytes.windows(6).position(|window| window == b"memory").unwrap();
    bytes[at] = 0xff;
    assert_refused(&Artifact::from_bytes(bytes).unwrap(), Phase::Load, "the compiler refuses it");
}

#[test]
fn the_pin_is_compared_before_anything_looks_at_the_bytes() {
    let garbage = Artifact::from_bytes(b"garbage".as_slice()).unwrap();
    let limits = PluginLimits::default_for(PluginKind::Router);
    let error = engine().load_router(&garbage, wrong_pin(), limits).unwrap_err();
    assert_eq!(error.phase(), Phase::Check);
    assert_eq!(error.blame(), Blame::Policy);
    let text = error.to_string();
    assert!(text.contains(&wrong_pin().to_hex()) && text.contains(&garbage.digest().to_hex()), "{text}");
    assert!(error.hint().unwrap().contains("plugin lock"));
}

#[test]
fn functions_and_resources_cannot_be_imported() {
    for (import, shown) in [
        (
            "(import \"evil:net/socket@1.0.0\" (instance (export \"connect\" (func))))",
            "`evil:net/socket@1.0.0`",
        ),
        ("(import \"connect\" (func))", "`connect`"),
        (
            "(import \"evil:net/socket\" (instance (export \"handle\" (type (sub resource)))))",
            "`evil:net/socket`",
        ),
        ("(import \"wasi:http/types@0.2.0\" (instance (export \"f\" (func))))", "`wasi:http/types@0.2.0`"),
        ("(import \"wasi:cli/exit@0.3.0\" (instance (export \"f\" (func))))", "`wasi:cli/exit@0.3.0`"),
        ("(import \"inner\" (component))", "`inner`"),
        ("(import \"inner\" (core module))", "`inner`"),
        ("(import \"nested\" (instance (export \"a\" (instance (export \"f\" (func))))))", "`nested`"),
    ] {
        let artifact = artifact(&format!("(component {import})"));
        assert_refused(&artifact, Phase::Check, shown);
        assert!(engine().inspect(&artifact).unwrap_err().to_string().contains("imports"));
    }
}

#[test]
fn importing_types_is_fine() {
    let artifact = artifact(
        "(component (import \"some:words/types@0.1.0\" (instance (type (list u8)) (export \"t\" (type (eq 0))))))",
    );
    // It gets as far as being asked what it exports.
    assert_refused(&artifact, Phase::Check, "exports none of the plugin interfaces");
}

#[test]
fn the_export_says_kind_and_version() {
    let redactor = guest(PluginKind::Redactor).build();
    assert_refused(&redactor, Phase::Check, "it is a redactor, not a router");
    assert_eq!(refusal(&redactor).blame(), Blame::Policy);

    let later_patch = sound_router().contract("0.1.7").build();
    assert_eq!(load_router(&later_patch).unwrap().inspection().contract, "0.1.7");

    let later_minor = sound_router().contract("0.2.0").build();
    assert_refused(&later_minor, Phase::Check, "contract version not supported: 0.2.0");
}

#[test]
fn a_lying_or_careless_description_is_refused() {
    assert_refused(&sound_router().says_kind("redactor").build(), Phase::Check, "the kind is not the one");
    assert_refused(&sound_router().schema("[]").build(), Phase::Check, "schema is not a JSON object");
}

#[test]
fn functions_with_other_types_are_refused_before_guest_code_runs() {
    // `route` takes nothing and gives a number; the instance would trap as soon as it started.
    let artifact = artifact(
        "(component
           (core module $m
             (func $start unreachable) (start $start)
             (func (export \"f\") (result i32) (i32.const 1)))
           (core instance $i (instantiate $m))
           (func $f (result u32) (canon lift (core func $i \"f\")))
           (instance $routing (export \"route\" (func $f)))
           (instance $about (export \"describe\" (func $f)))
           (export \"sluicegate:plugin/routing@0.1.0\" (instance $routing))
           (export \"sluicegate:plugin/about@0.1.0\" (instance $about)))",
    );
    assert_refused(&artifact, Phase::Check, "do not have the contract's types");
}

#[test]
fn an_export_without_about_is_refused() {
    let artifact =
        artifact("(component (instance $i) (export \"sluicegate:plugin/routing@0.1.0\" (instance $i)))");
    assert_refused(&artifact, Phase::Check, "does not export `sluicegate:plugin/about`");
}

#[test]
fn a_plugin_of_two_kinds_is_refused() {
    let artifact = artifact(
        "(component (instance $i)
           (export \"sluicegate:plugin/routing@0.1.0\" (instance $i))
           (export \"sluicegate:plugin/redaction@0.1.0\" (instance $i)))",
    );
    assert_refused(&artifact, Phase::Check, "more than one plugin interface");
}

#[test]
fn names_with_control_characters_do_not_reach_a_terminal() {
    // A name that no tool would write: the check must not count on names being valid.
    let sound = artifact("(component (import \"aaaaaaaaaa\" (func)))");
    let mut bytes = sound.bytes().to_vec();
    let at = bytes.windows(10).position(|window| window == b"aaaaaaaaaa").unwrap();
    bytes[at..at + 5].copy_from_slice(b"\x1b[31m");
    let error = refusal(&Artifact::from_bytes(bytes).unwrap());
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
}

#[test]
fn the_engine_names_itself() {
    let id = sluice_plugin::PluginEngine::engine_id();
    assert!(id.starts_with("wasmtime-48.0."), "{id}");
    assert!(id.contains("cranelift") && id.contains("fuel"), "{id}");
}
