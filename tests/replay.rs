//! The record from outside: it holds, it replays offline, and whoever alters it is told where. Forgers here write
//! SQL, and recompute hashes by a reading of their own of docs/capsule-format.md.

use crate::support::{SLUICE, Workspace, command, demo, ran, sha256};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// One event as it is stored.
#[derive(Clone)]
pub struct Row {
    position: i64,
    seq: i64,
    pub kind: String,
    prev: Vec<u8>,
    hash: Vec<u8>,
    /// All that is hashed but `prev`.
    pub document: Value,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

impl Row {
    pub fn all(journal: &Connection, run: &str) -> Vec<Row> {
        let mut select = journal.prepare("SELECT * FROM events WHERE run = ?1 ORDER BY seq").unwrap();
        let rows = select
            .query_map([run], |row| {
                let blob = |name: &str| row.get::<_, Vec<u8>>(name);
                let text = |name: &str| row.get::<_, Option<String>>(name);
                let policy = text("policy_id")?;
                let uri = text("uri")?.unwrap_or_default();
                let workspace = uri.split('/').nth(2).unwrap_or_default();
                let policy_uri = format!("mv2://{workspace}/policy/{}", policy.clone().unwrap_or_default());
                let payload = text("payload")?.unwrap_or_default();
                Ok(Row {
                    position: row.get("position")?,
                    seq: row.get("seq")?,
                    kind: row.get("type")?,
                    prev: blob("prev")?,
                    hash: blob("hash")?,
                    document: json!({
                        "uri": uri, "type": text("type")?, "at": text("at")?, "run_id": run,
                        "seq": row.get::<_, i64>("seq")?, "branch": text("branch")?, "spec_id": text("spec")?,
                        "stage": text("stage")?, "role": text("role")?,
                        "payload": serde_json::from_str::<Value>(&payload).unwrap(),
                        "policy": {
                            "id": policy, "hash": hex(&blob("policy_hash")?),
                            "bytes": hex(&blob("policy_bytes")?), "uri": policy_uri,
                        },
                    }),
                })
            })
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn computed(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        document["prev"] = json!(hex(&self.prev));
        unhex(&sha256(sluice_core::canonical::to_string(&document).unwrap().as_bytes()))
    }

    pub fn uri(&self) -> &str {
        self.document["uri"].as_str().unwrap()
    }
}

/// Alters the payload of the first event of a kind and recomputes the chain from there through to the head, as a
/// careful forger would. Returns the URI of the event.
pub fn forge(journal: &Connection, run: &str, kind: &str, alter: impl FnOnce(&mut Value)) -> String {
    let mut rows = Row::all(journal, run);
    for row in &rows {
        assert_eq!(row.computed(), row.hash, "this test does not know the format: event {}", row.seq);
    }
    let at = rows.iter().position(|row| row.kind == kind).unwrap();
    let before = rows[at].document["payload"].clone();
    alter(&mut rows[at].document["payload"]);
    assert_ne!(rows[at].document["payload"], before, "nothing was altered");
    rechain(journal, run, &mut rows, at);
    rows[at].uri().to_owned()
}

/// Stores rows that were altered from `at` on, each chained to the one before.
pub fn rechain(journal: &Connection, run: &str, rows: &mut [Row], at: usize) {
    for later in at..rows.len() {
        if later > 0 {
            rows[later].prev = rows[later - 1].hash.clone();
        }
        rows[later].hash = rows[later].computed();
        let row = &rows[later];
        let payload = sluice_core::canonical::to_string(&row.document["payload"]).unwrap();
        journal
            .execute(
                "UPDATE events SET type = ?1, payload = ?2, prev = ?3, hash = ?4 WHERE position = ?5",
                params![row.document["type"].as_str(), payload, row.prev, row.hash, row.position],
            )
            .unwrap();
    }
    set_head(journal, run, rows.last().unwrap());
}

fn set_head(journal: &Connection, run: &str, last: &Row) {
    let changed = journal
        .execute("UPDATE heads SET seq = ?1, hash = ?2 WHERE run = ?3", params![last.seq, last.hash, run])
        .unwrap();
    assert_eq!(changed, 1);
}

/// Takes the events from `seq` on out of the run, and sets its head to what is left.
pub fn cut(journal: &Connection, run: &str, count: usize) {
    let rows = Row::all(journal, run);
    let (kept, gone) = rows.split_at(rows.len() - count);
    for row in gone {
        journal.execute("DELETE FROM events WHERE position = ?1", [row.position]).unwrap();
    }
    set_head(journal, run, kept.last().unwrap());
}

/// Takes the signature away: the checkpoint's event, which is the last one, and its row.
pub fn unsign(journal: &Connection, run: &str) {
    assert_eq!(Row::all(journal, run).last().unwrap().kind, "Checkpoint");
    cut(journal, run, 1);
    assert_eq!(journal.execute("DELETE FROM checkpoints", []).unwrap(), 1);
}

/// Expects a replay that says no, and returns its report.
#[track_caller]
fn refuted(workspace: &Workspace) -> Value {
    let ran = workspace.json(&format!("replay {}", demo().run)).exits(1);
    let report = ran.json();
    assert!(report["mismatched"].as_u64().unwrap() > 0, "{report}");
    report
}

#[track_caller]
fn names(report: &Value, event: &str) {
    let named = report["mismatches"].as_array().unwrap().iter().any(|found| found["event"] == event);
    assert!(named, "{event} is not named in {report}");
}

#[test]
fn a_run_replays_offline() {
    let replay = ["-C", ".", "--json", "replay", &demo().run];
    let workspace = Workspace::demo();
    let before = fs::read(workspace.journal_path()).unwrap();
    let report = workspace.json(&format!("replay {}", demo().run)).exits(0).json();
    assert_eq!(report["mismatched"], 0);
    assert_eq!(report["signed_up_to"], report["events"]);
    assert_eq!(report["fuel_compared"], true);
    assert_eq!(fs::read(workspace.journal_path()).unwrap(), before, "replay writes nothing to the record");

    // A network namespace of its own holds not even a loopback interface that is up.
    if !Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success()) {
        println!("the half without a network is skipped: `unshare -rn` is not permitted here");
        return;
    }
    let mut unshare = command("unshare", &workspace.home());
    unshare.args(["-rn", SLUICE]).args(replay).current_dir(workspace.root());
    assert_eq!(ran(&mut unshare, "").exits(0).json(), report);
}

#[test]
fn another_router_is_asked_from_its_file() {
    let workspace = Workspace::demo();
    let with = |file: &str| {
        let path = workspace.path(file);
        let mut command = workspace.command();
        command.args(["--json", "replay", &demo().run, "--with"]).arg(format!("router={}", path.display()));
        ran(&mut command, "")
    };
    let same = with("plugins/router.wasm").exits(0).json();
    assert_eq!(same["counterfactual"]["changed"], json!([]));
    let other = with("plugins/router-thrift.wasm").exits(0).json();
    assert_eq!(other["counterfactual"], demo().document["counterfactual"]);
    // A plugin of another kind is no router.
    let refused = with("plugins/redactor.wasm").exits(1).error();
    assert_eq!(refused.code, "plugin-refused");
    with("plugins.lock").exits(1).error();
    with("none.wasm").exits(2).error();
}

#[test]
fn an_altered_decision_under_a_signature_is_named() {
    let workspace = Workspace::demo();
    let event = forge(&workspace.journal(), &demo().run, "RoutingDecision", |payload| {
        payload["reason"] = json!("judge-cloud");
    });
    names(&refuted(&workspace), &event);
    let said = workspace.run(&format!("replay {}", demo().run)).exits(1);
    assert!(said.text().contains(&event), "{}", said.text());
    let verified = workspace.json("capsule verify").exits(1);
    assert!(verified.text().contains(&event), "{}", verified.text());
    workspace.json(&format!("why {event}")).exits(1);
}

#[test]
fn an_altered_decision_without_a_signature_is_derived_again_and_named() {
    type Alter = fn(&mut Value);
    let alterations: [(&str, Alter); 6] = [
        ("RoutingDecision", |payload| payload["reason"] = json!("judge-cloud")),
        ("RoutingDecision", |payload| payload["facts"]["budget"]["spent_micro_usd"] = json!(1)),
        ("ModelCallEnvelope", |payload| payload["cost"] = json!(1)),
        ("Escalation", |payload| payload["outcome"] = json!("timeout")),
        ("HealthProbed", |payload| payload["rounds"] = json!([])),
        ("RunFinished", |payload| payload["cost"] = json!(0)),
    ];
    for (kind, alter) in alterations {
        let workspace = Workspace::demo();
        let journal = workspace.journal();
        unsign(&journal, &demo().run);
        let event = forge(&journal, &demo().run, kind, alter);
        drop(journal);
        names(&refuted(&workspace), &event);
    }
    // The control: without a signature, and with nothing altered, it replays; and says that nothing was signed.
    let workspace = Workspace::demo();
    unsign(&workspace.journal(), &demo().run);
    let report = workspace.json(&format!("replay {}", demo().run)).exits(0).json();
    assert_eq!(report["signed_up_to"], 0);
}

#[test]
fn an_altered_decision_without_its_chain_is_named() {
    let workspace = Workspace::demo();
    let event = "SELECT uri FROM events WHERE type = 'RoutingDecision' ORDER BY seq LIMIT 1";
    let journal = workspace.journal();
    let event: String = journal.query_row(event, [], |row| row.get(0)).unwrap();
    let sql = "UPDATE events SET payload = replace(payload, 'policy-order', 'judge-cloud') WHERE uri = ?1";
    assert_eq!(journal.execute(sql, [&event]).unwrap(), 1);
    drop(journal);
    names(&refuted(&workspace), &event);
}

#[test]
fn a_changed_plugin_blob_is_found() {
    let of_router = "(SELECT digest FROM names WHERE uri LIKE '%/plugin/%' ORDER BY position LIMIT 1)";
    let workspace = Workspace::demo();
    let journal = workspace.journal();
    let select = format!("SELECT position, bytes FROM blobs WHERE digest = {of_router}");
    let (position, mut bytes): (i64, Vec<u8>) =
        journal.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    journal.execute("UPDATE blobs SET bytes = ?1 WHERE position = ?2", params![bytes, position]).unwrap();
    refuted(&workspace);
    workspace.json("capsule verify").exits(1);

    // Another router's bytes in its place, stored under their own digest: the snapshot names other ones.
    let other = fs::read(workspace.path("plugins/router-thrift.wasm")).unwrap();
    let digest = unhex(&sha256(&other));
    let changed = journal
        .execute(
            "UPDATE blobs SET bytes = ?1, digest = ?2 WHERE position = ?3",
            params![other, digest, position],
        )
        .unwrap();
    assert_eq!(changed, 1);
    refuted(&workspace);
}

#[test]
fn events_that_were_cut_off_are_missed() {
    for count in [1, 3, 10] {
        let workspace = Workspace::demo();
        cut(&workspace.journal(), &demo().run, count);
        refuted(&workspace);
        workspace.json("capsule verify").exits(1);
    }
    // With the last row, but the head as it was.
    let workspace = Workspace::demo();
    workspace.journal().execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", []).unwrap();
    refuted(&workspace);
    // One from the middle, and all that follow moved up: their numbers are part of what is hashed.
    let workspace = Workspace::demo();
    workspace.journal().execute("DELETE FROM events WHERE seq = 20", []).unwrap();
    let report = refuted(&workspace);
    names(&report, &format!("mv2://demo/event/{}/20", demo().run));
}

#[test]
fn a_flipped_bit_is_found_or_changes_nothing() {
    const FLIPS: usize = 24;
    let replay = format!("replay {}", demo().run);
    let verbs = ["capsule verify", &replay, "capsule events --limit 100000"];
    let pristine = Workspace::demo();
    let sound = verbs.map(|verb| pristine.json(verb).exits(0).json());
    let bytes = fs::read(pristine.journal_path()).unwrap();
    assert!(fs::metadata(pristine.path(".speckit/capsule/journal.db-wal")).map_or(0, |wal| wal.len()) == 0);
    let workspace = Workspace::demo();
    let mut found = 0;
    for flip in 0..FLIPS {
        // The header once, then evenly through the file, at another offset in its page each time.
        let at = (flip * (bytes.len() / FLIPS) + flip * 1_237) % bytes.len();
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1 << (flip % 8);
        fs::write(workspace.journal_path(), spoilt).unwrap();
        for (verb, sound) in verbs.iter().zip(&sound) {
            let ran = workspace.json(verb);
            if ran.code == 0 {
                assert_eq!(&ran.json(), sound, "byte {at}: {verb} says yes to another record");
            } else {
                ran.json();
                found += 1;
            }
        }
    }
    assert!(found >= FLIPS, "{found} of {} looks found a flipped bit", 3 * FLIPS);
}

#[test]
fn events_are_listed_in_order_and_each_names_the_one_before() {
    let workspace = Workspace::demo();
    let events = workspace.events();
    assert_eq!(demo().document["capsule"]["events"], events.len());
    let mut prev = "0".repeat(64);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at + 1);
        assert_eq!(event["prev"], prev.as_str(), "{event}");
        assert_eq!(event["policy"]["hash"], demo().document["policy"]["hash"]);
        let mut hashed = event.clone();
        prev = hashed.as_object_mut().unwrap().remove("hash").unwrap().as_str().unwrap().to_owned();
        assert_eq!(prev, sha256(sluice_core::canonical::to_string(&hashed).unwrap().as_bytes()));
    }
    let newest = workspace.json("capsule events --newest --limit 2").exits(0).json();
    assert_eq!(newest["events"].as_array().unwrap()[..], events[events.len() - 2..]);
    let of_type = workspace.json("capsule events --type Escalation").exits(0).json();
    assert_eq!(demo().document["escalations"], of_type["events"].as_array().unwrap().len());
    // What was decided stands before what came of it.
    let place = |kind: &str| events.iter().position(|event| event["type"] == kind).unwrap();
    assert!(place("RoutingDecision") < place("RedactionApplied"));
    assert!(place("RedactionApplied") < place("ModelCallEnvelope"));
}

