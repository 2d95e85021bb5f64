//! The table as the tests read it, and the samples its templates stand for.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and a table that cannot be read must fail"
)]

pub mod layers;
pub mod spans;

/// One row.
pub struct Row {
    pub id: String,
    pub pattern: String,
    pub names: Vec<String>,
    pub near: Vec<String>,
    pub examples: Vec<String>,
    pub counter: Vec<String>,
}

pub fn table() -> &'static [Row] {
    static TABLE: std::sync::OnceLock<Vec<Row>> = std::sync::OnceLock::new();
    TABLE.get_or_init(read)
}

fn read() -> Vec<Row> {
    let text = include_str!("../../../rules.toml");
    let table: toml::Table = text.parse().unwrap();
    let list = |row: &toml::Value, key: &str| -> Vec<String> {
        row.get(key)
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .map(|v| v.as_str().unwrap().to_owned())
            .collect()
    };
    let rows = table["rule"].as_array().unwrap();
    rows.iter()
        .map(|row| Row {
            id: row["id"].as_str().unwrap().to_owned(),
            pattern: row.get("pattern").and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
            names: list(row, "names"),
            near: list(row, "near"),
            examples: list(row, "examples"),
            counter: list(row, "counter"),
        })
        .collect()
}

/// A small generator of its own: the same samples everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Replaces each `<class*n>` by `n` characters of the class.
pub fn expand(template: &str, seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ template.len() as u64);
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 1..];
        let parsed = inner.find('>').and_then(|close| {
            let (class, count) = inner[..close].rsplit_once('*')?;
            Some((class, count.parse::<usize>().ok()?, close))
        });
        match parsed {
            Some((class, count, close)) => {
                let alphabet = alphabet(class);
                (0..count).for_each(|_| out.push(alphabet[random.below(alphabet.len())]));
                rest = &inner[close + 1..];
            }
            None => {
                out.push('<');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

fn alphabet(class: &str) -> Vec<char> {
    let chars: Vec<char> = class.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if at + 2 < chars.len() && chars[at + 1] == '-' {
            out.extend(chars[at]..=chars[at + 2]);
            at += 3;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Base64 of bytes, without padding.
pub fn base64(bytes: &[u8]) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for k in 0..=group.len() {
            out.push(char::from(SET[(word >> (18 - 6 * k) & 63) as usize]));
        }
    }
    out
}

/// Hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
