//! One field, whole or in pieces. A piece is scanned with the text before it as left context, and is settled up to where
//! the first thing begins that later text may change. What begins before that place is found by then and never looked
//! at again; how it goes on behind that place is in the carry.

use crate::carry::{Carry, Open};
use crate::merge::{JOIN_BYTES_MAX, Stretch, merge, sort};
use crate::scan::{Finding, Scan, Switches, Tail, extend, scan};
use crate::structure;
use crate::text::Text;

/// Left context kept between pieces: the longest look back, which is along a line of cookies, and the edge of the cut.
pub const CONTEXT_BYTES_MAX: usize = 1280;
/// What stays unsettled at most. Nothing needs to be seen as far as that; if something did, it would be redacted until
/// its run ends.
pub const HOLD_BYTES_MAX: usize = 512;

/// A piece of a field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Piece<'a> {
    /// The piece, with what the last call left unsettled in front.
    pub content: &'a [u8],
    /// Text right before it, for a first call in the middle of a text.
    pub before: &'a [u8],
    /// The key that the text stands under.
    pub key: &'a str,
    /// What the last call returned; empty at first.
    pub carry: &'a [u8],
    /// Whether nothing follows.
    pub last: bool,
}

/// What a piece came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Sorted; none overlaps another.
    pub findings: Vec<Finding>,
    /// Bytes at the front of the piece that no later text can change.
    pub settled: usize,
    /// For the next call.
    pub carry: Vec<u8>,
}

/// Scans one piece.
pub fn scan_piece(piece: &Piece<'_>, switches: &Switches) -> Outcome {
    let carry = Carry::read(piece.carry);
    let first = carry.is_none();
    let carry = carry.unwrap_or_default();
    let key;
    let context = if !first {
        carry.context
    } else if !piece.before.is_empty() {
        &piece.before[piece.before.len().saturating_sub(CONTEXT_BYTES_MAX)..]
    } else {
        key = key_context(piece.key);
        &key
    };
    let base = context.len();
    let joined;
    let bytes: &[u8] = if base == 0 {
        piece.content
    } else {
        joined = [context, piece.content].concat();
        &joined
    };
    let text = Text::new(bytes, piece.last);
    let resumed = resume(&text, base, &carry.open);
    let mut scan = scan(&text, switches, carry.cut, 0);
    if first {
        scan.findings.retain(|found| found.end > base);
        scan.findings.iter_mut().for_each(|found| found.start = found.start.max(base));
    } else {
        // The others were found when the text was settled that they begin in.
        scan.findings.retain(|found| found.start >= base);
    }
    widen(bytes, &mut scan.findings);
    sort(&mut scan.findings);
    settle(scan, base, piece.last, &resumed)
}

/// A leaf under a key reads as an assignment to it.
fn key_context(key: &str) -> Vec<u8> {
    let fits = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !NEUTRAL_KEYS.contains(&key);
    if fits { format!("\"{key}\": ").into_bytes() } else { Vec::new() }
}

/// Keys that say nothing of what stands under them, though most text does: it need not be copied behind its key.
const NEUTRAL_KEYS: &[&str] = &["content", "text", "arguments", "input", "output"];

/// What was open at the end of the last piece, in this one.
struct Resumed {
    stretch: Option<Stretch>,
    run: bool,
    value: bool,
    escaped: bool,
    /// Up to where a key's material goes, and whether it goes on.
    pem: Option<(usize, bool)>,
}

fn resume(text: &Text<'_>, base: usize, open: &Open) -> Resumed {
    let len = text.len();
    let place = |ahead: usize| (base + ahead).min(len);
    let end_of = |on: bool, tail: Tail| on.then(|| extend(text, place(open.seen), tail));
    let (run, value) = (end_of(open.run, Tail::Run), end_of(open.value, Tail::Value));
    let escaped = end_of(open.escaped, Tail::Escaped);
    let pem = open.pem.map(|ahead| structure::pem_body(text, place(ahead)));
    text.take_peeked();
    let end = run.max(value).max(escaped).max(pem.map(|(end, _)| end)).unwrap_or(base);
    let stretch = open.stretch.map(|stretch| Stretch {
        start: base as isize + stretch.start,
        end: char_end(text.bytes, place(stretch.end).max(end)),
        ..stretch
    });
    let goes_on = |end: Option<usize>| end == Some(len);
    Resumed { stretch, run: goes_on(run), value: goes_on(value), escaped: goes_on(escaped), pem }
}

/// Findings end between characters. They begin at ASCII, or right behind it.
fn widen(bytes: &[u8], findings: &mut [Finding]) {
    for found in findings {
        if found.end < bytes.len() && found.tail != Tail::Pem {
            found.tail = Tail::Closed;
        }
        found.end = char_end(bytes, found.end);
    }
}

fn is_inside(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// How long the character is that this byte begins.
fn char_bytes(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    }
}

/// The beginning of the character that `at` stands in, as far as its first byte tells.
fn whole_char(bytes: &[u8], at: usize) -> usize {
    let starts = |back: usize| {
        let from = at.checked_sub(back)?;
        bytes.get(from).is_some_and(|first| char_bytes(*first) > back).then_some(from)
    };
    (1..4).find_map(starts).unwrap_or(at)
}

