//! What a string is, where that is certain to be what the body says: an attachment states it, or a data URL does.
//! Whether it is true is for the plugin to judge.

use super::is_argument;
use crate::author::Origin;
use crate::json::Slot;
use std::sync::Arc;

/// Of JSON without a string in it, which is scanned as the text that it is.
pub(crate) const JSON: &str = "application/json";

/// Longest media type that is told; real ones have up to some 75 bytes.
const BYTES_MAX: usize = 127;

/// Objects that are attachments, and keys under which they state what they are and hold or name it.
const ATTACHMENTS: [&str; 5] = ["/source", "/inlineData", "/inline_data", "/fileData", "/file_data"];
const TYPE_KEYS: [&str; 3] = ["media_type", "mimeType", "mime_type"];
const CONTENT_KEYS: [&str; 3] = ["data", "fileUri", "file_uri"];

/// Keys of data URLs. Under others the word may begin a text, of which a stream does not yet know how it goes on.
const URL_KEYS: [&str; 6] = ["url", "image_url", "file_data", "file_url", "fileUri", "file_uri"];

/// Most strings of an attachment, keys included, that are looked at on each side.
const NEIGHBOURS_MAX: usize = 16;

/// Says of attachments' contents what the attachments state. All slots stand under a pointer of this length.
pub(super) fn state(raw: &str, slots: &[Slot], pointer: usize, origins: &mut [Origin]) {
    for (at, slot) in slots.iter().enumerate() {
        // The cheap look first: nearly every string is none of these.
        if slot.key.is_some() || !matches!(slot.at.len(), 10..=12) || !is_type_key(raw, slot) {
            continue;
        }
        let Some((object, _)) = slot.path.rsplit_once("/#key/") else { continue };
        let is_attachment = ATTACHMENTS.iter().any(|attachment| object.ends_with(attachment));
        if !is_attachment || is_argument(&object[pointer..]) {
            continue;
        }
        let member = |other: &Slot| other.path.strip_prefix(object)?.strip_prefix('/').map(str::len);
        let before = slots[..at].iter().rev().take(NEIGHBOURS_MAX);
        let from = at - before.take_while(|other| member(other).is_some()).count();
        let behind = slots[at + 1..].iter().take(NEIGHBOURS_MAX);
        let to = at + 1 + behind.take_while(|other| member(other).is_some()).count();
        let states = |other: &&Slot| other.key.is_none() && is_type_key(raw, other);
        let stated = slots.get(at + 1).filter(|value| value.key.is_some() && at + 1 < to);
        let stated = stated.filter(|value| TYPE_KEYS.iter().any(|key| is_at(value, object, key)));
        let Some(media_type) = stated.and_then(|value| essence(&value.text(raw))) else { continue };
        if slots[from..to].iter().filter(states).count() > 1 {
            continue;
        }
        for (other, origin) in slots[from..to].iter().zip(&mut origins[from..to]) {
            if other.key.is_some() && CONTENT_KEYS.iter().any(|key| is_at(other, object, key)) {
                origin.media_type = Some(media_type.clone());
            }
        }
    }
}

fn is_type_key(raw: &str, slot: &Slot) -> bool {
    TYPE_KEYS.contains(&slot.text(raw).as_ref())
}

/// Whether it stands under this key of the object.
fn is_at(slot: &Slot, object: &str, key: &str) -> bool {
    slot.path.strip_prefix(object).and_then(|rest| rest.strip_prefix('/')) == Some(key)
}

/// What a whole data URL in base64 says that it is.
pub(crate) fn of_data_url(key: Option<&str>, text: &str) -> Option<Arc<str>> {
    if !key.is_some_and(|key| URL_KEYS.contains(&key)) || !text.get(..5)?.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (head, encoded) = text[5..].split_once(',')?;
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let is_whole = head.ends_with(";base64") && encoded.bytes().all(is_base64);
    if is_whole { essence(head) } else { None }
}

/// `type/subtype` in lower case, without parameters.
fn essence(text: &str) -> Option<Arc<str>> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_name = |name: &str| {
        let byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        !name.is_empty() && name.bytes().all(byte)
    };
    let (kind, of_kind) = essence.split_once('/')?;
    let holds = essence.len() <= BYTES_MAX && is_name(kind) && is_name(of_kind);
    holds.then(|| essence.to_ascii_lowercase().into())
}
