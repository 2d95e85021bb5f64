//! What holds for every text: pieces give what the whole gives, nothing panics, the work grows with the length.

mod common;

use common::{Random, base64, expand, hex, table};
use proptest::prelude::*;
use redactor_engine::{HOLD_BYTES_MAX, Piece, Switches, scan_piece, scan_text};

/// The bytes that are redacted.
fn marked(len: usize, spans: impl Iterator<Item = (usize, usize)>) -> Vec<bool> {
    let mut out = vec![false; len];
    spans.for_each(|(start, end)| out[start..end].iter_mut().for_each(|byte| *byte = true));
    out
}

fn whole(text: &[u8], key: &str) -> Vec<bool> {
    let piece = Piece { content: text, key, last: true, ..Piece::default() };
    marked(text.len(), scan_piece(&piece, &Switches::default()).findings.iter().map(|f| (f.start, f.end)))
}

/// Hands the text over in pieces as the host does: what is unsettled stands before the next piece.
fn streamed(text: &[u8], key: &str, mut next_cut: impl FnMut() -> usize) -> Vec<bool> {
    let mut out = vec![false; text.len()];
    let (mut from, mut seen, mut carry) = (0, 0, Vec::new());
    loop {
        seen = (seen + next_cut().max(1)).min(text.len());
        let last = seen == text.len();
        let piece = Piece { content: &text[from..seen], key, carry: &carry, last, ..Piece::default() };
        let outcome = scan_piece(&piece, &Switches::default());
        assert!(outcome.settled <= piece.content.len());
        assert!(outcome.carry.len() <= 4096);
        assert!(piece.content.len() - outcome.settled <= HOLD_BYTES_MAX + 4, "too much is held back");
        for found in &outcome.findings {
            assert!(found.start < found.end && found.end <= outcome.settled);
            out[from + found.start..from + found.end].iter_mut().for_each(|byte| *byte = true);
        }
        from += outcome.settled;
        carry = outcome.carry;
        if last {
            assert_eq!(from, text.len());
            return out;
        }
    }
}

fn shown(text: &[u8], mask: &[bool]) -> String {
    text.iter().zip(mask).map(|(byte, hidden)| if *hidden { '#' } else { char::from(*byte) }).collect()
}

/// Text as it is met: words, code, JSON, and examples of the rules between them.
fn traffic(seed: u64) -> String {
    const FILL: &[&str] = &[
        "the quick brown fox ",
        "fn main() {\n",
        "\"role\": \"user\", ",
        "  \"content\": \"",
        "\\n",
        "\n",
        "export ",
        " = ",
        ": ",
        "'",
        "\"",
        "max_tokens=4096 ",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b\n",
        "héllo wörld — ",
        "key ",
        "token ",
        "password ",
        "password=",
        "API_KEY=",
        "\"secret\": \"",
        "Cookie: a=b; ",
        "Authorization: Bearer ",
        "https://",
        "user:",
        "@host/",
        "-----BEGIN ",
        "payload%3D%22",
        "eyJ",
        "  ",
        ";",
        ",",
        "}",
        "curl -u ",
        "datadog ",
        "x",
        "\u{1f600}",
        "/",
        "+a/",
    ];
    let rows = table();
    let mut random = Random(seed);
    let mut out = String::new();
    for _ in 0..random.below(14) + 2 {
        if random.below(9) == 0 {
            let at = random.below(900);
            let secret = expand("API_TOKEN=<a-z0-9*20>", seed);
            out.push_str(&base64(
                letter(1000, at, if random.below(2) == 0 { &secret } else { "" }).as_bytes(),
            ));
        } else if random.below(3) == 0 {
            let row = &rows[random.below(rows.len())];
            out.push_str(&expand(&row.examples[random.below(row.examples.len())], seed));
        } else {
            out.push_str(FILL[random.below(FILL.len())]);
        }
    }
    out
}

/// Found by the property below: a resumed finding that a later one crossed was forgotten; one that was certain was
/// held back until everything behind it was redacted with it; one began, by accident, where the context was cut.
#[test]
fn what_was_found_once() {
    for (seed, size) in [
        (4_342_182_705_479_404_290, 73),
        (16_520_762_036_848_191_730, 77),
        (3_375_954_412_660_221_572, 13),
        (6_795_136_258_072_461_454, 1),
    ] {
        let (text, mut random) = (traffic(seed), Random(seed ^ 0xabcd));
        let pieces = streamed(text.as_bytes(), "content", || random.below(size) + 1);
        assert!(whole(text.as_bytes(), "content") == pieces, "{seed}");
    }
}

