//! The second pass: long runs of token characters, judged by how they look and by the words before them.

use crate::classes::{self, BLOCK_BYTES, Kinds, core_bytes, low_bits};
use crate::decode;
use crate::encoded::Encoded;
use crate::escaped;
use crate::merge::JOIN_BYTES_MAX;
use crate::random::{self, is_random, is_very_random};
use crate::rules::{Builtin, Kind, RULES, builtin};
use crate::runs::{self, Context, RUN_BYTES_MIN, is_run_byte};
use crate::sample::{cut_short, is_odd_hex, made_up, says_example, says_wrong};
use crate::scan::{Encoding, Scan, Tail, USERINFO_BACK_BYTES, Walk, extend};
use crate::stream::HOLD_BYTES_MAX;
use crate::text::{SIGHT_BYTES, Text};

/// How far inside a longer run a part of it may begin to be judged by itself.
pub(crate) const INSIDE_BYTES_MAX: usize = 64;
/// So much of a run decides about it and about its parts, wherever it ends.
const DECIDED_BYTES: usize = runs::LONG_BYTES + INSIDE_BYTES_MAX + GLUE_BYTES_MAX + 8;
impl Scan<'_, '_> {
    /// Finds the runs: a bit a byte, and bit arithmetic on 64 of them.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub fn runs(&mut self) {
        let bytes = self.text.bytes;
        self.text.look_everywhere();
        if let Some(cut) = self.cut {
            let from = cut.from.min(bytes.len());
            let end = from + bytes[from..].iter().take_while(|byte| is_run_byte(**byte)).count();
            if cut.wide {
                self.wide_until = end;
                self.walked(Walk::Wide, 0, end);
            }
            let run = Encoded::around(bytes, from, end);
            match cut.encoding {
                Some(Encoding::Open) => {
                    let found = self.windows(from, run);
                    self.walked_encoding(found, 0, run);
                }
                Some(Encoding::Found) => self.walked_encoding(Some(0), 0, run),
                None => {}
            }
        }
        // How many bytes right before the block belong to a run.
        let mut open = 0;
        let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
        for (number, block) in blocks.iter().enumerate() {
            open = self.block(number * BLOCK_BYTES, core_bytes(block), open);
        }
        let at = blocks.len() * BLOCK_BYTES;
        // Zeros follow the text, so that its last run ends like the others.
        self.block(at, classes::from!(core_bytes, bytes, at), open);
        if !self.text.closed() {
            // As far as an escape that comes next would be read with what stands before it. What matchers have begun
            // in it counts anyway.
            let bound = |byte: &&u8| decode::is_escaped_run(**byte);
            let trailing = bytes.iter().rev().take(escaped::BACK_BYTES).take_while(bound).count();
            self.trailing = bytes.len() - trailing;
        }
    }

    /// Judges the long runs that end in the block, and counts the bytes of one that goes on.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    #[inline]
    fn block(&mut self, at: usize, core: u64, open: usize) -> usize {
        if core == u64::MAX {
            return open + BLOCK_BYTES;
        }
        let head = core.trailing_ones() as usize;
        if open + head >= RUN_BYTES_MIN {
            self.long_run(at - open, at + head);
        }
        let goes_on = core.leading_ones() as usize;
        let inner = core & !low_bits(head) & low_bits(BLOCK_BYTES - goes_on);
        let mut starts = sixteen_in_a_row(inner);
        while starts != 0 {
            let start = starts.trailing_zeros() as usize;
            let end = start + (inner >> start).trailing_ones() as usize;
            self.long_run(at + start, at + end);
            starts &= !low_bits(end);
        }
        goes_on
    }

    /// Judges one long run: the first of a longer one with its punctuation, the others by themselves.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    #[inline(never)]
    fn long_run(&mut self, core_start: usize, core_end: usize) {
        let bytes = self.text.bytes;
        let kinds = classes::from!(kinds, bytes, core_start);
        if self.is_behind(core_start) || !random::may_be_random(bytes, core_start, core_end, &kinds) {
            return;
        }
        let (mut start, mut end) = (core_start, core_end);
        if core_start.checked_sub(1).is_some_and(|at| is_run_byte(bytes[at])) {
            start -= classes::before!(bound_bytes, bytes, core_start).leading_ones() as usize;
            let further = start.checked_sub(1).is_some_and(|at| is_run_byte(bytes[at]) && bytes[at] != b'=');
            if core_start - start == INSIDE_BYTES_MAX && further {
                // Deep inside of base64: the words before it would be more of the same.
                self.deep_encoding(core_start);
                return;
            }
        }
        let first = core_start >= self.wide_until;
        if !first {
            start = core_start;
        } else {
            while end < bytes.len() && is_run_byte(bytes[end]) {
                end += 1;
            }
            self.wide_until = end;
            self.walked(Walk::Wide, core_start, end);
        }
        if end == bytes.len() && !self.text.closed() && end - start < DECIDED_BYTES {
            self.undecided(start);
        }
        self.encodings(core_start, first.then_some(start));
        // Whatever ends a long one is its part: it is decided before its end is seen.
        if end - start < DECIDED_BYTES {
            while end > core_end && b".=~/".contains(&bytes[end - 1]) {
                end -= 1;
            }
        }
        let whole = |scan: &mut Self| {
            let first = if start == core_start { kinds } else { classes::from!(kinds, bytes, start) };
            scan.judge(start, start, end, &first)
        };
        if (start, end) == (core_start, core_end) || !whole(self) {
            self.judge(start, core_start, core_end, &kinds);
        }
        if self.text.take_peeked() {
            self.undecided(start);
        }
    }

    /// Later text may change what becomes of the run that begins here, or of the pair that it ends.
    fn undecided(&mut self, start: usize) {
        self.pending = self.pending.min(self.pair(start).unwrap_or(start));
    }

    /// Where a pair `id:token` or `123456|token` would begin, given where its token does. A long run ends none, so that
    /// no more is held back for it than for others.
    fn pair(&self, from: usize) -> Option<usize> {
        let bytes = self.text.bytes;
        let sign = from.checked_sub(1).filter(|at| matches!(bytes[*at], b':' | b'|'))?;
        if self.wide_until.saturating_sub(from) >= PAIRED_BYTES_MAX {
            return None;
        }
        let before = &bytes[sign.saturating_sub(INSIDE_BYTES_MAX)..sign];
        let left = before.iter().rev().take_while(|byte| is_run_byte(**byte)).count();
        (left < before.len()).then_some(sign - left)
    }

    /// Where the finding begins whose token was found: at its pair's number or name, unless that is its keyword, which
    /// stands `gap` bytes before it if there is one.
    fn paired(&self, from: usize, gap: usize) -> usize {
        let Some(start) = self.pair(from) else { return from };
        let id = &self.text.bytes[start..from - 1];
        let number = id.len() >= PAIR_DIGITS_MIN && id.iter().all(u8::is_ascii_digit);
        if number || (!id.is_empty() && id.len() + 1 < gap) { start } else { from }
    }

    /// Whether the run is a finding. Where it is undecided, all from `held_from` is. `kinds` are those of the block at
    /// its beginning.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn judge(&mut self, held_from: usize, whole_from: usize, to: usize, kinds: &Kinds) -> bool {
        let bytes = self.text.bytes;
        let first = kinds.first(to - whole_from);
        let from = glued(bytes, whole_from, to, &first);
        let value = &bytes[from..to];
        if value.len() < RUN_BYTES_MIN {
            return false;
        }
        let glued = from != whole_from;
        let random = if glued { is_random(value) } else { random::is_random_run(value, first) };
        if !random && !runs::is_uuid(value) {
            return false;
        }
        let mut context = runs::context(self.text, from, glued);
        if glued {
            context.keyword_gap = context.keyword_gap.or(Some(1));
        }
        // Most have no word near them.
        let named = self.switches.strict || context.names_something() || runs::may_be_known(self.text, from);
        named && self.named(held_from, (whole_from, from, to), random, &context)
    }

    /// The same for a run that looks random, or is a UUID, and has words near it. Apart from those that have none, so
    /// that what they need is little.
    #[inline(never)]
    fn named(
        &mut self,
        held_from: usize,
        (whole_from, from, to): (usize, usize, usize),
        random: bool,
        context: &Context,
    ) -> bool {
        let bytes = self.text.bytes;
        let value = &bytes[from..to];
        let gap = context.keyword_gap.map_or(0, |gap| gap.min(from));
        let says = random && runs::keyword_says_so(value, context, &bytes[from - gap..from]);
        let rule =
            runs::service_rule(self.text, from, to, context, |rule| self.switches.runs(usize::from(rule)))
                .or_else(|| says.then(|| builtin(Builtin::NearKeyword)).flatten())
                .or_else(|| {
                    (self.switches.strict && is_very_random(value))
                        .then(|| builtin(Builtin::Entropy))
                        .flatten()
                });
        let Some(rule) = rule.filter(|rule| self.switches.runs(usize::from(*rule))) else { return false };
        // As above: what decides about a long run stands in its beginning.
        let value = &value[..value.len().min(random::LOOK_BYTES_MAX)];
        let kind = &RULES[usize::from(rule)].kind;
        let near = matches!(kind, Kind::Builtin(Builtin::NearKeyword));
        let sample = if near { made_up(value) } else { says_example(value) || says_wrong(value) };
        if sample {
            return false;
        }
        let whole = &bytes[whole_from..to];
        if whole.len() < runs::LONG_BYTES && !matches!(kind, Kind::Builtin(Builtin::Entropy)) {
            let odd = near && is_odd_hex(&bytes[from..to]);
            if odd || cut_short(whole) {
                return false;
            }
        }
        // Behind spaces a run has neither its name glued to it nor a pair's beginning before it.
        let prose = gap > 0 && bytes[from - gap..from].iter().all(|b| *b == b' ');
        let to = if says && prose { symbols_end(self.text, from, to) } else { to };
        let (signs, open) = padding(bytes, from, to, self.wide_until);
        if open && to - from < runs::LONG_BYTES && !self.text.closed() {
            self.undecided(held_from);
        }
        let to = to + signs;
        let from = self.paired(from, if says { gap } else { 0 });
        if to - from >= runs::LONG_BYTES {
            self.push(rule, from, extend(self.text, to, Tail::Run), Tail::Run);
        } else {
            self.push(rule, from, to, Tail::Closed);
        }
        true
    }
}

