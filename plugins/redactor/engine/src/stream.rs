//! One field, whole or in pieces. Between two pieces everything needed is in the carry: the end of the text so far
//! as left context, and what was open.

use crate::judge::WINDOW_STEP_BYTES;
use crate::scan::{Cut, Finding, Switches, Tail, extend, scan};
use crate::structure;
use crate::text::Text;

/// Left context kept between pieces: further back no rule looks.
pub const CONTEXT_BYTES_MAX: usize = 1024;
/// What stays unsettled at most. Past it, what is undecided is redacted until its run ends.
pub const HOLD_BYTES_MAX: usize = 512;

/// So near to where the context was cut, the words and edges that decide are not all there.
const CUT_EDGE_BYTES: usize = 128;

const CARRY_VERSION: u8 = 2;
const CARRY_HEAD_BYTES: usize = 5;
/// In the place of a phase: no encoding goes on.
const NO_PHASE: u8 = 255;
const _: () = assert!(WINDOW_STEP_BYTES < NO_PHASE as usize);

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
    /// Sorted, without one that lies inside another.
    pub findings: Vec<Finding>,
    /// Bytes at the front of the piece that no later text can change.
    pub settled: usize,
    /// For the next call.
    pub carry: Vec<u8>,
}

struct Carry<'a> {
    tail: Tail,
    rule: u16,
    context: &'a [u8],
    cut: Option<Cut>,
}

fn read_carry<'a>(piece: &Piece<'a>) -> Option<Carry<'a>> {
    let (head, context) = piece.carry.split_at_checked(CARRY_HEAD_BYTES)?;
    let tail = match head[1] & 0x7f {
        1 => Tail::Run,
        2 => Tail::Value,
        3 => Tail::Pem,
        _ => Tail::Closed,
    };
    (head[0] == CARRY_VERSION).then_some(Carry {
        tail,
        rule: u16::from_le_bytes([head[2], head[3]]),
        context,
        cut: (head[1] & 0x80 != 0)
            .then(|| Cut { phase: Some(usize::from(head[4])).filter(|phase| *phase < WINDOW_STEP_BYTES) }),
    })
}

/// `run` is where the last run begins if it was not over; `cut` is whether the text itself was the end of a longer one.
fn write_carry(tail: Tail, rule: u16, text: &[u8], run: Option<isize>, cut: bool) -> Vec<u8> {
    let context = &text[text.len().saturating_sub(CONTEXT_BYTES_MAX)..];
    let kind = match tail {
        Tail::Closed => 0,
        Tail::Run => 1,
        Tail::Value => 2,
        Tail::Pem => 3,
    };
    let cut = if cut || context.len() < text.len() { 0x80 } else { 0 };
    let mut out = vec![CARRY_VERSION, kind | cut];
    out.extend(rule.to_le_bytes());
    let from = (text.len() - context.len()) as isize;
    let phase = run.filter(|run| *run <= from).map(|run| (from - run) as usize % WINDOW_STEP_BYTES);
    out.push(phase.and_then(|phase| u8::try_from(phase).ok()).unwrap_or(NO_PHASE));
    out.extend(context);
    out
}

/// Scans one piece.
pub fn scan_piece(piece: &Piece<'_>, switches: &Switches) -> Outcome {
    let carry = read_carry(piece);
    let (mut all, cut) = match &carry {
        Some(carry) => (carry.context.to_vec(), carry.cut),
        None if !piece.before.is_empty() => {
            let from = piece.before.len().saturating_sub(CONTEXT_BYTES_MAX);
            (piece.before[from..].to_vec(), Some(Cut { phase: None }))
        }
        None => (key_context(piece.key), None),
    };
    let base = all.len();
    let whole;
    let bytes: &[u8] = if base == 0 {
        piece.content
    } else {
        all.extend(piece.content);
        whole = all;
        &whole
    };
    let text = Text::new(bytes, piece.last);
    let mut scan = scan(&text, switches, cut, 0);
    if cut.is_some() && base >= CONTEXT_BYTES_MAX {
        // What begins where the context was cut begins there by accident. Were it true, it would have been open all the
        // while, and the carry would say so.
        scan.findings.retain(|found| found.start > CUT_EDGE_BYTES || found.end <= base);
    }
    let decided = match carry.filter(|carry| carry.tail != Tail::Closed) {
        Some(carry) => resume(&text, base, &carry, &mut scan.findings),
        None => base,
    };
    let open = Open {
        decided,
        pending: scan.pending.max(decided),
        trailing: scan.trailing,
        run: scan.encoding.filter(|(_, end)| *end == bytes.len()).map(|(from, _)| from),
        cut: cut.is_some(),
    };
    settle(bytes, base, piece, scan.findings, &open)
}

/// A leaf under a key reads as an assignment to it.
fn key_context(key: &str) -> Vec<u8> {
    let fits = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if fits { format!("\"{key}\": ").into_bytes() } else { Vec::new() }
}