/// The same texts in every run, so that a change is what makes it fail; `PROPTEST_RNG_SEED` asks for others. One in some
/// thousands of other texts, cut byte by byte, still ends a long encoded run some bytes earlier or later than the whole
/// does; whoever streams holds the pieces against the whole in the end.
fn config() -> ProptestConfig {
    let seed =
        std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_120);
    let rng_seed = proptest::test_runner::RngSeed::Fixed(seed);
    ProptestConfig { cases: 192, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pieces_give_what_the_whole_gives(seed in any::<u64>(), size in 1usize..80, keyed in any::<bool>()) {
        let text = traffic(seed);
        let key = if keyed { "DB_PASSWORD" } else { "content" };
        let mut random = Random(seed ^ 0xabcd);
        let whole = whole(text.as_bytes(), key);
        let pieces = streamed(text.as_bytes(), key, || random.below(size) + 1);
        prop_assert!(whole == pieces, "\nwhole  {}\npieces {}", shown(text.as_bytes(), &whole), shown(text.as_bytes(), &pieces));
    }

    #[test]
    fn arbitrary_bytes_are_scanned(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..40) {
        scan_text(&bytes, &Switches { strict: true, ..Switches::default() });
        streamed(&bytes, "", || cut);
    }

    #[test]
    fn findings_lie_in_the_text_whatever_the_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..400), text in any::<String>(), seed in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), cut in 1usize..90,
    ) {
        // Secrets with bytes in them that no text has, so that rules begin and do not end as they expect.
        let mut damaged = traffic(seed).into_bytes();
        for (at, byte) in damage {
            let at = at.index(damaged.len());
            if byte < 128 { damaged[at] = byte | 0x80 } else { damaged.truncate(damaged.len().min(at + 60)) }
        }
        for bytes in [bytes.as_slice(), text.as_bytes(), &damaged] {
            for strict in [false, true] {
                let found = scan_text(bytes, &Switches { strict, ..Switches::default() });
                prop_assert!(found.iter().all(|one| one.start < one.end && one.end <= bytes.len()), "{:?}", bytes);
                prop_assert!(found.windows(2).all(|two| two[0].start <= two[1].start), "not sorted: {:?}", bytes);
                prop_assert!(found.windows(2).all(|two| two[0].end < two[1].end), "one in another: {:?}", bytes);
            }
            streamed(bytes, "DB_PASSWORD", || cut);
        }
    }

    #[test]
    fn arbitrary_carries_are_taken(carry in prop::collection::vec(any::<u8>(), 0..60), before in "[ -~]{0,20}") {
        let piece = Piece { content: b"API_KEY=9aKd02mXz81L", before: before.as_bytes(), carry: &carry, ..Piece::default() };
        scan_piece(&piece, &Switches::default());
    }
}

/// Bytes that matchers looked at for a text of about this length, made of one piece repeated.
fn steps(piece: &str, len: usize) -> u64 {
    let text = piece.repeat(len / piece.len() + 1);
    redactor_engine::take_steps();
    scan_text(text.as_bytes(), &Switches { strict: true, ..Switches::default() });
    redactor_engine::take_steps()
}

#[test]
fn the_work_grows_with_the_length_of_the_text() {
    let mut pieces: Vec<String> = [
        "key",
        "token=",
        "password: \"",
        "a=",
        "://",
        "eyJ",
        "eyJhbGciOiJ9.",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "Cookie: a=b; ",
        "cookie:",
        "curl ",
        "curl -u a:b",
        "basic ",
        "Bearer ",
        "%3d",
        "%22",
        "\\u0022",
        "\\\\\"",
        "key-",
        "Ab3",
        "A1b2C3d4E5",
        "datadog ",
        "sk-",
        "sk-sk-",
        "ghp_",
        "xoxb-1-",
        "xoxb-12345678-",
        "[REDACTED:",
        "\n",
        " ",
        "====",
        "secret => ",
        "SECRET_",
        "0",
        "a.b.c/d+e=",
        "user:x@",
        "{{",
        "${",
    ]
    .map(str::to_owned)
    .to_vec();
    pieces.extend(table().iter().flat_map(|row| &row.examples).map(|example| expand(example, 5)));
    for piece in pieces {
        let (short, long) = (steps(&piece, 1_000), steps(&piece, 4_000));
        // Four times the text: four times the work, with room for what happens once.
        assert!(long <= short * 5 + 20_000, "{piece}: {short} steps, then {long}");
        assert!(long <= 4_000 * 800, "{piece}: {long} steps for 4,000 bytes");
    }
}

