//! What belongs here: the SQLite engine against the contract, and the contract against engines that break it.

use super::hooked::Hooked;
use super::*;
use crate::keys::PublicKey;
use crate::{Batch, CapsuleError, Journal, Meta, SqliteJournal, conformance};

fn sqlite_in(dir: &Path, name: &str) -> Result<SqliteJournal, CapsuleError> {
    let path = dir.join(format!("{name}.db"));
    if !path.exists() {
        let public_key: PublicKey = "00".repeat(32).parse().unwrap();
        SqliteJournal::create(&path, &Meta { workspace: conformance::WORKSPACE.into(), public_key })?;
    }
    SqliteJournal::open(&path)
}

#[test]
fn sqlite_conforms() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(conformance::check(&|name| Ok(Box::new(sqlite_in(dir.path(), name)?))), Ok(()));
}

/// The suite against engines that break one promise each: it must name it.
#[test]
fn an_engine_that_breaks_a_promise_is_named() {
    type Lie = fn(&mut SqliteJournal, &Batch) -> Result<(), CapsuleError>;
    let lies: [(&str, Lie); 6] = [
        ("what was committed reads back", |_, _| Ok(())),
        ("what was committed reads back", |journal, batch| {
            let mut batch = batch.clone();
            batch.events.iter_mut().for_each(|event| event.at = event.at.replace(".007", ""));
            journal.commit(&batch)
        }),
        ("a batch for another position", |journal, batch| {
            let after = journal.last_position()?;
            let mut batch = Batch { after, ..batch.clone() };
            batch.events.retain(|event| event.position > after);
            journal.commit(&batch)
        }),
        ("an event that does not continue its run", |journal, batch| match journal.commit(batch) {
            Err(CapsuleError::Conflict(text)) if text.contains("run `") => Ok(()),
            other => other,
        }),
        ("a name or a blob is stored once", |journal, batch| {
            let mut batch = batch.clone();
            batch.blobs.retain(|blob| !journal.has_blob(&blob.digest).unwrap());
            batch.names.retain(|name| journal.name(&name.uri).unwrap().is_none());
            journal.commit(&batch)
        }),
        ("checkpoints and seals", |journal, batch| journal.commit(&Batch { seal: None, ..batch.clone() })),
    ];
    for (case, lie) in lies {
        let dir = tempfile::tempdir().unwrap();
        let result = conformance::check(&|name| {
            let inner = sqlite_in(dir.path(), name)?;
            Ok(Box::new(Hooked { inner, commit: Box::new(lie) }))
        });
        let deviation = result.expect_err(case);
        assert!(deviation.case.starts_with(case), "{case}: {deviation:?}");
    }
}

/// No test here can cut the power. What makes a commit durable against it is at least switched on.
#[test]
fn every_commit_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let journal = sqlite_in(dir.path(), "synced").unwrap();
    assert_eq!(journal.pragma("journal_mode"), "wal");
    assert_eq!(journal.pragma("synchronous"), "2", "FULL");
    assert_eq!(journal.pragma("fullfsync"), "1");
}
