//! Chooses for each anchor the pair of neighbouring bytes by which the scanner finds it. The scanner tests one flag
//! a position, so the fewer positions of ordinary text have a flagged pair, the faster it is: pairs are taken by how
//! rare they are, and shared where possible.

use std::collections::BTreeMap;

/// How often each pair of printable bytes stands in source code, JSON, logs and prose: row = first byte, column =
/// second, both from the space on; digit `d` means about `2^(d+1)` a million, 9 also means more.
const COSTS: &str = include_str!("pairs.txt");
const FIRST: usize = 32;

/// Pairs are indexed by seven bits a byte.
pub const PAIRS: usize = 128 * 128;

/// Where an anchor is looked for: it begins `offset` bytes before the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    pub anchor: usize,
    pub offset: usize,
}

/// The probes of each flagged pair.
pub fn choose(anchors: &[(String, bool)]) -> BTreeMap<usize, Vec<Probe>> {
    let costs: Vec<&[u8]> = COSTS.lines().map(str::as_bytes).collect();
    let mut taken: BTreeMap<usize, Vec<Probe>> = BTreeMap::new();
    // Short anchors have the least choice, so they choose first and others join them.
    let mut order: Vec<usize> = (0..anchors.len()).collect();
    order.sort_by_key(|at| (anchors[*at].0.len(), *at));
    for anchor in order {
        let (text, exact) = &anchors[anchor];
        let best = (0..text.len() - 1).min_by_key(|offset| {
            let variants = variants(text.as_bytes(), *offset, *exact);
            // A flag that is set already costs no further look at it, but a comparison each time.
            let cost = |pair: &usize| cost(&costs, *pair) * if taken.contains_key(pair) { 1 } else { 3 };
            variants.iter().map(cost).sum::<u64>()
        });
        let offset = best.unwrap_or_default();
        for pair in variants(text.as_bytes(), offset, *exact) {
            taken.entry(pair).or_default().push(Probe { anchor, offset });
        }
    }
    taken
}

/// The pair at `offset`, in both cases where case does not count.
fn variants(text: &[u8], offset: usize, exact: bool) -> Vec<usize> {
    let cases = |byte: u8| -> Vec<u8> {
        let mut all = vec![byte];
        if !exact && byte.is_ascii_alphabetic() {
            all = vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
        }
        all
    };
    let (firsts, seconds) = (cases(text[offset]), cases(text[offset + 1]));
    let mut out: Vec<usize> = Vec::new();
    for first in firsts {
        out.extend(seconds.iter().map(|second| usize::from(first & 127) << 7 | usize::from(second & 127)));
    }
    out
}

fn cost(costs: &[&[u8]], pair: usize) -> u64 {
    let (first, second) = (pair >> 7, pair & 127);
    let digit = first
        .checked_sub(FIRST)
        .and_then(|row| costs.get(row))
        .and_then(|row| second.checked_sub(FIRST).and_then(|column| row.get(column)));
    // A new probe is work even where its pair is rare.
    digit.map_or(1, |digit| 1 << (digit - b'0'))
}
