//! Whether a run of characters looks made by a machine: by digits, changes of case and letter pairs that words do
//! not have. Integers only, so that the same bytes give the same answer everywhere.

use crate::classes::{self, BLOCK_BYTES, Bits, Kinds, low_bits};

/// The 260 letter pairs that make up 95 % of the pairs in the words of source code and its documentation; bit `b` of
/// row `a` is the pair `ab`. Random letters have 38 % of them.
const COMMON_PAIRS: [u32; 26] = [
    0x13ebd6f, 0x1164911, 0x01e4d95, 0x1164919, 0x1efb97f, 0x01a4931, 0x0166191, 0x01a4111, 0x2aef87f,
    0x0000010, 0x0040110, 0x11c4939, 0x014d913, 0x13c6d7d, 0x07efd6f, 0x11ec911, 0x0100000, 0x13e7d5d,
    0x11ccd95, 0x11ec99d, 0x00eb95f, 0x0000111, 0x0066191, 0x0088000, 0x004e000, 0x0000010,
];

/// What a run is made of.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Shape {
    pub len: usize,
    pub digits: usize,
    pub lowers: usize,
    pub uppers: usize,
    pub others: usize,
    /// How many different bytes.
    pub distinct: usize,
    /// Changes between digit and letter, or between the cases other than a capital before small letters.
    pub breaks: usize,
    /// Longest stretch of bytes that are equal or count up or down.
    pub sequence: usize,
}

/// Looks at the first [`LOOK_BYTES_MAX`] bytes.
pub(crate) fn shape(value: &[u8]) -> Shape {
    let value = &value[..value.len().min(LOOK_BYTES_MAX)];
    let mut counts = [0usize; 8];
    let mut seen = [0u64; 4];
    let (mut run, mut sequence, mut breaks) = (1, 1, 0);
    let (mut before, mut kind) = (value.first().copied().unwrap_or_default(), 0u8);
    for (at, &byte) in value.iter().enumerate() {
        let now = CLASSES[usize::from(byte)];
        counts[usize::from(now & 7)] += 1;
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
        breaks += usize::from(now != kind && now != 0 && kind != 0);
        run = if at > 0 && byte.wrapping_sub(before).wrapping_add(1) <= 2 { run + 1 } else { 1 };
        sequence = sequence.max(run);
        (before, kind) = (byte, now);
    }
    Shape {
        len: value.len(),
        digits: counts[1],
        lowers: counts[2],
        uppers: counts[4],
        others: counts[0],
        distinct: seen.iter().map(|word| word.count_ones() as usize).sum(),
        breaks,
        sequence,
    }
}

/// A decision about a longer run rests on its first bytes: it must be the same when the rest has not arrived.
pub(crate) const LOOK_BYTES_MAX: usize = 96;

/// Letters in pieces that read like words.
pub(crate) fn wordlike(value: &[u8]) -> usize {
    let value = &value[..value.len().min(LOOK_BYTES_MAX)];
    let mut total = 0;
    let mut at = 0;
    while at < value.len() {
        if !value[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let mut end = at;
        while end < value.len() && value[end].is_ascii_alphabetic() {
            let boundary =
                end > at + 1 && value[end].is_ascii_uppercase() && value[end - 1].is_ascii_lowercase();
            if boundary {
                break;
            }
            end += 1;
        }
        let piece = &value[at..end];
        if piece.len() >= 3 && reads_like_word(piece) {
            total += piece.len();
        }
        at = end.max(at + 1);
    }
    total
}

fn reads_like_word(piece: &[u8]) -> bool {
    let index = |byte: u8| usize::from(byte.to_ascii_lowercase() - b'a');
    let pairs = piece.len() - 1;
    let common =
        piece.windows(2).filter(|pair| COMMON_PAIRS[index(pair[0])] >> index(pair[1]) & 1 == 1).count();
    let same_case =
        piece.iter().skip(1).all(u8::is_ascii_lowercase) || piece.iter().all(u8::is_ascii_uppercase);
    same_case && common * 100 >= pairs * 80
}

/// A cheap look before the others: most long runs are names and paths, with hardly a digit among the letters and
/// few changes of case. `first` are the kinds of the block at `start`.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
pub(crate) fn may_be_random(bytes: &[u8], start: usize, end: usize, first: &Kinds) -> bool {
    let mut from = start;
    let last = end.min(start + LOOK_BYTES_MAX);
    let mut breaks = 0;
    // What looks made by a machine mostly does so in its first block.
    while from < last {
        let kinds = if from == start { first.first(last - from) } else { kinds_of(bytes, from, last) };
        breaks += kinds.breaks().count_ones();
        if breaks >= 3 || [kinds.digits, kinds.lowers, kinds.uppers].iter().any(|kind| has_sixteen(kind.0)) {
            return true;
        }
        from += BLOCK_BYTES;
    }
    false
}

/// The kinds of `bytes[from..to]`, of which there are at most 64.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
pub(crate) fn kinds_of(bytes: &[u8], from: usize, to: usize) -> Kinds {
    classes::from!(kinds, bytes, from).first(to - from)
}

fn has_sixteen(mut bits: u64) -> bool {
    for shift in [1, 2, 4, 8] {
        bits &= bits >> shift;
    }
    bits != 0
}

impl Kinds {
    /// A bit where one kind follows another.
    fn breaks(&self) -> u64 {
        let Kinds { digits: Bits(digits), lowers: Bits(lowers), uppers: Bits(uppers), .. } = *self;
        (digits << 1 & (lowers | uppers))
            | (lowers << 1 & (digits | uppers))
            | (uppers << 1 & (digits | lowers))
    }
}

/// Digit, small letter, capital.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = if b.is_ascii_digit() {
            1
        } else if b.is_ascii_lowercase() {
            2
        } else if b.is_ascii_uppercase() {
            4
        } else {
            0
        };
        byte += 1;
    }
    table
};

