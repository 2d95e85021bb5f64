//! The scan: one pass of the automaton over the text, one pass over its long runs, and what they trigger.

use crate::assign::{self, Outcome};
use crate::decode;
use crate::placeholder::placeholders;
use crate::program::{self, in_set};
use crate::random::{self, is_random, is_very_random};
use crate::rules::{ANCHORS, BUCKETS, Builtin, FLAGS, Kind, Lead, RULES, builtin};
use crate::runs::{self, RUN_BYTES_MIN, is_core_byte, is_run_byte};
use crate::structure::{self, Range};
use crate::text::{SIGHT_BYTES, Text, begins_word, is_word};
use crate::value::VALUE_BYTES_MIN;

/// How deep encodings are undone: base64 of percent-encoded text, say.
const DEPTH_MAX: u8 = 2;
/// How far inside a longer run a part of it may begin to be judged by itself.
const INSIDE_BYTES_MAX: usize = 64;
/// How far left a run is followed over the punctuation that binds its parts.
const WIDE_BYTES_MAX: usize = 256;
/// How much of the last run counts as undecided by itself; what matchers have begun in it counts anyway.
const TRAILING_BYTES_MAX: usize = 256;
/// How far the words of `near` may stand before a match.
const NEAR_BYTES_MAX: usize = 64;

/// What goes on after the end of a finding that was decided before its end was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// Nothing: the end is the end.
    #[default]
    Closed,
    /// The run of token characters.
    Run,
    /// Everything up to white space, a quote or a separator.
    Value,
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

pub(crate) struct Scan<'s, 't> {
    text: &'s Text<'t>,
    switches: &'s Switches,
    depth: u8,
    pub findings: Vec<Finding>,
    /// From here on, later text may change what matchers found.
    pub pending: usize,
    /// Where the last run begins: what reads on from it is undecided too, unless something open covers it.
    pub trailing: usize,
    /// End of the run, with its punctuation, that was judged last.
    wide_until: usize,
    /// End of the escaped run that was decoded last.
    escaped_until: usize,
    /// Where a key's material was walked to.
    pem_until: usize,
    /// Whether the text begins in the middle of something.
    cut: bool,
}

/// Scans the whole text.
pub(crate) fn scan<'s, 't>(text: &'s Text<'t>, switches: &'s Switches, cut: bool, depth: u8) -> Scan<'s, 't> {
    let mut scan = Scan {
        text,
        switches,
        depth,
        findings: Vec::new(),
        pending: text.len(),
        trailing: text.len(),
        wide_until: 0,
        escaped_until: 0,
        pem_until: 0,
        cut,
    };
    scan.anchors();
    scan.runs();
    if !switches.extra_keys.is_empty() {
        scan.extra_keys();
    }
    scan
}

impl Scan<'_, '_> {
    /// Finds the anchors: one flag a position, and a comparison where a flag is set.
    fn anchors(&mut self) {
        for (at, pair) in self.text.bytes.windows(2).enumerate() {
            let pair = usize::from(pair[0] & 127) << 7 | usize::from(pair[1] & 127);
            let bucket = FLAGS[pair];
            if bucket != 0 {
                self.probe(usize::from(bucket), at);
            }
        }
        if !self.text.closed() {
            self.pending = self.pending.min(half_anchor(self.text.bytes));
        }
    }

