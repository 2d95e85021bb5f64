//! What one piece must tell the next: a constructed text for each of it, cut so that leaving it out is seen.

mod common;

use common::layers::{BACKSLASH, in_encoding};
use common::spans::{compare, letter, same_in_pieces};
use common::{base64, expand};

/// Texts that differ when something is left out of what is carried, or when what is undecided is settled.
fn texts() -> Vec<(&'static str, String)> {
    [runs(), keys(), encodings(), escapes(), placeholders()].concat()
}

fn runs() -> Vec<(&'static str, String)> {
    let jwt = "eyJhbGciOiJIUzI1NiJ9";
    vec![
        (
            "a run was judged with its punctuation",
            format!("<A-Za-z0-9*20>{}=<A-Za-z0-9*30>.<A-Za-z0-9*30> x", "/ab".repeat(600)),
        ),
        (
            "a surer one begins in the first bytes of one",
            format!("key <A-Za-z0-9*12>.{jwt}.<A-Za-z0-9_-*700> x"),
        ),
        ("a sign of padding is not there yet", "<A-Za-z0-9*20>.token.<A-Za-z0-9*342>== x".to_owned()),
        ("no sign of padding is there yet", "<A-Za-z0-9*20>.token.<A-Za-z0-9*343>= x".to_owned()),
        ("the last run begins within a character", "\u{e9}".repeat(300) + " x"),
        ("a symbol goes on with a token", "the token <A-Za-z0-9*338>#$<A-Za-z0-9*60> x".to_owned()),
        (
            "the words after a password are seen as far as one",
            format!("passwd xpublic <A-Za-z0-9*80> Z81itM1::{}", "x11AxA1".repeat(150)),
        ),
        ("symbols go on for longer than a look", "the token <A-Za-z0-9*100>#$<A-Za-z0-9#$*500> x".to_owned()),
        (
            "symbols that a piece ends in",
            "the token <A-Za-z0-9*338>#$<A-Za-z0-9*40>#$<A-Za-z0-9*20> x".to_owned(),
        ),
        (
            "a look ends before the last byte of a character",
            "Cookie: sid=<a-z0-9*441>\u{1f600}<a-z0-9*40>; x".to_owned(),
        ),
        (
            "a look and a piece end in one character",
            format!("{:43}Cookie: sid=<a-z0-9*443>\u{e9}<a-z0-9*40>; x", "It was a letter of three lines:"),
        ),
    ]
}

fn keys() -> Vec<(&'static str, String)> {
    let key = "-----BEGIN PRIVATE KEY-----";
    vec![
        (
            "a sign of padding is not there yet behind a key",
            format!("{key}\n<A-Za-z0-9*20>{}=/token/<A-Za-z0-9*40>-<A-Za-z0-9*301>== x", "/ab".repeat(40)),
        ),
        (
            "a second key in the line of one",
            format!("{key}\n<A-Za-z0-9+/*60>\nab{key}\n<A-Za-z0-9+/*700>\n-- x"),
        ),
        (
            "a second key in what may be a header of one",
            format!("{key}\n<A-Za-z0-9+/*60>\nabcd{key}<A-Za-z0-9+/*40>: x\n<A-Za-z0-9+/*60>\n-- x"),
        ),
        (
            "a second key begins where a header is too long",
            format!(
                "{key}\n<A-Za-z0-9+/*1500>\nabcd: {}{key}\n<A-Za-z0-9*60>\n<A-Za-z0-9*60>\n x",
                "word-".repeat(21)
            ),
        ),
        (
            "a second key begins there in what may be a value",
            format!(
                "{key}\n<A-Za-z0-9+/*1500>\nabcd: password='{}{key}\n<A-Za-z0-9*60>\n x",
                "word-".repeat(19)
            ),
        ),
        (
            "a key ends with what may have been a header, long before the piece does",
            format!("{key}\n<A-Za-z0-9+/*407>\nNote- {}\n{}", prose(110), prose(800)),
        ),
    ]
}

