//! Encodings that say where each byte went, and texts in them.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part")]

use super::spans::letter;
use super::{Random, expand, table};

/// A text, and where in it each byte of what it was made of stands.
#[derive(Clone)]
pub struct Layer {
    pub text: Vec<u8>,
    pub places: Vec<(usize, usize)>,
}

impl Layer {
    pub fn plain(text: &[u8]) -> Layer {
        Layer { text: text.to_vec(), places: (0..text.len()).map(|at| (at, at + 1)).collect() }
    }

    /// Each byte by itself.
    fn each(self, encode: impl Fn(u8) -> String) -> Layer {
        let (mut text, mut at) = (Vec::new(), vec![0]);
        for byte in &self.text {
            text.extend(encode(*byte).into_bytes());
            at.push(text.len());
        }
        let places = self.places.iter().map(|(start, end)| (at[*start], at[*end])).collect();
        Layer { text, places }
    }

    fn base64(self, url: bool, padded: bool) -> Layer {
        let mut text = super::base64(&self.text);
        if url {
            text = text.replace('+', "-").replace('/', "_");
        }
        if padded {
            text.push_str(&"=".repeat((4 - text.len() % 4) % 4));
        }
        let first = |at: usize| at / 3 * 4 + at % 3;
        let places = self.places.iter().map(|(start, end)| (first(*start), first(*end - 1) + 2)).collect();
        Layer { text: text.into_bytes(), places }
    }

    pub fn between(self, before: &str, after: &str) -> Layer {
        let text = [before.as_bytes(), &self.text, after.as_bytes()].concat();
        let by = before.len();
        Layer { text, places: self.places.iter().map(|(start, end)| (start + by, end + by)).collect() }
    }

    /// In one of the encodings.
    pub fn encoded(self, encoding: usize) -> Layer {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let as_is = |byte: u8| char::from(byte).to_string();
        match encoding {
            0..4 => self.base64(encoding % 2 == 1, encoding / 2 == 1),
            4 => self.each(|byte| format!("{byte:02x}")),
            5 => self.each(|byte| format!("{byte:02X}")),
            6 => self.each(|byte| format!("%{byte:02x}")),
            7 => self.each(|byte| format!("%{byte:02X}")),
            8 => self.each(|byte| if plain(byte) { as_is(byte) } else { format!("%{byte:02X}") }),
            9 => self.each(|byte| if plain(byte) { as_is(byte) } else { format!("%{byte:02x}") }),
            10 => self.each(|byte| format!("\\u{byte:04x}")),
            11 => self.each(|byte| if plain(byte) { as_is(byte) } else { format!("\\u{byte:04X}") }),
            12 => self.each(|byte| format!("\\x{byte:02x}")),
            _ => self.each(|byte| match byte {
                b'\n' => "\\n".to_owned(),
                b'\\' | b'"' => format!("\\{}", char::from(byte)),
                byte => as_is(byte),
            }),
        }
    }
}

/// How many encodings there are.
pub const ENCODINGS: usize = 14;
/// Some of them: every byte percent-encoded, and only those that a form must escape; `\u` and `\x`.
pub const PERCENT: usize = 7;
pub const FORM: usize = 8;
pub const UNICODE: usize = 10;
pub const BACKSLASH: usize = 12;

/// A text in one of them.
pub fn in_encoding(text: &str, encoding: usize) -> String {
    String::from_utf8_lossy(&Layer::plain(text.as_bytes()).encoded(encoding).text).into_owned()
}

/// What a secret comes in.
fn secret(random: &mut Random) -> String {
    let rows = table();
    let seed = random.below(1 << 30) as u64;
    let templates = [
        "API_KEY=<A-Za-z0-9*28>",
        "\"password\": \"<a-z0-9*16>\"",
        "-----BEGIN RSA PRIVATE KEY-----\n<A-Za-z0-9+/*64>\n<A-Za-z0-9+/*64>\n<A-Za-z0-9+/*40>\n-----END RSA PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.<A-Za-z0-9_-*43>",
        "postgres://app:<a-z0-9*18>@db.internal:5432/app",
        "Authorization: Bearer <A-Za-z0-9*40>",
        "ghp_<A-Za-z0-9*36>",
        "sk-ant-api03-<A-Za-z0-9_-*93>AA",
    ];
    match random.below(3) {
        0 => expand(templates[random.below(templates.len())], seed),
        _ => {
            let row = &rows[random.below(rows.len())];
            // A whole file with several secrets is longer than what is seen at once.
            let row = if row.id == "google-credentials-file" { &rows[0] } else { row };
            expand(&row.examples[random.below(row.examples.len())], seed)
        }
    }
}

/// What stands before or behind an encoded secret.
fn beside(random: &mut Random, before: bool, glued: bool) -> String {
    let seed = random.below(1 << 30) as u64;
    let long = [3, 60, 224, 448, 700][random.below(5)] + random.below(9);
    let blob = super::base64(letter(long, 0, "").as_bytes());
    let ends = if before && glued {
        [" blob: ", "=", " data=", "/api/v1/", "\"body\": \"", "?q=", " ", "\n", "x,", ": "]
    } else if before {
        [" blob: ", "=", " data=", "\"", "\"body\": \"", "?q=", " ", "\n", ", ", ": "]
    } else if glued {
        [" ", "\n", "\"", "&b=1", ";", "'", ", ", ".", " = ", "="]
    } else {
        [" ", "\r\n", "\n", "\"", "&b=1", "\">", ", ", "|", " = ", ";"]
    };
    let end = ends[random.below(ends.len())];
    let text = match random.below(5) {
        0 => String::new(),
        1 => letter(long, 0, ""),
        2 => blob + ["==", " ", "\n", "."][random.below(4)],
        3 => "let x = vec![1, 2, 3];\n".repeat(long / 30),
        _ => expand(&format!("<a-z/*{long}>"), seed),
    };
    if before { text + end } else { end.to_owned() + &text }
}

/// A text with a secret in it, and the encodings around it.
pub fn wrapped(seed: u64) -> (String, Vec<usize>, Layer, Vec<bool>) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.below(2);
    let inner = secret(&mut random);
    let plain = match random.below(3) {
        0 => inner,
        1 => letter(600, random.below(600), &inner),
        _ => format!("{{\"a\": 1, \"text\": \"x\"}}\n{inner}\nthe end"),
    };
    let mut hidden = super::spans::marked(plain.len(), &super::spans::whole(plain.as_bytes(), "", false));
    // How a key ends is none of it.
    if let Some(end) = plain.find("-----END") {
        hidden[end..].fill(false);
    }
    let mut layer = Layer::plain(plain.as_bytes());
    let mut encodings = Vec::new();
    for _ in 0..random.below(2) + 1 {
        let encoding = random.below(ENCODINGS);
        layer = layer.encoded(encoding);
        encodings.push(encoding);
    }
    // Base64 and hex say themselves where they begin and end.
    let glued = encodings.last().is_some_and(|last| *last < 6);
    let layer = layer.between(&beside(&mut random, true, glued), &beside(&mut random, false, glued));
    (plain, encodings, layer, hidden)
}
