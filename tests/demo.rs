//! `sluice demo`: what it promises, and that the token it plants is nowhere afterwards.

use crate::support::{SLUICE, Workspace, command, demo, files, ran, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_document_tells_the_story() {
    let demo = demo();
    let document = &demo.document;
    assert!(demo.run.starts_with("run-"), "{}", demo.run);
    let hash = document["policy"]["hash"].as_str().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    let kinds: Vec<&str> =
        document["plugins"].as_array().unwrap().iter().map(|p| p["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["router", "redactor", "capture-filter", "health-probe"]);

    let calls = document["calls"].as_array().unwrap();
    let stages: Vec<&str> = calls.iter().map(|call| call["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["plan", "tasks", "implement", "validate", "audit", "unlock"]);
    for call in calls {
        for text in ["role", "model", "reason", "sentence", "decision"] {
            assert!(!call[text].as_str().unwrap().is_empty(), "{text}: {call}");
        }
        assert_eq!(call["loopback"], true, "{call}");
        assert_eq!(call["attempt"].as_u64().unwrap() as usize, call["attempts"].as_array().unwrap().len());
    }
    assert!(document["redactions"].as_u64().unwrap() >= 1);
    assert_eq!(document["replay"]["mismatched"], 0);
    assert!(document["replay"]["matched"].as_u64().unwrap() > 50);
    assert_eq!(document["secret"]["found"], false);
    assert!(Path::new(document["capsule"]["path"].as_str().unwrap()).join("journal.db").is_file());
}

#[test]
fn a_failing_local_model_gives_way_to_the_cloud() {
    let document = &demo().document;
    assert!(document["escalations"].as_u64().unwrap() >= 1);
    let implement = &document["calls"][2];
    let attempts = implement["attempts"].as_array().unwrap();
    let modes: Vec<&str> = attempts.iter().map(|attempt| attempt["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["reflex", "reflex", "cloud"]);
    assert_eq!(implement["reason"], "reflex-to-cloud");
    let events = Workspace::demo().events();
    let escalated = events.iter().filter(|event| event["type"] == "Escalation").count() as u64;
    assert_eq!(document["escalations"], escalated);
}

#[test]
fn the_pinned_digests_are_those_of_the_bytes() {
    let workspace = Workspace::demo();
    for plugin in demo().document["plugins"].as_array().unwrap() {
        let digest = plugin["sha256"].as_str().unwrap();
        let path = plugin["source"].as_str().unwrap().strip_prefix("file:").unwrap();
        assert_eq!(digest, sha256(&fs::read(workspace.path(path)).unwrap()));
        for uri in [format!("mv2://demo/plugin/sha256/{digest}"), format!("mv2://demo/blob/sha256/{digest}")]
        {
            let out = workspace.run(&format!("capsule resolve-uri {uri}")).exits(0);
            assert_eq!(digest, sha256(&out.stdout), "{uri}");
        }
    }
}

#[test]
fn another_router_changes_something_and_the_same_one_nothing() {
    let document = &demo().document;
    assert_eq!(document["counterfactual"]["router"]["name"], "router-thrift");
    assert!(!document["counterfactual"]["changed"].as_array().unwrap().is_empty());
    assert_eq!(document["control"]["changed"], Value::Array(Vec::new()));

    // The same question through the option, and onto the screen's own folder.
    let workspace = Workspace::empty();
    let mut again = command(SLUICE, &workspace.home());
    again.args(["demo", "--json", "--router", "bundled:router", "--dir"]).arg(workspace.path("made"));
    let document = ran(&mut again, "").exits(0).json();
    assert_eq!(document["counterfactual"]["router"]["name"], "router");
    assert_eq!(document["counterfactual"]["decisions"], demo().document["counterfactual"]["decisions"]);
    assert_eq!(document["counterfactual"]["changed"], Value::Array(Vec::new()));

    // It overwrites nothing.
    let refused = ran(&mut again, "").exits(2).error();
    assert_eq!(refused.code, "not-empty");
    assert!(!refused.hint.is_empty());
}

/// The token, put together as the demo does it, out of its parts in the demo's source: no file holds the whole.
fn token() -> String {
    let source = include_str!("../host/cli/demo/spec.rs");
    let line = source.lines().find(|line| line.contains("const PARTS:")).unwrap();
    let token: String = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(token.len(), 40, "a classic token");
    token
}

const WINDOW_BYTES: usize = 8;

/// Every window of a secret in the forms in which it could have been kept.
struct Search {
    needles: Vec<Vec<u8>>,
    /// Which pairs of bytes begin a needle: looked at before anything is compared.
    begins: Vec<bool>,
}

impl Search {
    fn of(secret: &str) -> Search {
        let mut needles = BTreeSet::new();
        for window in secret.as_bytes().windows(WINDOW_BYTES) {
            needles.extend(forms(window));
        }
        let mut begins = vec![false; 1 << 16];
        for needle in &needles {
            begins[pair(needle)] = true;
        }
        Search { needles: needles.into_iter().collect(), begins }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        (0..bytes.len().saturating_sub(1))
            .filter(|at| self.begins[pair(&bytes[*at..])])
            .any(|at| self.needles.iter().any(|needle| bytes[at..].starts_with(needle)))
    }

    /// The files and cells under a folder that hold a trace, and how many files and cells were looked at.
    fn traces(&self, root: &Path) -> (Vec<String>, u64) {
        let (mut found, mut looked, mut databases) = (Vec::new(), 0, Vec::new());
        for path in files(root) {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            looked += 1;
            let bytes = fs::read(&path).unwrap();
            if self.is_in(name.as_bytes()) || self.is_in(&bytes) {
                found.push(name.clone());
            }
            if bytes.starts_with(b"SQLite format 3\0") {
                databases.push((path, name));
            }
        }
        // Afterwards, because whoever opens a database may remove the files beside it.
        for (path, name) in databases {
            looked += self.cells(&Connection::open(&path).unwrap(), &name, &mut found);
        }
        (found, looked)
    }

    fn cells(&self, database: &Connection, name: &str, found: &mut Vec<String>) -> u64 {
        let mut looked = 0;
        let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect();
        assert!(tables.len() > 3, "{tables:?}");
        for table in tables {
            let mut select = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
            let columns = select.column_count();
            let mut rows = select.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    looked += 1;
                    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(column).unwrap()
                        && self.is_in(bytes)
                    {
                        found.push(format!("{name}: {table}"));
                    }
                }
            }
        }
        looked
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Raw, hex, percent, and base64 in both alphabets without the characters that depend on the neighbours.
fn forms(window: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = window.iter().map(|byte| format!("%{byte:02x}")).collect();
    let mut forms = vec![hex.to_uppercase(), percent.to_uppercase(), hex, percent];
    for lead in 0..3 {
        let shifted = [&[0; 3][..lead], window].concat();
        let whole = (lead * 8).div_ceil(6)..shifted.len() * 8 / 6;
        forms.push(STANDARD_NO_PAD.encode(&shifted)[whole.clone()].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&shifted)[whole].to_owned());
    }
    forms.into_iter().map(String::into_bytes).chain([window.to_vec()]).collect()
}

#[test]
fn the_token_is_what_was_found_and_replaced() {
    let (token, workspace) = (token(), Workspace::demo());
    let key = sluice_capsule::WorkspaceKey::load(&workspace.path(".speckit")).unwrap();
    let tagger = sluice_governance::Tagger::new(&key.derive(&format!("sluice/tag/v1/{}", demo().run)));
    let events = workspace.events();
    let redactions = events.iter().filter(|event| event["type"] == "RedactionApplied");
    let findings: Vec<&Value> =
        redactions.flat_map(|event| event["payload"]["findings"].as_array().unwrap()).collect();
    assert!(!findings.is_empty());
    // Placeholder tags are a MAC over what was replaced: so this very token was there.
    let tag = tagger.tag(token.as_bytes());
    assert!(findings.iter().any(|finding| finding["tag"] == tag), "{tag}: {findings:?}");
    let kept = events.iter().any(|event| event["payload"].to_string().contains(&format!(":{tag}]")));
    assert!(kept, "the placeholder stands in a kept prompt");
}

#[test]
fn the_token_is_nowhere_in_the_workspace() {
    let search = Search::of(&token());
    let (found, looked) = search.traces(&Workspace::demo().root());
    assert_eq!(found, Vec::<String>::new());
    assert!(looked > 500, "{looked} files and cells are too few");
}

#[test]
fn a_planted_leak_is_found_in_every_form() {
    let (token, workspace) = (token(), Workspace::demo());
    let search = Search::of(&token);
    let piece = &token[13..13 + WINDOW_BYTES];
    let bytes = |lead: &str| format!("{lead}{piece}!").into_bytes();
    let hex: String = piece.bytes().map(|byte| format!("{byte:02X}")).collect();
    let percent: String = piece.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut leaks = vec![bytes(""), hex.into_bytes(), percent.into_bytes()];
    leaks.extend(["", "?", "??"].map(|lead| STANDARD_NO_PAD.encode(bytes(lead)).into_bytes()));
    for leak in &leaks {
        let path = workspace.path(".speckit/cache/leak");
        fs::write(&path, leak).unwrap();
        let (found, _) = search.traces(&workspace.root());
        assert_eq!(found, [".speckit/cache/leak"], "{}", String::from_utf8_lossy(leak));
        fs::remove_file(path).unwrap();
    }

    let journal = workspace.journal();
    journal
        .execute("INSERT INTO meta VALUES ('note', ?1)", [String::from_utf8(leaks[3].clone()).unwrap()])
        .unwrap();
    journal
        .execute("UPDATE events SET payload = replace(payload, '\"egress\"', ?1) WHERE position = (SELECT min(position) FROM events WHERE type = 'RedactionApplied')", [format!("\"{piece}\"")])
        .unwrap();
    drop(journal);
    let (found, _) = search.traces(&workspace.root());
    for table in ["meta", "events"] {
        assert!(found.contains(&format!(".speckit/capsule/journal.db: {table}")), "{found:?}");
    }
}
