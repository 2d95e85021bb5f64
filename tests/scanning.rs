//! `sluice plugin scan` at the command line: what it finds and replaces, and what it will not take.

use crate::rig;
use crate::support::{Ran, Workspace, ran};
use serde_json::{Value, json};
use std::fs;

fn scan(workspace: &Workspace, args: &[&str], stdin: &str) -> Ran {
    ran(workspace.command().args(["plugin", "scan"]).args(args), stdin)
}

#[test]
fn findings_are_told_by_place_and_never_by_value() {
    let workspace = Workspace::authored();
    let token = rig::token();
    let text = format!("one é\nREGISTRY_TOKEN={token}\n");
    let told = scan(&workspace, &["-"], &text).exits(0);
    assert!(told.text().contains("line 2, byte 16") && told.text().contains("1 finding"), "{}", told.text());
    let document = scan(&workspace, &["-", "--json"], &text).exits(0).json();
    let found = &document["findings"][0];
    let at = text.find(&token).unwrap();
    assert_eq!((&found["start"], &found["end"]), (&json!(at), &json!(at + token.len())));
    let redacted = scan(&workspace, &["-", "--redact"], &text).exits(0);
    let rule = found["rule"].as_str().unwrap();
    assert!(redacted.text().starts_with(&format!("one é\nREGISTRY_TOKEN=[REDACTED:{rule}:")));
    assert!(redacted.text().ends_with("]\n"), "byte for byte: {}", redacted.text());
    for ran in [told, redacted] {
        assert!(!ran.text().contains(&token) && !ran.stderr.contains(&token));
    }
}

#[test]
fn lines_are_scanned_one_by_one() {
    let workspace = Workspace::authored();
    let token = rig::token();
    let lines = [json!({ "id": 1, "text": format!("é {token}") }), json!({ "id": "two", "text": "nothing" })];
    let stdin = format!("{}\n\n{}\n", lines[0], lines[1]);
    let read = |ran: Ran| -> Vec<Value> {
        ran.exits(0).text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = read(scan(&workspace, &["--jsonl", "-"], &stdin));
    assert_eq!(found.len(), 2);
    let finding = &found[0]["findings"][0];
    assert_eq!(
        (&finding["start"], &finding["end"]),
        (&json!(3), &json!(3 + token.len())),
        "bytes, not characters"
    );
    assert_eq!(found[1], json!({ "id": "two", "findings": [] }));
    let redacted = read(scan(&workspace, &["--jsonl", "-", "--redact"], &stdin));
    assert!(redacted[0]["text"].as_str().unwrap().starts_with("é [REDACTED:"), "{}", redacted[0]);
    assert_eq!(redacted[1], lines[1]);
}

/// Text of a strange kind is text: it is scanned, and comes back as it was.
#[test]
fn strange_texts_are_scanned_like_any_other() {
    let workspace = Workspace::authored();
    let token = rig::token();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long_line = "word ".repeat(400_000);
    for text in ["\0\0\0", "\u{feff}x", "\r\r\n\u{2028}", "{\"a\":\"\\ud800\"}", &deep, &long_line, ""] {
        let redacted = scan(&workspace, &["-", "--redact"], text).exits(0);
        assert!(redacted.stdout == text.as_bytes(), "{} bytes come back", text.len());
        let planted = format!("{text} {token}");
        let redacted = scan(&workspace, &["-", "--redact"], &planted).exits(0);
        assert!(!redacted.text().contains(&token) && redacted.text().contains("[REDACTED:"));
    }
}

/// What cannot be scanned is refused in one line with a hint, and nothing of it is shown.
#[test]
fn what_cannot_be_scanned_is_refused() {
    let workspace = Workspace::authored();
    let token = rig::token();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(workspace.path(name), bytes).unwrap();
        workspace.path(name).display().to_string()
    };
    let gzip = file("a.gz", &[b"\x1f\x8b\x08\0", token.as_bytes()].concat());
    let zstd = file("a.zst", &[b"\x28\xb5\x2f\xfd", token.as_bytes()].concat());
    let latin = file("latin.txt", &[b"caf\xe9 ", token.as_bytes()].concat());
    let large = file("large.txt", &vec![b'x'; (16 << 20) + 1]);
    let missing = workspace.path("missing.txt").display().to_string();
    let folder = workspace.root().display().to_string();
    for (path, code, words, hint) in [
        (&gzip, "not-text", "is compressed (gzip)", "gzip -dc"),
        (&zstd, "not-text", "is compressed (zstd)", "zstd -dc"),
        (&latin, "not-text", "is not UTF-8: byte 3", "iconv"),
        (&large, "too-large", "is larger than 16777216 bytes", ""),
        (&missing, "file", "missing.txt", ""),
        (&folder, "file", "", ""),
    ] {
        let ran = scan(&workspace, &[path, "--json"], "").exits(2);
        let error = ran.error();
        assert_eq!(error.code, code, "{path}: {}", error.message);
        assert!(
            error.message.contains(words) && error.hint.contains(hint),
            "{}: {}",
            error.message,
            error.hint
        );
        assert!(!ran.stderr.contains(&token) && !ran.text().contains(&token));
    }
    for (line, words) in [
        (json!({ "id": 1 }).to_string(), "line 2"),
        (format!("{{\"id\":1,\"text\":\"{token}"), "line 2"),
        ("{\"id\":1,\"text\":\"\\ud800\"}".to_owned(), "line 2"),
        (json!([1, 2]).to_string(), "line 2"),
    ] {
        let stdin = format!("{}\n{line}\n", json!({ "id": 0, "text": "x" }));
        let ran = scan(&workspace, &["--jsonl", "-"], &stdin).exits(2);
        assert!(ran.stderr.contains(words) && ran.stderr.contains("hint:"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(&token), "{}", ran.stderr);
        assert_eq!(ran.text().lines().count(), 1, "the line before was answered");
    }
}
