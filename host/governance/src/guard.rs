//! The host's own exact-match guard: values that are known to be secret (provider keys, environment
//! variables of the policy's patterns), in the forms that they take on their way. Independent of the
//! redactor plugin: swapping that cannot switch this off.

use crate::open::open_from;
use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sluice_core::{Digest, Guard, Secret};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use zeroize::Zeroizing;

/// Rule id of this guard's findings.
pub const KNOWN_VALUE_RULE: &str = "known-value";

/// Shorter values are too likely to be ordinary words: `*_KEY=enter` must not blank every `enter`.
pub const KNOWN_VALUE_BYTES_MIN: usize = 8;

/// Most values that are guarded, and most bytes of one: environments are small, and the automaton's size is
/// the sum of all forms.
const KNOWN_VALUES_MAX: usize = 512;
const KNOWN_VALUE_BYTES_MAX: usize = 16 << 10;

/// Finds known values in raw, base64 (any alignment, both alphabets), percent-encoded (whichever characters),
/// hex and JSON-escaped form.
pub struct KnownValues {
    automaton: Option<AhoCorasick>,
    sieve: Sieve,
    fingerprint: Digest,
    /// Sorted, for streams: may what is there become one of them?
    forms: Vec<Zeroizing<String>>,
    longest_form: usize,
    count: usize,
}

/// The values could not be made into a guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// More or longer values than the limits allow.
    #[error("too many or too long secret values: {values} values, longest {longest_bytes} bytes")]
    TooLarge {
        /// How many there are.
        values: usize,
        /// The longest of them.
        longest_bytes: usize,
    },
    /// The automaton could not be built.
    #[error("the guard's automaton cannot be built")]
    Build(#[source] aho_corasick::BuildError),
}

impl KnownValues {
    /// A guard for `values`. Those shorter than [`KNOWN_VALUE_BYTES_MIN`] are left out; too many or too
    /// long ones are an error, never silently unguarded.
    pub fn new(values: &[Secret]) -> Result<KnownValues, GuardError> {
        let values: BTreeSet<&str> =
            values.iter().map(Secret::expose).filter(|v| v.len() >= KNOWN_VALUE_BYTES_MIN).collect();
        let longest_bytes = values.iter().map(|v| v.len()).max().unwrap_or(0);
        if values.len() > KNOWN_VALUES_MAX || longest_bytes > KNOWN_VALUE_BYTES_MAX {
            return Err(GuardError::TooLarge { values: values.len(), longest_bytes });
        }
        let mut forms: Vec<Zeroizing<String>> = Vec::new();
        for value in &values {
            add_forms(value, &mut forms);
        }
        forms.sort_unstable_by(|one, two| one.as_bytes().cmp(two.as_bytes()));
        let parts: Vec<&[u8]> = forms.iter().map(|form| form.as_bytes()).collect();
        let automaton = match parts.is_empty() {
            true => None,
            // Standard, so that of two values that overlap in a text both are found.
            false => Some(AhoCorasick::builder().build(&parts).map_err(GuardError::Build)?),
        };
        let (sieve, fingerprint) = (Sieve::new(&parts), Digest::of_parts(&parts));
        let longest_form = parts.iter().map(|form| form.len()).max().unwrap_or(0);
        Ok(KnownValues { automaton, sieve, fingerprint, forms, longest_form, count: values.len() })
    }

    /// How many values are guarded.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What tells this guard from another, for results that depend on it. Never to be shown: it is a digest of secrets.
    pub(crate) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// Byte ranges of known values in `bytes`, ascending, without overlap.
    pub fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let mut spans = self.found(automaton, bytes);
        for part in percent_encoded_parts(bytes, self.longest_form) {
            if let Some(decoded) = PercentDecoded::of(&bytes[part.clone()]) {
                let found = self.found(automaton, &decoded.bytes).into_iter();
                spans.extend(
                    found
                        .map(|range| decoded.origin(range))
                        .map(|at| at.start + part.start..at.end + part.start),
                );
            }
        }
        united(spans)
    }

    /// Where forms stand, each by itself, as they are written.
    fn found(&self, automaton: &AhoCorasick, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for part in self.sieve.parts(bytes, self.longest_form) {
            let matches = automaton.find_overlapping_iter(&bytes[part.clone()]);
            found.extend(matches.map(|one| part.start + one.start()..part.start + one.end()));
        }
        found
    }

    fn is_found(&self, automaton: &AhoCorasick, bytes: &[u8]) -> bool {
        self.sieve.parts(bytes, self.longest_form).into_iter().any(|part| automaton.is_match(&bytes[part]))
    }
}