/// Whether the run looks random enough to be a credential where a keyword stands near it.
pub(crate) fn is_random(value: &[u8]) -> bool {
    is_random_run(value, kinds_of(value, 0, value.len().min(BLOCK_BYTES)))
}

/// The same where the kinds of the first block are known.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn is_random_run(value: &[u8], first: Kinds) -> bool {
    let value = &value[..value.len().min(LOOK_BYTES_MAX)];
    let mut counts = Counts::default();
    counts.add(&first, value.len().min(BLOCK_BYTES));
    if value.len() > BLOCK_BYTES {
        counts.add(&kinds_of(value, BLOCK_BYTES, value.len()), value.len() - BLOCK_BYTES);
    }
    let Counts { digits, lowers, uppers, breaks, not_hex } = counts;
    let hex = not_hex == 0;
    let letters = lowers + uppers;
    let alnum = letters + digits;
    if alnum < 10
        || (value.len() - alnum) * 3 > value.len()
        || !has_six_different(value)
        || is_mostly_counted(value)
    {
        return false;
    }
    if hex && digits >= 2 && letters >= 2 {
        return true;
    }
    let mixed = match (digits, lowers, uppers) {
        (0, _, 0) | (0, 0, _) => return alnum >= 24 && wordlike(value) == 0,
        (0, _, _) => alnum >= 16 && breaks >= 6,
        (digits, _, _) if breaks == 2 => digits >= 6 && letters >= 6,
        _ => breaks >= 3 && letters >= 3,
    };
    // Among few letters a chance word is likely.
    mixed && (letters * 2 < alnum || wordlike(value) * 100 <= letters * 55)
}

#[derive(Default)]
struct Counts {
    digits: usize,
    lowers: usize,
    uppers: usize,
    breaks: usize,
    not_hex: u64,
}

impl Counts {
    fn add(&mut self, kinds: &Kinds, len: usize) {
        self.digits += kinds.digits.0.count_ones() as usize;
        self.lowers += kinds.lowers.0.count_ones() as usize;
        self.uppers += kinds.uppers.0.count_ones() as usize;
        self.breaks += kinds.breaks().count_ones() as usize;
        self.not_hex |= !(kinds.digits.0 | kinds.hex_letters.0) & low_bits(len);
    }
}

/// Stops as soon as there are six, which in anything random is after six or seven bytes.
fn has_six_different(value: &[u8]) -> bool {
    // Bytes that differ in their lower six bits differ.
    if let Some(head) = value.first_chunk::<8>() {
        let seen = head.iter().fold(0u64, |seen, byte| seen | 1 << (byte & 63));
        if seen.count_ones() >= 6 {
            return true;
        }
    }
    let mut seen = [0u64; 4];
    let mut different = 0;
    for byte in value {
        let (word, bit) = (&mut seen[usize::from(byte >> 6)], 1 << (byte & 63));
        different += usize::from(*word & bit == 0);
        *word |= bit;
        if different == 6 {
            return true;
        }
    }
    false
}

