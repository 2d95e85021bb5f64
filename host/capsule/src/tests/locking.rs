//! What belongs here: who may write, and who may read meanwhile.

use super::*;
use crate::{CapsuleError, lock_path};
use std::fs;

#[test]
fn a_second_writer_is_refused_with_the_name_of_the_first() {
    let capsule = Capsule::new();
    let first = Writer::open(&capsule.state(), Arc::new(NoGuard), "sluice call run-7").unwrap();
    let error = Writer::open(&capsule.state(), Arc::new(NoGuard), "a test").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CapsuleError::Locked(_)), "{error}");
    assert!(text.contains(&format!("pid {} on host `", std::process::id())), "{text}");
    assert!(text.contains("sluice call run-7, since 20"), "{text}");
    assert!(error.hint().is_some());
    // Readers need no lock, and see what is committed.
    put_policy(&first);
    append(&first, "run-1", json!({}));
    assert_eq!(capsule.reader().runs().unwrap().len(), 1);
    drop(first);
    capsule.writer();
}

#[test]
fn a_lock_file_that_nobody_holds_is_taken_over() {
    let capsule = Capsule::new();
    fs::write(lock_path(&capsule.state()), "pid 1 on host `gone`: crashed\n").unwrap();
    let writer = capsule.writer();
    let text = fs::read_to_string(lock_path(&capsule.state())).unwrap();
    assert!(text.starts_with(&format!("pid {}", std::process::id())) && !text.contains("gone"), "{text}");
    writer.close().unwrap();
    assert_eq!(fs::read_to_string(lock_path(&capsule.state())).unwrap(), "");
}

#[test]
fn closing_serves_what_waits_and_refuses_what_comes_later() {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    let waiting: Vec<_> = (0..200)
        .map(|number| writer.append(vec![draft("run-1", EventKind::ErrorEvent, json!({"n": number}))]))
        .collect();
    let clone = writer.clone();
    writer.close().unwrap();
    for pending in waiting {
        pending.wait().unwrap();
    }
    let late = clone.append(vec![draft("run-1", EventKind::ErrorEvent, json!({}))]).wait();
    assert!(matches!(late, Err(CapsuleError::Closed)), "{late:?}");
    // The lock is free although a clone is left.
    assert_eq!(append(&capsule.writer(), "run-1", json!({})).seq, 201);
}

#[test]
fn the_lock_text_holds_no_secret_and_no_line_break() {
    let capsule = Capsule::new();
    let who = "sluice call\nhunter2hunter2\u{1b}[2J";
    let _writer = Writer::open(&capsule.state(), Arc::new(Knows("hunter2hunter2")), who).unwrap();
    let text = fs::read_to_string(lock_path(&capsule.state())).unwrap();
    assert!(text.contains("sluice call[known][2J"), "{text:?}");
    assert_eq!(text.lines().count(), 1);
}
