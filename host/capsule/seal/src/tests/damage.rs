//! What is damaged is found, and named.

use super::{NAME, frames, listed, manifest, mixed, seal};
use crate::reader::examine;
use crate::{Damage, Disk, Expected, SealError, SealedReader, Verdict, inspect, write_once};
use sluice_core::Digest;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The bytes of a sealed file, and where the frames' payloads begin.
fn sealed_bytes() -> (Vec<u8>, SealedReader) {
    let dir = tempfile::tempdir().unwrap();
    let reader = SealedReader::open(&seal(dir.path(), &mixed()).path).unwrap();
    (reader.bytes().to_vec(), reader)
}

/// Puts other bytes in a sealed file's place.
fn replace(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_found_in_every_frame_at_every_byte() {
    let (mut bytes, reader) = sealed_bytes();
    assert!(examine(&bytes).is_ok());
    for (index, entry) in reader.entries().iter().enumerate() {
        let start = reader.starts[index];
        let size = usize::try_from(entry.size.unwrap_or(0)).unwrap();
        for at in start..=start + size {
            bytes[at] ^= 1 << (at % 8);
            match examine(&bytes).unwrap_err() {
                Damage::Frames(which) => assert_eq!(which.uris, [entry.uri.as_str()], "byte {at}"),
                other => panic!("byte {at} of `{}`: {other}", entry.uri),
            }
            bytes[at] ^= 1 << (at % 8);
        }
    }
}

#[test]
fn a_flipped_bit_is_found_in_the_manifest_at_every_byte() {
    let (mut bytes, reader) = sealed_bytes();
    let end = reader.starts[0];
    let text = reader.listing().to_text().unwrap();
    for at in end - text.len() - 1..end {
        bytes[at] ^= 1 << (at % 8);
        assert!(matches!(examine(&bytes), Err(Damage::Manifest(_))), "byte {at}");
        bytes[at] ^= 1 << (at % 8);
    }
}

#[test]
fn a_flipped_bit_is_found_where_header_and_end_say_where_things_are() {
    let (mut bytes, _) = sealed_bytes();
    let end = bytes.len();
    for at in (0..32).chain(end - 56..end - 40) {
        bytes[at] ^= 1 << (at % 8);
        assert!(examine(&bytes).is_err(), "byte {at}");
        bytes[at] ^= 1 << (at % 8);
    }
}

#[test]
fn several_damaged_frames_are_all_named() {
    let (mut bytes, reader) = sealed_bytes();
    for index in [0, 3] {
        bytes[reader.starts[index] + 2] ^= 0x20;
    }
    let Err(Damage::Frames(which)) = examine(&bytes) else { panic!("not found") };
    assert_eq!(which.count, 2);
    assert_eq!(which.uris, ["mv2://ws/event/run-1/1", "mv2://ws/blob/sha256/x"]);
}

#[test]
fn a_file_that_is_cut_or_that_something_was_added_to_is_refused() {
    let (bytes, _) = sealed_bytes();
    let cuts = (0..bytes.len()).step_by(997).chain(bytes.len() - 200..bytes.len());
    for cut in cuts {
        assert!(examine(&bytes[..cut]).is_err(), "{cut} bytes left");
    }
    assert!(examine(&[&bytes[..], b"\0"].concat()).is_err());
    // Memvid would take the first end it finds; the header belongs to another one here.
    assert!(examine(&[&bytes[..], &bytes[bytes.len() - 56..]].concat()).is_err());
}

#[test]
fn what_is_no_sealed_file_is_refused_with_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain.mv2");
    fs::write(&plain, vec![0; 10_000]).unwrap();
    let foreign = dir.path().join("foreign.mv2");
    let piece = crate::container::Piece {
        uri: "mv2://ws/1".into(),
        kind: "note",
        media_type: "text/plain",
        at: 1,
        bytes: b"no manifest",
    };
    fs::write(&foreign, b"").unwrap();
    crate::container::write(&foreign, std::iter::once(piece), 1 << 16, false).unwrap();
    for (path, want) in [
        (plain, "it is not a `.mv2` of format 2.1"),
        (foreign, "it has no manifest"),
        (dir.path().join("nothing.mv2"), "it is not there"),
        (dir.path().to_owned(), "it is too large, or not an ordinary file"),
    ] {
        let error = SealedReader::open(&path).unwrap_err();
        let message = format!("`{}` is not an intact sealed file: {want}", path.display());
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_manifest_that_lies_about_the_root_or_the_frames_is_refused() {
    let (bytes, reader) = sealed_bytes();
    let text = reader.listing().to_text().unwrap();
    let start = reader.starts[0] - text.len();
    let json =
        String::from_utf8(text[text.iter().position(|b| *b == b'\n').unwrap() + 1..].to_vec()).unwrap();
    let forge = |from: &str, to: &str| {
        let forged = json.replacen(from, to, 1);
        assert_ne!(forged, json, "{from}");
        let mut text = format!("sluicegate-seal-1 {} {}\n", forged.len(), Digest::of(forged.as_bytes()));
        text.push_str(&forged);
        let mut file = bytes.clone();
        file.splice(start..reader.starts[0], text.into_bytes());
        examine(&file).unwrap_err().to_string()
    };
    // Of the same length, so that the container stays as it is.
    let root = reader.sealed().merkle_root.to_hex();
    assert_eq!(forge(&root, &"0".repeat(64)), "its list of frames does not have the root that it states");
    let uri = "event/run-1/1\"";
    assert_eq!(forge(uri, "event/run-1/2\""), "it lists a uri twice");
    assert_eq!(forge("\"first\":41", "\"first\":42"), "`first` and `last` do not count the frames");
    assert_eq!(forge("\"last\"", "\"lost\""), "its manifest is not one that a seal writes");
    assert!(forge("\"size\":7", "\"size\":8").starts_with("not as they were sealed: "));
}

#[test]
fn a_verdict_names_what_differs_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), &mixed());
    let honest = listed(&mixed());
    let look = |frames: &[(String, Digest)]| inspect(&sealed.path, Expected::Frames(frames)).unwrap();
    assert_eq!(look(&honest), Verdict::Intact(sealed.clone()));
    let named = |frames: &[(String, Digest)]| match look(frames) {
        Verdict::Damaged(Damage::Unexpected(which)) => which.uris,
        other => panic!("{other:?}"),
    };
    let mut altered = honest.clone();
    altered[1].1 = Digest::of(b"other");
    assert_eq!(named(&altered), ["mv2://ws/event/run-1/2"]);
    assert_eq!(named(&honest[..4]), ["mv2://ws/plugin/sha256/x"]);
    let mut more = honest.clone();
    more.push(("mv2://ws/event/run-1/9".to_owned(), Digest::ZERO));
    assert_eq!(named(&more), ["mv2://ws/event/run-1/9"]);
    let mut swapped = honest;
    swapped.swap(0, 1);
    assert_eq!(named(&swapped), ["mv2://ws/event/run-1/2", "mv2://ws/event/run-1/1"]);
}