/// A bit for each place where sixteen bits or more are set.
#[inline]
fn sixteen_in_a_row(mut bits: u64) -> u64 {
    const { assert!(RUN_BYTES_MIN == 16) };
    for shift in [1, 2, 4, 8] {
        bits &= bits >> shift;
    }
    bits
}

/// In prose a token ends with a space: the symbols in it, and what follows them, are its part.
fn symbols_end(text: &Text<'_>, from: usize, to: usize) -> usize {
    text.look_from(from);
    let mut end = to;
    while text.at(end).is_some_and(|b| is_run_byte(b) || b"#$@*!%^&|:".contains(&b)) {
        end += 1;
    }
    text.look_everywhere();
    while end > to && b".:!".contains(&text.bytes[end - 1]) {
        end -= 1;
    }
    end
}

/// How many signs pad the base64 that ends at `to`, in a run up to `until`, and whether there may be more of them.
fn padding(bytes: &[u8], from: usize, to: usize, until: usize) -> (usize, bool) {
    let signs = bytes.get(to..until).unwrap_or_default();
    let count = signs.iter().take_while(|byte| **byte == b'=').count();
    let whole = count == signs.len() && count <= 2;
    let pads = whole && (to + count - from).is_multiple_of(4);
    (if pads { count } else { 0 }, whole && until == bytes.len())
}