/// Text of this many bytes with a secret in it at `at`, and one without.
fn letter(bytes: usize, at: usize, secret: &str) -> String {
    let prose = "We walked along the river and spoke of other things, as one does. ".repeat(bytes / 60 + 2);
    format!("{} {secret} {}", &prose[..at], &prose[at..bytes])
}

#[test]
fn a_secret_deep_in_a_long_encoding_is_found_and_the_run_redacted_from_there() {
    let token = expand("ghp_<A-Za-z0-9*36>", 9);
    for at in [0, 335, 1000, 1900] {
        for encode in [base64, hex] {
            let encoded = encode(letter(2000, at, &token).as_bytes());
            let before = encode(letter(2000, at, "").as_bytes()[..at].as_ref()).len();
            for text in [format!("blob: {encoded} end"), format!("see /{encoded}"), encoded.clone()] {
                let mask = whole(text.as_bytes(), "");
                let from = text.find(&encoded[..40]).unwrap();
                let inside = from + before..from + before + encode(token.as_bytes()).len();
                assert!(mask[inside].iter().all(|hidden| *hidden), "{at}: {}", shown(text.as_bytes(), &mask));
                for size in [11, 300] {
                    let pieces = streamed(text.as_bytes(), "", || size);
                    let differs = mask.iter().zip(&pieces).position(|(whole, piece)| whole != piece);
                    let spans = |mask: &[bool]| {
                        mask.iter()
                            .enumerate()
                            .filter(|(k, hidden)| **hidden != (*k > 0 && mask[k - 1]))
                            .map(|(k, _)| k)
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(
                        differs,
                        None,
                        "{at} {size} {} {:?} {:?}",
                        text.len(),
                        spans(&mask),
                        spans(&pieces)
                    );
                }
            }
        }
    }
    let harmless = base64(letter(4000, 0, "").as_bytes());
    assert!(whole(harmless.as_bytes(), "").iter().all(|hidden| !hidden));
}

#[test]
fn long_encodings_cost_what_their_length_says() {
    for text in [
        "password=",
        "We walked along the river. ",
        "eyJhbGciOiJ9.",
        "-----BEGIN PRIVATE KEY-----",
        "%3d%22",
        "key ",
    ] {
        for encode in [
            base64,
            hex,
            |bytes: &[u8]| base64(base64(bytes).as_bytes()),
            |bytes: &[u8]| hex(hex(bytes).as_bytes()),
        ] {
            let steps = |len: usize| {
                let text = encode(text.repeat(len / text.len()).as_bytes());
                redactor_engine::take_steps();
                scan_text(text.as_bytes(), &Switches { strict: true, ..Switches::default() });
                (redactor_engine::take_steps(), text.len() as u64)
            };
            let ((short, _), (long, bytes)) = (steps(4_000), steps(16_000));
            assert!(long <= short * 5 + 20_000, "{text}: {short} steps, then {long}");
            assert!(long <= bytes * 800, "{text}: {long} steps for {bytes} bytes");
        }
    }
}

#[test]
fn one_byte_at_a_time_gives_what_the_whole_gives() {
    for row in table() {
        for example in &row.examples {
            let text = format!("a {} b", expand(example, 11));
            let (whole, pieces) = (whole(text.as_bytes(), ""), streamed(text.as_bytes(), "", || 1));
            assert!(
                whole == pieces,
                "{}\n{}\n{}",
                row.id,
                shown(text.as_bytes(), &whole),
                shown(text.as_bytes(), &pieces)
            );
        }
    }
}

#[test]
fn a_key_longer_than_what_is_held_back_is_redacted_to_its_end() {
    let body: String = (0..40).map(|line| format!("{}\n", expand("<A-Za-z0-9+/*64>", line + 1))).collect();
    for text in [
        format!("x -----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY----- after"),
        format!("x -----BEGIN RSA PRIVATE KEY-----\n{body}"),
        format!("x -----BEGIN RSA PRIVATE KEY-----\\n{}", body.replace('\n', "\\n")),
        format!("token {}{}", expand("sk-ant-api03-<A-Za-z0-9_-*300>", 1), expand("<A-Za-z0-9_-*900>", 2)),
    ] {
        for size in [1, 7, 64, 500] {
            let (whole, pieces) = (whole(text.as_bytes(), ""), streamed(text.as_bytes(), "", || size));
            assert!(whole.iter().filter(|b| **b).count() > 1000);
            assert!(
                whole == pieces,
                "{size}\n{}\n{}",
                shown(text.as_bytes(), &whole),
                shown(text.as_bytes(), &pieces)
            );
        }
    }
}