/// The end of the character that `at` stands in.
fn char_end(bytes: &[u8], at: usize) -> usize {
    let from = whole_char(bytes, at);
    let most = bytes.get(from).map_or(at, |first| from + char_bytes(*first)).max(at);
    if from == at { at } else { (at..most).find(|at| !is_inside(bytes, *at)).unwrap_or(most) }
}

fn settle(scan: Scan<'_, '_>, base: usize, last: bool, resumed: &Resumed) -> Outcome {
    let bytes = scan.text.bytes;
    let len = bytes.len();
    let mut findings = scan.findings;
    let before = |findings: &[Finding], limit: usize| {
        let count = findings.partition_point(|found| found.start < limit);
        merge(resumed.stretch, findings[..count].iter())
    };
    if last {
        return Outcome {
            findings: spans(&before(&findings, len), base, len),
            settled: len - base,
            carry: Vec::new(),
        };
    }
    // A character that is not all there is a part of the last run.
    let mut limit = whole_char(bytes, scan.pending.min(scan.trailing)).max(base);
    // A key is walked over from where the walk ended: the first, if another may begin in its next line.
    let pem = findings.iter().filter(|f| f.tail == Tail::Pem).map(|f| f.end);
    let pem = pem.chain(resumed.pem.filter(|(_, open)| *open).map(|(end, _)| end)).min();
    if let Some(end) = pem {
        limit = limit.min(end).max(base);
    }
    let mut stretches = before(&findings, limit);
    // What begins right behind may still give the last stretch its rule.
    while let Some(open) = stretches.last().filter(|s| s.end > limit || (s.end == limit && limit == len)) {
        let (start, young) = (open.start, limit as isize - open.start < JOIN_BYTES_MAX as isize);
        if !young || start < base as isize {
            break;
        }
        limit = start as usize;
        stretches = before(&findings, limit);
    }
    if len - limit > HOLD_BYTES_MAX {
        let rule = findings.iter().find(|f| f.end > limit).map_or(0, |f| f.rule);
        findings.push(Finding { start: limit, end: len, rule, confidence: 500, tail: Tail::Run });
        sort(&mut findings);
        limit = len;
        stretches = before(&findings, limit);
    }
    let goes_on = |tail: Tail| findings.iter().any(|f| f.tail == tail && f.start < limit && f.end == len);
    let pem = pem.filter(|_| {
        resumed.pem.is_some_and(|(_, open)| open)
            || findings.iter().any(|f| f.tail == Tail::Pem && f.start < limit)
    });
    let open = Open {
        stretch: None,
        run: resumed.run || goes_on(Tail::Run),
        value: resumed.value || goes_on(Tail::Value),
        escaped: resumed.escaped || goes_on(Tail::Escaped),
        seen: len - limit,
        pem: pem.map(|end| end.saturating_sub(limit)),
    };
    let any = open.run || open.value || open.escaped || open.pem.is_some();
    let stretch = stretches.last().filter(|s| s.end > limit || (any && s.end == limit)).map(|s| Stretch {
        start: s.start - limit as isize,
        end: s.end - limit,
        ..*s
    });
    let carry = Carry::after(&bytes[..limit], scan.cut, &scan.walks, Open { stretch, ..open }).write();
    Outcome { findings: spans(&stretches, base, limit), settled: limit - base, carry }
}

/// Stretches as offsets into the piece, clipped to `base..to`.
fn spans(stretches: &[Stretch], base: usize, to: usize) -> Vec<Finding> {
    stretches
        .iter()
        .map(|s| Finding {
            start: usize::try_from(s.start).unwrap_or_default().clamp(base, to) - base,
            end: s.end.clamp(base, to) - base,
            rule: s.rule,
            confidence: s.confidence,
            tail: Tail::Closed,
        })
        .filter(|f| f.end > f.start)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{ANCHORS, RULES, WORDS};

    /// Nothing that is looked for begins in it or before it.
    #[test]
    fn a_neutral_key_changes_no_finding() {
        for key in NEUTRAL_KEYS {
            let context = format!("\"{key}\": ");
            assert!(ANCHORS.iter().all(|anchor| !context.contains(&anchor.text.to_ascii_lowercase())));
            assert!(ANCHORS.iter().all(|anchor| !anchor.text.starts_with([' ', '"'])), "{key}");
            assert!(WORDS.iter().all(|word| !key.contains(word.text)), "{key}");
            assert!(RULES.iter().flat_map(|rule| rule.near).all(|word| !context.contains(word)), "{key}");
        }
        let context = b"\"content\": ";
        for text in
            ["hunter22hunter22", "Zk3p9Qw1xL8mN2vB7tR4yU6iO5pA1sD", "=9aKd02mXz81Lq", "://a:b3kd9x@h", "é"]
        {
            let joined = [context, text.as_bytes()].concat();
            let piece = |content| Piece { content, last: true, ..Piece::default() };
            let alone = scan_piece(&piece(text.as_bytes()), &Switches::default()).findings;
            let behind = scan_piece(&piece(&joined), &Switches::default()).findings;
            let moved = behind.iter().map(|f| (f.start - context.len(), f.end - context.len(), f.rule));
            assert!(alone.iter().map(|f| (f.start, f.end, f.rule)).eq(moved), "{text}");
        }
    }
}
