//! What belongs here: what holds for whatever is recorded.

use super::*;
use proptest::prelude::*;
use rusqlite::types::Value as Cell;
use sluice_core::{Role, Stage};

fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1_i64 << 53).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn drafts() -> impl Strategy<Value = Vec<EventDraft>> {
    let one = (
        0..3_usize,
        prop::sample::select(EventKind::ALL),
        prop::option::of("[a-z][a-z0-9]{0,8}"),
        prop::option::of(prop::sample::select(Stage::ALL)),
        prop::option::of(prop::sample::select(Role::ALL)),
        0..1_000_000_i64,
        payload(),
    );
    let one = one.prop_map(|(number, kind, spec, stage, role, second, payload)| EventDraft {
        spec_id: spec.map(|spec| spec.parse().unwrap()),
        stage,
        role,
        at: at(second),
        ..draft(["run-a", "run-b", "run-c"][number], kind, payload)
    });
    prop::collection::vec(one, 1..24)
        .prop_map(|drafts| drafts.into_iter().filter(|draft| draft.kind != EventKind::Checkpoint).collect())
}

/// Records the drafts in groups, with a checkpoint in the middle.
fn recorded(drafts: &[EventDraft], group: usize) -> (Capsule, Vec<Event>) {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let mut events = Vec::new();
    for (number, group) in drafts.chunks(group).enumerate() {
        events.extend(writer.append(group.to_vec()).wait().unwrap());
        if number == 1 {
            writer.checkpoint(&events[0].run_id, "middle", at(1), &policy()).wait().unwrap();
        }
    }
    writer.close().unwrap();
    (capsule, events)
}

const COLUMNS: [&str; 16] = [
    "position",
    "run",
    "seq",
    "uri",
    "type",
    "at",
    "branch",
    "spec",
    "stage",
    "role",
    "policy_id",
    "policy_hash",
    "policy_bytes",
    "prev",
    "hash",
    "payload",
];

/// Another value that the column takes.
fn altered(cell: Cell) -> Cell {
    match cell {
        Cell::Null => Cell::Text("plan".into()),
        Cell::Integer(number) => Cell::Integer(number + 1000),
        Cell::Text(text) => Cell::Text(format!("{text}x")),
        Cell::Blob(mut bytes) => {
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
            Cell::Blob(bytes)
        }
        real @ Cell::Real(_) => real,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_recorded_verifies_and_reads_back(drafts in drafts(), group in 1..9_usize) {
        let (capsule, events) = recorded(&drafts, group);
        let reader = capsule.reader();
        let report = reader.verify().unwrap();
        prop_assert!(report.is_sound(), "{:?}", report.flaws);
        let mut read = Vec::new();
        for run in reader.runs().unwrap() {
            let verified = reader.run_events(&run.run_id).unwrap();
            prop_assert_eq!(verified.events.len() as u64, run.events);
            read.extend(verified.events);
        }
        read.retain(|event| event.kind != EventKind::Checkpoint);
        prop_assert_eq!(read.len(), events.len());
        for event in events {
            prop_assert!(read.contains(&event), "{}", event.uri);
        }
    }

    #[test]
    fn sealed_files_say_what_the_journal_says(drafts in drafts(), group in 1..9_usize) {
        let (capsule, events) = recorded(&drafts, group);
        prop_assume!(!events.is_empty());
        let writer = capsule.writer();
        writer.checkpoint_and_seal(&events[0].run_id, "end", at(2), &policy()).unwrap();
        let sealed = Reader::open_sealed(&[capsule.state()]).unwrap();
        let report = sealed.verify().unwrap();
        prop_assert!(report.is_sound(), "{:?}", report.flaws);
        let journal = capsule.reader();
        prop_assert_eq!(sealed.runs().unwrap(), journal.runs().unwrap());
        for run in journal.runs().unwrap() {
            let (ours, theirs) = (sealed.run_events(&run.run_id).unwrap(), journal.run_events(&run.run_id).unwrap());
            prop_assert_eq!((ours.events, ours.signed_through), (theirs.events, theirs.signed_through));
        }
    }

    #[test]
    fn any_altered_field_of_any_event_is_found(
        drafts in drafts(), group in 1..9_usize, row in any::<prop::sample::Index>(), column in 0..16_usize,
    ) {
        let (capsule, events) = recorded(&drafts, group);
        prop_assume!(!events.is_empty());
        let event = &events[row.index(events.len())];
        let sql = capsule.sql();
        let name = COLUMNS[column];
        let select = format!("SELECT {name}, position FROM events WHERE uri = ?1");
        let (cell, position): (Cell, i64) = sql
            .query_row(&select, [event.uri.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let update = format!("UPDATE events SET {name} = ?1 WHERE position = ?2");
        sql.execute(&update, (altered(cell), position)).unwrap();
        let report = capsule.reader().verify().unwrap();
        prop_assert!(!report.is_sound(), "{} of {} was altered, and nothing was found", name, event.uri);
    }
}