/// Longest token that a pair can end in.
const PAIRED_BYTES_MAX: usize = 384;
/// What is undecided is held back, also if it begins within something that a surer finding may rename.
const _: () = assert!(
    PAIRED_BYTES_MAX + INSIDE_BYTES_MAX <= SIGHT_BYTES
        && DECIDED_BYTES + JOIN_BYTES_MAX + CHAR_BYTES_MAX <= HOLD_BYTES_MAX
        && SIGHT_BYTES + USERINFO_BACK_BYTES + JOIN_BYTES_MAX + CHAR_BYTES_MAX <= HOLD_BYTES_MAX
);
const CHAR_BYTES_MAX: usize = 4;

/// Shortest number that is taken for the id of a pair.
const PAIR_DIGITS_MIN: usize = 6;

/// Where the token begins in a run that its name is glued to: `collect2TOKEN-123e4567-…`.
#[inline]
fn glued(bytes: &[u8], start: usize, end: usize, first: &Kinds) -> usize {
    let head = &bytes[start..end.min(start + GLUE_BYTES_MAX)];
    // Hex and most other runs have no punctuation at all.
    let marks = !first.alnum() & low_bits(head.len());
    if marks == 0 { start } else { start + glued_bytes(head, marks) }
}

/// How much of the beginning of a run that has marks in it is its name.
#[inline(never)]
fn glued_bytes(head: &[u8], mut marks: u64) -> usize {
    while marks != 0 {
        let at = 63 - marks.leading_zeros() as usize;
        marks &= low_bits(at);
        // One letter says which it would be.
        let word: &[u8] = match at.checked_sub(1).map(|before| head[before] | 0x20) {
            Some(b'n') => b"token",
            Some(b't') => b"secret",
            Some(b'y') => b"key",
            Some(b's') => b"access",
            Some(b'e') => b"private",
            Some(b'd') => b"password",
            _ => continue,
        };
        let ends = at
            .checked_sub(word.len())
            .and_then(|from| head.get(from..at))
            .is_some_and(|name| name.eq_ignore_ascii_case(word));
        if b"-_=.".contains(&head[at]) && ends {
            return at + 1;
        }
    }
    0
}

/// How far into a run its name may reach.
const GLUE_BYTES_MAX: usize = 41;