    #[inline(never)]
    fn probe(&mut self, bucket: usize, at: usize) {
        for (anchor, offset) in BUCKETS.get(bucket).copied().unwrap_or_default() {
            let Some(anchor) = ANCHORS.get(usize::from(*anchor)) else { continue };
            let Some(start) = at.checked_sub(usize::from(*offset)) else { continue };
            let end = start + anchor.text.len();
            let Some(found) = self.text.bytes.get(start..end) else { continue };
            if found.iter().zip(anchor.text.as_bytes()).all(|(found, text)| same(*found, *text, anchor.exact))
            {
                for &rule in anchor.rules {
                    if self.switches.runs(usize::from(rule)) {
                        self.attempt(rule, start, end);
                    }
                }
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
        edge: u8,
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
        let value = &bytes[start..end];
        if (row.random && !random::is_plausible(value))
            || (!row.near.is_empty() && !self.near(start, row.near))
            || made_up(value)
        {
            return start;
        }
        self.push(rule, start, end, tail);
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
            Builtin::Password | Builtin::Secret | Builtin::Key | Builtin::Token => {
                return self.assignment(rule, kind, start, end);
            }
            Builtin::Userinfo => {
                if let Some(range) = structure::userinfo(text, start) {
                    self.take(rule, range);
                }
                return start.saturating_sub(24);
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
                found.into_iter().for_each(|range| self.take(rule, range));
                return undecided;
            }
            Builtin::CurlUser if begins_word(text.bytes, start) => {
                if let Some(range) = structure::curl_user(text, end) {
                    self.take(rule, range);
                }
                return end;
            }
            Builtin::Pem => return self.pem(rule, start),
            Builtin::Encoded if start >= self.escaped_until => return self.escaped(rule, start),
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

    fn pem(&mut self, rule: u16, start: usize) -> usize {
        if start < self.pem_until {
            return start;
        }
        let Some(head) = structure::pem_head(self.text, start) else { return start };
        self.text.look_everywhere();
        let (end, open) = structure::pem_body(self.text, head);
        self.text.take_peeked();
        self.pem_until = end;
        let tail = if open { Tail::Pem } else { Tail::Closed };
        self.push(rule, start, end, tail);
        start
    }

    /// Undoes the escapes of a run that has some and scans what comes out.
    fn escaped(&mut self, rule: u16, hit: usize) -> usize {
        let bytes = self.text.bytes;
        let plain = |byte: u8| !byte.is_ascii_whitespace() && byte != b'"' && byte != b'<';
        let mut start = hit;
        while start > self.escaped_until && hit - start < decode::RUN_BYTES_MAX / 2 && plain(bytes[start - 1])
        {
            start -= 1;
        }
        let mut end = hit;
        while end - start < decode::RUN_BYTES_MAX && self.text.at(end).is_some_and(plain) {
            end += 1;
        }
        self.escaped_until = end;
        if self.depth >= DEPTH_MAX {
            return start;
        }
        let (decoded, from) = decode::escapes(&bytes[start..end]);
        if decoded.len() == end - start {
            return start;
        }
        let inner = Text::new(&decoded, true);
        for found in scan(&inner, self.switches, false, self.depth + 1).findings {
            let _ = rule;
            self.add(Finding { start: start + from[found.start], end: start + from[found.end], ..found });
        }
        start
    }

    fn runs(&mut self) {
        let bytes = self.text.bytes;
        self.text.look_everywhere();
        if self.cut {
            // What the text begins in the middle of was judged when its beginning was there.
            self.wide_until = bytes.iter().take_while(|byte| is_run_byte(**byte)).count();
        }
        let mut at = RUN_BYTES_MIN - 1;
        let mut done = 0;
        while at < bytes.len() {
            if !is_core_byte(bytes[at]) {
                at += RUN_BYTES_MIN;
                continue;
            }
            let mut start = at;
            while start > done && is_core_byte(bytes[start - 1]) {
                start -= 1;
            }
            let mut end = at + 1;
            while end < bytes.len() && is_core_byte(bytes[end]) {
                end += 1;
            }
            if end - start >= RUN_BYTES_MIN && !(self.cut && start == 0) {
                self.run(start, end);
            }
            done = end;
            at = end + RUN_BYTES_MIN;
        }
        if !self.text.closed() {
            let bound = |byte: &&u8| !byte.is_ascii_whitespace() && !b"\"'`".contains(byte);
            let trailing = bytes.iter().rev().take(TRAILING_BYTES_MAX).take_while(bound).count();
            self.trailing = bytes.len() - trailing;
        }
    }

    /// Judges one long run: the first of a longer one with its punctuation, the others by themselves.
    fn run(&mut self, core_start: usize, core_end: usize) {
        let bytes = self.text.bytes;
        if !random::may_be_random(&bytes[core_start..core_end.min(core_start + random::LOOK_BYTES_MAX)]) {
            return;
        }
        let (mut start, mut end) = (core_start, core_end);
        while start > 0
            && core_start - start < WIDE_BYTES_MAX
            && is_run_byte(bytes[start - 1])
            && bytes[start - 1] != b'='
        {
            start -= 1;
        }
        if core_start - start > INSIDE_BYTES_MAX {
            // Deep inside of base64: the words before it would be more of the same.
            return;
        }
        if core_start < self.wide_until {
            start = core_start;
        } else {
            while end < bytes.len() && is_run_byte(bytes[end]) {
                end += 1;
            }
            self.wide_until = end;
        }
        if end == bytes.len() && !self.text.closed() && end - start < SIGHT_BYTES {
            self.pending = self.pending.min(start);
        }
        if end != core_end || start != core_start || self.wide_until == core_end {
            self.encoded(start, end);
        }
        while end > core_end && b".=~/".contains(&bytes[end - 1]) {
            end -= 1;
        }
        self.judge(start, end, core_start, core_end);
        if self.text.take_peeked() {
            self.pending = self.pending.min(start);
        }
    }

    fn judge(&mut self, start: usize, end: usize, core_start: usize, core_end: usize) {
        let bytes = self.text.bytes;
        let pieces = [(start, end), (core_start, core_end)];
        for (glued_from, to) in &pieces[..if pieces[0] == pieces[1] { 1 } else { 2 }] {
            let (from, to) = (glued(bytes, *glued_from, *to), *to);
            if to - from < RUN_BYTES_MIN {
                continue;
            }
            let value = &bytes[from..to];
            let random = is_random(value);
            if !random && !runs::is_uuid(value) {
                continue;
            }
            let mut context = runs::context(self.text, from);
            if from != *glued_from {
                context.keyword_gap = context.keyword_gap.or(Some(1));
            }
            let gap = context.keyword_gap.map_or(0, |gap| gap.min(from));
            let says = (random || !runs::is_uuid(value))
                && runs::keyword_says_so(value, &context, &bytes[from - gap..from]);
            let rule = runs::service_rule(self.text, from, to, &context, |rule| {
                self.switches.runs(usize::from(rule))
            })
            .or_else(|| says.then(|| builtin(Builtin::NearKeyword)).flatten())
            .or_else(|| {
                (self.switches.strict && is_very_random(value)).then(|| builtin(Builtin::Entropy)).flatten()
            });
            if let Some(rule) = rule.filter(|rule| self.switches.runs(usize::from(*rule))) {
                let prose = gap > 0 && bytes[from - gap..from].iter().all(|b| *b == b' ');
                let to = if says && prose { symbols_end(self.text, from, to) } else { to };
                self.push(rule, from, to, if to - from >= SIGHT_BYTES { Tail::Run } else { Tail::Closed });
                return;
            }
        }
    }

    /// A run of base64 or hex that hides a secret: the whole run is the finding.
    fn encoded(&mut self, start: usize, end: usize) {
        if self.depth >= DEPTH_MAX || end - start < 24 {
            return;
        }
        let run = &self.text.bytes[start..end.min(start + decode::RUN_BYTES_MAX)];
        let hex = run.iter().all(u8::is_ascii_hexdigit);
        // Most runs do not begin with printable bytes: a short look first.
        let first = if hex { decode::hex(&run[..8]) } else { decode::base64(&run[..8]) };
        if !first.is_some_and(|bytes| decode::is_text(&bytes)) {
            return;
        }
        let head = &run[..run.len().min(24)];
        let peek = if hex { decode::hex(head) } else { decode::base64(head) };
        if !peek.is_some_and(|bytes| decode::is_text(&bytes)) {
            return;
        }
        let decoded = if hex { decode::hex(run) } else { decode::base64(run) };
        let Some(decoded) = decoded.filter(|bytes| decode::is_text(bytes)) else { return };
        let inner = Text::new(&decoded, true);
        let found = scan(&inner, self.switches, false, self.depth + 1).findings;
        if let Some(best) = found.iter().max_by_key(|found| found.confidence) {
            let tail = if end - start >= SIGHT_BYTES { Tail::Run } else { Tail::Closed };
            self.add(Finding { start, end, tail, ..*best });
        }
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
        let long = self.text.is_open(range.end);
        let tail = if long { Tail::Run } else { Tail::Closed };
        let end = if long { extend(self.text, range.end, tail) } else { range.end };
        self.push(rule, range.start, end, tail);
    }

    fn push(&mut self, rule: u16, start: usize, end: usize, tail: Tail) {
        self.add(Finding { start, end, rule, confidence: RULES[usize::from(rule)].confidence, tail });
    }

    /// Keeps a finding, but for the placeholders in it: what was redacted stays as it is.
    fn add(&mut self, finding: Finding) {
        let mut from = finding.start;
        for (start, end) in placeholders(self.text.bytes, finding.start, finding.end) {
            self.keep(
                Finding { start: from, end: start.clamp(from, finding.end), tail: Tail::Closed, ..finding },
                true,
            );
            from = end.max(from);
        }
        self.keep(Finding { start: from, ..finding }, from > finding.start);
    }

    fn keep(&mut self, finding: Finding, rest: bool) {
        let least = if rest { VALUE_BYTES_MIN } else { 1 };
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
        Tail::Pem => false,
    };
    if tail == Tail::Pem {
        return structure::pem_body(text, at).0;
    }
    at + text.bytes[at.min(text.len())..].iter().take_while(|byte| goes_on(**byte)).count()
}

#[inline]
fn same(found: u8, text: u8, exact: bool) -> bool {
    found == text || (!exact && found.eq_ignore_ascii_case(&text))
}

/// Where an anchor may have begun that the end of the text cut in two. Anchors without white space begin in the
/// last run, which is undecided anyway.
fn half_anchor(bytes: &[u8]) -> usize {
    let spaced = ANCHORS.iter().filter(|anchor| anchor.text.bytes().any(|b| b" \"'".contains(&b)));
    let halves = spaced.filter_map(|anchor| {
        let text = anchor.text.as_bytes();
        let len = (1..text.len().min(bytes.len() + 1))
            .rev()
            .find(|len| bytes[bytes.len() - len..].eq_ignore_ascii_case(&text[..*len]));
        len.map(|len| bytes.len() - len)
    });
    halves.min().unwrap_or(bytes.len())
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

/// Where the token begins in a run that its name is glued to: `collect2TOKEN-123e4567-…`.
fn glued(bytes: &[u8], start: usize, end: usize) -> usize {
    const GLUE: &[&[u8]] = &[b"token", b"secret", b"key", b"access", b"private", b"password"];
    let head = bytes[start..end.min(start + 40)].to_ascii_lowercase();
    let past = GLUE
        .iter()
        .filter_map(|word| head.windows(word.len()).rposition(|w| w == *word).map(|at| at + word.len()))
        .max();
    match past {
        Some(past) if head.get(past).is_some_and(|b| b"-_=.".contains(b)) => start + past + 1,
        _ => start,
    }
}

/// A token of a known form that is visibly made up (`ghp_xxxxxxxx…`).
fn made_up(value: &[u8]) -> bool {
    let tail = &value[value.len() / 3..];
    let distinct = {
        let mut seen = [false; 256];
        tail.iter().for_each(|b| seen[usize::from(*b)] = true);
        seen.iter().filter(|s| **s).count()
    };
    tail.len() >= 8 && distinct <= 3
}
