//! Secrets in encodings: found wherever they stand, and nothing of them is left.

mod common;

use common::layers::{BACKSLASH, FORM, PERCENT, UNICODE, in_encoding, wrapped};
use common::spans::{letter, marked, redacted, same_in_pieces, shown, whole};
use common::{base64, expand, hex};

/// A secret that lies across the edge of a window of escapes, wherever the edge is.
#[test]
fn a_secret_is_found_wherever_it_stands_in_escapes() {
    let secrets = [
        expand("ghp_<A-Za-z0-9*36>", 9),
        expand("password=<a-z0-9*14>", 9),
        expand("sk-ant-api03-<A-Za-z0-9_-*93>AA", 9),
    ];
    for encoding in [PERCENT, FORM, UNICODE, BACKSLASH] {
        let encode = |text: &str| in_encoding(text, encoding);
        for secret in &secrets {
            for at in (0..500).step_by(37) {
                let text = encode(&letter(700, at, secret));
                let from = encode(&letter(700, at, secret)[..at + 1]).len();
                let name = if secret.starts_with('p') { encode("password=").len() } else { 0 };
                let inside = from + name..from + encode(secret).len();
                let mask = marked(text.len(), &whole(text.as_bytes(), "", false));
                assert!(mask[inside].iter().all(|hidden| *hidden), "{at}: {}", shown(text.as_bytes(), &mask));
                if at % 111 == 0 {
                    for size in [13, 300] {
                        same_in_pieces(text.as_bytes(), "", || size, &format!("{at} {size}"));
                    }
                }
            }
        }
        let harmless = encode(&letter(4000, 0, ""));
        assert_eq!(whole(harmless.as_bytes(), "", false), []);
    }
}

/// What is encoded begins behind a sign, whatever the bytes that it begins with, and as it does behind a space.
#[test]
fn an_encoding_begins_behind_a_sign() {
    let secret = expand("API_KEY=<A-Za-z0-9*24> ", 7);
    let run = expand("<A-Za-z0-9*20>", 1);
    for (what, encoded) in [
        ("no text at first", base64(&[&[0; 12], letter(700, 400, &secret).as_bytes()].concat())),
        ("the shortest", base64(expand("API_KEY=<A-Za-z0-9*10>", 7).as_bytes())),
        ("slashes", base64(("ab?".repeat(6) + &secret).as_bytes())),
        ("hex", hex(letter(100, 100, &secret).trim_end().as_bytes()) + "-z"),
    ] {
        let found_behind = |sign: &str| whole(format!("{run}{sign}{encoded} x").as_bytes(), "", false);
        assert_eq!(found_behind(" ").len(), 1, "{what}");
        assert_eq!(found_behind("="), found_behind(" "), "{what}");
        assert_eq!(found_behind("."), found_behind(" "), "{what}");
        assert_eq!(found_behind(".--").len(), 1, "{what}");
    }
    // Nothing stands before it that could be the rest of something.
    let glued = base64(("ab".to_owned() + &base64(letter(700, 20, &secret).as_bytes())).as_bytes());
    for sign in [" ", "="] {
        assert_eq!(whole(format!("{run}{sign}{glued} x").as_bytes(), "", false), [], "{sign}");
    }
}

/// A long one is read in windows that overlap by half: what begins far into one is found in the next.
#[test]
fn the_window_that_a_secret_begins_early_in_finds_it() {
    for (bytes, at, secret, start) in [
        (640, 470, "API_KEY=<A-Za-z0-9*60>", 448),
        // In the last bytes, which the window before does not have.
        (1354, 1330, "API_KEY=<A-Za-z0-9*24>", 1568),
    ] {
        let text = base64(letter(bytes, at, &expand(secret, 7)).as_bytes());
        let found: Vec<_> = whole(text.as_bytes(), "", false).iter().map(|f| (f.0, f.1)).collect();
        assert_eq!(found, [(start, text.len())]);
    }
}

