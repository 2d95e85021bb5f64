//! What goes in comes out.

use super::{Alter, NAME, frame, frames, manifest, mixed, seal};
use crate::limits::PIECE_BYTES_MAX;
use crate::{Body, Content, Disk, Frame, SealedReader, write_once};
use proptest::prelude::*;
use sluice_core::Digest;
use sluice_core::merkle::MerkleTree;
use std::os::unix::fs::PermissionsExt;

fn assert_reads_back(frames: &[Frame]) {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), frames);
    let reader = SealedReader::open(&sealed.path).unwrap();
    assert_eq!(reader.sealed(), sealed);
    assert_eq!(reader.manifest(), &manifest(frames));
    assert_eq!(reader.iter().count(), frames.len());
    let mut tree = MerkleTree::default();
    for (frame, (entry, content)) in frames.iter().zip(reader.iter()) {
        tree.push(frame.line().as_bytes());
        assert_eq!(
            (&entry.uri, &entry.kind, &entry.media_type, entry.at, entry.sha256),
            (&frame.uri, &frame.kind, &frame.media_type, frame.at, frame.sha256)
        );
        if let Body::Here(body) = &frame.body {
            assert_eq!(content, Content::Bytes(body.as_ref().into()), "{}", frame.uri);
        }
        assert_eq!(reader.get(&frame.uri).unwrap(), (entry, content));
    }
    assert_eq!(sealed.merkle_root, tree.root());
    assert_eq!(reader.lines().collect::<Vec<_>>(), frames.iter().map(Frame::line).collect::<Vec<_>>());
}

/// Bytes that Memvid treats in different ways when they are not wrapped.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..600),
        "[a-z\u{e4}\u{20ac}\r\n\t ]{2400,2600}".prop_map(String::into_bytes),
        prop::collection::vec(any::<(String, i32)>(), 0..40).prop_map(|pairs| {
            let map: serde_json::Map<_, _> = pairs.into_iter().map(|(key, n)| (key, n.into())).collect();
            serde_json::to_vec_pretty(&map).unwrap()
        }),
        // Begins as files of other kinds do, whose text Memvid would extract.
        prop_oneof![Just(&b"%PDF-1.7\n"[..]), Just(&b"PK\x03\x04"[..]), Just(&b"\xff\xd8\xff\xe0"[..])]
            .prop_map(<[u8]>::to_vec),
    ]
}

proptest! {
    // Each case writes a file: a failure is not worth minutes of shrinking.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back_as_they_were(bodies in prop::collection::vec(body(), 1..12)) {
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        assert_reads_back(&frames(&bodies));
    }
}

#[test]
fn long_text_comes_back_as_it_was() {
    // Memvid alone would give 3,133 bytes back for 4,741.
    let pretty = serde_json::to_vec_pretty(&vec!["line   with  blanks\u{a0}\r\n"; 200]).unwrap();
    let text = "Zeile \u{fb01}\u{212b}\u{0}\n\n\n".repeat(4000);
    assert_reads_back(&frames(&[&pretty, text.as_bytes(), &[0xFF; 9], b"\n"]));
}

#[test]
fn a_large_body_is_sealed_in_pieces() {
    let size = usize::try_from(PIECE_BYTES_MAX).unwrap();
    for bytes in [size + 1, 2 * size] {
        let body: Vec<u8> = (0..bytes).map(|n| (n * n / 7) as u8).collect();
        assert_reads_back(&frames(&[&body]));
    }
}

#[test]
fn a_name_leads_to_the_blob_it_stands_for() {
    let all = mixed();
    assert_reads_back(&all);
    let dir = tempfile::tempdir().unwrap();
    let reader = SealedReader::open(&seal(dir.path(), &all).path).unwrap();
    let (entry, content) = reader.get("mv2://ws/plugin/sha256/x").unwrap();
    assert_eq!(entry.size, None);
    assert_eq!(content, reader.get("mv2://ws/blob/sha256/x").unwrap().1);
    assert_eq!(reader.by_digest(&entry.sha256).map(|body| body.len()), Some(3000));
    assert_eq!(reader.get("mv2://ws/nothing"), None);
}

#[test]
fn a_name_whose_blob_was_sealed_before_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let name = Frame { body: Body::Elsewhere, ..frame("mv2://ws/policy/1", b"sealed before") };
    let reader = SealedReader::open(&seal(dir.path(), &[name]).path).unwrap();
    let content = reader.get("mv2://ws/policy/1").unwrap().1;
    assert_eq!(content, Content::Elsewhere(Digest::of(b"sealed before")));
}

#[test]
fn the_same_content_gives_the_same_file() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (seal(one.path(), &mixed()), seal(two.path(), &mixed()));
    assert_eq!(first.merkle_root, second.merkle_root);
    assert_eq!(first.sha256, second.sha256, "without a text index nothing in the file is left to chance");
}

#[test]
fn the_root_tells_every_recorded_field_and_the_order_apart() {
    let dir = tempfile::tempdir().unwrap();
    let root = |name: &str, frames: &[Frame]| {
        write_once(dir.path(), name, frames, &manifest(frames), &Disk).unwrap().merkle_root
    };
    let honest = root("a.mv2", &mixed());
    let alter: [(&str, Alter<Vec<Frame>>); 5] = [
        ("b.mv2", |all| all.swap(0, 1)),
        ("c.mv2", |all| all[0] = frame(&all[0].uri, b"{\"a\":2}")),
        ("d.mv2", |all| all[0].uri.push('0')),
        ("e.mv2", |all| all[4].media_type = Some("text/plain".to_owned())),
        ("f.mv2", |all| all.truncate(4)),
    ];
    for (name, alter) in alter {
        let mut altered = mixed();
        alter(&mut altered);
        assert_ne!(root(name, &altered), honest, "{name}");
    }
}

#[test]
fn the_root_is_the_one_that_docs_compute_by_hand() {
    // Two leaves: sha256(1, sha256(0, line 1), sha256(0, line 2)).
    let dir = tempfile::tempdir().unwrap();
    let two = frames(&[b"one", b"two"]);
    let leaf = |frame: &Frame| Digest::of(&[&[0][..], frame.line().as_bytes()].concat());
    let (left, right) = (leaf(&two[0]), leaf(&two[1]));
    let root = Digest::of(&[&[1][..], left.as_bytes(), right.as_bytes()].concat());
    assert_eq!(seal(dir.path(), &two).merkle_root, root);
    assert_eq!(
        two[0].line(),
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed mv2://ws/event/run-1/1"
    );
}

#[test]
fn a_sealed_file_stands_alone_and_nobody_may_write_it() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = seal(dir.path(), &mixed());
    assert_eq!(super::names(dir.path()), [NAME]);
    assert_eq!(std::fs::metadata(&sealed.path).unwrap().permissions().mode() & 0o777, 0o400);
    let before = std::fs::read(&sealed.path).unwrap();
    SealedReader::open(&sealed.path).unwrap();
    assert_eq!(std::fs::read(&sealed.path).unwrap(), before);
    assert_eq!((before.len() as u64, Digest::of(&before)), (sealed.size, sealed.sha256));
    assert_eq!((sealed.frames, sealed.last_seq), (5, 45));
}
