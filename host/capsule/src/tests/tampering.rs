//! What belongs here: what somebody can do who has the file, an editor and this source code, but not the key.

use super::*;
use crate::journal::Journal;
use crate::keys::PublicKey;
use crate::row::EventRow;
use crate::sqlite::SqliteJournal;
use crate::{CapsuleError, EventQuery, FlawKind, Identity, SignedCheckpoint};
use rusqlite::params;
use sluice_core::canonical;

fn rows(capsule: &Capsule, run: &str) -> Vec<EventRow> {
    let journal = SqliteJournal::open(&capsule.db()).unwrap();
    let mut rows = Vec::new();
    let query = EventQuery { run: Some(run.to_owned()), ..EventQuery::default() };
    journal
        .events(&query, &mut |row| {
            rows.push(row.unwrap());
            Ok(true)
        })
        .unwrap();
    rows
}

/// Alters one event and recomputes the chain behind it, the run's head included: an expert's forgery.
pub(super) fn rewrite(capsule: &Capsule, run: &str, seq: u64, alter: impl Fn(&mut EventRow)) {
    let mut rows = rows(capsule, run);
    let sql = capsule.sql();
    let mut prev = None;
    for row in rows.iter_mut().filter(|row| row.seq >= seq) {
        if row.seq == seq {
            alter(row);
        }
        row.prev = prev.unwrap_or(row.prev);
        row.hash = row.compute_hash(WORKSPACE);
        prev = Some(row.hash);
        sql.execute(
            "UPDATE events SET at = ?2, payload = ?3, prev = ?4, hash = ?5 WHERE position = ?1",
            params![row.position as i64, row.at, row.payload, row.prev.as_bytes(), row.hash.as_bytes()],
        )
        .unwrap();
    }
    let head = prev.unwrap();
    sql.execute("UPDATE heads SET hash = ?2 WHERE run = ?1", params![run, head.as_bytes()]).unwrap();
}

/// What `verify` finds, as kind and URI; never nothing.
fn found(capsule: &Capsule) -> Vec<(FlawKind, String)> {
    let report = capsule.reader().verify().unwrap();
    assert!(!report.is_sound(), "nothing was found");
    report.flaws.into_iter().map(|flaw| (flaw.kind, flaw.uri)).collect()
}

fn refused(capsule: &Capsule, name: &str) -> (FlawKind, String) {
    match capsule.reader().run_events(&run(name)) {
        Err(CapsuleError::Flawed(flaw)) => (flaw.kind, flaw.uri),
        other => panic!("not refused: {other:?}"),
    }
}

fn event(path: &str) -> String {
    format!("mv2://ws/event/{path}")
}

#[test]
fn an_altered_payload_is_named() {
    let capsule = sample();
    let sql = "UPDATE events SET payload = '{\"choose\":\"mine\"}' WHERE run = 'run-a' AND seq = 3";
    assert_eq!(capsule.sql().execute(sql, []).unwrap(), 1);
    assert_eq!(found(&capsule)[0], (FlawKind::Content, event("run-a/3")));
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Content, event("run-a/3")));
    assert!(matches!(
        capsule.reader().resolve(&event("run-a/3").parse().unwrap()),
        Err(CapsuleError::Flawed(_))
    ));
    assert!(capsule.reader().events(&crate::EventFilter::default()).is_err());
}

#[test]
fn an_altered_decision_with_its_chain_recomputed_is_named() {
    let capsule = sample();
    rewrite(&capsule, "run-a", 3, |row| row.payload = "{\"choose\":\"mine\"}".into());
    assert_eq!(found(&capsule)[0], (FlawKind::Unsigned, event("run-a/3")));
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Unsigned, event("run-a/3")));
    // The other run is what it was.
    assert_eq!(capsule.reader().run_events(&run("run-b")).unwrap().signed_through, 6);
}

#[test]
fn a_forged_run_moved_to_the_unsigned_tail_is_named() {
    let capsule = sample();
    rewrite(&capsule, "run-a", 3, |row| row.payload = "{\"choose\":\"mine\"}".into());
    capsule.sql().execute_batch("UPDATE events SET position = position + 1000 WHERE run = 'run-a'").unwrap();
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Unsigned, event("run-a/3")));
    assert!(found(&capsule).contains(&(FlawKind::Missing, event("run-a/3"))));
}

