//! The stored form: verified before it is believed, readable forever.

use crate::fixtures::{compiled, here};
use serde_json::{Value, json};
use sluice_core::{Digest, canonical};
use sluice_policy::{SnapshotError, load};

/// The hash of `tests/golden/snapshot-1.0.json`, computed by `tests/witness/policy_hash.py`. It pins the
/// algorithm: a program that gives another hash for these bytes breaks every record there is.
const GOLDEN_HASH: &str = "3eb4afd1970fe60afce90e1e81b6201f47da9ed4bc837bfb23e81e8ecf85bffe";

fn golden() -> Vec<u8> {
    std::fs::read(here("golden/snapshot-1.0.json")).unwrap()
}

/// The stored document with a change, and its hash made right again.
fn resealed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&compiled().bytes).unwrap();
    change(&mut document);
    let mut content = document.clone();
    content
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !["hash", "policy_id", "created_at"].contains(&key.as_str()));
    document["hash"] = json!(Digest::of(canonical::to_string(&content).unwrap().as_bytes()));
    serde_json::to_vec(&document).unwrap()
}

#[test]
fn the_golden_snapshot_loads_and_its_hash_is_pinned() {
    let loaded = load(&golden()).unwrap();
    assert_eq!(loaded.snapshot.hash.to_hex(), GOLDEN_HASH);
    assert_eq!(loaded.bytes_digest, Digest::of(&golden()));
    assert_eq!(loaded.snapshot.plugins.len(), 4);
}

#[test]
fn the_witness_agrees() {
    let witness = here("../../../tests/witness/policy_hash.py");
    let run = |file: &std::path::Path| std::process::Command::new("python3").arg(&witness).arg(file).output();
    let Ok(output) = run(&here("golden/snapshot-1.0.json")) else {
        eprintln!("skipped: there is no python3 on this machine");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), GOLDEN_HASH);
    let changed = std::env::temp_dir().join(format!("sluice-policy-witness-{}.json", std::process::id()));
    let text = String::from_utf8(golden()).unwrap().replacen("full-io", "none", 1);
    std::fs::write(&changed, text).unwrap();
    let refused = run(&changed).unwrap();
    std::fs::remove_file(&changed).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn any_changed_byte_of_the_content_is_noticed() {
    let bytes = compiled().bytes;
    let whole = load(&bytes).unwrap();
    let mut seen = 0;
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(loaded) = load(&changed) else { continue };
        // Only what the hash leaves out, or white space, may pass; the bytes' digest shows it all the same.
        assert_ne!(loaded.bytes_digest, whole.bytes_digest, "byte {at}");
        assert_eq!(loaded.snapshot.hash, whole.snapshot.hash, "byte {at}");
        seen += 1;
    }
    assert!(seen * 4 < bytes.len() / 97, "most changes must be refused, {seen} passed");
}

#[test]
fn an_edit_is_told_from_a_file_that_never_was_a_snapshot() {
    let text = String::from_utf8(compiled().bytes).unwrap();
    let tampered = load(text.replacen("\"enabled\": false", "\"enabled\": true", 1).as_bytes()).unwrap_err();
    assert!(tampered.is_tampered() && tampered.hint().unwrap().contains("resolve-uri"), "{tampered}");
    for (bytes, words) in [
        (&b"{"[..], "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "no readable `schema_version`"),
        (b"{\"schema_version\":\"1.0\"}", "no readable `hash`"),
        (b"{\"schema_version\":\"1.0\",\"hash\":\"x\"}", "no readable `hash`"),
        (b"{\"schema_version\":\"1.1\"}", "unknown snapshot schema version: 1.1"),
        (b"{\"schema_version\":\"2.0\"}", "unknown snapshot schema version: 2.0"),
    ] {
        let error = load(bytes).unwrap_err();
        assert!(!error.is_tampered() && error.hint().is_some());
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(matches!(load(&vec![b' '; (8 << 20) + 1]), Err(SnapshotError::TooLarge(_))));
}

#[test]
fn created_at_is_outside_the_hash_and_inside_the_digest() {
    let compiled = compiled();
    let text = String::from_utf8(compiled.bytes).unwrap().replacen(
        "2026-11-20T13:15:00.007Z",
        "2026-11-20T13:15:00.008Z",
        1,
    );
    let loaded = load(text.as_bytes()).unwrap();
    assert_eq!(loaded.snapshot.hash, compiled.snapshot.hash);
    assert_ne!(loaded.bytes_digest, compiled.bytes_digest);
}

#[test]
fn a_right_hash_does_not_make_a_wrong_policy_right() {
    let remove = |document: &mut Value, at: &str, key: &str| {
        document.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    };
    let sonnet = "/model_config/models/anthropic~1claude-sonnet-4-20250514";
    type Change<'c> = Box<dyn FnOnce(&mut Value) + 'c>;
    let cases: Vec<(&str, Change<'_>)> = vec![
        ("one plugin of each kind", Box::new(|d| drop(d["plugins"].as_array_mut().unwrap().pop()))),
        ("one plugin of each kind", Box::new(|d| d["plugins"][3] = d["plugins"][0].clone())),
        ("one plugin of each kind", Box::new(|d| d["plugins"].as_array_mut().unwrap().swap(0, 1))),
        ("sum to 1100", Box::new(|d| d["weights"]["usage"] = json!(400))),
        ("never runs on reflex", Box::new(|d| d["model_config"]["reflex"]["roles"] = json!(["judge"]))),
        (
            "needs high reasoning",
            Box::new(move |d| d.pointer_mut(sonnet).unwrap()["capabilities"] = json!([])),
        ),
        ("has no price", Box::new(move |d| d.pointer_mut(sonnet).unwrap()["prices"] = json!([]))),
        (
            "not `<provider>/<model>`",
            Box::new(move |d| d.pointer_mut(sonnet).unwrap()["model"] = json!("other")),
        ),
        (
            "a provider that this policy does not have",
            Box::new(|d| remove(d, "/model_config/providers", "openai")),
        ),
        (
            "link-local",
            Box::new(|d| {
                d["model_config"]["providers"]["openai"]["base_url"] = json!("http://169.254.169.254")
            }),
        ),
        ("has no models", Box::new(|d| d["model_config"]["roles"]["judge"]["models"] = json!([]))),
        ("has no models", Box::new(|d| remove(d, "/model_config/roles", "architect"))),
        (
            "does not ask for high reasoning",
            Box::new(|d| d["model_config"]["roles"]["judge"]["needs_high_reasoning"] = json!(false)),
        ),
        ("a model that is not there", Box::new(|d| d["model_config"]["reflex"]["model"] = json!("local/x"))),
        ("usage", Box::new(|d| d["governance"]["usage"] = json!({"operations": 7}))),
        ("does not write back", Box::new(|d| remove(d, "/governance/budgets", "run_tokens_max"))),
        ("does not read as schema version", Box::new(|d| d["governance"]["loophole"] = json!(true))),
        ("does not read as schema version", Box::new(|d| d["policy_id"] = json!("x"))),
        ("does not read as schema version", Box::new(|d| remove(d, "", "engine_id"))),
    ];
    assert!(load(&resealed(|_| ())).is_ok());
    for (words, change) in cases {
        let error = load(&resealed(change)).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!error.is_tampered());
    }
}

#[test]
fn a_number_without_canonical_form_is_refused() {
    let text = String::from_utf8(compiled().bytes).unwrap().replacen("\"usage\": 300", "\"usage\": 300.0", 1);
    assert!(matches!(load(text.as_bytes()), Err(SnapshotError::NoCanonicalForm(_))));
}
