//! What goes into a sealed file.

use crate::error::SealError;
use crate::limits::{AT_SECONDS_MAX, FRAME_BYTES_MAX, KIND_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, URI_BYTES_MAX};
use sluice_core::Digest;
use std::sync::Arc;

/// One recorded thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its name; unique in the file.
    pub uri: String,
    /// `event`, `blob`, `name` …: for those who look at the file with Memvid's tools.
    pub kind: String,
    /// Part of what is recorded for a name; `None` for events and blobs.
    pub media_type: Option<String>,
    /// Seconds since 1970: Memvid's timeline has no finer ones.
    pub at: i64,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// The content.
    pub body: Body,
}

/// Where a frame's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In this frame.
    Here(Arc<[u8]>),
    /// In another frame with the same digest, of this file or of one sealed before: names stand for blobs,
    /// and a blob is stored once.
    Elsewhere,
}

impl Frame {
    /// The frame's leaf in the Merkle tree: `<sha256> <uri>`, or `<sha256> <uri> <media type>`. These are the
    /// lines of a checkpoint's manifest, so a file that holds what one checkpoint covers has the root that
    /// the checkpoint signed.
    pub fn line(&self) -> String {
        line(&self.sha256, &self.uri, self.media_type.as_deref())
    }

    /// What planning needs to know.
    pub fn shape(&self) -> Shape {
        Shape {
            text_bytes: (self.uri.len() + self.kind.len() + self.media_type.as_ref().map_or(0, String::len))
                as u64,
            body_bytes: self.stored().map(|body| body.len() as u64),
        }
    }

    /// The bytes that this frame stores.
    pub(crate) fn stored(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Here(bytes) => Some(bytes),
            Body::Elsewhere => None,
        }
    }

    /// Whether every field is what a reader will take back.
    pub(crate) fn check(&self) -> Result<(), SealError> {
        let size = self.stored().map_or(0, <[u8]>::len) as u64;
        if size > FRAME_BYTES_MAX {
            return Err(SealError::FrameTooLarge { uri: shown(&self.uri), size, max: FRAME_BYTES_MAX });
        }
        let problem =
            fields_problem(&self.uri, &self.kind, self.media_type.as_deref(), self.at).or_else(|| {
                let matches = self.stored().is_none_or(|body| Digest::of(body) == self.sha256);
                (!matches).then_some("its bytes do not match its digest")
            });
        problem.map_or(Ok(()), |problem| Err(SealError::BadFrame { uri: shown(&self.uri), problem }))
    }
}

/// How much room a frame takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of URI, kind and media type together.
    pub text_bytes: u64,
    /// Bytes of the body; `None` where it lies elsewhere.
    pub body_bytes: Option<u64>,
}

pub(crate) fn line(sha256: &Digest, uri: &str, media_type: Option<&str>) -> String {
    match media_type {
        None => format!("{sha256} {uri}"),
        Some(media_type) => format!("{sha256} {uri} {media_type}"),
    }
}

/// What is wrong with a frame's fields. A blank in a URI or a control character anywhere would let two
/// different frames have the same line.
pub(crate) fn fields_problem(
    uri: &str,
    kind: &str,
    media_type: Option<&str>,
    at: i64,
) -> Option<&'static str> {
    let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    let printable =
        |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && text.trim() == text;
    if uri.is_empty() || uri.len() > URI_BYTES_MAX || !visible(uri) || uri.contains('#') {
        return Some("its uri is not 1 to 512 visible ASCII characters without `#`");
    }
    if uri == crate::manifest::MANIFEST_URI {
        return Some("its uri is the one of the manifest");
    }
    if kind.is_empty() || kind.len() > KIND_BYTES_MAX || !visible(kind) {
        return Some("its kind is not 1 to 64 visible ASCII characters");
    }
    let media_type_ok =
        |text: &str| !text.is_empty() && text.len() <= MEDIA_TYPE_BYTES_MAX && printable(text);
    if !media_type.is_none_or(media_type_ok) {
        return Some("its media type is not 1 to 128 printable ASCII characters");
    }
    if !(0..=AT_SECONDS_MAX).contains(&at) {
        return Some("its time is not in the years 1970 to 9999");
    }
    None
}

/// A URI as a message may repeat it: it may be anything at all, and must not break a terminal.
pub(crate) fn shown(uri: &str) -> String {
    uri.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