impl KnownValues {
    /// From where on `bytes` may be the beginning of a known value, in any form, that later bytes complete; the
    /// length where there is none.
    pub(crate) fn open_from(&self, bytes: &[u8]) -> usize {
        if self.forms.is_empty() {
            return bytes.len();
        }
        // Half of an encoded byte says nothing yet.
        let half = match bytes {
            [.., b'%', digit] if digit.is_ascii_hexdigit() => 2,
            [.., b'%'] => 1,
            _ => 0,
        };
        let whole = &bytes[..bytes.len() - half];
        let plain = open_from(whole, &self.forms, self.longest_form);
        let decoded = PercentDecoded::of(whole)
            .map(|decoded| decoded.from[open_from(&decoded.bytes, &self.forms, self.longest_form)]);
        plain.min(decoded.unwrap_or(plain))
    }
}

/// Bytes of what the sieve looks at, and how far apart: of the first [`KNOWN_VALUE_BYTES_MIN`] bytes of any form,
/// wherever it stands, one such piece begins at a multiple of the stride.
const GRAM_BYTES: usize = 4;
const STRIDE: usize = KNOWN_VALUE_BYTES_MIN - GRAM_BYTES + 1;

/// Bits of the sieve, as a power of two: 8 KiB stay in the nearest cache.
const SIEVE_BITS_LOG2: u32 = 16;

/// Where a known value may stand. Every text passes the guard several times and nearly none holds one, so the
/// automaton walks only where one of five bytes says that a form may begin: a Bloom filter of the forms' first bytes.
struct Sieve(Vec<u64>);

impl Sieve {
    fn new(forms: &[&[u8]]) -> Sieve {
        let mut sieve = Sieve(vec![0; 1 << (SIEVE_BITS_LOG2 - 6)]);
        let grams =
            forms.iter().flat_map(|form| form.windows(GRAM_BYTES).take(STRIDE)).filter_map(first_gram);
        for gram in grams {
            for bit in Self::bits(gram) {
                sieve.0[bit >> 6] |= 1 << (bit & 63);
            }
        }
        sieve
    }

    /// The two bits of four bytes.
    fn bits(gram: u32) -> [usize; 2] {
        // Multiplicative hashing by two odd numbers; the upper bits are the mixed ones.
        [0x9e37_79b1_u32, 0x85eb_ca6b].map(|odd| (gram.wrapping_mul(odd) >> (32 - SIEVE_BITS_LOG2)) as usize)
    }

    fn may_hold(&self, gram: u32) -> bool {
        Self::bits(gram).into_iter().all(|bit| self.0[bit >> 6] >> (bit & 63) & 1 == 1)
    }

    /// Parts of `bytes`, ascending and apart, outside of which no form stands.
    fn parts(&self, bytes: &[u8], longest: usize) -> Vec<Range<usize>> {
        let grams = bytes.chunks(STRIDE).enumerate();
        let may_hold = grams.filter(|(_, chunk)| first_gram(chunk).is_some_and(|gram| self.may_hold(gram)));
        let around = |(at, _): (usize, _)| {
            let at = at * STRIDE;
            at.saturating_sub(STRIDE - 1)..(at + longest).min(bytes.len())
        };
        united(may_hold.map(around).collect())
    }
}

fn first_gram(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<GRAM_BYTES>().map(|gram| u32::from_le_bytes(*gram))
}

/// Parts of `bytes`, ascending and apart, outside of which nothing percent-encoded of a form stands.
fn percent_encoded_parts(bytes: &[u8], longest: usize) -> Vec<Range<usize>> {
    let encoded =
        memchr::memchr_iter(b'%', bytes).filter(|at| bytes.get(*at..at + 3).and_then(encoded).is_some());
    // Every byte of the form before and behind it may take three.
    let around = |at: usize| at.saturating_sub(3 * longest)..(at + 3 * longest).min(bytes.len());
    united(encoded.map(around).collect())
}

/// A text with its percent-encoded bytes decoded: who encodes chooses which characters, so the forms that are
/// listed cannot be all.
struct PercentDecoded {
    bytes: Zeroizing<Vec<u8>>,
    /// Where each decoded byte stood, and the end of the text.
    from: Vec<usize>,
}

