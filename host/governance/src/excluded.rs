//! Files that never leave, by their name: what a tool read out of `.env` is a secret whatever it looks like. The
//! tool's call names the path, its result holds the content; the two are found by the call's id (`calls.rs`), and
//! so is an attached file by the name it carries.

use crate::calls;
use crate::json::Slot;
use crate::tag::TAG_DIGITS;
use serde_json::Value;
use std::collections::BTreeSet;

/// Rule id of what is left out for its path.
pub const EXCLUDED_PATH_RULE: &str = "excluded-path";

/// Most parts of a tool's arguments that are looked at: a program that writes a file has its text in there.
const TOKENS_MAX: usize = 10_000;

/// Deeper than this no tool's arguments nest, and no walk goes.
const DEPTH_MAX: usize = 32;

/// JSON pointers of the values whose strings are left out, out of the strings of a whole body.
pub(crate) fn pointers(raw: &str, slots: &[Slot]) -> Vec<String> {
    let values = || slots.iter().filter(|slot| slot.key.is_some());
    // Objects that are calls and name such a path. What an object is shows by its keys alone: where something
    // else looks like a call too, too much is left out and not too little.
    let mut calls: BTreeSet<&str> = BTreeSet::new();
    for slot in values() {
        if let Some(call) = call_of(&slot.path)
            && names_excluded(&Value::String(slot.text(raw).into_owned()), 0)
        {
            calls.insert(call);
        }
    }
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for slot in values() {
        let owner = calls::owner_of_id(&slot.path);
        if owner.is_some_and(|owner| calls.contains(owner)) {
            ids.insert(slot.text(raw).into_owned());
        }
    }
    values().filter_map(|slot| content_of(raw, slot, &ids)).collect()
}

/// The object that a leaf is an argument of.
fn call_of(path: &str) -> Option<&str> {
    let openai = path.strip_suffix("/function/arguments").or_else(|| path.strip_suffix("/arguments"));
    openai.or_else(|| path.find("/input/").map(|at| &path[..at])).or_else(|| path.strip_suffix("/input"))
}

/// Where the content stands that a leaf says something of: by the id of the call that it answers, or by its own
/// name.
fn content_of(raw: &str, slot: &Slot, ids: &BTreeSet<String>) -> Option<String> {
    let (object, key) = slot.path.rsplit_once('/')?;
    let text = || slot.text(raw);
    let content = match key {
        "filename" if is_excluded(&text()) => "file_data",
        "title" if is_excluded(&text()) => "source",
        _ => calls::answer_beside(key).filter(|_| ids.contains(text().as_ref()))?,
    };
    Some(format!("{object}/{content}"))
}

/// Whether a content was left out already: exactly a placeholder, which holds nothing else.
pub(crate) fn is_left_out(text: &str) -> bool {
    let tag = text.strip_prefix("[REDACTED:excluded-path:").and_then(|rest| rest.strip_suffix(']'));
    tag.is_some_and(|tag| {
        tag.len() == TAG_DIGITS && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether the arguments of a call name an excluded path anywhere.
fn names_excluded(arguments: &Value, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match arguments {
        Value::String(text) => {
            let inner: Option<Value> =
                text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten();
            match inner {
                Some(inner) => names_excluded(&inner, depth + 1),
                None => is_excluded(text.trim()) || in_a_command(text),
            }
        }
        Value::Array(items) => items.iter().any(|item| names_excluded(item, depth + 1)),
        Value::Object(object) => object.values().any(|value| names_excluded(value, depth + 1)),
        _ => false,
    }
}

/// Words of a command that look like paths.
fn in_a_command(text: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "\"'`=;|&<>(){},".contains(c);
    let looks_like_path = |word: &&str| word.contains(['/', '\\', '.']);
    text.split(ends).filter(looks_like_path).take(TOKENS_MAX).any(is_excluded)
}

/// Whether a path is one whose content never leaves.
fn is_excluded(path: &str) -> bool {
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|part| is_excluded_part(part, part == last))
}

fn is_excluded_part(part: &str, is_last: bool) -> bool {
    let part = part.to_ascii_lowercase();
    let (stem, ending) = part.rsplit_once('.').unwrap_or((part.as_str(), ""));
    // What is written to be shown: names without values.
    if matches!(ending, "example" | "sample" | "template" | "dist") {
        return false;
    }
    let is_env =
        part == ".env" || part.starts_with(".env.") || (is_last && ending == "env" && !stem.is_empty());
    let is_store = ["credentials", "secrets"].iter().any(|word| part == *word || stem == *word);
    let is_key =
        (is_last && ending == "pem") || matches!(part.as_str(), "id_rsa" | "id_ed25519" | "id_ecdsa");
    is_env || is_store || is_key || matches!(part.as_str(), ".netrc" | ".npmrc" | ".pgpass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_told_from_words() {
        for path in [
            ".env",
            "app/.env",
            ".env.production",
            "deploy/prod.env",
            "/home/u/.aws/credentials",
            "secrets/db.txt",
            "config/secrets.yaml",
            "tls/server.pem",
            "~/.ssh/id_rsa",
            "C:\\Users\\u\\.npmrc",
            "/root/.netrc",
            "SECRETS.json",
        ] {
            assert!(is_excluded(path), "{path}");
        }
        for path in [
            ".env.example",
            "environment.rs",
            "src/env/mod.rs",
            "docs/secrets-policy.md",
            "credentials_test.rs",
            "a.pem.txt",
            "",
            "/",
            "src/.envrc.md",
        ] {
            assert!(!is_excluded(path), "{path}");
        }
        assert!(in_a_command("cat ./.env | head") && in_a_command("cp x '/etc/ssl/a.pem'"));
        assert!(
            !in_a_command("grep secrets README.md") && !in_a_command("echo the credentials are elsewhere")
        );
    }

    fn found(body: &Value) -> Vec<String> {
        let raw = body.to_string();
        let mut found = pointers(&raw, &crate::json::slots(&raw).unwrap());
        // A call's own output does not exist; its pointer hurts nobody.
        found.retain(|at| body.pointer(at).is_some());
        found
    }

    #[test]
    fn results_are_found_by_their_call_in_every_dialect() {
        let chat = json!({ "messages": [
            { "role": "assistant", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "read", "arguments": "{\"path\": \"app/.env\"}" } },
                { "id": "call_2", "type": "function", "function": { "name": "read", "arguments": "{\"path\": \"README.md\"}" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "A=1" },
            { "role": "tool", "tool_call_id": "call_2", "content": "about .env" },
        ] });
        assert_eq!(found(&chat), ["/messages/1/content"]);
        let messages = json!({ "messages": [
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "toolu_1", "name": "bash", "input": { "command": "cat ~/.aws/credentials" } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "x" }] },
                { "type": "document", "title": "server.pem", "source": { "type": "text", "data": "y" } },
            ] },
        ] });
        assert_eq!(found(&messages), ["/messages/1/content/0/content", "/messages/1/content/1/source"]);
        let responses = json!({ "input": [
            { "type": "function_call", "call_id": "c", "name": "read", "arguments": "{\"path\":\"secrets/a\"}" },
            { "type": "function_call_output", "call_id": "c", "output": "z" },
            { "role": "user", "content": [{ "type": "input_file", "filename": ".npmrc", "file_data": "data:..." }] },
        ] });
        assert_eq!(found(&responses), ["/input/1/output", "/input/2/content/0/file_data"]);
        let none = json!({ "messages": [{ "role": "user", "content": "read .env", "title": "plan" }] });
        assert!(found(&none).is_empty());
    }
}
