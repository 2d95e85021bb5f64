//! The walker and the splicer on what nobody wrote on purpose: arbitrary text, JSON that was damaged, replacements of
//! any kind. The second opinion is serde_json.
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have fails it")]

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use sluice_governance::json::{Leaf, leaves, splice};

/// Whether the text is JSON. `IgnoredAny` asks for the grammar alone, so it is of one mind with the walker about
/// nesting, and about escapes that name half a character; `Value` refuses both (see the test below).
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,8}".prop_map(Value::from),
        // JSON in a string, as tool arguments have it.
        "[a-z\"{}:,\\[\\]\\\\]{0,9}".prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A body as it comes: compact or pretty, some of its characters as escapes.
fn any_body() -> impl Strategy<Value = String> {
    (any_json(), any::<bool>(), any::<bool>()).prop_map(|(value, pretty, escaped)| {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }
            .unwrap();
        if !escaped {
            return text;
        }
        // What is not ASCII stands in strings alone.
        let mut out = String::new();
        let mut units = [0; 2];
        for c in text.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                c.encode_utf16(&mut units).iter().for_each(|unit| out += &format!("\\u{unit:04X}"));
            }
        }
        out
    })
}

/// One thing that goes wrong on the way.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(prop::sample::Index),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
    Twice(prop::sample::Index, prop::sample::Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    const PIECES: &[&str] = &[
        "\"", "\\", "{", "}", "[", "]", ",", ":", "\\u", "\\ud83d", "\\udc00", "\\u12", "\n", "\0", " ", "0",
        "-", ".", "e", "1e", "true", "nul", "\u{feff}", "é", "😀", "/", "[[", "{\"a\":", "\\\"",
    ];
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Truncate),
        any::<prop::sample::Index>().prop_map(Damage::Remove),
        (any::<prop::sample::Index>(), prop::sample::select(PIECES))
            .prop_map(|(at, piece)| Damage::Insert(at, piece)),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(from, to)| Damage::Twice(from, to)),
    ]
}

fn damaged(text: String, damages: &[Damage]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for damage in damages {
        let length = chars.len();
        match damage {
            Damage::Truncate(at) => chars.truncate(at.index(length + 1)),
            Damage::Remove(at) if length > 0 => drop(chars.remove(at.index(length))),
            Damage::Remove(_) => {}
            Damage::Insert(at, piece) => {
                let at = at.index(length + 1);
                chars.splice(at..at, piece.chars());
            }
            Damage::Twice(from, to) => {
                let (one, other) = (from.index(length + 1), to.index(length + 1));
                let part = chars[one.min(other)..one.max(other)].to_vec();
                chars.splice(one..one, part);
            }
        }
    }
    chars.into_iter().collect()
}

/// What holds for every text, JSON or not.
fn agrees(text: &str) -> Result<(), TestCaseError> {
    let found = leaves(text);
    prop_assert_eq!(found.is_ok(), is_json(text), "{:?}: {:?}", text, found);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            prop_assert!(error.at <= text.len(), "{}: {:?}", text, error);
            return Ok(());
        }
    };
    let mut end = 0;
    for leaf in &found {
        prop_assert!(leaf.at.start >= end && leaf.at.end <= text.len());
        let quoted = &text[leaf.at.clone()];
        prop_assert!(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"'));
        // The peer reads a lone half of a pair as an error; the walker, as U+FFFD.
        if let Ok(peer) = serde_json::from_str::<String>(quoted) {
            prop_assert_eq!(&peer, &leaf.text);
        }
        end = leaf.at.end;
    }
    // Outside of its strings JSON has no quote: none was overlooked.
    let mut outside = text.to_owned();
    found.iter().rev().for_each(|leaf| outside.replace_range(leaf.at.clone(), ""));
    prop_assert!(!outside.contains('"'), "{}", outside);
    Ok(())
}

/// What a splice must have done to `raw`: the changed leaves say what they should, and everything else is there byte
/// for byte.
fn spliced(raw: &str, found: &[Leaf], replacements: &[Option<String>]) -> Result<(), TestCaseError> {
    let replaced = |n: usize| replacements.get(n).and_then(Option::as_ref);
    let changes: Vec<_> = found
        .iter()
        .enumerate()
        .filter_map(|(n, leaf)| Some((leaf.at.clone(), replaced(n)?.clone())))
        .collect();
    let out = splice(raw, &changes);
    prop_assert!(is_json(&out), "{}", out);
    let again = leaves(&out).unwrap();
    prop_assert_eq!(again.len(), found.len());
    let (mut before, mut after) = (0, 0);
    for (n, (old, new)) in found.iter().zip(&again).enumerate() {
        prop_assert_eq!(&raw[before..old.at.start], &out[after..new.at.start]);
        match replaced(n) {
            Some(text) => prop_assert_eq!(text, &new.text),
            None => prop_assert_eq!(&raw[old.at.clone()], &out[new.at.clone()]),
        }
        (before, after) = (old.at.end, new.at.end);
    }
    prop_assert_eq!(&raw[before..], &out[after..]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn arbitrary_text_is_walked_as_the_peer_reads_it(text in prop_oneof![
        any::<String>(),
        "[\\[\\]{}:,\"\\\\ud8c0-9eE.+tfn \\n-]{0,40}",
        "[\\[\\],0-9eE.+-]{1,6}",
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]) {
        agrees(&text)?;
    }

    #[test]
    fn damaged_json_is_walked_as_the_peer_reads_it(
        body in any_body(), damages in prop::collection::vec(any_damage(), 0..4),
    ) {
        agrees(&damaged(body, &damages))?;
    }

    #[test]
    fn each_value_is_where_its_pointer_says(value in any_json()) {
        let raw = value.to_string();
        for leaf in leaves(&raw).unwrap().iter().filter(|leaf| !leaf.path.contains("/#key/")) {
            prop_assert_eq!(value.pointer(&leaf.path).and_then(Value::as_str), Some(leaf.text.as_str()));
        }
    }

    #[test]
    fn splicing_changes_the_chosen_strings_and_no_other_byte(
        body in any_body(), damages in prop::collection::vec(any_damage(), 0..2),
        replacements in prop::collection::vec(prop::option::of(any::<String>()), 24),
    ) {
        let raw = damaged(body, &damages);
        if let Ok(found) = leaves(&raw) {
            spliced(&raw, &found, &replacements)?;
        }
    }
}

/// The two differences to `serde_json::Value`, on purpose: depth is bounded by the size of the body, and half of a
/// pair of surrogates is a character that is lost and no reason to refuse what a server sent.
#[test]
fn value_refuses_deep_nesting_and_half_characters_and_the_walker_does_not() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    for text in [deep.as_str(), r#""\ud800""#, r#"["\udc00x"]"#, r#"{"\ud800\u0041":1}"#] {
        assert!(leaves(text).is_ok(), "{text}");
        assert!(is_json(text), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}