impl PercentDecoded {
    /// `None` where nothing is encoded.
    fn of(bytes: &[u8]) -> Option<PercentDecoded> {
        // Most texts hold no such byte, and finding that out must cost next to nothing.
        let percent = memchr::memchr_iter(b'%', bytes);
        let first = percent.into_iter().find(|at| bytes.get(*at..at + 3).and_then(encoded).is_some())?;
        let mut decoded = Zeroizing::new(Vec::with_capacity(bytes.len()));
        let mut from = Vec::with_capacity(bytes.len() + 1);
        decoded.extend_from_slice(&bytes[..first]);
        from.extend(0..first);
        let mut at = first;
        while let Some(byte) = bytes.get(at) {
            let byte_here = bytes.get(at..at + 3).and_then(encoded);
            decoded.push(byte_here.unwrap_or(*byte));
            from.push(at);
            at += if byte_here.is_some() { 3 } else { 1 };
        }
        from.push(bytes.len());
        Some(PercentDecoded { bytes: decoded, from })
    }

    fn origin(&self, range: Range<usize>) -> Range<usize> {
        self.from[range.start]..self.from[range.end]
    }
}

/// The byte that `%xx` stands for.
fn encoded(three: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match three {
        [b'%', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Overlapping ranges become one.
fn united(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| span.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

/// The forms of one value.
fn add_forms(value: &str, forms: &mut Vec<Zeroizing<String>>) {
    let bytes = value.as_bytes();
    let mut add = |form: String| {
        let form = Zeroizing::new(form);
        if form.len() >= KNOWN_VALUE_BYTES_MIN && !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(value.to_owned());
    let escaped = serde_json::Value::from(value).to_string();
    add(escaped[1..escaped.len() - 1].to_owned());
    // Escaped once more: JSON inside a JSON string, as in tool arguments.
    let twice = serde_json::Value::from(&escaped[1..escaped.len() - 1]).to_string();
    add(twice[1..twice.len() - 1].to_owned());
    add(percent(value, false));
    add(percent(value, true));
    add(sluice_core::digest::to_hex(bytes));
    add(sluice_core::digest::to_hex(bytes).to_uppercase());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for lead in 0..3_usize {
            // What is encoded may begin anywhere in a group of three: shift, then cut the characters that
            // depend on the unknown neighbours.
            let mut shifted = Zeroizing::new(vec![0_u8; lead]);
            shifted.extend_from_slice(bytes);
            let text = Zeroizing::new(engine.encode(&*shifted));
            let from = [0, 2, 3][lead];
            let whole = shifted.len() / 3 * 4;
            if from < whole {
                add(text[from..whole].to_owned());
            }
        }
    }
}

/// Percent-encoding with upper or lower case hex digits; unreserved characters (RFC 3986) stay.
fn percent(value: &str, lower: bool) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = if lower { write!(out, "%{byte:02x}") } else { write!(out, "%{byte:02X}") };
        }
    }
    out
}

impl Guard for KnownValues {
    fn finds_secret(&self, bytes: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        self.is_found(automaton, bytes)
            || percent_encoded_parts(bytes, self.longest_form).into_iter().any(|part| {
                PercentDecoded::of(&bytes[part])
                    .is_some_and(|decoded| self.is_found(automaton, &decoded.bytes))
            })
    }

    fn mask(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for span in self.spans(text.as_bytes()) {
            // Every form begins and ends with whole characters, so the range is on boundaries.
            out.push_str(&text[done..span.start]);
            out.push_str("[REDACTED:");
            out.push_str(KNOWN_VALUE_RULE);
            out.push(']');
            done = span.end;
        }
        out.push_str(&text[done..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guard(value: &str) -> KnownValues {
        KnownValues::new(&[Secret::new(value.to_owned())]).unwrap()
    }

    #[test]
    fn short_values_are_words_and_long_ones_are_refused() {
        assert!(guard("hunter2").is_empty());
        assert!(!guard("hunter2").finds_secret(b"hunter2"));
        assert!(KnownValues::new(&[Secret::new("x".repeat(KNOWN_VALUE_BYTES_MAX + 1))]).is_err());
    }

    /// What overlaps is one finding, and nothing of either is left.
    #[test]
    fn overlapping_values_are_both_found() {
        let values = ["abcdefgh-12345678", "12345678-stuvwxyz"].map(|value| Secret::new(value.to_owned()));
        let guard = KnownValues::new(&values).unwrap();
        let text = "<abcdefgh-12345678-stuvwxyz>";
        assert_eq!(guard.spans(text.as_bytes()), vec![Range { start: 1, end: text.len() - 1 }]);
        assert_eq!(guard.mask(text), "<[REDACTED:known-value]>");
    }

    /// Where a form really stands, looked for byte by byte.
    fn looked_for(guard: &KnownValues, text: &[u8]) -> Vec<Range<usize>> {
        let stands = |at: usize| {
            let ends = guard.forms.iter().filter(move |form| text[at..].starts_with(form.as_bytes()));
            ends.map(move |form| at..at + form.len())
        };
        united((0..text.len()).flat_map(stands).collect())
    }

    proptest! {
        /// Looking at one of five bytes finds what looking at each one finds, wherever it stands and beside whatever.
        #[test]
        fn the_sieve_lets_nothing_through(
            values in proptest::collection::vec("[a-d]{8,12}", 1..6),
            parts in proptest::collection::vec((0_usize..8, "[a-d]{0,9}"), 1..12),
        ) {
            let secrets: Vec<Secret> = values.iter().cloned().map(Secret::new).collect();
            let guard = KnownValues::new(&secrets).unwrap();
            let text: String =
                parts.iter().flat_map(|(at, around)| [values.get(*at).map_or("", |v| v.as_str()), around]).collect();
            prop_assert_eq!(guard.spans(text.as_bytes()), looked_for(&guard, text.as_bytes()));
            prop_assert_eq!(guard.finds_secret(text.as_bytes()), !looked_for(&guard, text.as_bytes()).is_empty());
        }

        /// However far apart the encoded bytes are, in however long a text.
        #[test]
        fn encoded_values_are_found_in_long_texts(lead in "[a-z%2]{0,400}", at in 0_usize..12, tail in "[a-z%]{0,400}") {
            let value = "opensesame-00";
            let guard = guard(value);
            let encoded = format!("{}%{:02x}{}", &value[..at], value.as_bytes()[at], &value[at + 1..]);
            let text = format!("{lead} {encoded} {tail}");
            let at = lead.len() + 1;
            prop_assert_eq!(guard.spans(text.as_bytes()), vec![Range { start: at, end: at + encoded.len() }]);
            prop_assert!(guard.finds_secret(text.as_bytes()));
        }

        /// Which characters are encoded is the writer's choice, one by one.
        #[test]
        fn any_percent_encoding_is_found_and_masked(
            value in "[ -$&-~é]{8,24}", choice in proptest::collection::vec(any::<(bool, bool)>(), 48),
            around in "[a-z%=&é]{0,9}",
        ) {
            let guard = guard(&value);
            let mut encoded = String::new();
            for (c, (encode, lower)) in value.chars().zip(choice) {
                match (encode, lower) {
                    (false, _) => encoded.push(c),
                    (true, lower) => for byte in c.to_string().bytes() {
                        encoded += &if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
                    }
                }
            }
            let text = format!("{around}={encoded}&{around}");
            prop_assert!(guard.finds_secret(text.as_bytes()), "{}", text);
            prop_assert_eq!(guard.mask(&text), format!("{around}=[REDACTED:known-value]&{around}"));
        }

        #[test]
        fn every_form_is_found_and_masked(
            value in "[ -~é\"\\\\\n]{8,40}", before in "[ -~]{0,7}", after in "[ -~]{0,7}",
        ) {
            let guard = guard(&value);
            let joined = format!("{before}{value}{after}");
            let json = serde_json::Value::from(joined.as_str()).to_string();
            let double = serde_json::Value::from(json.as_str()).to_string();
            let forms = [
                joined.clone(),
                json,
                double,
                STANDARD_NO_PAD.encode(&joined),
                base64::engine::general_purpose::STANDARD.encode(&joined),
                URL_SAFE_NO_PAD.encode(&joined),
                percent(&joined, false),
                percent(&joined, true),
                sluice_core::digest::to_hex(joined.as_bytes()),
            ];
            for form in forms {
                prop_assert!(guard.finds_secret(form.as_bytes()), "{}", form);
                let masked = guard.mask(&form);
                prop_assert!(!guard.finds_secret(masked.as_bytes()), "{}", masked);
            }
            let innocent = "an ordinary sentence about nothing";
            prop_assert_eq!(guard.mask(innocent), innocent);
        }
    }
}
