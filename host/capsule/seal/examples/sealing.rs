//! Seals made-up events and says how long it took: `sealing [EVENTS [BYTES [FOLDER [ROUNDS]]]]`.
//!
//! The last line is what `tests/witness/memvid_witness.sh` wants to know of the file: path, Memvid frames, a
//! frame's name, the digest of its content. Without a folder the file is written to a temporary one and removed.

#![expect(clippy::print_stdout, reason = "a measuring tool for the terminal")]

use sluice_core::Digest;
use sluice_seal::limits::PIECE_BYTES_MAX;
use sluice_seal::{Body, Disk, Frame, Manifest, Sealed, SealedReader, plan, sweep, write_once};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let events = args.next().map_or(Ok(10_000), |arg| arg.parse())?;
    let bytes = args.next().map_or(Ok(1024), |arg| arg.parse())?;
    let scratch = tempfile::tempdir()?;
    let folder = args.next().map_or_else(|| scratch.path().to_owned(), Into::into);
    let rounds: u32 = args.next().map_or(Ok(1), |arg| arg.parse())?;
    let frames: Vec<Frame> = (1..=events).map(|seq| event(seq, bytes)).collect();
    for round in 1..=rounds {
        run(&folder, &frames, round)?;
    }
    Ok(())
}

fn run(folder: &Path, frames: &[Frame], round: u32) -> Result<(), Box<dyn Error>> {
    sweep(folder, &Disk)?;
    let start = Instant::now();
    let files = plan(frames.iter().map(Frame::shape))?;
    let mut sealed: Vec<Sealed> = Vec::new();
    for (index, range) in files.iter().enumerate() {
        let name = format!("bench-{round}-{}.mv2", index + 1);
        let manifest = manifest(range.start, range.end, index, files.len(), sealed.last());
        sealed.push(write_once(folder, &name, &frames[range.clone()], &manifest, &Disk)?);
    }
    let (took, size) = (start.elapsed(), sealed.iter().map(|file| file.size).sum::<u64>());
    println!("{} frames sealed in {took:.0?}: {} file(s), {size} bytes", frames.len(), files.len());
    let start = Instant::now();
    for file in &sealed {
        SealedReader::open(&file.path)?;
    }
    println!("opened and verified in {:.0?}", start.elapsed());
    if let (Some(file), Some(frame)) = (sealed.first(), frames.first()) {
        let pieces = |frame: &Frame| frame.shape().body_bytes.unwrap_or(0).div_ceil(PIECE_BYTES_MAX).max(1);
        let count: u64 = frames[files[0].clone()].iter().map(pieces).sum();
        println!("{} {} {} {}", file.path.display(), count + 1, frame.uri, frame.sha256);
    }
    Ok(())
}

/// Looks like JSON and does not compress to nothing.
fn event(seq: u64, bytes: usize) -> Frame {
    let mut body = format!("{{\"seq\":{seq},\"payload\":\"");
    while body.len() < bytes.saturating_sub(2) {
        let digest = Digest::of_parts(&[&seq.to_be_bytes(), &body.len().to_be_bytes()]).to_hex();
        body.push_str(&digest[..digest.len().min(bytes - 2 - body.len())]);
    }
    body.push_str("\"}");
    Frame {
        uri: format!("mv2://bench/event/run-20261120-131500-3f9a1c20/{seq}"),
        kind: "event".to_owned(),
        media_type: None,
        at: 1_795_180_500,
        sha256: Digest::of(body.as_bytes()),
        body: Body::Here(body.into_bytes().into()),
    }
}

fn manifest(start: usize, end: usize, index: usize, files: usize, before: Option<&Sealed>) -> Manifest {
    Manifest {
        workspace: "bench".to_owned(),
        run: sluice_core::RunId::new(sluice_core::Timestamp::from_millis(1_795_180_500_000), [0; 4]),
        first: start as u64 + 1,
        last: end as u64,
        segment: u32::try_from(index + 1).unwrap_or(u32::MAX),
        segments: u32::try_from(files).unwrap_or(u32::MAX),
        previous: before.map_or(Digest::ZERO, |sealed| sealed.merkle_root),
        statement: "{}".to_owned(),
        signature: "0".repeat(128),
        public_key: "0".repeat(64),
    }
}