#[test]
fn a_forger_who_also_rewrites_the_manifest_is_found() {
    let capsule = sample();
    let before = rows(&capsule, "run-a");
    rewrite(&capsule, "run-a", 3, |row| row.payload = "{\"choose\":\"mine\"}".into());
    let sql = capsule.sql();
    for (old, new) in before.iter().zip(rows(&capsule, "run-a")) {
        sql.execute(
            "UPDATE checkpoints SET manifest = replace(manifest, ?1, ?2)",
            params![old.hash.to_hex(), new.hash.to_hex()],
        )
        .unwrap();
    }
    let kinds: Vec<FlawKind> = found(&capsule).into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.contains(&FlawKind::Manifest) && kinds.contains(&FlawKind::Unsigned), "{kinds:?}");
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Manifest, "mv2://ws/checkpoint/cp-1".into()));
}

#[test]
fn a_damaged_manifest_alone_is_reported_as_that() {
    let capsule = sample();
    capsule.sql().execute("UPDATE checkpoints SET manifest = manifest || 'x' WHERE number = 1", []).unwrap();
    assert_eq!(found(&capsule), [(FlawKind::Manifest, "mv2://ws/checkpoint/cp-1".to_owned())]);
}

#[test]
fn an_altered_statement_has_no_signature() {
    let capsule = sample();
    rewrite(&capsule, "run-a", 7, |row| {
        let mut signed: SignedCheckpoint = serde_json::from_str(&row.payload).unwrap();
        signed.statement.label = "another label".into();
        row.payload = String::from_utf8(canonical::to_bytes(&signed).unwrap()).unwrap();
    });
    assert_eq!(found(&capsule)[0], (FlawKind::Signature, event("run-a/7")));
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Signature, event("run-a/7")));
    assert_eq!(refused(&capsule, "run-b"), (FlawKind::Signature, event("run-a/7")));
}

#[test]
fn the_last_checkpoints_event_is_covered_by_its_own_statement() {
    let capsule = sample();
    rewrite(&capsule, "run-a", 7, |row| row.at = at(99).to_string());
    assert_eq!(found(&capsule), [(FlawKind::Unsigned, event("run-a/7"))]);
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Unsigned, event("run-a/7")));
}

#[test]
fn a_cut_before_a_checkpoint_is_found() {
    let capsule = sample();
    // The last event before the last checkpoint, with sequence, links and head made good.
    let sql = capsule.sql();
    sql.execute_batch("DELETE FROM events WHERE run = 'run-b' AND seq >= 6").unwrap();
    let head = rows(&capsule, "run-b").last().unwrap().hash;
    sql.execute("UPDATE heads SET seq = 5, hash = ?1 WHERE run = 'run-b'", [head.as_bytes()]).unwrap();
    assert_eq!(found(&capsule)[0], (FlawKind::Missing, event("run-b/6")));
    assert_eq!(refused(&capsule, "run-b"), (FlawKind::Missing, event("run-b/6")));
}

#[test]
fn a_deleted_run_is_found() {
    let capsule = sample();
    capsule
        .sql()
        .execute_batch("DELETE FROM events WHERE run = 'run-b'; DELETE FROM heads WHERE run = 'run-b'")
        .unwrap();
    // With its events went the first checkpoint; the second one knows of it, and of the last event.
    let missing = [event("run-b/6"), "mv2://ws/checkpoint/cp-1".to_owned()];
    let found = found(&capsule);
    assert!(missing.iter().all(|uri| found.contains(&(FlawKind::Missing, uri.clone()))), "{found:?}");
    assert!(matches!(capsule.reader().run_events(&run("run-b")), Err(CapsuleError::NotFound(_))));
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Missing, missing[1].clone()));
}