#[test]
fn a_verdict_holds_a_file_against_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), &mixed());
    let look = |root, file| inspect(&sealed.path, Expected::Record { root, file }).unwrap();
    assert_eq!(look(sealed.merkle_root, sealed.sha256), Verdict::Intact(sealed.clone()));
    assert!(matches!(look(Digest::ZERO, sealed.sha256), Verdict::Damaged(Damage::NotTheRecorded(_))));

    // A bit in Memvid's own tables: no frame is touched, so only the record tells.
    let mut bytes = fs::read(&sealed.path).unwrap();
    let tables = bytes.len() - 300;
    bytes[tables] ^= 4;
    replace(&sealed.path, &bytes);
    assert!(SealedReader::open(&sealed.path).is_ok());
    assert!(matches!(look(sealed.merkle_root, sealed.sha256), Verdict::Damaged(Damage::NotTheRecorded(_))));
    // Without a record, reading through Memvid tells.
    let verdict = inspect(&sealed.path, Expected::Frames(&listed(&mixed()))).unwrap();
    assert!(matches!(verdict, Verdict::Damaged(Damage::Unreadable(_))), "{verdict:?}");

    fs::remove_file(&sealed.path).unwrap();
    assert_eq!(look(sealed.merkle_root, sealed.sha256), Verdict::Damaged(Damage::Missing));
}

#[test]
fn memvid_reading_otherwise_is_found() {
    // The positive control of the reading back: a file with other frames than those asked for.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mv2");
    let piece = |uri: &'static str, bytes: &'static [u8]| crate::container::Piece {
        uri: uri.into(),
        kind: "event",
        media_type: "text/plain",
        at: 7,
        bytes,
    };
    fs::write(&path, b"").unwrap();
    let written = || [piece("a", b"one"), piece("b", b"two")].into_iter();
    crate::container::write(&path, written(), 1 << 16, false).unwrap();
    let read = |pieces: Vec<_>| crate::container::read_back(&path, pieces.into_iter()).unwrap();
    assert_eq!(read(written().collect()), None);
    assert_eq!(
        read(vec![piece("a", b"one"), piece("b", b"twO")]).as_deref(),
        Some("frame `b` reads otherwise")
    );
    assert_eq!(read(vec![piece("a", b"one")]).as_deref(), Some("1 frames too many"));
    let more = vec![piece("a", b"one"), piece("b", b"two"), piece("c", b"")];
    assert_eq!(read(more).as_deref(), Some("frame `c` is missing"));
}

#[test]
fn another_file_of_that_name_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), &mixed());
    let other = frames(&[b"other"]);
    let error = write_once(dir.path(), NAME, &other, &manifest(&other), &Disk).unwrap_err();
    assert!(matches!(error, SealError::Exists(_)), "{error}");
    // The same frames under another checkpoint are another file too.
    let later = crate::Manifest { statement: "{}".to_owned(), ..manifest(&mixed()) };
    assert!(matches!(write_once(dir.path(), NAME, &mixed(), &later, &Disk), Err(SealError::Exists(_))));
    assert_eq!(SealedReader::open(&sealed.path).unwrap().sealed(), sealed);

    let mut bytes = fs::read(&sealed.path).unwrap();
    let middle = SealedReader::open(&sealed.path).unwrap().starts[3] + 100;
    bytes[middle] ^= 1;
    replace(&sealed.path, &bytes);
    let error = write_once(dir.path(), NAME, &mixed(), &manifest(&mixed()), &Disk).unwrap_err();
    assert!(matches!(error, SealError::Damaged { damage: Damage::Frames(_), .. }), "{error}");
}
