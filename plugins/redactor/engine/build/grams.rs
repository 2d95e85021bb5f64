//! Chooses for each anchor the three neighbouring bytes by which the scanner finds it. The scanner tests one bit a
//! position, so the fewer positions of ordinary text have a flagged gram, the faster it is: grams are taken by how
//! rare they are, and shared where possible.

use std::collections::BTreeMap;

use crate::pattern::{Node, Set, at};

/// How often each pair of printable bytes stands in source code, JSON, logs and prose: row = first byte, column =
/// second, both from the space on; digit `d` (hexadecimal) means about `2^(d+1)` a million.
const COSTS: &str = include_str!("pairs.txt");
const FIRST: usize = 32;

/// The triples that stand more than a hundred times in a million bytes of ordinary text (code, pages, logs, chat
/// bodies, lock files and base64, a million bytes of each of twelve kinds): on each line a digit as above, and
/// the triples that are about so frequent. What pairs say of these is too little.
const TRIPLES: &str = include_str!("triples.txt");
/// No other is as frequent as this, in a million.
const TRIPLE_MIN: u64 = 100;

/// Bytes of a gram.
pub const GRAM_BYTES: usize = 3;

/// Most grams of one anchor. One that would need more cannot be found by a few flags.
const GRAMS_MAX: usize = 5_000;

/// What `anchor` looks like in the text: its bytes, and for what follows, what the patterns of its rules say.
pub struct Anchor<'a> {
    pub text: &'a str,
    pub exact: bool,
    /// The patterns that begin at the anchor; `None` where a matcher in Rust decides what follows.
    pub patterns: Option<Vec<&'a Node>>,
}

/// Where an anchor is looked for: it begins `offset` bytes before the gram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    pub anchor: usize,
    pub offset: usize,
}

/// The probes of each flagged gram: three bytes, the first the lowest.
pub fn choose(anchors: &[Anchor<'_>]) -> Result<BTreeMap<u32, Vec<Probe>>, String> {
    let costs = Costs::read();
    let mut taken: BTreeMap<u32, Vec<Probe>> = BTreeMap::new();
    // Short anchors have the least choice, so they choose first and others join them.
    let mut order: Vec<usize> = (0..anchors.len()).collect();
    order.sort_by_key(|at| (anchors[*at].text.len(), *at));
    for number in order {
        let anchor = &anchors[number];
        let last = anchor.text.len().saturating_sub(GRAM_BYTES);
        let mut best: Option<(u64, usize, Vec<u32>)> = None;
        for offset in 0..=last {
            let places: Vec<Set> = (offset..offset + GRAM_BYTES).map(|k| place(anchor, k)).collect();
            let grams = grams(&places);
            if grams.is_empty() || grams.len() > GRAMS_MAX {
                continue;
            }
            let cost = |gram: &u32| costs.gram(*gram) * if taken.contains_key(gram) { 2 } else { 3 };
            let sum = grams.iter().map(cost).sum::<u64>();
            if best.as_ref().is_none_or(|(least, _, _)| sum < *least) {
                best = Some((sum, offset, grams));
            }
        }
        let Some((_, offset, grams)) = best else {
            return Err(format!("anchor `{}`: too little is fixed about the bytes at it", anchor.text));
        };
        for gram in grams {
            taken.entry(gram).or_default().push(Probe { anchor: number, offset });
        }
    }
    Ok(taken)
}

/// The bytes that may stand `offset` bytes after the beginning of the anchor.
fn place(anchor: &Anchor<'_>, offset: usize) -> Set {
    let mut set = [false; 256];
    if let Some(byte) = anchor.text.as_bytes().get(offset) {
        set[usize::from(*byte)] = true;
        if !anchor.exact {
            set[usize::from(byte.to_ascii_lowercase())] = true;
            set[usize::from(byte.to_ascii_uppercase())] = true;
        }
        return set;
    }
    let all = [true; 256];
    let Some(patterns) = &anchor.patterns else { return all };
    for pattern in patterns {
        let Some(next) = at(&[(*pattern).clone()], offset) else { return all };
        set.iter_mut().zip(next).for_each(|(to, from)| *to |= from);
    }
    set
}

fn grams(places: &[Set]) -> Vec<u32> {
    let bytes: Vec<Vec<u32>> =
        places.iter().map(|set| (0..256u32).filter(|b| set[*b as usize]).collect()).collect();
    if bytes.iter().map(Vec::len).product::<usize>() > GRAMS_MAX {
        return Vec::new();
    }
    let mut out = vec![0u32];
    for (at, bytes) in bytes.iter().enumerate() {
        out = out.iter().flat_map(|gram| bytes.iter().map(move |b| gram | b << (8 * at))).collect();
    }
    out
}

/// Bytes of the table of flags: a window of 32 bits is read at any byte of the first 16 KiB.
pub const FLAG_BYTES: usize = (1 << 14) + 8;

/// The place of a gram's bit: the upper bits of a product say at which byte a window of 32 begins, the lower five of its
/// first byte which of them it is. The scanner has the same lines.
pub fn hash(gram: u32) -> u32 {
    8 * (gram.wrapping_mul(FACTOR) >> 18) + (gram & 31)
}

/// Chosen among thousands: with it the fewest triples of ordinary text fall on the bit of another. Its lowest byte is
/// zero, which shifts what is read behind a gram out.
pub const FACTOR: u32 = 0xbb81_7600;

struct Costs {
    rows: Vec<Vec<u64>>,
    sums: Vec<u64>,
    triples: BTreeMap<u32, u64>,
}

impl Costs {
    fn read() -> Costs {
        let weight = |digit: &u8| 2u64 << char::from(*digit).to_digit(16).unwrap_or_default();
        let rows: Vec<Vec<u64>> =
            COSTS.lines().map(|line| line.as_bytes().iter().map(weight).collect()).collect();
        let sums = rows.iter().map(|row| row.iter().sum()).collect();
        let mut triples = BTreeMap::new();
        for line in TRIPLES.lines() {
            let Some((digit, all)) = line.as_bytes().split_first() else { continue };
            for triple in all.chunks_exact(GRAM_BYTES) {
                let gram = triple.iter().rev().fold(0, |gram, byte| gram << 8 | u32::from(*byte));
                triples.insert(gram, weight(digit));
            }
        }
        Costs { rows, sums, triples }
    }

    /// About how often per thousand million bytes.
    fn gram(&self, gram: u32) -> u64 {
        if let Some(often) = self.triples.get(&gram) {
            return 1000 * often;
        }
        let place = |at: u32| usize::from((gram >> (8 * at)) as u8).checked_sub(FIRST);
        let (Some(a), Some(b), Some(c)) = (place(0), place(1), place(2)) else { return 1 };
        let (Some(ab), Some(bc)) = (self.pair(a, b), self.pair(b, c)) else { return 1 };
        (1 + 1000 * ab * bc / self.sums[b].max(1)).min(1000 * TRIPLE_MIN)
    }

    fn pair(&self, first: usize, second: usize) -> Option<u64> {
        self.rows.get(first)?.get(second).copied()
    }
}
