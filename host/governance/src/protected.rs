//! Values that are never edited: what a provider signed or looks up again is worthless with one byte changed, and a
//! picture is one no more. A finding inside one holds the call back, or drops the block that the value stands in.

use crate::cuts::Cut;
use crate::json::{self, Leaf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::ops::Range;

/// Keys of what providers sign or encrypt for themselves.
const SIGNED_KEYS: &[&str] = &["signature", "thoughtSignature", "thought_signature", "encrypted_content"];

/// Keys of ids, and what providers' ids begin with: both have to hold.
const ID_KEYS: &[&str] = &[
    "id",
    "call_id",
    "item_id",
    "message_id",
    "previous_response_id",
    "response_id",
    "tool_call_id",
    "tool_use_id",
];
const ID_BEGINNINGS: &[&str] =
    &["call", "chatcmpl", "ctc", "fc", "msg", "resp", "rs", "srvtoolu", "tool", "toolu"];

/// Longest id of a provider. OpenAI's, of the responses API, have some 55 bytes.
const ID_BYTES_MAX: usize = 96;

/// Signatures, ids and pictures look random from end to end, so that a part of one looks random says nothing:
/// findings below this are such (the entropy rule of `redactor-strict` has 500).
const OPAQUE_CONFIDENCE_PERMILLE_MIN: u32 = 600;

/// Arrays whose elements are blocks that a conversation can do without.
const BLOCK_ARRAYS: &[&str] = &["content", "input", "output", "parts", "summary"];

/// Blocks whose counterpart elsewhere would be left alone.
const PAIRED_TYPES: &[&str] =
    &["tool_use", "tool_result", "server_tool_use", "function_call", "function_call_output"];
const PAIRED_KEYS: &[&str] = &["functionCall", "functionResponse", "tool_calls", "tool_call_id"];

/// Why a value is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The provider's own, to be given back as it is.
    Signed,
    /// Something else refers to it.
    Id,
    /// A whole picture.
    Image,
    /// The name of the model that is asked.
    Model,
}

impl Protection {
    /// What protects a leaf, if anything does.
    pub(crate) fn of(leaf: &Leaf) -> Option<Protection> {
        let key = leaf.key.as_deref()?;
        match key {
            "model" => Some(Protection::Model),
            _ if SIGNED_KEYS.contains(&key) => Some(Protection::Signed),
            _ if ID_KEYS.contains(&key) && is_id(&leaf.text) => Some(Protection::Id),
            _ if is_image(key, &leaf.text) => Some(Protection::Image),
            _ => None,
        }
    }

    /// Whether the finding counts in such a value.
    pub(crate) fn counts(self, cut: &Cut) -> bool {
        self == Protection::Model || cut.known || cut.confidence_permille >= OPAQUE_CONFIDENCE_PERMILLE_MIN
    }

    /// The block of `raw` around the value at `at`, with the comma that goes with it; `None` where leaving it out would
    /// break more than it mends.
    fn block(self, raw: &str, at: usize) -> Option<Range<usize>> {
        if !matches!(self, Protection::Signed | Protection::Image) {
            return None;
        }
        let element = json::element_around(raw, at)?;
        let Ok(Value::Object(block)) = serde_json::from_str(&raw[element.at.clone()]) else { return None };
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_paired =
            PAIRED_TYPES.contains(&kind) || PAIRED_KEYS.iter().any(|key| block.contains_key(*key));
        (!is_paired && BLOCK_ARRAYS.contains(&element.array_key)).then_some(element.with_comma)
    }
}

/// `raw` without the blocks of these values, which stand in the order of their places; `None` where one of them cannot
/// be left out.
pub(crate) fn without_blocks(raw: &str, values: &[(usize, Protection)]) -> Option<String> {
    let mut rest = raw.to_owned();
    let mut cut_at = raw.len();
    // From the back, so that the places before stay what they are.
    for (at, protection) in values.iter().rev() {
        // Otherwise it went with another value of its block.
        if *at < cut_at {
            let block = protection.block(&rest, *at)?;
            cut_at = block.start;
            rest.replace_range(block, "");
        }
    }
    Some(rest)
}

/// `call_…`, `toolu_…`, `chatcmpl-…`: a provider's word, a mark, and nothing that could be text.
fn is_id(text: &str) -> bool {
    let Some((beginning, rest)) = text.split_once(['_', '-']) else { return false };
    text.len() <= ID_BYTES_MAX
        && ID_BEGINNINGS.contains(&beginning)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A picture from its first byte to its last, as a data URL or under `data` (Anthropic, Gemini). Behind its end there
/// is nothing: text that is only begun like a picture is text.
fn is_image(key: &str, text: &str) -> bool {
    let encoded = match text.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("data:")) {
        true => text.split_once(";base64,").filter(|(head, _)| head[5..].starts_with("image/")),
        false => (key == "data").then_some(("", text)),
    };
    let decoded = encoded.and_then(|(_, encoded)| STANDARD.decode(encoded).ok());
    decoded.is_some_and(|bytes| is_png(&bytes) || is_jpeg(&bytes) || is_gif(&bytes) || is_webp(&bytes))
}

/// The signature, then chunks, the last of them `IEND` at the very end.
fn is_png(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") else { return false };
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        // The kind before the data, a checksum behind.
        let Some(next) = after.get(length.saturating_add(8)..) else { return false };
        if after.starts_with(b"IEND") {
            return next.is_empty();
        }
        rest = next;
    }
    false
}

/// Start and end marks; the end mark stands once outside of segments, and last.
fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff") && bytes.ends_with(b"\xff\xd9")
}

fn is_gif(bytes: &[u8]) -> bool {
    (bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")) && bytes.ends_with(b"\x00\x3b")
}

fn is_webp(bytes: &[u8]) -> bool {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    bytes.starts_with(b"RIFF")
        && bytes.get(8..12) == Some(b"WEBP")
        && length.is_some_and(|length| length as usize + 8 == bytes.len())
}