/// The surest of several says by which rule.
#[test]
fn the_surest_in_a_window_names_it() {
    for plain in
        ["API_KEY=<A-Za-z0-9*24> glpat-<A-Za-z0-9*20>", "glpat-<A-Za-z0-9*20> API_KEY=<A-Za-z0-9*24>"]
    {
        let once = redacted(&base64(expand(plain, 7).as_bytes()), false);
        assert!(once.starts_with("[REDACTED:gitlab-token:"), "{once}");
    }
}

/// A window may begin in an escape, and right behind that what is encoded once more.
#[test]
fn an_encoding_behind_the_rest_of_an_escape_is_found() {
    let inner = base64(letter(240, 110, &expand("glpat-<A-Za-z0-9*20>", 7)).as_bytes());
    // The second window that does not begin with the text begins with its byte 336.
    for before in 1..=5 {
        let plain = letter(600, 0, "")[..336 - before].to_owned() + "\\u0022" + &inner;
        let found = whole(base64(plain.as_bytes()).as_bytes(), "", false);
        assert_eq!(found.first().map(|f| f.0), Some(448), "{before}");
    }
}

/// A window of escapes may end in a sign that ends a token, or is a part of it.
#[test]
fn a_token_in_escapes_is_found_to_its_end_whatever_a_window_ends_in() {
    let name = "the token ";
    let secret = name.to_owned() + &expand(&"<A-Za-z0-9*20>.".repeat(12), 7);
    for at in 0..30 {
        let text = in_encoding(&letter(700, at, &secret), PERCENT);
        let mask = marked(text.len(), &whole(text.as_bytes(), "", false));
        let inside = "%20".len() * (at + 1 + name.len()).."%20".len() * (at + secret.len());
        assert!(mask[inside].iter().all(|hidden| *hidden), "{at}: {}", shown(text.as_bytes(), &mask));
    }
}

/// What a secret ends in may be the first escape of a long run.
#[test]
fn an_escape_far_behind_the_beginning_of_a_secret_is_undone_with_it() {
    for len in [200, 230, 250] {
        let text = expand(&format!("https://u:<a-z0-9*{len}>%40h.internal/<a-z*300>"), 7);
        assert_eq!(whole(text.as_bytes(), "", false).len(), 1, "{len}");
    }
}

/// The longest run that is undone whole: all of it is seen, wherever in a part of a window it begins.
#[test]
fn a_short_run_of_escapes_is_undone_at_once() {
    let run = "https://u:<a-z0-9*280>%40h.internal/<a-z*32>";
    for before in [1, 50, 111] {
        let text = expand(&format!("{:before$}{run} x", " "), 7);
        assert_eq!(text.len() - before - " x".len(), 336);
        assert_eq!(whole(text.as_bytes(), "", false).len(), 1, "{before}");
    }
}

/// So deep that escapes are not undone any more, what stands behind one begins there nevertheless.
#[test]
fn a_token_begins_behind_an_escape_in_an_encoding_in_an_encoding() {
    for escape in ["%22", "\\u0022", "\\x22"] {
        let plain = format!("it is {escape}{} and no other", expand("ghp_<A-Za-z0-9*36>", 3));
        let text = base64(base64(plain.as_bytes()).as_bytes());
        assert_eq!(whole(text.as_bytes(), "", false).len(), 1, "{escape}");
    }
}

/// How many mixtures a test makes: few in every run, more where the environment says so.
fn mixtures(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("SLUICE_MIXTURES_FROM").unwrap_or(0);
    from..from + number("SLUICE_MIXTURES").unwrap_or(few)
}

/// Shows some of the failures, if there are any.
fn none(failures: impl Iterator<Item = String>) {
    let failures: Vec<String> = failures.collect();
    let some = &failures[..failures.len().min(20)];
    assert!(failures.is_empty(), "{}\n{} in all", some.join("\n"), failures.len());
}

/// So many bytes may stand for one of a secret.
const BLOWN_UP_MAX: usize = 4;