#[test]
fn a_deleted_checkpoint_is_found() {
    // Only the row of the table.
    let capsule = sample();
    capsule.sql().execute("DELETE FROM checkpoints WHERE number = 1", []).unwrap();
    assert_eq!(found(&capsule), [(FlawKind::Manifest, "mv2://ws/checkpoint/cp-1".to_owned())]);
    refused(&capsule, "run-a");
    // Only the last event.
    let capsule = sample();
    capsule.sql().execute("DELETE FROM events WHERE run = 'run-a' AND seq = 7", []).unwrap();
    assert!(found(&capsule).contains(&(FlawKind::Missing, "mv2://ws/checkpoint/cp-2".to_owned())));
    // Row, event and head of the first.
    let capsule = sample();
    let sql = "DELETE FROM checkpoints WHERE number = 1; DELETE FROM events WHERE run = 'run-b' AND seq >= 5; \
               DELETE FROM heads WHERE run = 'run-b'";
    capsule.sql().execute_batch(sql).unwrap();
    assert!(found(&capsule).contains(&(FlawKind::Missing, "mv2://ws/checkpoint/cp-1".to_owned())));
    assert_eq!(refused(&capsule, "run-a"), (FlawKind::Missing, "mv2://ws/checkpoint/cp-1".to_owned()));
}

#[test]
fn changed_removed_and_renamed_bytes_are_found() {
    let plugin = Digest::of(b"\0asm router");
    let plugin_uri = format!("mv2://ws/plugin/sha256/{plugin}");
    let spoil = |sql: &str| {
        let capsule = sample();
        assert!(capsule.sql().execute(sql, [plugin.as_bytes()]).unwrap() > 0, "{sql}");
        capsule
    };
    let changed = spoil("UPDATE blobs SET bytes = X'00' WHERE digest = ?1");
    assert_eq!(found(&changed)[0], (FlawKind::Content, format!("mv2://ws/blob/sha256/{plugin}")));
    let error = changed.reader().resolve(&plugin_uri.parse().unwrap()).unwrap_err();
    assert!(matches!(&error, CapsuleError::Flawed(flaw) if flaw.uri == plugin_uri), "{error}");

    let removed = spoil("DELETE FROM blobs WHERE digest = ?1");
    assert_eq!(found(&removed)[0], (FlawKind::Missing, format!("mv2://ws/blob/sha256/{plugin}")));
    assert!(found(&removed).contains(&(FlawKind::Missing, plugin_uri.clone())));

    let unnamed = spoil("DELETE FROM names WHERE digest = ?1");
    assert_eq!(found(&unnamed)[0], (FlawKind::Missing, plugin_uri.clone()));

    let renamed = spoil("UPDATE names SET digest = (SELECT max(digest) FROM blobs WHERE digest <> ?1)");
    assert!(found(&renamed).contains(&(FlawKind::Unsigned, plugin_uri)));
    let retyped = spoil("UPDATE names SET media_type = 'text/html' WHERE digest <> ?1");
    assert!(found(&retyped).contains(&(FlawKind::Unsigned, "mv2://ws/artifact/run-a/plan/plan.md".into())));
}

#[test]
fn an_added_or_moved_frame_is_found() {
    // A run of the forger's own, put where something was signed. Another frame makes room for it.
    let capsule = sample();
    let sql = "DELETE FROM blobs WHERE position = 1; \
        INSERT INTO events SELECT 1, 'run-z', 1, 'mv2://ws/event/run-z/1', type, at, 'run/run-z', spec, stage, role, \
        policy_id, policy_hash, policy_bytes, prev, hash, payload FROM events WHERE run = 'run-a' AND seq = 1";
    capsule.sql().execute_batch(sql).unwrap();
    found(&capsule);
    let row = rows(&capsule, "run-z").remove(0);
    let hash = row.compute_hash(WORKSPACE);
    capsule.sql().execute("UPDATE events SET hash = ?1 WHERE run = 'run-z'", [hash.as_bytes()]).unwrap();
    capsule.sql().execute("INSERT INTO heads VALUES ('run-z', 1, ?1)", [hash.as_bytes()]).unwrap();
    assert_eq!(refused(&capsule, "run-z"), (FlawKind::Unsigned, event("run-z/1")));

    let capsule = sample();
    let swap = "UPDATE events SET position = 100 WHERE position = 6; UPDATE events SET position = 6 WHERE position = 7; \
                UPDATE events SET position = 7 WHERE position = 100";
    capsule.sql().execute_batch(swap).unwrap();
    assert_eq!(found(&capsule).len(), 2, "two frames changed places");
}

