//! The scan: one pass of the automaton over the text, one pass over its long runs, and what they trigger.

use crate::assign::{self, Outcome};
use crate::check::Verdict;
use crate::decode;
use crate::escaped::Undone;
use crate::placeholder::{PLACEHOLDER_BYTES_MAX, placeholders};
use crate::program::{self, in_set};
use crate::random;
use crate::rules::{
    ANCHORS, BUCKETS, Builtin, FLAGS, GRAM_FACTOR, Head, Kind, Lead, PROBES, RANKS, RULES, SPACED,
    SPACED_BEGINS, SPACED_BYTES_MAX, builtin,
};
use crate::runs::is_run_byte;
use crate::sample::{is_documented, made_up};
use crate::structure::{self, Range};
use crate::text::{SIGHT_BYTES, Text, begins_word, is_word};
use crate::value::VALUE_BYTES_MIN;

/// How deep encodings are undone: base64 of percent-encoded text, say.
pub(crate) const DEPTH_MAX: u8 = 2;
/// Surest there is.
const CONFIDENCE_MAX: u16 = 1000;
/// What a checksum that does not hold takes from a rule's confidence.
const DOUBT: u16 = 150;
/// How far before its `://` an address begins.
pub(crate) const USERINFO_BACK_BYTES: usize = 24;
/// How far the words of `near` may stand before a match.
const NEAR_BYTES_MAX: usize = 64;

/// What goes on after the end of a finding that was decided before its end was seen; each goes on at least as far as
/// those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tail {
    /// Nothing: the end is the end.
    #[default]
    Closed,
    /// The run of token characters.
    Run,
    /// Everything up to white space, a quote or a separator.
    Value,
    /// Everything in which escapes are undone.
    Escaped,
    /// Key material.
    Pem,
}

/// One finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
    /// Index into [`crate::rules`].
    pub rule: u16,
    /// 1..1000.
    pub confidence: u16,
    /// What goes on past the end of the text.
    pub tail: Tail,
}

/// What is switched off and on.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Per rule; missing means on.
    pub disabled: Vec<bool>,
    /// Names that hold secrets here, in lower case.
    pub extra_keys: Vec<String>,
    /// Whether the rules of the strict plugin run too.
    pub strict: bool,
}

impl Switches {
    /// Whether the rule at this place of the table runs.
    pub fn runs(&self, rule: usize) -> bool {
        let off = self.disabled.get(rule).copied().unwrap_or(false);
        !off && RULES.get(rule).is_some_and(|rule| self.strict || !rule.strict)
    }
}

/// The text is the end of a longer one: what a scan of all of it would know at `from`, where the words and edges that
/// decide are there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cut {
    /// What begins before it was found when it was settled.
    pub from: usize,
    /// How far the text begins from a place where windows of encodings begin.
    pub phase: usize,
    /// The run that goes over `from` was judged with its punctuation.
    pub wide: bool,
    /// The encoding that goes over `from`, if there is one.
    pub encoding: Option<Encoding>,
}

/// What the windows of an encoding came to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Nothing yet.
    Open,
    /// A secret: the rest of the run is redacted.
    Found,
}

/// Something the scan walks over once and then does not look into again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    Wide,
    /// Where its secret was found.
    Encoding(Option<usize>),
}

pub(crate) struct Scan<'s, 't> {
    pub text: &'s Text<'t>,
    pub switches: &'s Switches,
    pub depth: u8,
    pub findings: Vec<Finding>,
    /// From here on, later text may change what matchers found.
    pub pending: usize,
    /// Where the last run begins: what reads on from it is undecided too, unless something open covers it.
    pub trailing: usize,
    /// End of the run, with its punctuation, that was judged last.
    pub wide_until: usize,
    /// Up to here a long encoding was walked over.
    pub encoded_until: usize,
    /// End of the run that was looked for last.
    pub run_until: usize,
    /// Where escapes were undone last.
    pub undone: Undone,
    /// Where a key's material was walked to.
    pem_until: usize,
    /// What was walked over, as far as a later piece may begin in the middle of it.
    pub walks: Vec<(Walk, usize, usize)>,
    /// What is known of the text before.
    pub cut: Option<Cut>,
}

