//! What cannot be sealed is refused before a file exists.

use super::{Alter, frame, frames, manifest, mixed, names};
use crate::{Disk, Frame, Manifest, SealError, write_once};
use sluice_core::Digest;

fn refuse(frames: &[Frame], manifest: &Manifest, name: &str) -> SealError {
    let dir = tempfile::tempdir().unwrap();
    let error = write_once(dir.path(), name, frames, manifest, &Disk).unwrap_err();
    assert!(names(dir.path()).is_empty(), "{error}");
    error
}

#[test]
fn two_frames_with_one_name_are_refused() {
    let mut all = mixed();
    all.push(all[0].clone());
    let error = refuse(&all, &manifest(&all), "a.mv2");
    assert_eq!(error.to_string(), "two frames to seal are named `mv2://ws/event/run-1/1`");
}

#[test]
fn frames_that_a_reader_would_not_take_back_are_refused() {
    let spoil: [(&str, Alter<Frame>); 11] = [
        ("digest", |frame| frame.sha256 = Digest::ZERO),
        ("uri", |frame| frame.uri.clear()),
        ("uri", |frame| frame.uri.push(' ')),
        ("uri", |frame| frame.uri.push('\n')),
        ("uri", |frame| frame.uri.push_str("#1")),
        ("uri", |frame| frame.uri = "u".repeat(513)),
        ("manifest", |frame| frame.uri = crate::MANIFEST_URI.to_owned()),
        ("kind", |frame| frame.kind.clear()),
        ("media type", |frame| frame.media_type = Some("a\nb".to_owned())),
        ("media type", |frame| frame.media_type = Some(String::new())),
        ("time", |frame| frame.at = -1),
    ];
    for (word, spoil) in spoil {
        let mut all = mixed();
        spoil(&mut all[2]);
        let error = refuse(&all, &manifest(&all), "a.mv2");
        assert!(matches!(error, SealError::BadFrame { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn manifests_that_a_reader_would_not_take_back_are_refused() {
    let spoil: [(&str, Alter<Manifest>); 9] = [
        ("count", |manifest| manifest.last += 1),
        ("count", |manifest| (manifest.first, manifest.last) = (0, 4)),
        ("count", |manifest| (manifest.first, manifest.last) = (9, 1)),
        ("segment", |manifest| manifest.segment = 0),
        ("segment", |manifest| manifest.segment = 2),
        ("workspace", |manifest| manifest.workspace = "a/b".to_owned()),
        ("hex", |manifest| manifest.signature.push('0')),
        ("hex", |manifest| manifest.public_key = "CD".repeat(32)),
        ("statement", |manifest| manifest.statement.clear()),
    ];
    for (word, spoil) in spoil {
        let mut spoilt = manifest(&mixed());
        spoil(&mut spoilt);
        let error = refuse(&mixed(), &spoilt, "a.mv2");
        assert!(matches!(error, SealError::BadManifest { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn names_that_are_no_sealed_files_are_refused() {
    for name in [
        "",
        ".mv2",
        "a",
        "a.MV2",
        ".a.mv2",
        "../a.mv2",
        "a/b.mv2",
        "a b.mv2",
        &format!("{}.mv2", "a".repeat(97)),
    ] {
        assert!(matches!(refuse(&mixed(), &manifest(&mixed()), name), SealError::BadName(_)), "{name}");
    }
}

#[test]
fn nothing_is_not_sealed() {
    let one = frames(&[b"x"]);
    assert!(matches!(refuse(&[], &manifest(&one), "a.mv2"), SealError::Empty));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let one = [frame("mv2://ws/event/run-1/1", b"x")];
    let error = write_once(&dir.path().join("nowhere"), "a.mv2", &one, &manifest(&one), &Disk).unwrap_err();
    assert_eq!(error.fault(), crate::Fault::Machine, "{error}");
    assert!(error.hint().is_some());
}