#[test]
fn a_gap_in_the_unsigned_tail_is_found() {
    let capsule = sample();
    capsule.sql().execute_batch("DELETE FROM events WHERE run = 'run-b' AND seq = 7").unwrap();
    assert_eq!(found(&capsule)[0], (FlawKind::Missing, event("run-b/7")));
    assert_eq!(refused(&capsule, "run-b"), (FlawKind::Missing, event("run-b/7")));
}

#[test]
fn a_cut_end_of_the_unsigned_tail_is_found_by_the_head() {
    let capsule = sample();
    capsule.sql().execute_batch("DELETE FROM events WHERE run = 'run-b' AND seq = 8").unwrap();
    assert!(found(&capsule).contains(&(FlawKind::Missing, event("run-b/8"))));
    assert_eq!(refused(&capsule, "run-b"), (FlawKind::Missing, event("run-b/8")));
}

#[test]
fn bytes_that_events_rest_on_are_missed_without_any_signature() {
    let unsigned = || {
        let capsule = Capsule::new();
        let writer = capsule.writer();
        put_policy(&writer);
        writer.put_blob(&b"another policy"[..]).wait().unwrap();
        append(&writer, "run-1", json!({}));
        writer.close().unwrap();
        capsule
    };
    let policy_uri = format!("mv2://ws/policy/{}", policy_id());
    let exchanged = unsigned();
    let other = Digest::of(b"another policy");
    exchanged.sql().execute("UPDATE names SET digest = ?1", [other.as_bytes()]).unwrap();
    assert_eq!(found(&exchanged), [(FlawKind::Missing, policy_uri)]);

    let gone = unsigned();
    gone.sql().execute("DELETE FROM blobs WHERE digest = ?1", [other.as_bytes()]).unwrap();
    assert_eq!(found(&gone), [(FlawKind::Missing, "frames/3".to_owned())]);

    let unstored = unsigned();
    let writer = unstored.writer();
    let plugins = json!({"plugins": [{"digest": Digest::of(b"never stored")}]});
    writer.append(vec![draft("run-1", EventKind::PolicySnapshotRef, plugins)]).wait().unwrap();
    let plugin = format!("mv2://ws/plugin/sha256/{}", Digest::of(b"never stored"));
    assert_eq!(found(&unstored), [(FlawKind::Missing, plugin)]);
}

#[test]
fn a_link_to_something_else_is_found() {
    // The last event of the tail, whole in itself, on top of an event that is not there.
    let capsule = sample();
    let mut row = rows(&capsule, "run-b").pop().unwrap();
    row.prev = Digest::of(b"another history");
    row.hash = row.compute_hash(WORKSPACE);
    let sql = capsule.sql();
    let (prev, hash) = (row.prev.as_bytes(), row.hash.as_bytes());
    sql.execute("UPDATE events SET prev = ?1, hash = ?2 WHERE run = 'run-b' AND seq = 8", [prev, hash])
        .unwrap();
    sql.execute("UPDATE heads SET hash = ?1 WHERE run = 'run-b'", [hash]).unwrap();
    assert_eq!(found(&capsule), [(FlawKind::Link, event("run-b/8"))]);
    assert_eq!(refused(&capsule, "run-b"), (FlawKind::Link, event("run-b/8")));
}

#[test]
fn a_swapped_key_is_found_where_somebody_knows_the_right_one() {
    let other = {
        let mut key = [0; 32];
        key[31] = 9;
        key
    };
    let other: PublicKey = sluice_core::digest::to_hex(&other).parse().unwrap();
    let swap = |capsule: &Capsule| {
        capsule
            .sql()
            .execute("UPDATE meta SET value = ?1 WHERE key = 'public_key'", [other.to_string()])
            .unwrap();
    };
    // The key file lies beside it.
    let capsule = sample();
    let honest = capsule.key().public_key();
    swap(&capsule);
    assert_eq!(found(&capsule), [(FlawKind::Key, "mv2://ws/".to_owned())]);
    assert_eq!(refused(&capsule, "run-a").0, FlawKind::Key);
    // On another machine the signatures do not hold under the swapped key.
    std::fs::remove_dir_all(capsule.state().join("keys")).unwrap();
    assert!(found(&capsule).contains(&(FlawKind::Signature, event("run-a/7"))));
    // Unless the auditor was told the right one.
    let report = capsule.reader().expecting(honest).verify().unwrap();
    assert_eq!((report.flaws_found, report.identity, report.checkpoints), (1, Identity::Expected, 2));
}

