//! What sealed files promise, and what happens when a disk, a crash or a hand breaks in.

mod damage;
mod faults;
mod healing;
mod planning;
mod refusals;
mod roundtrip;

use crate::{Body, Disk, Frame, Manifest, Sealed, write_once};
use sluice_core::Digest;
use std::path::Path;

/// The name under which tests seal.
const NAME: &str = "cp-1.mv2";

/// Spoils one field of an honest value.
type Alter<T> = fn(&mut T);

fn frame(uri: &str, body: &[u8]) -> Frame {
    Frame {
        uri: uri.to_owned(),
        kind: "event".to_owned(),
        media_type: None,
        at: 1_795_180_500,
        sha256: Digest::of(body),
        body: Body::Here(body.into()),
    }
}

fn frames(bodies: &[&[u8]]) -> Vec<Frame> {
    let bodies = bodies.iter().enumerate();
    bodies.map(|(index, body)| frame(&format!("mv2://ws/event/run-1/{}", index + 1), body)).collect()
}

/// A few frames of every kind.
fn mixed() -> Vec<Frame> {
    let plugin: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
    let mut all = frames(&[b"{\"a\":1}", b"", "tr\u{e4}ge \u{1f600}".as_bytes()]);
    all.push(Frame { kind: "blob".to_owned(), ..frame("mv2://ws/blob/sha256/x", &plugin) });
    all.push(Frame {
        kind: "name".to_owned(),
        media_type: Some("application/wasm".to_owned()),
        body: Body::Elsewhere,
        ..frame("mv2://ws/plugin/sha256/x", &plugin)
    });
    all
}

fn manifest(frames: &[Frame]) -> Manifest {
    Manifest {
        workspace: "ws".to_owned(),
        run: "run-1".parse().unwrap(),
        first: 41,
        last: 40 + frames.len() as u64,
        segment: 1,
        segments: 1,
        previous: Digest::ZERO,
        statement: "{\"checkpoint\":\"cp-1\",\"label\":\"\u{e9}\\\"\"}".to_owned(),
        signature: "ab".repeat(64),
        public_key: "cd".repeat(32),
    }
}

fn seal(dir: &Path, frames: &[Frame]) -> Sealed {
    write_once(dir, NAME, frames, &manifest(frames), &Disk).unwrap()
}

/// The frames as the journal would list them.
fn listed(frames: &[Frame]) -> Vec<(String, Digest)> {
    frames.iter().map(|frame| (frame.uri.clone(), frame.sha256)).collect()
}

/// Names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
