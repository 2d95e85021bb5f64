//! What goes into one file, and whether the estimates hold.

use super::{frame, frames, manifest};
use crate::limits::{FILE_BYTES_MAX, FRAME_BYTES_MAX, FRAMES_PER_FILE_MAX, PIECE_BYTES_MAX};
use crate::plan::Load;
use crate::{Body, Disk, Frame, SealError, SealedReader, Shape, plan, write_once};
use proptest::prelude::*;

fn shape(body_bytes: u64) -> Shape {
    Shape { text_bytes: 60, body_bytes: Some(body_bytes) }
}

/// Seals frames and holds file and write-ahead region against what was planned.
fn assert_as_planned(all: &[Frame]) {
    let dir = tempfile::tempdir().unwrap();
    let load = Load::of(all);
    assert!(load.fits());
    let sealed = write_once(dir.path(), "a.mv2", all, &manifest(all), &Disk).unwrap();
    assert!(sealed.size <= load.file_bytes(), "{} bytes, planned {}", sealed.size, load.file_bytes());
    let reader = SealedReader::open(&sealed.path).unwrap();
    let region = u64::from_le_bytes(reader.bytes()[24..32].try_into().unwrap());
    assert_eq!(region, load.region_bytes(), "the write-ahead region grew");
}

#[test]
fn estimates_hold_for_files_of_every_shape() {
    assert_as_planned(&frames(&[b""]));
    let small: Vec<&[u8]> = vec![b"{}"; 700];
    assert_as_planned(&frames(&small));
    let ordinary: Vec<&[u8]> = vec![&[b'x'; 1024]; 300];
    assert_as_planned(&frames(&ordinary));
    let long: Vec<Frame> = (0..200)
        .map(|n| Frame {
            kind: "k".repeat(64),
            media_type: Some("m".repeat(128)),
            body: Body::Elsewhere,
            ..frame(&format!("mv2://{}/{n:03}", "u".repeat(500)), b"")
        })
        .collect();
    assert_as_planned(&long);
    let piece = usize::try_from(PIECE_BYTES_MAX).unwrap();
    assert_as_planned(&frames(&[&vec![7; piece], b"beside it"]));
    assert_as_planned(&frames(&[&vec![7; piece + 1]]));
}

#[test]
fn a_file_takes_nine_thousand_events_of_1_kb() {
    let files = plan((0..10_000).map(|_| shape(1024))).unwrap();
    assert!(files.len() == 2 && files[0].len() > 9000, "{files:?}");
}

#[test]
fn a_body_in_pieces_is_sealed_alone() {
    let shapes = [10, PIECE_BYTES_MAX, 20, PIECE_BYTES_MAX + 1, 30, 18 << 20, FRAME_BYTES_MAX, 40].map(shape);
    assert_eq!(plan(shapes).unwrap(), [0..3, 3..4, 4..5, 5..6, 6..7, 7..8]);
    assert!(plan([]).unwrap().is_empty());
}

#[test]
fn a_frame_that_no_file_can_hold_is_refused() {
    let error = plan([shape(1), shape(FRAME_BYTES_MAX + 1)]).unwrap_err();
    assert!(error.to_string().starts_with("the frame `frame 1` is too large"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let all = frames(&[&vec![0; usize::try_from(FRAME_BYTES_MAX).unwrap() + 1]]);
    let result = write_once(dir.path(), "a.mv2", &all, &manifest(&all), &Disk);
    assert!(matches!(result, Err(SealError::FrameTooLarge { .. })), "{result:?}");
}

#[test]
fn too_much_for_one_file_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<&[u8]> = vec![b""; FRAMES_PER_FILE_MAX + 1];
    let large = vec![0; usize::try_from(PIECE_BYTES_MAX).unwrap() + 1];
    for all in [frames(&many), frames(&[&large, b"beside it"])] {
        let error = write_once(dir.path(), "a.mv2", &all, &manifest(&all), &Disk).unwrap_err();
        assert!(matches!(error, SealError::TooMuch { .. }), "{error}");
        assert!(error.hint().unwrap().contains("`plan`"));
    }
    assert!(super::names(dir.path()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn plans_cover_everything_in_order_and_every_file_fits(
        bodies in prop::collection::vec((prop::option::of(prop_oneof![0..5000_u64, 0..FRAME_BYTES_MAX]), 3..600_u64), 0..80)
    ) {
        let shapes: Vec<Shape> =
            bodies.into_iter().map(|(body_bytes, text_bytes)| Shape { text_bytes, body_bytes }).collect();
        let files = plan(shapes.iter().copied()).unwrap();
        let mut next = 0;
        for file in &files {
            prop_assert_eq!(file.start, next);
            prop_assert!(file.end > file.start);
            let load = Load::of_shapes(&shapes[file.clone()]);
            prop_assert!(load.fits() && load.file_bytes() <= FILE_BYTES_MAX);
            if file.end < shapes.len() {
                prop_assert!(!Load::of_shapes(&shapes[file.start..=file.end]).fits(), "a file could take more");
            }
            next = file.end;
        }
        prop_assert_eq!(next, shapes.len());
    }
}