/// The longest part of what is hidden in plain text that is left of it in an encoding.
fn left(seed: u64) -> Option<String> {
    let (plain, encodings, layer, hidden) = wrapped(seed);
    // What encodings blow up too much is out of sight.
    if layer.places[plain.len() - 1].1 - layer.places[0].0 > plain.len() * BLOWN_UP_MAX {
        return None;
    }
    let mask = marked(layer.text.len(), &whole(&layer.text, "", false));
    let mut run = 0;
    for (at, (start, end)) in layer.places.iter().enumerate() {
        let survives = hidden[at] && mask[*start..*end].iter().all(|hidden| !hidden);
        run = if survives { run + 1 } else { 0 };
        if run == 8 {
            let shown = shown(&layer.text, &mask);
            let shown = if mixtures(0).end - mixtures(0).start == 1 { shown } else { String::new() };
            let (first, last) = (layer.places[0].0, layer.places[plain.len() - 1].1);
            let near = |at: usize| {
                String::from_utf8_lossy(&layer.text[at.saturating_sub(12)..layer.text.len().min(at + 12)])
                    .into_owned()
            };
            let (before, behind) = (near(first), near(last));
            return Some(format!(
                "{seed}: {encodings:?} {before:?} {behind:?} at {at} of {plain:?}: {shown}"
            ));
        }
    }
    None
}

#[test]
fn nothing_of_a_secret_is_left_in_an_encoding() {
    none(mixtures(200).filter_map(left));
}

#[test]
fn what_is_left_of_an_encoding_is_not_redacted_again() {
    let again = |seed: u64| {
        let once = redacted(&String::from_utf8_lossy(&wrapped(seed).2.text), seed % 2 == 1);
        let twice = redacted(&once, seed % 2 == 1);
        (once != twice).then(|| format!("{seed}: {once}\n{twice}"))
    };
    none(mixtures(200).filter_map(again));
}

/// A model or a page can be made to write what looks like a placeholder: it must not shield what stands beside it.
#[test]
fn what_looks_like_a_placeholder_hides_nothing() {
    let token = expand("ghp_<A-Za-z0-9*36>", 3);
    let placeholder = expand("[REDACTED:jwt:<a-f0-9*16>]", 4);
    for text in [
        format!("{token}{placeholder} x"),
        format!("{placeholder}{token} x"),
        format!("a {token}[REDACTED: x"),
        format!("password={placeholder}{token} x"),
    ] {
        let once = redacted(&text, false);
        assert!(!once.contains(&token[4..12]), "{once}");
    }
    for call in ["login(\"service\", \"hunter22x\", \"<>\")", "login(\"<>\", \"hunter22x\")"] {
        let once = redacted(&format!("client.{}", call.replace("<>", &placeholder)), false);
        assert!(!once.contains("hunter22x"), "{once}");
    }
}

#[test]
fn the_letter_of_an_escape_is_no_part_of_the_name_behind_it() {
    for escape in ["\\n", "\\r\\n", "\\t", "%0A", "%0d%0a", "\\u000a", "\\x0a"] {
        let once = redacted(&format!("x=1{escape}DB_PASSWORD=correct-horse-battery{escape}the end"), false);
        assert!(!once.contains("horse"), "{once}");
        let once = redacted(&format!("x=1{escape}TOKEN=9aKd02mXz81Lq{escape}the end"), false);
        assert!(!once.contains("02mX"), "{once}");
    }
}

#[test]
fn a_name_may_be_glued_to_the_run_behind_it() {
    let id = expand("<a-f0-9*8>-<a-f0-9*4>-4<a-f0-9*3>-a<a-f0-9*3>-<a-f0-9*12>", 5);
    for name in ["Token", "SECRET", "key", "access", "private", "password"] {
        for sign in ["-", "_", "=", "."] {
            let once = redacted(&format!("see collect2{name}{sign}{id} x"), false);
            assert!(!once.contains(&id), "{once}");
        }
    }
    let once = redacted(&format!("see collect2stone-{id} x"), false);
    assert!(once.contains(&id), "{once}");
}