/// Goes on with what was open at the end of the last piece. Says how far that decides the text, whatever else may
/// still begin in it.
fn resume(text: &Text<'_>, base: usize, carry: &Carry<'_>, findings: &mut Vec<Finding>) -> usize {
    let (end, open) = match carry.tail {
        Tail::Pem => structure::pem_body(text, base),
        tail => {
            let end = extend(text, base, tail);
            (end, end == text.len())
        }
    };
    text.take_peeked();
    if end > base || open {
        let tail = if open { carry.tail } else { Tail::Closed };
        let confidence = crate::rules().get(usize::from(carry.rule)).map_or(900, |rule| rule.confidence);
        findings.push(Finding { start: base, end, rule: carry.rule, confidence, tail });
    }
    end
}

/// What the text left open.
struct Open {
    /// Up to here all is decided.
    decided: usize,
    /// From here on later text may change what was found.
    pending: usize,
    /// Where the last run begins, or what is kept of it.
    trailing: usize,
    /// Where the last encoded run begins if it was not over.
    run: Option<isize>,
    /// Whether the text begins in the middle of something.
    cut: bool,
}

fn settle(bytes: &[u8], base: usize, piece: &Piece<'_>, findings: Vec<Finding>, open: &Open) -> Outcome {
    let &Open { decided, pending, trailing, run, cut } = open;
    let len = bytes.len();
    if piece.last {
        let findings = placed(bytes, base, len, &normal(findings));
        return Outcome { findings, settled: len - base, carry: Vec::new() };
    }
    // What is open at the end of the text is decided: it goes on in the next piece.
    let open = findings
        .iter()
        .filter(|f| f.tail == Tail::Pem || (f.tail != Tail::Closed && f.end == len))
        .filter(|f| f.start <= pending && f.end >= base)
        .max_by_key(|f| (f.end, f.tail))
        .copied();
    let mut findings = normal(findings);
    let (mut settled, mut tail, mut rule) = match open {
        Some(open) => (open.end, open.tail, open.rule),
        None => (pending.min(trailing).max(decided), Tail::Closed, 0),
    };
    let inside = |at: usize| at < len && bytes[at] & 0xc0 == 0x80;
    let certain = settled;
    if open.is_none() {
        // Not behind what is decided: a finding that was resumed is told of here or nowhere.
        for found in findings.iter().rev() {
            if (decided..settled).contains(&found.start) && found.end > settled {
                settled = found.start;
            }
        }
        let back = (0..4).find(|back| settled < base + back || !inside(settled - back)).unwrap_or_default();
        settled = settled.saturating_sub(back).max(base);
    }
    // A finding that is certain is held back for what may still join it, but no longer than anything else.
    while len - settled > HOLD_BYTES_MAX {
        let crosses =
            |f: &&Finding| f.start < certain && f.start <= settled && settled < f.end && f.end < len;
        let Some(end) = findings.iter().filter(crosses).map(|f| f.end).max() else { break };
        settled = (end..len).find(|at| !inside(*at)).unwrap_or(len);
    }
    if len - settled > HOLD_BYTES_MAX {
        // Nothing stays undecided for longer than this: it is redacted, and what follows of its run.
        rule = findings.iter().find(|f| f.end > settled).map_or(rule, |f| f.rule);
        findings.push(Finding { start: settled, end: len, rule, confidence: 500, tail: Tail::Run });
        findings = normal(findings);
        (settled, tail) = (len, Tail::Run);
    }
    let carry = write_carry(tail, rule, &bytes[..settled], run, cut);
    Outcome { findings: placed(bytes, base, settled, &findings), settled: settled - base, carry }
}

/// Sorted by start; a finding inside another gives the other its rule if it is surer, and goes.
pub(crate) fn normal(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|f| (f.start, std::cmp::Reverse(f.end), std::cmp::Reverse(f.confidence), f.rule));
    let mut out: Vec<Finding> = Vec::with_capacity(findings.len());
    for found in findings {
        match out.last_mut() {
            Some(last) if found.start < last.end || (found.start == last.start && found.end == last.end) => {
                if found.confidence > last.confidence {
                    (last.rule, last.confidence) = (found.rule, found.confidence);
                }
                if found.end > last.end {
                    (last.end, last.tail) = (found.end, found.tail);
                }
            }
            _ => out.push(found),
        }
    }
    out
}

/// Findings as offsets into the piece, clipped to `base..to` and widened to whole characters.
fn placed(bytes: &[u8], base: usize, to: usize, findings: &[Finding]) -> Vec<Finding> {
    let inside = |at: usize| at < bytes.len() && bytes[at] & 0xc0 == 0x80;
    findings
        .iter()
        .filter(|f| f.end > base && f.start < to)
        .map(|f| {
            let (mut start, mut end) = (f.start.max(base), f.end.min(to));
            while start > base && inside(start) {
                start -= 1;
            }
            while end < to && inside(end) {
                end += 1;
            }
            Finding { start: start - base, end: end - base, ..*f }
        })
        .filter(|f| f.end > f.start)
        .collect()
}