/// Scans the whole text.
pub(crate) fn scan<'s, 't>(
    text: &'s Text<'t>,
    switches: &'s Switches,
    cut: Option<Cut>,
    depth: u8,
) -> Scan<'s, 't> {
    let mut scan = Scan {
        text,
        switches,
        depth,
        findings: Vec::new(),
        pending: text.len(),
        trailing: text.len(),
        wide_until: 0,
        encoded_until: 0,
        run_until: 0,
        undone: Undone::default(),
        pem_until: 0,
        walks: Vec::new(),
        cut,
    };
    scan.anchors();
    scan.runs();
    if !switches.extra_keys.is_empty() {
        scan.extra_keys();
    }
    if let Some(cut) = cut {
        scan.findings.retain(|found| found.start >= cut.from);
    }
    scan
}

impl Scan<'_, '_> {
    /// Finds the anchors: one bit a position, and a comparison where it is set.
    fn anchors(&mut self) {
        let bytes = self.text.bytes;
        let from = self.blocks();
        self.last_positions(from);
        if !self.text.closed() {
            self.pending = self.pending.min(half_anchor(bytes));
        }
    }

    /// The positions that have a whole block; says how many. A turn costs the sandbox a look at its fuel and its deadline,
    /// and so does a call: so each is for many.
    #[inline(never)]
    fn blocks(&mut self) -> usize {
        let mut rest = self.text.bytes;
        let mut from = 0;
        while let Some((block, _)) = rest.split_first_chunk() {
            self.positions(block, from);
            rest = &rest[GRAM_POSITIONS..];
            from += GRAM_POSITIONS;
        }
        from
    }

    /// The positions that have no whole block after them: zeros follow the text.
    #[inline(never)]
    fn last_positions(&mut self, mut from: usize) {
        let bytes = self.text.bytes;
        while from < bytes.len() {
            let mut block = [0; GRAM_BLOCK_BYTES];
            let rest = &bytes[from..bytes.len().min(from + GRAM_BLOCK_BYTES)];
            block[..rest.len()].copy_from_slice(rest);
            self.positions(&block, from);
            from += GRAM_POSITIONS;
        }
    }

    #[inline(never)]
    fn positions(&mut self, block: &[u8; GRAM_BLOCK_BYTES], from: usize) {
        macro_rules! groups {
            ($($at:literal)*) => {
                $(if flagged(block, $at) & 1 != 0 {
                    self.flagged_positions(group(block, $at), from + $at);
                })*
            };
        }
        const { assert!(GRAM_POSITIONS == 128 && GRAM_GROUP == 4) };
        groups!(0 4 8 12 16 20 24 28 32 36 40 44 48 52 56 60 64 68 72 76 80 84 88 92 96 100 104 108 112 116 120 124);
    }

    #[inline(never)]
    fn flagged_positions(&mut self, group: u64, from: usize) {
        let four = |k: usize| (group >> (8 * k)) as u32;
        let flag = |k: usize| (flag_of(four(k)) & 1) << k;
        let mut hits = flag(0) | flag(1) | flag(2) | flag(3);
        while hits != 0 {
            let at = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            self.probe(four(at), from + at);
        }
    }

    /// Compares the anchors that have this gram, and tries their rules.
    #[inline]
    fn probe(&mut self, gram: u32, at: usize) {
        let bytes = self.text.bytes;
        let hash = (8 * (gram.wrapping_mul(GRAM_FACTOR) >> 18) + (gram & 31)) as usize;
        let word = FLAGS.get(hash >> 6 << 3..).and_then(|rest| rest.first_chunk());
        let (word, below) = (word.map_or(0, |word| u64::from_le_bytes(*word)), (1u64 << (hash & 63)) - 1);
        let bucket = usize::from(RANKS[hash >> 6]) + (word & below).count_ones() as usize;
        let (Some(first), Some(last)) = (BUCKETS.get(bucket), BUCKETS.get(bucket + 1)) else { return };
        for (anchor, offset) in PROBES.get(usize::from(*first)..usize::from(*last)).unwrap_or_default() {
            let Some(anchor) = ANCHORS.get(usize::from(*anchor)) else { continue };
            let Some(start) = at.checked_sub(usize::from(*offset)) else { continue };
            let end = start + anchor.text.len();
            let Some(found) = bytes.get(start..end) else { continue };
            if !anchor.head.begins(Head::of(&bytes[start..])) {
                continue;
            }
            let mut beyond = found.iter().zip(anchor.text.as_bytes()).skip(Head::BYTES);
            if beyond.all(|(found, text)| same(*found, *text, anchor.exact))
                && anchor.look.fits(bytes, start)
                && (!anchor.word || begins_word(bytes, start))
            {
                self.attempts(anchor.rules, start, end);
            }
        }
    }

