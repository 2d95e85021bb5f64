//! What belongs here: bits that flip. Whatever flips, what is read is either right or refused.

use super::*;
use crate::{CapsuleError, EventFilter};
use std::fs;
use std::os::unix::fs::FileExt;

/// Everything that a reader hands out, or the errors in its place.
fn all_there_is(reader: &Reader, uris: &[LogicalUri]) -> Vec<Result<Vec<u8>, CapsuleError>> {
    let mut seen: Vec<Result<Vec<u8>, CapsuleError>> =
        uris.iter().map(|uri| reader.resolve(uri).map(|resolved| resolved.bytes)).collect();
    for name in ["run-a", "run-b"] {
        let events = reader.run_events(&run(name)).map(|run| run.events);
        seen.push(events.map(|events| serde_json::to_vec(&events).unwrap()));
    }
    let page = reader.events(&EventFilter::default());
    seen.push(page.map(|page| serde_json::to_vec(&page).unwrap()));
    seen
}

/// A small deterministic generator: a failure can be repeated.
fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_flipped_bit_is_never_silently_wrong() {
    let capsule = sample();
    let reader = capsule.reader();
    let last = reader.stats().unwrap().last_position;
    let uris: Vec<LogicalUri> =
        reader.frames(1, last).unwrap().iter().map(|frame| frame.uri.parse().unwrap()).collect();
    let truth: Vec<Vec<u8>> = all_there_is(&reader, &uris).into_iter().map(Result::unwrap).collect();
    drop(reader);
    let size = fs::metadata(capsule.db()).unwrap().len();
    let mut seed = 0x5eed_1234_u64;
    let (mut reported, mut refused) = (0, 0);
    for _ in 0..150 {
        let spoilt = capsule.copy();
        let (offset, bit) = (xorshift(&mut seed) % size, xorshift(&mut seed) % 8);
        let file = fs::OpenOptions::new().read(true).write(true).open(spoilt.db()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << bit)], offset).unwrap();
        drop(file);
        let Ok(reader) = Reader::open(&spoilt.state()) else {
            refused += 1;
            continue;
        };
        let sound = reader.verify().is_ok_and(|report| report.is_sound());
        reported += u32::from(!sound);
        let seen = all_there_is(&reader, &uris);
        for (seen, truth) in seen.iter().zip(&truth) {
            match seen {
                Ok(bytes) if bytes == truth => {}
                // A listing that lost a row by a damaged index: `verify` says that the index is damaged.
                Ok(_) => assert!(!sound, "bit {bit} of byte {offset}: wrong bytes, and nothing said so"),
                Err(_) => assert!(!sound, "bit {bit} of byte {offset}: an error, and verify found nothing"),
            }
        }
    }
    assert!(reported > 20 && refused > 0, "{reported} reported, {refused} refused: the flips hit nothing");
}

#[test]
fn flips_in_what_is_recorded_are_named() {
    let capsule = sample();
    let bytes = fs::read(capsule.db()).unwrap();
    let spots = [
        (&b"model-2"[..], "mv2://ws/event/run-a/4".to_owned()),
        (b"other-6", "mv2://ws/event/run-b/8".to_owned()),
        (b"# Plan", format!("mv2://ws/blob/sha256/{}", Digest::of(b"# Plan"))),
        (b"\0asm router", format!("mv2://ws/blob/sha256/{}", Digest::of(b"\0asm router"))),
    ];
    for (needle, uri) in spots {
        let spoilt = capsule.copy();
        let file = fs::OpenOptions::new().write(true).open(spoilt.db()).unwrap();
        // Wherever it stands: a page that was split keeps what it gave away.
        for (offset, window) in bytes.windows(needle.len()).enumerate() {
            if window == needle {
                file.write_all_at(&[window[0] ^ 1], offset as u64).unwrap();
            }
        }
        let report = spoilt.reader().verify().unwrap();
        assert_eq!(report.flaws[0].uri, uri, "{:?}", report.flaws);
        let error = spoilt.reader().resolve(&uri.parse().unwrap()).unwrap_err();
        assert!(matches!(&error, CapsuleError::Flawed(flaw) if flaw.uri == uri), "{error}");
    }
}

#[test]
fn a_truncated_file_is_reported() {
    let capsule = sample();
    let size = fs::metadata(capsule.db()).unwrap().len();
    for part in 1..8 {
        let spoilt = capsule.copy();
        fs::OpenOptions::new().write(true).open(spoilt.db()).unwrap().set_len(size * part / 8).unwrap();
        let sound =
            Reader::open(&spoilt.state()).and_then(|reader| reader.verify()).is_ok_and(|r| r.is_sound());
        assert!(!sound, "{part}/8 of the file passed");
    }
}