/// All of it made anew with a key of the forger's own: nothing inside can tell.
#[test]
fn a_capsule_made_anew_is_found_by_its_key_alone() {
    let honest = sample().key().public_key();
    let forged = Capsule { dir: tempfile::tempdir().unwrap() };
    crate::init(&forged.state(), WORKSPACE, &mut fixed_entropy(66)).unwrap();
    let writer = forged.writer();
    put_policy(&writer);
    append(&writer, "run-a", json!({"choose": "mine"}));
    writer.checkpoint(&run("run-a"), "end", at(0), &policy()).wait().unwrap();
    writer.close().unwrap();
    std::fs::remove_dir_all(forged.state().join("keys")).unwrap();
    let report = forged.reader().verify().unwrap();
    assert_eq!((report.is_sound(), report.identity), (true, Identity::Unconfirmed), "and it says so");
    let report = forged.reader().expecting(honest).verify().unwrap();
    let kinds: Vec<FlawKind> = report.flaws.iter().map(|flaw| flaw.kind).collect();
    assert!(kinds.contains(&FlawKind::Key) && kinds.contains(&FlawKind::Signature), "{kinds:?}");
}

/// Everything after the first checkpoint removed, nothing else touched: the capsule is what it was then.
#[test]
fn a_cut_of_the_very_end_is_found_by_who_kept_a_mark() {
    let capsule = sample();
    let mark = capsule.reader().verify().unwrap().last_checkpoint.unwrap();
    assert_eq!((mark.number, mark.to_string().parse()), (2, Ok(mark)));
    assert!(capsule.reader().expecting_checkpoint(mark).verify().unwrap().is_sound());
    let cut = "DELETE FROM checkpoints WHERE number = 2; DELETE FROM events WHERE position > 16; DELETE FROM heads; \
               INSERT INTO heads SELECT run, max(seq), hash FROM events GROUP BY run";
    capsule.sql().execute_batch(cut).unwrap();
    let reader = capsule.reader();
    assert!(reader.verify().unwrap().is_sound(), "inside, nothing can tell");
    let report = reader.clone().expecting_checkpoint(mark).verify().unwrap();
    assert_eq!(report.flaws[0].uri, "mv2://ws/checkpoint/cp-2");
    assert!(reader.expecting_checkpoint(mark).run_events(&run("run-a")).is_err());
}

#[test]
fn a_wrong_head_or_position_in_the_side_tables_is_found() {
    for sql in [
        "UPDATE heads SET seq = 9 WHERE run = 'run-b'",
        "UPDATE heads SET seq = 7 WHERE run = 'run-b'",
        "DELETE FROM heads WHERE run = 'run-b'",
        "INSERT INTO heads VALUES ('run-x', 1, zeroblob(32))",
        "UPDATE checkpoints SET position = 3 WHERE number = 1",
        "INSERT INTO checkpoints VALUES (3, 20, '')",
        "UPDATE heads SET hash = X'00' WHERE run = 'run-b'",
    ] {
        let capsule = sample();
        capsule.sql().execute_batch(sql).unwrap();
        found(&capsule);
    }
}

#[test]
fn a_report_is_bounded_and_counts_all() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    for _ in 0..3 {
        writer.append(vec![draft("run-1", EventKind::ToolCall, json!({"a": 1})); 100]).wait().unwrap();
    }
    writer.close().unwrap();
    capsule.sql().execute_batch("UPDATE events SET payload = '{\"a\":2}'").unwrap();
    let report = capsule.reader().verify().unwrap();
    assert_eq!((report.flaws.len(), report.flaws_found), (crate::limits::FLAWS_LISTED_MAX, 300));
}