    // Apart, so that what runs for every gram needs few registers.
    #[inline(never)]
    fn attempts(&mut self, rules: &[u16], start: usize, end: usize) {
        for &rule in rules {
            if self.switches.runs(usize::from(rule)) {
                self.attempt(rule, start, end);
            }
        }
    }

    fn attempt(&mut self, rule: u16, start: usize, end: usize) {
        self.text.look_from(start);
        let undecided_from = match &RULES[usize::from(rule)].kind {
            Kind::Pattern { lead, ops, edge } => self.pattern(rule, *lead, ops, *edge, start),
            Kind::Named { .. } => return,
            Kind::Builtin(kind) => self.builtin(rule, *kind, start, end),
        };
        if self.text.take_peeked() {
            self.pending = self.pending.min(undecided_from);
        }
    }

    fn pattern(
        &mut self,
        rule: u16,
        lead: Option<Lead>,
        ops: &[program::Op],
        edge: u16,
        anchor: usize,
    ) -> usize {
        let bytes = self.text.bytes;
        let row = &RULES[usize::from(rule)];
        let mut start = anchor;
        if let Some(lead) = lead {
            while start > 0 && anchor - start < usize::from(lead.max) && in_set(lead.set, bytes[start - 1]) {
                start -= 1;
            }
            if anchor - start < usize::from(lead.min) {
                return anchor;
            }
        }
        let inside = row.left_start && start.checked_sub(1).is_some_and(|at| b"./-@#".contains(&bytes[at]));
        if inside {
            return start;
        }
        let fresh =
            row.left_any || begins_word(bytes, start) || lead.is_some_and(|l| l.max == program::OPEN_MAX);
        if !fresh {
            return start;
        }
        self.text.look_from(start);
        let Some(mut end) = program::run(ops, self.text, anchor) else { return start };
        let mut tail = Tail::Closed;
        if self.text.is_open(end) {
            (end, tail) = (extend(self.text, end, Tail::Run), Tail::Run);
        } else if self.text.at(end).is_some_and(|byte| in_set(edge, byte)) {
            return start;
        }
        // No more of an open one than can always be seen.
        let value = &bytes[start..end.min(start + SIGHT_BYTES)];
        if (row.random && !random::is_plausible(value))
            || (!row.near.is_empty() && !self.near(start, row.near))
            || made_up(value)
            || is_documented(value, row.documented)
        {
            return start;
        }
        let confidence = match row.check.test(value) {
            Verdict::Open => row.confidence,
            Verdict::Holds => CONFIDENCE_MAX,
            Verdict::Doubtful => row.confidence.saturating_sub(DOUBT),
        };
        self.add(Finding { start, end, rule, confidence, tail });
        start
    }

    fn near(&self, start: usize, words: &[&str]) -> bool {
        let window = self.text.slice(start.saturating_sub(NEAR_BYTES_MAX), start).to_ascii_lowercase();
        words.iter().any(|word| crate::value::contains(&window, word.as_bytes()))
    }

    /// Returns from where on the text is undecided, if somebody looked past its end.
    fn builtin(&mut self, rule: u16, kind: Builtin, start: usize, end: usize) -> usize {
        let text = self.text;
        match kind {
            Builtin::Password | Builtin::Secret | Builtin::Key | Builtin::Token | Builtin::Id => {
                return self.assignment(rule, kind, start, end);
            }
            Builtin::Userinfo => {
                if let Some(range) = structure::userinfo(text, start) {
                    self.take_to(rule, range, Tail::Value);
                }
                return start.saturating_sub(USERINFO_BACK_BYTES);
            }
            Builtin::GoogleCredentials => {
                if let Some(range) = structure::google_credentials(text, start) {
                    self.take(rule, range);
                }
            }
            Builtin::Bearer if begins_word(text.bytes, start) => {
                if let Some(range) = structure::bearer(text, end) {
                    self.take(rule, range);
                }
            }
            Builtin::Basic if begins_word(text.bytes, start) => {
                if let Some(range) = structure::basic(text, end) {
                    self.take(rule, range);
                }
            }
            Builtin::Jwt => {
                if let Some(range) = structure::jwt(text, start) {
                    self.take(rule, range);
                }
            }
            Builtin::Cookie => {
                let mut found = Vec::new();
                let undecided = structure::cookies(text, end, |range| found.push(range));
                found.into_iter().for_each(|range| self.take_to(rule, range, Tail::Value));
                return undecided;
            }
            Builtin::CurlUser if begins_word(text.bytes, start) => {
                if let Some(range) = structure::curl_user(text, end) {
                    self.take(rule, range);
                }
                return end;
            }
            Builtin::Call => {
                structure::credential_call(text, end).into_iter().for_each(|range| self.take(rule, range));
            }
            Builtin::Pem => return self.pem(rule, start),
            Builtin::Encoded => self.escaped(start),
            _ => {}
        }
        start
    }

