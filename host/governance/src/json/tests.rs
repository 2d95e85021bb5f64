//! What is JSON, what a string of it is, and what an edit leaves alone.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn finds_each_string_with_its_pointer_and_key() {
    let raw =
        r#" { "a" : [ "x\n\u00e9", { "b/~" : "\ud83d\ude00" } , [], {} ], "c":1.5e-3, "d":"\ud800z" } "#;
    let found: Vec<_> = leaves(raw).unwrap().into_iter().map(|l| (l.path, l.key, l.text)).collect();
    let want = [
        ("/#key/0", None, "a"),
        ("/a/0", Some("a"), "x\né"),
        ("/a/1/#key/0", None, "b/~"),
        ("/a/1/b~1~0", Some("b/~"), "😀"),
        ("/#key/1", None, "c"),
        ("/#key/2", None, "d"),
        ("/d", Some("d"), "\u{fffd}z"),
    ];
    assert_eq!(found.len(), want.len(), "{found:?}");
    for ((path, key, text), want) in found.iter().zip(want) {
        assert_eq!((path.as_str(), key.as_deref(), text.as_str()), want);
    }
}

#[test]
fn refuses_what_is_not_json() {
    for bad in [
        "",
        " ",
        "{",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "[1}",
        "{\"a\":[}",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a",
        "\"\n\"",
        "01",
        "-",
        "1.",
        "1e",
        ".5",
        "tru",
        "nul",
        "1 2",
        "[[] []]",
        "[{} {}]",
        "{\"a\":{} \"b\":1}",
        "{\"a\":,}",
        "[[],]",
        "[{}[]]",
        "{\"a\" {}}",
    ] {
        assert!(leaves(bad).is_err(), "{bad}");
        assert!(serde_json::from_str::<Value>(bad).is_err(), "the peer agrees: {bad}");
    }
}

#[test]
fn ten_thousand_levels_are_no_danger() {
    let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
    let found = leaves(&deep).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].path.len() <= PATH_BYTES_MAX);
    assert!(leaves(&"[".repeat(100_000)).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,8}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_what_is_json(text in "[\\[\\]{}:,\"\\\\ua0-9eE.+tfn \\n-]{0,24}") {
        let peer = serde_json::from_str::<Value>(&text);
        // serde_json refuses lone surrogates; we read them as U+FFFD.
        if !text.contains("\\u") {
            prop_assert_eq!(leaves(&text).is_ok(), peer.is_ok(), "{}", text);
        }
    }

    #[test]
    fn never_panics(text in ".{0,64}") {
        let _ = leaves(&text);
    }

    #[test]
    fn splicing_changes_only_what_it_should(value in any_json(), pretty in any::<bool>()) {
        let raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let found = leaves(&raw).unwrap();
        for leaf in &found {
            let back: String = serde_json::from_str(&raw[leaf.at.clone()]).unwrap();
            prop_assert_eq!(&back, &leaf.text);
            if !leaf.path.contains("/#key/") {
                prop_assert_eq!(value.pointer(&leaf.path).and_then(Value::as_str), Some(leaf.text.as_str()));
            }
        }
        prop_assert_eq!(splice(&raw, &[]), raw.clone());
        let changes: Vec<_> = found.iter().map(|l| (l.at.clone(), format!("{}!", l.text))).collect();
        let changed = leaves(&splice(&raw, &changes)).unwrap();
        for (old, new) in found.iter().zip(&changed) {
            prop_assert_eq!(format!("{}!", old.text), new.text.clone());
        }
    }
}
