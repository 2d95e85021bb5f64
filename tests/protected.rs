//! Values that are never edited: what a provider signed, ids, pictures. A finding in one holds the text back, or drops
//! the block around it, as policy says.

use crate::redaction::{KNOWN, Scanner};
use crate::rig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_core::{Protected, Secret};
use sluice_governance::redact::Scan;
use sluice_governance::{Blocked, Direction, KnownValues, Memo, Scanned};
use std::sync::OnceLock;

fn dropping(raw: &str) -> Result<Scanned, Blocked> {
    Scan { protected: Protected::Drop, ..Scanner::bundled().scan() }.body(Direction::Request, raw)
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn thinking(signature: &str) -> Value {
    json!({ "type": "thinking", "thinking": "Hm.", "signature": signature })
}

/// The smallest sound picture, with words in it.
fn png(words: &str) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], kind, data, b"sums"].concat()
    };
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    let parts = [
        chunk(b"IHDR", &header),
        chunk(b"tEXt", format!("Comment\0{words}").as_bytes()),
        chunk(b"IEND", b""),
    ];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

fn image(bytes: &[u8]) -> Value {
    let url = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    json!({ "type": "image_url", "image_url": { "url": url } })
}

/// The block goes, and with it its comma; every other byte stays.
#[test]
fn a_block_with_a_secret_in_its_signature_is_left_out() {
    let token = rig::token();
    for at in 0..3 {
        let mut content = vec![text("one"), text("two")];
        content.insert(at, thinking(&token));
        let body = |content: &[Value]| {
            let message = json!({ "role": "assistant", "content": content });
            serde_json::to_string_pretty(&json!({ "temperature": 1.0, "messages": [message] })).unwrap()
        };
        let raw = body(&content);
        assert_eq!(Scanner::bundled().body(&raw).unwrap_err(), Blocked::ProtectedField);
        let scanned = dropping(&raw).unwrap();
        content.remove(at);
        let read: Value = serde_json::from_str(&scanned.wire).unwrap();
        assert_eq!(read, serde_json::from_str::<Value>(&body(&content)).unwrap());
        assert!(scanned.wire.contains("\"temperature\": 1.0"), "{}", scanned.wire);
        assert_eq!((&scanned.wire, scanned.findings.len()), (&scanned.record, 0));
        assert_eq!(scanned.dropped.len(), 1);
        assert_eq!(scanned.dropped[0].path, format!("/messages/0/content/{at}/signature"));
        assert!(!scanned.wire.contains(&token) && dropping(&scanned.wire).unwrap().dropped.is_empty());
    }
}

/// Two blocks that stand side by side, and a secret elsewhere: the blocks go, the secret is replaced.
#[test]
fn blocks_side_by_side_go_together() {
    let token = rig::token();
    let both = json!({ "type": "thinking", "signature": token, "data": { "thoughtSignature": token } });
    let content = [text("one"), both, thinking(&token), text(&format!("REGISTRY_TOKEN={token}"))];
    let raw = json!({ "messages": [{ "role": "assistant", "content": content }] }).to_string();
    let memo = Memo::default();
    let scan = Scan { protected: Protected::Drop, memo: Some(&memo), ..Scanner::bundled().scan() };
    for scanned in [dropping(&raw), scan.body(Direction::Request, &raw), scan.body(Direction::Request, &raw)]
    {
        let scanned = scanned.unwrap();
        let read: Value = serde_json::from_str(&scanned.wire).unwrap();
        assert_eq!(read["messages"][0]["content"].as_array().unwrap().len(), 2);
        assert_eq!(read["messages"][0]["content"][0], text("one"));
        assert_eq!((scanned.findings.len(), scanned.dropped.len()), (1, 3));
        assert!(!scanned.wire.contains(&token) && !scanned.record.contains(&token));
    }
}