    fn assignment(&mut self, rule: u16, kind: Builtin, start: usize, end: usize) -> usize {
        let (outcome, from) = assign::find(self.text, start, end, kind);
        if let Outcome::Found(found) = outcome {
            let tail = if found.open { Tail::Value } else { Tail::Closed };
            let end = if found.open { extend(self.text, found.end, Tail::Value) } else { found.end };
            let confidence = RULES[usize::from(rule)].confidence;
            let confidence = if found.strong { confidence } else { confidence.saturating_sub(150) };
            self.add(Finding { start: found.start, end, rule, confidence, tail });
        }
        from
    }

    /// Whether something that begins here was looked at before the text was cut.
    pub fn is_behind(&self, start: usize) -> bool {
        self.cut.is_some_and(|cut| start < cut.from)
    }

    /// Notes what was walked over. Nothing goes on after a text that is closed.
    pub fn walked(&mut self, walk: Walk, start: usize, end: usize) {
        if !self.text.closed() && start < end {
            self.walks.push((walk, start, end));
        }
    }

    fn pem(&mut self, rule: u16, start: usize) -> usize {
        if self.is_behind(start) {
            return start;
        }
        let Some(head) = structure::pem_head(self.text, start) else { return start };
        // In a header of another key that was walked over with all that follows. One that the walk ended in is looked at.
        if head <= self.pem_until {
            return start;
        }
        self.text.look_everywhere();
        let (end, open) = structure::pem_body(self.text, head);
        self.text.take_peeked();
        self.pem_until = end;
        let tail = if open { Tail::Pem } else { Tail::Closed };
        let confidence = RULES[usize::from(rule)].confidence;
        // The walk stops at a placeholder.
        self.findings.push(Finding { start, end, rule, confidence, tail });
        start
    }

    fn extra_keys(&mut self) {
        let Some(rule) = builtin(Builtin::Secret).filter(|rule| self.switches.runs(usize::from(*rule)))
        else {
            return;
        };
        let lower = self.text.bytes.to_ascii_lowercase();
        for key in &self.switches.extra_keys {
            let mut from = 0;
            while let Some(at) = lower[from..].windows(key.len()).position(|window| window == key.as_bytes())
            {
                let (start, end) = (from + at, from + at + key.len());
                let apart = !start.checked_sub(1).is_some_and(|at| is_word(lower[at]));
                if apart {
                    let undecided = self.assignment(rule, Builtin::Secret, start, end);
                    if self.text.take_peeked() {
                        self.pending = self.pending.min(undecided);
                    }
                }
                from = end;
            }
        }
    }

    fn take(&mut self, rule: u16, range: Range) {
        self.take_to(rule, range, Tail::Run);
    }

    /// Longer than what is seen of it, it goes on as far as `tail` does.
    fn take_to(&mut self, rule: u16, range: Range, tail: Tail) {
        let long = self.text.is_open(range.end);
        let tail = if long { tail } else { Tail::Closed };
        let end = if long { extend(self.text, range.end, tail) } else { range.end };
        self.push(rule, range.start, end, tail);
    }

    pub fn push(&mut self, rule: u16, start: usize, end: usize, tail: Tail) {
        self.add(Finding { start, end, rule, confidence: RULES[usize::from(rule)].confidence, tail });
    }

    /// Keeps a finding, but for the placeholders in it: what was redacted stays as it is. What touches one is a finding
    /// like any other: a text may hold what only looks like a placeholder.
    pub fn add(&mut self, finding: Finding) {
        self.add_decided(finding, finding.start + SIGHT_BYTES);
    }