#[test]
fn each_kind_of_uri_gives_its_exact_bytes() {
    let workspace = Workspace::demo();
    let events = workspace.events();
    let router = demo().document["plugins"][0]["sha256"].as_str().unwrap();
    let policy = demo().document["policy"]["policy_id"].as_str().unwrap();
    let third = &events[2];
    let canonical = sluice_core::canonical::to_string(third).unwrap().into_bytes();
    let snapshot = fs::read(workspace.path(&workspace.snapshot_file())).unwrap();
    let plugin = fs::read(workspace.path("plugins/router.wasm")).unwrap();
    for (uri, bytes) in [
        (third["uri"].as_str().unwrap().to_owned(), canonical),
        (format!("mv2://demo/policy/{policy}"), snapshot),
        (format!("mv2://demo/plugin/sha256/{router}"), plugin.clone()),
        (format!("mv2://demo/blob/sha256/{router}"), plugin),
    ] {
        let document = workspace.json(&format!("capsule resolve-uri {uri} --out out.bin")).exits(0).json();
        assert_eq!(fs::read(workspace.home().join("out.bin")).unwrap(), bytes, "{uri}");
        // An event's digest is its link in the chain, which covers all of it but itself.
        let is_event = uri.contains("/event/");
        let digest = if is_event { third["hash"].clone() } else { json!(sha256(&bytes)) };
        assert_eq!(document["digest"], digest, "{uri}");
        assert_eq!(document["bytes"], bytes.len(), "{uri}");
    }
    let checkpoint = events.last().unwrap()["payload"].clone();
    let id = checkpoint.pointer("/statement/checkpoint").or(checkpoint.get("checkpoint")).unwrap();
    let uri = format!("mv2://demo/checkpoint/{}", id.as_str().unwrap());
    let resolved = workspace.run(&format!("capsule resolve-uri {uri}")).exits(0);
    assert!(resolved.text().contains(&demo().run), "{}", resolved.text());
    // Another workspace's URI is not looked up here.
    workspace.json(&format!("capsule resolve-uri mv2://other/policy/{policy}")).exits(2).error();
}

#[test]
fn a_new_capsule_holds_and_is_not_made_twice() {
    let workspace = Workspace::authored();
    workspace.json("capsule verify").exits(2).error();
    let made = workspace.json("capsule init --name fresh").exits(0).json();
    assert_eq!(made["workspace"], "fresh");
    let verified = workspace.json("capsule verify").exits(0).json();
    assert_eq!((&verified["holds"], &verified["events"]), (&json!(true), &json!(0)));
    assert_eq!(verified["public_key"], made["public_key"]);
    let again = workspace.json("capsule init").exits(1).error();
    assert_eq!(again.code, "capsule-exists");
    assert_eq!(workspace.json("capsule verify").exits(0).json(), verified);
}