fn encodings() -> Vec<(&'static str, String)> {
    let secret = expand("API_KEY=<A-Za-z0-9*24> ", 7);
    let long = expand("API_KEY=<A-Za-z0-9*60>", 7);
    let surer = expand("glpat-<A-Za-z0-9_-*20>", 8);
    vec![
        (
            "a secret was found in an encoding long ago",
            base64((letter(900, 100, &secret) + &letter(3600, 3300, &surer)).as_bytes()),
        ),
        (
            // What is no text ends in the slash of base64.
            "a part of a path begins in an encoding in which one was found long ago",
            base64(
                (letter(900, 100, &secret) + "\x01\x01\x02\x03\x01\x02?" + &letter(3000, 2500, &surer))
                    .as_bytes(),
            ),
        ),
        (
            // So far from the beginning that one of the pieces keeps just so much of the text before.
            "an encoding begins at the edge of what is kept of the text before",
            format!(
                "{:277}{}",
                prose(270),
                base64((secret.clone() + &letter(3000, 2500, &surer)).as_bytes())
            ),
        ),
        (
            "the secret of an encoding is found in what is not settled",
            base64(letter(1354, 1330, &secret).as_bytes()) + ",and so on x",
        ),
        (
            "a secret goes on where a window may end with the piece",
            base64(letter(640, 470, &long).as_bytes()) + " x",
        ),
        (
            // Slashes: without them the run by itself would be undecided for longer.
            "the same at the beginning of an encoding behind a sign",
            format!(
                "<A-Za-z0-9*400>={} x",
                &base64((prose(100) + "???" + &letter(400, 198, &long)).as_bytes())[..595]
            ),
        ),
        (
            "an encoding begins behind a sign",
            format!("<A-Za-z0-9*600>={} x", base64(letter(330, 290, &secret).as_bytes())),
        ),
    ]
}

fn escapes() -> Vec<(&'static str, String)> {
    let escaped = |text: &str| in_encoding(text, BACKSLASH);
    let long = expand("sk-ant-api03-<A-Za-z0-9_-*193>", 3);
    // So far from its word that not each window has both.
    let far = expand("datadog was what we spoke of along the river <a-f0-9*32> ", 3);
    vec![
        ("escapes go on", escaped(&letter(900, 300, &long))),
        ("windows of escapes have fixed places", escaped(&format!("{} x", far.repeat(20)))),
        ("an escape comes late", "sk-ant-api03-<A-Za-z0-9_-*70>%5f<A-Za-z0-9_-*22>AA x".to_owned()),
    ]
}

fn placeholders() -> Vec<(&'static str, String)> {
    vec![
        (
            "a placeholder touches a long one",
            "a sk-ant-api03-<A-Za-z0-9_-*365>[REDACTED:jwt:<a-f0-9*16>] x".to_owned(),
        ),
        (
            "a placeholder touches a long one in escapes, which is decided sooner",
            "a %2Dsk-ant-api03-<A-Za-z0-9_-*340>[REDACTED:jwt:<a-f0-9*16>] x".to_owned(),
        ),
        (
            "a placeholder touches what is found",
            "a glpat-<A-Za-z0-9*20>[REDACTED:jwt:<a-f0-9*16>] x ghp_<A-Za-z0-9*36>[REDACTED x".to_owned(),
        ),
    ]
}

fn prose(bytes: usize) -> String {
    letter(bytes, 0, "").trim_start().to_owned()
}

#[test]
fn what_a_piece_must_tell_the_next() {
    for (what, text) in texts() {
        let text = expand(&text, 0);
        // Byte by byte a long text is thousands of scans.
        let small = if text.len() < 1000 { 1 } else { 31 };
        for (size, strict) in [(small, false), (64, true), (500, false)] {
            compare(text.as_bytes(), "content", strict, || size, &format!("{what}, {size}"));
        }
    }
}

#[test]
fn a_character_that_is_not_all_there() {
    // The look at a cookie ends behind the first byte of its last character.
    let cookie = |character: &[u8]| {
        [expand("Cookie: sid=<a-z0-9*443>", 0).as_bytes(), character, b"hunter22; x"].concat()
    };
    let (short, long) = (cookie(b"\xe2\x82"), cookie(b"\xc3\xa9\xa9\xa9"));
    for text in [
        &short[..],
        &long,
        b"password=\"abcdefgh1\xe2\x82\" x",
        b"password=hunter2222\xf0\x9f x \xf0\x9f\x98",
        b"\xe9 password='\xc3\xa9hunter22\xc3' x",
        b"password=\x80\x80\x80\x80\x80hunter22\x80\x80\x80\x80\x80 x",
    ] {
        for size in [1, 2, 3, 5] {
            same_in_pieces(text, "content", || size, "characters");
        }
    }
}