    /// The same of one that is decided as soon as the text up to `until` is there.
    pub fn add_decided(&mut self, finding: Finding, until: usize) {
        let mut from = finding.start;
        // In one that goes on, only those that are there by then.
        let seen = if finding.tail == Tail::Closed {
            finding.end
        } else {
            finding.end.min(until.saturating_sub(PLACEHOLDER_BYTES_MAX)).max(finding.start)
        };
        for (start, end) in placeholders(self.text.bytes, finding.start, seen) {
            self.keep(
                Finding { start: from, end: start.clamp(from, finding.end), tail: Tail::Closed, ..finding },
                true,
            );
            from = end.max(from);
        }
        self.keep(Finding { start: from, ..finding }, from > finding.start);
    }

    fn keep(&mut self, finding: Finding, rest: bool) {
        // How long one will be that goes on is not known yet.
        let least = if rest && finding.tail == Tail::Closed { VALUE_BYTES_MIN } else { 1 };
        if finding.end >= finding.start + least {
            self.findings.push(finding);
        }
    }
}

/// The end of what belongs to an open finding, from `at`.
pub(crate) fn extend(text: &Text<'_>, at: usize, tail: Tail) -> usize {
    let goes_on = |byte: u8| match tail {
        Tail::Closed => false,
        Tail::Run => is_run_byte(byte),
        Tail::Value => !byte.is_ascii_whitespace() && !b"\"'`,;<>\\&".contains(&byte),
        Tail::Escaped => decode::is_escaped_run(byte),
        Tail::Pem => false,
    };
    if tail == Tail::Pem {
        return structure::pem_body(text, at).0;
    }
    at + text.bytes[at.min(text.len())..].iter().take_while(|byte| goes_on(**byte)).count()
}

/// Positions that one turn of the search for anchors looks at.
const GRAM_POSITIONS: usize = 128;
/// The bytes they need: a gram is read with the byte after it, and a group of them as a word.
const GRAM_BLOCK_BYTES: usize = GRAM_POSITIONS + 4;

/// The lowest bit says whether one of the positions of a group begins a gram that an anchor has. Written so that each
/// position is a load, a product, a load and two shifts, and that a group needs no more registers than there are.
#[inline]
fn flagged(block: &[u8; GRAM_BLOCK_BYTES], at: usize) -> u32 {
    let flag = |k: usize| {
        let four = block.get(at + k..).and_then(|rest| rest.first_chunk());
        flag_of(four.map_or(0, |four| u32::from_le_bytes(*four)))
    };
    flag(0) | flag(1) | flag(2) | flag(3)
}

/// The bytes of a group, the first the lowest.
#[inline]
fn group(block: &[u8; GRAM_BLOCK_BYTES], at: usize) -> u64 {
    let eight = block.get(at..).and_then(|rest| rest.first_chunk());
    eight.map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// The lowest bit is that of the gram in the lower three bytes: the factor shifts the fourth out, and a shift looks at
/// no more than five bits of the first. The hash of `build/grams.rs`.
#[inline]
fn flag_of(four: u32) -> u32 {
    let place = (four.wrapping_mul(GRAM_FACTOR) >> 18) as usize;
    let window = FLAGS.get(place..).and_then(|rest| rest.first_chunk());
    window.map_or(0, |window| u32::from_le_bytes(*window)).wrapping_shr(four)
}

/// Positions that are tested together.
const GRAM_GROUP: usize = 4;

#[inline]
fn same(found: u8, text: u8, exact: bool) -> bool {
    found == text || (!exact && found.eq_ignore_ascii_case(&text))
}

/// Where an anchor may have begun that the end of the text cut in two. Anchors without white space begin in the
/// last run, which is undecided anyway. Asked of every piece of a stream.
fn half_anchor(bytes: &[u8]) -> usize {
    let begins = |start: &usize| {
        let rest = &bytes[*start..];
        let cut = |text: &str| {
            let head = text.as_bytes().get(..rest.len());
            text.len() > rest.len() && head.is_some_and(|head| head.eq_ignore_ascii_case(rest))
        };
        SPACED_BEGINS >> (rest[0] & 31) & 1 == 1 && SPACED.iter().copied().any(cut)
    };
    (bytes.len().saturating_sub(SPACED_BYTES_MAX)..bytes.len()).find(begins).unwrap_or(bytes.len())
}