/// Whether more than two thirds of the value are one stretch of bytes that are equal or count up or down. Such a
/// stretch covers the middle third, so that is looked at first.
fn is_mostly_counted(value: &[u8]) -> bool {
    let third = value.len() / 3;
    let counts = |pair: &[u8]| pair[0].wrapping_sub(pair[1]).wrapping_add(1) <= 2;
    value[third..value.len() - third].windows(2).all(counts) && shape(value).sequence * 3 > value.len() * 2
}

/// Whether a token of a known form may be one: it does not read like words, and is not visibly made up.
pub(crate) fn is_plausible(value: &[u8]) -> bool {
    let shape = shape(value);
    let mixed = shape.digits >= 2 || shape.breaks >= 4;
    mixed && wordlike(value) * 100 <= (shape.lowers + shape.uppers) * 60 && !is_filler(value)
}

/// A stricter test, for text without any keyword.
pub(crate) fn is_very_random(value: &[u8]) -> bool {
    let shape = shape(value);
    shape.distinct >= 14
        && shape.breaks * 100 >= shape.len * 20
        && shape.digits >= 2
        && shape.sequence < 8
        && is_random(value)
        && wordlike(value) * 100 < shape.len * 30
}

/// Visibly made up: half of it or more counts up for long (the alphabet, all digits of hex, in either case), or
/// repeats a byte four times and more; or it is the bytes 0, 1, 2 … encoded, the key of test vectors.
pub(crate) fn is_sample(value: &[u8]) -> bool {
    let (mut counted, mut counting, mut repeated, mut repeating, mut before) = (0, 1, 0, 1, 0u8);
    for byte in value.iter().map(u8::to_ascii_lowercase) {
        let next = byte == before.wrapping_add(1) || (before, byte) == (b'9', b'a');
        counting = if next && byte.is_ascii_alphanumeric() { counting + 1 } else { 1 };
        repeating = if byte == before { repeating + 1 } else { 1 };
        counted += long_stretch(counting, COUNTED_BYTES_MIN);
        repeated += long_stretch(repeating, REPEATED_BYTES_MIN);
        before = byte;
    }
    let vector = [&b"AAECAwQFBgcICQ"[..], b"000102030405060708"];
    counted * 2 >= value.len()
        || repeated * 2 > value.len()
        || vector.iter().any(|vector| crate::value::contains(value, vector))
}

/// Whether the alphabet stands in it, in either case or both.
pub(crate) fn is_alphabet(value: &[u8]) -> bool {
    let mut counting = 1;
    value.windows(2).any(|two| {
        let next =
            two[0].is_ascii_alphabetic() && two[1].to_ascii_lowercase() == two[0].to_ascii_lowercase() + 1;
        counting = if next { counting + 1 } else { 1 };
        counting >= ALPHABET_BYTES_MIN
    })
}

/// A beginning of the alphabet that says the rest.
const ALPHABET_BYTES_MIN: usize = 24;

/// What a stretch that has grown to `len` adds to the bytes in stretches of `least` and more.
fn long_stretch(len: usize, least: usize) -> usize {
    if len == least { least } else { usize::from(len > least) }
}

/// Shortest stretches that nobody draws by chance.
const COUNTED_BYTES_MIN: usize = 9;
const REPEATED_BYTES_MIN: usize = 4;

/// Visibly made up: hardly any different bytes, or one long count.
pub(crate) fn is_filler(value: &[u8]) -> bool {
    let shape = shape(value);
    let repeated = (0..value.len())
        .any(|at| value[at..].iter().take_while(|b| **b == value[at]).count() * 2 > value.len().max(12));
    repeated
        || shape.distinct <= 4
        || (shape.distinct <= 6 && shape.len >= 24)
        || shape.sequence >= shape.len.saturating_sub(2).max(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_six_different_bytes() {
        assert!(is_random(b"7b3e9a0c7b3e9a0c7b3e9a0c"));
        // Five in the first eight bytes, and no more further on.
        assert!(!is_random(b"7b3e97b37b3e97b37b3e97b3"));
        // The sixth far behind them.
        assert!(is_random(b"7b3e97b37b3e97b37b3e97b0"));
    }
}