/// What would leave no conversation behind is held back whatever policy says.
#[test]
fn what_cannot_be_left_out_holds_the_text_back() {
    let token = rig::token();
    let call = json!({ "type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "signature": token });
    let part = json!({ "functionCall": { "name": "f", "args": {} }, "thoughtSignature": token });
    let nested = json!({ "content": [thinking(&token), text("x")] }).to_string();
    for body in [
        json!({ "messages": [{ "role": "assistant", "content": [thinking(&token)] }] }),
        json!({ "messages": [{ "role": "assistant", "content": [text("x"), call] }] }),
        json!({ "contents": [{ "role": "model", "parts": [text("x"), part] }] }),
        json!({ "messages": [{ "role": "user", "content": "x", "signature": token }, { "role": "user" }] }),
        json!({ "model": token, "messages": [] }),
        json!({ "content": { "0": thinking(&token), "1": 2 } }),
        json!({ "messages": [{ "role": "tool", "content": [text(&nested), text("x")] }] }),
        json!({ "messages": [{ "role": "tool", "tool_call_id": format!("call_{KNOWN}") }, 1] }),
    ] {
        assert_eq!(dropping(&body.to_string()).unwrap_err(), Blocked::ProtectedField, "{body}");
    }
}

/// Inside of a whole picture nothing is edited. What only begins like one is text.
#[test]
fn pictures_are_whole_or_text() {
    let body = |image: Value| {
        json!({ "messages": [{ "role": "user", "content": [text("look"), image] }] }).to_string()
    };
    let sound = body(image(&png("a bird")));
    assert_eq!(Scanner::bundled().body(&sound).unwrap().wire, sound);

    // What is packed in a picture only the guard finds: it knows what it looks for.
    let leaky = png(KNOWN);
    assert_eq!(Scanner::bundled().body(&body(image(&leaky))).unwrap_err(), Blocked::ProtectedField);
    let scanned = dropping(&body(image(&leaky))).unwrap();
    assert_eq!(scanned.dropped[0].path, "/messages/0/content/1/image_url/url");
    let read: Value = serde_json::from_str(&scanned.wire).unwrap();
    assert_eq!(read["messages"][0]["content"], json!([text("look")]));
    let source = json!({ "type": "base64", "media_type": "image/png", "data": STANDARD.encode(&leaky) });
    let scanned = dropping(&body(json!({ "type": "image", "source": source }))).unwrap();
    assert_eq!(scanned.dropped[0].path, "/messages/0/content/1/source/data");

    let behind = [png("a bird"), KNOWN.as_bytes().to_vec()].concat();
    let scanned = Scanner::bundled().body(&body(image(&behind))).unwrap();
    assert_eq!((scanned.findings.len(), scanned.dropped.len()), (1, 0));
    let read: Value = serde_json::from_str(&scanned.wire).unwrap();
    let kept = read["messages"][0]["content"][1]["image_url"]["url"].as_str().unwrap();
    assert!(
        kept.starts_with("data:image/png;base64,iVBOR") && kept.contains("[REDACTED:known-value:"),
        "{kept}"
    );
}

/// What was clean for one guard is not clean for the next.
#[test]
fn what_is_remembered_depends_on_the_known_values() {
    let words = "the grey goose flies";
    let raw = json!({ "messages": [{ "role": "user", "content": format!("Say: {words}.") }] }).to_string();
    let memo = Memo::default();
    let scan = Scan { memo: Some(&memo), ..Scanner::bundled().scan() };
    let first = scan.body(Direction::Request, &raw).unwrap();
    let again = scan.body(Direction::Request, &raw).unwrap();
    assert_eq!((&first.wire, first.fields, first.bytes), (&raw, again.fields, again.bytes));
    assert!(first.fuel_used > 0 && again.fuel_used == 0);
    let guard = KnownValues::new(&[Secret::new(words.to_owned())]).unwrap();
    let scanned = Scan { guard: &guard, ..scan }.body(Direction::Request, &raw).unwrap();
    assert!(!scanned.wire.contains(words) && scanned.findings.len() == 1, "{}", scanned.wire);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A redactor that finds whatever looks random finds ids too: that says nothing there, and the ids stay. Elsewhere
    /// the same text is replaced.
    #[test]
    fn ids_look_random_and_stay(
        beginning in prop::sample::select(vec!["call_", "toolu_", "chatcmpl-", "msg_", "resp_"]),
        key in prop::sample::select(vec!["id", "tool_call_id", "tool_use_id", "call_id"]),
        random in "[A-Za-z0-9]{24}",
    ) {
        static STRICT: OnceLock<Scanner> = OnceLock::new();
        let strict = STRICT.get_or_init(|| Scanner::new(sluice_bundled::REDACTOR_STRICT));
        let id = format!("{beginning}{random}");
        let body = json!({ "messages": [{ "role": "tool", key: id }] }).to_string();
        prop_assert_eq!(strict.body(&body).unwrap().wire, body);
        let signed = json!({ "content": [{ "signature": random.repeat(4) }] }).to_string();
        prop_assert_eq!(strict.body(&signed).unwrap().wire, signed);
    }
}
