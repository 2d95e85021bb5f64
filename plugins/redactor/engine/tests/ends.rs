//! Where a finding begins and ends.

mod common;

use common::expand;
use common::spans::{letter, marked, whole};

/// What belongs to a token, between what does not.
const TOKENS: &[(&str, &str, &str)] = &[
    // The signs that pad base64 to groups of four, and no others.
    ("the token (", "<A-Za-z0-9*42>==", " x"),
    ("the token (", "<A-Za-z0-9*43>=", " x"),
    ("the token (", "<A-Za-z0-9*41>", "=== x"),
    ("the token (", "<A-Za-z0-9*40>", "== x"),
    // In prose symbols are a part of it, but not those that end a sentence.
    ("the token ", "<A-Za-z0-9*20>#$<A-Za-z0-9*20>", ".: x"),
    ("the token's ", "<A-Za-z0-9*40>", "#x y"),
    // A cookie's value is more than a token, also where it is longer than what is seen of it.
    ("Cookie: theme=dark; sid=", "<a-z0-9*500>%2B<a-z0-9*40>|\u{e9}<a-z0-9*40>", "; lang=en x"),
    // So is a password in an address, of which then the host is a part.
    ("https://user:", "<A-Za-z0-9*500>%2B<A-Za-z0-9*40>@h.internal/", " x"),
    ("https://", "<A-Za-z0-9*500>%2B<A-Za-z0-9*40>@h.internal/", " x"),
    // A sign ends what stands before it: this is not so deep in one run that it could be anything.
    (
        "<A-Za-z0-9*20>=/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/ab/token/",
        "<A-Za-z0-9*40>",
        " x",
    ),
];

/// What stands between the others is found, from its beginning to its end, and where nothing does, nothing.
fn is_found(table: &[(&str, &str, &str)]) {
    for (seed, (before, secret, behind)) in table.iter().enumerate() {
        let (before, secret) = (expand(before, 0), expand(secret, seed as u64));
        let text = format!("{before}{secret}{behind}");
        let found: Vec<&str> = whole(text.as_bytes(), "", false).iter().map(|f| &text[f.0..f.1]).collect();
        let wanted = if secret.is_empty() { vec![] } else { vec![secret.as_str()] };
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn a_finding_ends_where_its_token_does() {
    is_found(TOKENS);
}

/// Forms that say themselves what they are, as short as they may be, and a byte shorter: then nothing is found.
const FORMS: &[(&str, &str, &str)] = &[
    ("a ", "eyJhbGciOiJ4In0.<A-Za-z0-9*20>", ". x"),
    ("a ", "eyJhbGciOiJ4In0.<A-Za-z0-9*8>", " x"),
    ("a eyJhbGciOiJ4In0.<A-Za-z0-9*7>", "", " x"),
    ("", "-----BEGIN PRIVATE KEY-----\n<A-Za-z0-9*16>", "\n"),
    ("-----BEGIN PRIVATE KEY-----\n<A-Za-z0-9*15>", "", "\n"),
    ("", "-----BEGIN PRIVATE KEY-----\n<A-Za-z0-9*64>\n<A-Za-z0-9*16>\n<A-Za-z0-9*64>", "\n"),
    ("", "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n<A-Za-z0-9*64>", "\n"),
    // A placeholder is no header of a key.
    ("", "-----BEGIN PRIVATE KEY-----\n<A-Za-z0-9*64>", "\nNote: [REDACTED:jwt:0123456789abcdef]\n"),
    ("https://", "u:a7bq9", "@h.internal/ x"),
    ("https://u:a7bq@h.internal/", "", " x"),
    ("Authorization: Bearer ", "a1B2c3D4e5F6", " x"),
    ("Authorization: Bearer a1B2c3D4e5F", "", " x"),
    ("Authorization: Bearer ", "a1B2c3D4e5F6G7h8", "! x"),
    ("Authorization: Basic ", "dXNlcm5hbWU6YQ==", " x"),
    ("Authorization: Basic dXNlcm5hbWU6", "", " x"),
    ("Cookie: theme=dark; sid=", "<a-z0-9*24>", " x"),
    ("curl -u", "user:pass12word", " https://h.internal x"),
    ("client.login(\"service\", \"", "hunter22x", "\", \"that is never closed, x"),
    ("smtp.PlainAuth(\"\", \"svc@mail.internal\", \"", "hunter22x", "\", host) x"),
];

#[test]
fn the_shortest_of_each_form_is_found() {
    is_found(FORMS);
}

/// The look at the symbols of one token does not bound what is seen of those behind it.
#[test]
fn a_token_behind_one_with_symbols_is_found() {
    let second = expand("datadog <a-f0-9*32>", 1);
    let text = format!("the token {} {}", expand("<A-Za-z0-9*40>#$", 0), letter(600, 560, &second));
    assert_eq!(whole(text.as_bytes(), "", false).len(), 2, "{text}");
}

/// Behind a key may stand what looks like one of its headers, and in that another key.
#[test]
fn a_key_in_a_header_of_another_is_redacted_to_its_end() {
    let key = expand("-----BEGIN PRIVATE KEY-----\n<A-Za-z0-9+/*60>\n", 2);
    for len in 0..130 {
        let text = format!("{key}abcd: {}-{key}", &letter(200, 0, "")[..len]);
        let mask = marked(text.len(), &whole(text.as_bytes(), "", false));
        assert!(mask[text.len() - 30..text.len() - 1].iter().all(|hidden| *hidden), "{len}");
    }
}
