//! What belongs here: a capsule read from its sealed files alone says what the journal says, or why it cannot.

use super::healing::{flip, replace};
use super::sealing::{later, names, sealed_dir, sealed_sample};
use super::*;
use crate::lock::WriterLock;
use crate::sealed::SealedJournal;
use crate::{Batch, CapsuleError, EventFilter, FlawKind, Identity, Journal, SqliteJournal, lock_path};
use sluice_seal::{Body, Content, Disk, Frame, SealError, SealedReader, write_once};

fn open(paths: &[PathBuf]) -> Result<Reader, CapsuleError> {
    Reader::open_sealed(paths)
}

fn opened(capsule: &Capsule) -> Reader {
    open(&[sealed_dir(capsule)]).unwrap()
}

fn gap(paths: &[PathBuf]) -> String {
    match open(paths) {
        Err(CapsuleError::SealedGap(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_says_what_the_journal_says() {
    let capsule = sealed_sample();
    let (journal, sealed) = (capsule.reader(), opened(&capsule));
    // The last event of run-a is a checkpoint that is in no frame: it follows from the signed statement.
    assert_eq!(
        sealed.run_events(&run("run-a")).unwrap().events,
        journal.run_events(&run("run-a")).unwrap().events
    );
    let (ours, theirs) =
        (sealed.run_events(&run("run-b")).unwrap(), journal.run_events(&run("run-b")).unwrap());
    assert_eq!(ours.events, theirs.events[..6], "two events came after the last seal");
    assert_eq!((ours.signed_through, &ours.checkpoints), (6, &theirs.checkpoints));
    assert_eq!(ours.identity, Identity::Unconfirmed);
    let report = sealed.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    let known = journal.verify().unwrap();
    assert_eq!(report.last_checkpoint, known.last_checkpoint);
    assert_eq!((report.frames, report.signed_frames, report.checkpoints), (19, 18, 2));
    assert_eq!((report.sealed_files, report.sealed_frames), (2, 18));
    assert_eq!((report.blobs, report.names), (known.blobs, known.names));
    for frame in journal.frames(1, 19).unwrap() {
        let uri = frame.uri.parse().unwrap();
        assert_eq!(sealed.resolve(&uri).unwrap(), journal.resolve(&uri).unwrap(), "{uri}");
    }
    for id in ["cp-1", "cp-2"] {
        let uri = uri(&format!("checkpoint/{id}"));
        assert_eq!(sealed.resolve(&uri).unwrap(), journal.resolve(&uri).unwrap());
    }
    let page = |reader: &Reader| {
        let filter = EventFilter { kind: Some(EventKind::RoutingDecision), after: 5, limit: 3, run: None };
        reader.events(&filter).unwrap()
    };
    assert_eq!(page(&sealed), page(&journal));
    let stats = sealed.stats().unwrap();
    assert_eq!((stats.counts.events, stats.counts.seals, stats.sealed_position), (13, 2, 18));
    let runs = sealed.runs().unwrap();
    assert_eq!(runs.iter().map(|run| run.events).collect::<Vec<_>>(), [7, 6]);
    assert_eq!(sealed.sealed_end(), Some("cp-2"));
    assert_eq!(journal.sealed_end(), None);
}

#[test]
fn it_is_found_in_every_folder_around_it_and_by_name() {
    let capsule = sealed_sample();
    let dir = sealed_dir(&capsule);
    std::fs::write(dir.join("damaged-cp-1.mv2"), b"set aside").unwrap();
    std::fs::write(dir.join(".sealing-cp-3.mv2"), b"half").unwrap();
    let files: Vec<PathBuf> = ["cp-2.mv2", "cp-1.mv2"].iter().map(|name| dir.join(name)).collect();
    let again: Vec<PathBuf> = files.iter().cloned().chain([dir.clone()]).collect();
    for paths in [vec![capsule.state()], vec![capsule.state().join("capsule")], vec![dir], files, again] {
        let reader = open(&paths).unwrap();
        assert_eq!(reader.stats().unwrap().last_position, 19, "{paths:?}");
        assert_eq!(reader.seals().unwrap().len(), 2);
    }
}

#[test]
fn the_key_and_the_mark_that_somebody_kept_are_held_against_it() {
    let capsule = sealed_sample();
    let key = capsule.key().public_key();
    let believed = opened(&capsule).expecting(key).run_events(&run("run-a")).unwrap();
    assert_eq!(believed.identity, Identity::Expected);
    let other = opened(&capsule).expecting("01".repeat(32).parse().unwrap());
    assert!(!other.verify().unwrap().is_sound());
    assert!(
        matches!(other.run_events(&run("run-a")), Err(CapsuleError::Flawed(flaw)) if flaw.kind == FlawKind::Key)
    );
    let mark = capsule.reader().verify().unwrap().last_checkpoint.unwrap();
    assert!(opened(&capsule).expecting_checkpoint(mark).verify().unwrap().is_sound());
    std::fs::remove_file(sealed_dir(&capsule).join("cp-2.mv2")).unwrap();
    assert!(!opened(&capsule).expecting_checkpoint(mark).verify().unwrap().is_sound());
}

#[test]
fn what_came_after_the_last_seal_is_told_from_what_never_was() {
    let capsule = sealed_sample();
    let reader = opened(&capsule);
    let error = reader.resolve(&uri("event/run-b/7")).unwrap_err();
    let text = "nothing in the sealed files is named `mv2://ws/event/run-b/7`; they end with cp-2";
    assert_eq!(error.to_string(), text);
    assert!(error.hint().unwrap().contains("sluice capsule seal"));
    assert!(matches!(reader.run_events(&run("run-z")), Err(CapsuleError::NotSealed { .. })));
}

/// Five checkpoints; the third in three files.
fn long() -> Capsule {
    let capsule = Capsule::new();
    let writer = capsule.writer();
    put_policy(&writer);
    for number in 1..=5 {
        append(&writer, "run-1", json!({"n": number}));
        if number == 3 {
            writer.put_blob(vec![7; 4_500_000]).wait().unwrap();
            append(&writer, "run-1", json!({"n": "after"}));
        }
        writer.checkpoint_and_seal(&run("run-1"), "x", at(number), &policy()).unwrap();
    }
    capsule
}

#[test]
fn a_missing_file_is_named() {
    let capsule = long();
    let all = names(&sealed_dir(&capsule));
    assert_eq!(all.len(), 7, "{all:?}");
    for (gone, says) in [
        (&["cp-1.mv2"][..], "the file of `cp-1` is missing, with positions 1 to 3"),
        (&["cp-1.mv2", "cp-2.mv2"], "the files of `cp-1` to `cp-2` are missing, with positions 1 to 5"),
        (&["cp-2.mv2"], "the file of `cp-2` is missing, with positions 4 to 5"),
        (&["cp-3-1of3.mv2"], "a file of `cp-3` is missing, with positions 6 to 7"),
        (&["cp-3-2of3.mv2"], "a file of `cp-3` is missing, with positions 8 to 8"),
        (&["cp-3-3of3.mv2"], "a file of `cp-3` is missing, with positions 9 to 9"),
        (&["cp-3-3of3.mv2", "cp-4.mv2", "cp-5.mv2"], "a file of `cp-3` is missing, with positions 9 to 9"),
    ] {
        let paths: Vec<PathBuf> = all
            .iter()
            .filter(|name| !gone.contains(&name.as_str()))
            .map(|name| sealed_dir(&capsule).join(name))
            .collect();
        assert_eq!(gap(&paths), says, "{gone:?}");
    }
    // Without the last ones it is a capsule that ends earlier.
    let paths: Vec<PathBuf> = all[..2].iter().map(|name| sealed_dir(&capsule).join(name)).collect();
    let reader = open(&paths).unwrap();
    assert_eq!(reader.sealed_end(), Some("cp-2"));
    assert!(reader.verify().unwrap().is_sound());
    let whole = opened(&capsule);
    assert!(whole.verify().unwrap().is_sound());
    assert_eq!(whole.run_events(&run("run-1")).unwrap().events.len(), 11);
}

#[test]
fn nothing_at_all_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert!(gap(&[dir.path().to_owned()]).starts_with("there is no `.mv2` in"));
    assert_eq!(gap(&[]), "none was named");
    let error = open(&[dir.path().join("none.mv2")]).unwrap_err();
    assert!(error.to_string().ends_with("is not an intact sealed file: it is not there"), "{error}");
}

#[test]
fn files_of_two_capsules_are_told_apart() {
    let (one, two) = (sealed_sample(), Capsule { dir: tempfile::tempdir().unwrap() });
    init(&two.state(), "other", &mut fixed_entropy(7)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let writer = two.writer();
    let id = policy_id();
    let policy = PolicyBinding { uri: LogicalUri::new("other", Resource::Policy(id)), ..policy() };
    writer.put_policy(id, POLICY_BYTES).wait().unwrap();
    let other = EventDraft { policy: policy.clone(), ..draft("run-a", EventKind::ToolCall, json!({})) };
    writer.append(vec![other]).wait().unwrap();
    writer.checkpoint_and_seal(&run("run-a"), "x", at(1), &policy).unwrap();
    std::fs::copy(sealed_dir(&two).join("cp-1.mv2"), copy.path().join("cp-1.mv2")).unwrap();
    std::fs::copy(sealed_dir(&one).join("cp-2.mv2"), copy.path().join("cp-2.mv2")).unwrap();
    let told = gap(&[copy.path().to_owned()]);
    assert!(told.contains("is of workspace `other`") && told.ends_with("of `ws`"), "{told}");

    // The same workspace, made by somebody with another key.
    let forged = Capsule { dir: tempfile::tempdir().unwrap() };
    init(&forged.state(), WORKSPACE, &mut fixed_entropy(8)).unwrap();
    let writer = forged.writer();
    put_policy(&writer);
    append(&writer, "run-a", json!({}));
    writer.checkpoint_and_seal(&run("run-a"), "x", at(1), &super::policy()).unwrap();
    let told = gap(&[sealed_dir(&forged).join("cp-1.mv2"), sealed_dir(&one).join("cp-2.mv2")]);
    assert!(told.ends_with("are signed with different keys"), "{told}");
    let told = gap(&[sealed_dir(&forged).join("cp-1.mv2"), sealed_dir(&one).join("cp-1.mv2")]);
    assert!(told.ends_with("are signed with different keys"), "{told}");
    assert!(open(&[sealed_dir(&forged)]).unwrap().verify().unwrap().is_sound(), "by its own word alone");
}

#[test]
fn a_flipped_bit_names_the_frame() {
    let capsule = sealed_sample();
    flip(&sealed_dir(&capsule).join("cp-1.mv2"));
    let error = open(&[sealed_dir(&capsule)]).unwrap_err();
    assert!(matches!(&error, CapsuleError::Seal(SealError::Damaged { .. })), "{error}");
    assert!(error.to_string().contains("frame `mv2://ws/event/run-a/1`"), "{error}");
    assert_eq!(error.fault(), crate::Fault::Record);
    let flaws = capsule.reader().verify().unwrap().flaws;
    assert_eq!((flaws.len(), flaws[0].kind, flaws[0].uri.as_str()), (1, FlawKind::Seal, "sealed/cp-1.mv2"));
    assert!(flaws[0].message.contains("mv2://ws/event/run-a/1"), "{}", flaws[0]);
}

#[test]
fn a_journal_that_was_altered_differs_from_its_sealed_files() {
    type Spoil = fn(&Capsule);
    let spoils: [(&str, Spoil); 3] = [
        ("one of the two was altered", |capsule| {
            super::tampering::rewrite(capsule, "run-b", 2, |row| {
                row.payload = "{\"choose\":\"mine\"}".into()
            });
        }),
        ("it holds more than the journal does", |capsule| {
            capsule.sql().execute_batch("DELETE FROM events WHERE position = 18").unwrap();
        }),
        ("is not what a checkpoint of the journal signed", |capsule| {
            super::tampering::rewrite(capsule, "run-a", 7, |row| {
                row.payload = row.payload.replace("run end", "run End")
            });
        }),
    ];
    for (says, spoil) in spoils {
        let capsule = sealed_sample();
        spoil(&capsule);
        let flaws = capsule.reader().verify().unwrap().flaws;
        let told = flaws.iter().any(|flaw| flaw.kind == FlawKind::Seal && flaw.message.contains(says));
        assert!(told, "wanted {says}: {flaws:?}");
        // The files themselves are as good as ever.
        assert!(opened(&capsule).verify().unwrap().is_sound());
    }
}

/// Writes a sealed file again with other frames or another manifest: everything in it is consistent, but the
/// signature is the old one.
fn forge(path: &Path, alter: impl FnOnce(&mut Vec<Frame>, &mut sluice_seal::Manifest)) {
    let reader = SealedReader::open(path).unwrap();
    let mut frames: Vec<Frame> = reader
        .iter()
        .map(|(entry, content)| Frame {
            uri: entry.uri.clone(),
            kind: entry.kind.clone(),
            media_type: entry.media_type.clone(),
            at: entry.at,
            sha256: entry.sha256,
            body: match content {
                Content::Bytes(bytes) if entry.size.is_some() => Body::Here(bytes.as_ref().into()),
                _ => Body::Elsewhere,
            },
        })
        .collect();
    let mut manifest = reader.manifest().clone();
    alter(&mut frames, &mut manifest);
    std::fs::remove_file(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    write_once(path.parent().unwrap(), name, &frames, &manifest, &Disk).unwrap();
}

fn set_body(frame: &mut Frame, from: &str, to: &str) {
    let Body::Here(bytes) = &frame.body else { panic!("no body") };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let bytes = text.replace(from, to).into_bytes();
    (frame.sha256, frame.body) = (Digest::of(&bytes), Body::Here(bytes.into()));
}

#[test]
fn a_file_that_was_made_anew_without_the_key_does_not_verify() {
    type Forge = fn(&mut Vec<Frame>, &mut sluice_seal::Manifest);
    let forgeries: [(FlawKind, Forge); 4] = [
        (FlawKind::Manifest, |frames, _| {
            let at = frames.iter().position(|frame| frame.uri.ends_with("event/run-a/5")).unwrap();
            set_body(&mut frames[at], "model-3", "model-9");
        }),
        (FlawKind::Manifest, |frames, _| {
            let name = frames.iter_mut().find(|frame| frame.uri.ends_with("plan.md")).unwrap();
            name.media_type = Some("text/html".to_owned());
        }),
        (FlawKind::Manifest, |frames, _| frames.swap(6, 7)),
        // The event under its own digest in another's place.
        (FlawKind::Manifest, |frames, _| {
            let body = frames[5].body.clone();
            (frames[6].sha256, frames[6].body) = (frames[5].sha256, body);
        }),
    ];
    for (kind, alter) in forgeries {
        let capsule = sealed_sample();
        forge(&sealed_dir(&capsule).join("cp-1.mv2"), alter);
        let report = opened(&capsule).verify().unwrap();
        assert!(report.flaws.iter().any(|flaw| flaw.kind == kind), "{:?}", report.flaws);
        assert!(opened(&capsule).run_events(&run("run-a")).is_err());
        // Beside the journal: the file is not the one that is recorded.
        let flaws = capsule.reader().verify().unwrap().flaws;
        assert!(flaws.iter().any(|flaw| flaw.uri == "sealed/cp-1.mv2"), "{flaws:?}");
    }
}

#[test]
fn a_manifest_that_says_something_else_than_was_signed_is_refused() {
    type Forge = fn(&mut sluice_seal::Manifest);
    let forgeries: [(FlawKind, Forge); 5] = [
        (FlawKind::Signature, |manifest| manifest.signature = "ab".repeat(64)),
        (FlawKind::Signature, |manifest| {
            manifest.statement = manifest.statement.replace("stage plan", "stage flan")
        }),
        (FlawKind::Unreadable, |manifest| manifest.statement = manifest.statement.replace("\":", "\": ")),
        (FlawKind::Unreadable, |manifest| manifest.public_key = "01".repeat(32)),
        (FlawKind::Unsigned, |manifest| (manifest.first, manifest.last) = (2, manifest.last + 1)),
    ];
    for (kind, alter) in forgeries {
        let capsule = sealed_sample();
        forge(&sealed_dir(&capsule).join("cp-1.mv2"), |_, manifest| alter(manifest));
        match open(&[sealed_dir(&capsule)]) {
            Err(CapsuleError::Flawed(flaw)) => assert_eq!(flaw.kind, kind, "{flaw}"),
            other => panic!("{kind}: {other:?}"),
        }
        assert!(!capsule.reader().verify().unwrap().is_sound());
    }
}

#[test]
fn what_a_manifest_calls_a_frame_does_not_matter() {
    // `kind` and `at` are not under the root: who alters them must not be able to hide an event.
    let capsule = sealed_sample();
    for name in ["cp-1.mv2", "cp-2.mv2"] {
        forge(&sealed_dir(&capsule).join(name), |frames, _| {
            frames.iter_mut().for_each(|frame| (frame.kind, frame.at) = ("blob".to_owned(), 7));
        });
    }
    let (sealed, journal) = (opened(&capsule), sealed_sample().reader());
    assert!(sealed.verify().unwrap().is_sound());
    assert_eq!(
        sealed.run_events(&run("run-a")).unwrap().events,
        journal.run_events(&run("run-a")).unwrap().events
    );
}

#[test]
fn checkpoints_that_were_signed_together_are_read_together_or_not_at_all() {
    let capsule = Capsule::new();
    let (state, path) = (capsule.state(), capsule.db());
    let lock = WriterLock::acquire(&lock_path(&state), "a test").unwrap();
    let opener = Box::new(move |_| Ok(Box::new(SqliteJournal::open(&path)?) as Box<dyn Journal>));
    let writer = Writer::start(&state, capsule.key(), Arc::new(NoGuard), lock, engine(opener, 10)).unwrap();
    put_policy(&writer);
    for n in 0..23 {
        append(&writer, "run-1", json!({"n": n}));
    }
    writer.checkpoint_and_seal(&run("run-1"), "end", at(1), &policy()).unwrap();
    let sealed = opened(&capsule);
    let report = sealed.verify().unwrap();
    assert!(report.is_sound(), "{:?}", report.flaws);
    assert_eq!(
        sealed.run_events(&run("run-1")).unwrap().events,
        capsule.reader().run_events(&run("run-1")).unwrap().events
    );
    let dir = sealed_dir(&capsule);
    let told = gap(&[dir.join("cp-1.mv2"), dir.join("cp-2.mv2")]);
    assert_eq!(told, "`cp-1` was signed together with later checkpoints, whose files are missing");
}

#[test]
fn it_cannot_be_written_to() {
    let capsule = sealed_sample();
    let mut journal: SealedJournal = crate::sealed::load(&[sealed_dir(&capsule)]).unwrap();
    assert!(matches!(journal.commit(&Batch::default()), Err(CapsuleError::ReadOnly)));
    assert!(CapsuleError::ReadOnly.hint().is_some());
    // A file that grew since it was sealed is no longer one.
    replace(&sealed_dir(&capsule).join("cp-2.mv2"), |bytes| bytes.push(0));
    assert!(open(&[sealed_dir(&capsule)]).is_err());
    assert!(capsule.writer().seal(later()).unwrap().is_empty());
}
