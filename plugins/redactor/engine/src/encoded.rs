//! Base64 and hex that hide a secret. What is encoded is a part of a run: of its alphabet, and from where the run, a
//! value or a part of a path in it begins. A long part is read in windows that overlap by half and begin at fixed places
//! of the text, so what is found, and how much must be seen to find it, does not depend on where the part ends.

use crate::decode::{self, begins_as_base64, begins_as_hex};
use crate::judge::INSIDE_BYTES_MAX;
use crate::runs::{RUN_BYTES_MIN, is_run_byte};
use crate::scan::{DEPTH_MAX, Finding, Scan, Tail, Walk, scan};
use crate::text::{SIGHT_BYTES, Text};

/// Shortest run that is decoded: eighteen bytes of base64, twelve of hex.
const ENCODED_BYTES_MIN: usize = 24;
/// How much of a run is decoded at once: what a matcher sees, and less than a stream holds back.
const WINDOW_BYTES: usize = SIGHT_BYTES;
/// At how many places the four characters of base64 may begin.
const SHIFTS: usize = 4;
/// The same where a rest of an escape may stand before.
const HEADLESS_SHIFTS: usize = SHIFTS + 5;
/// From one window to the next: a multiple of the four characters of base64.
pub(crate) const WINDOW_STEP_BYTES: usize = WINDOW_BYTES / 2;
/// What is decoded to know whether more is worth it.
const LOOK_BYTES: usize = 8;

/// Where what is encoded ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded {
    /// Before its padding.
    until: usize,
    /// Past the run, which is redacted with it.
    end: usize,
}

impl Encoded {
    pub fn around(bytes: &[u8], start: usize, end: usize) -> Encoded {
        let run = &bytes[start..end];
        // Sixteen at a time: most have none.
        let none = |block: &&[u8; 16]| !block.iter().fold(false, |any, byte| any | ends_part(*byte));
        let plain = run.as_chunks().0.iter().take_while(none).count() * 16;
        let sign = run[plain..].iter().position(|byte| ends_part(*byte)).map_or(run.len(), |at| plain + at);
        Encoded { until: start + sign, end }
    }
}

/// What neither alphabet has: what stands behind it is encoded by itself.
fn ends_part(byte: u8) -> bool {
    (byte == b'=') | (byte == b'.') | (byte == b'~')
}

/// A short look before a longer one.
#[inline]
fn begins_as_text(chars: &[u8]) -> bool {
    begins_as_hex(chars) || begins_as_base64(chars)
}

impl Scan<'_, '_> {
    /// Looks at all that may be encoded in a run from a core of it, or from a part right before that; `whole` is where
    /// the run begins if this is its first core.
    pub fn encodings(&mut self, core_start: usize, whole: Option<usize>) {
        if self.depth >= DEPTH_MAX {
            return;
        }
        if let Some(start) = whole {
            self.encoded(start);
        }
        let bytes = self.text.bytes;
        let (mut at, mut core) = (core_start, 1);
        loop {
            let begins = core > 0 && !at.checked_sub(1).is_some_and(|at| is_core_byte(bytes[at]));
            if begins && Some(at) != whole {
                self.encoding_at(at);
            }
            let further = core_start - at < INSIDE_BYTES_MAX && core < RUN_BYTES_MIN;
            if !further || !at.checked_sub(1).is_some_and(|at| is_run_byte(bytes[at])) {
                return;
            }
            at -= 1;
            core = if is_core_byte(bytes[at]) { core + 1 } else { 0 };
        }
    }

    /// The same so deep in a run that most are of one encoding.
    pub fn deep_encoding(&mut self, core_start: usize) {
        let parts = matches!(self.text.bytes[core_start - 1], b'/' | b'.' | b'~');
        if parts && self.depth < DEPTH_MAX {
            self.encoding_at(core_start);
        }
    }

    /// What may be encoded from here on in a run.
    fn encoding_at(&mut self, from: usize) {
        let bytes = self.text.bytes;
        let start = from + bytes[from..].iter().take_while(|byte| matches!(byte, b'-' | b'_')).count();
        if self.run_end(start) - start < ENCODED_BYTES_MIN {
            return;
        }
        // In a text that is encoded as a whole, its windows are looked at.
        let goes_on = || start.checked_sub(LOOK_BYTES).is_some_and(|at| begins_as_base64(&bytes[at..start]));
        let fresh = from.checked_sub(1).is_some_and(|at| ends_part(bytes[at]));
        if !self.is_behind(start) && (fresh || (begins_as_text(&bytes[start..]) && !goes_on())) {
            self.encoded(start);
        }
    }

    fn run_end(&mut self, at: usize) -> usize {
        if at < self.wide_until {
            return self.wide_until;
        }
        if at >= self.run_until {
            let rest = &self.text.bytes[at..];
            self.run_until = at + rest.iter().take_while(|byte| is_run_byte(**byte)).count();
        }
        self.run_until
    }

    /// A part that hides a secret: all from its beginning to the end of the run is the finding, or what is left of the
    /// run from the window in which the secret stands.
    fn encoded(&mut self, start: usize) {
        let bytes = self.text.bytes;
        let end = self.run_end(start);
        if end - start < ENCODED_BYTES_MIN {
            return;
        }
        // It may have begun further left.
        let headless = start == 0 && self.text.is_headless();
        let shifts = if headless { HEADLESS_SHIFTS } else { 1 };
        let begins = (start..start + shifts).any(|at| begins_as_text(&bytes[at..end]));
        // Most runs are short, do not begin with printable bytes, and have text behind them.
        if !begins && end - start < WINDOW_BYTES && end < bytes.len() {
            return;
        }
        let run = Encoded::around(bytes, start, end);
        let len = run.until - start;
        // More of it may come. The beginning of a longer run is undecided by itself, but not a part of it.
        if run.until == bytes.len() && !self.text.closed() && len < WINDOW_BYTES + SHIFTS {
            self.pending = self.pending.min(start);
        }
        // A short one is all in its first window.
        if !begins && len < WINDOW_BYTES {
            return;
        }
        let mark = (!headless).then_some(start);
        let found = begins && (0..shifts).any(|shift| self.window(start + shift, mark, run));
        if len > WINDOW_BYTES && start >= self.encoded_until {
            let found = if found { Some(start) } else { self.windows(start + 1, run) };
            self.walked_encoding(found, start, run);
        }
    }

    /// A long one is walked over once.
    pub fn walked_encoding(&mut self, found: Option<usize>, start: usize, run: Encoded) {
        self.encoded_until = run.until;
        self.walked(Walk::Encoding(found), start, run.until);
    }

    /// The windows of a run but for the one at its beginning, from a place on. They begin at fixed places of the text,
    /// wherever the run began. Says where a secret was found.
    pub fn windows(&mut self, first: usize, run: Encoded) -> Option<usize> {
        let open = run.until == self.text.len() && !self.text.closed();
        let phase = self.cut.map_or(0, |cut| cut.phase);
        let mut from = (first + phase).next_multiple_of(WINDOW_STEP_BYTES) - phase;
        // What is left is in the window before, unless the text ends too early to say so.
        while from < run.until && (open || run.until - from > WINDOW_BYTES - WINDOW_STEP_BYTES) {
            if open && run.until - from < WINDOW_BYTES + SHIFTS {
                self.pending = self.pending.min(from);
                return None;
            }
            if (0..SHIFTS).any(|shift| self.window(from + shift, Some(from), run)) {
                return Some(from);
            }
            from += WINDOW_STEP_BYTES;
        }
        None
    }

    /// Looks at one window; a secret in it makes all from `mark` on a finding. Without a mark each is one from where it
    /// begins.
    fn window(&mut self, from: usize, mark: Option<usize>, run: Encoded) -> bool {
        let Some((decoded, ratio, goes_on)) = self.decoded(from, run) else { return false };
        let text = self.text;
        let before = from.checked_sub(1).map(|at| is_run_byte(text.bytes[at]) && text.bytes[at] != b'=');
        let inner = Text::part(&decoded, before.unwrap_or(text.is_headless()), goes_on);
        let mut found = scan(&inner, self.switches, None, self.depth + 1).findings;
        // What begins far into a window and is not all in it is in the next.
        found.retain(|one| !goes_on || one.end < decoded.len() || one.start < decoded.len() / 2);
        let Some(best) = found.iter().max_by_key(|found| found.confidence).copied() else { return false };
        let Some(mark) = mark else {
            for one in found {
                let breaks_off = goes_on && one.end == decoded.len();
                let (start, end) = (one.start * ratio.0 / ratio.1, (one.end * ratio.0).div_ceil(ratio.1));
                let end = if breaks_off { run.end } else { (from + end).min(run.end) };
                self.add(Finding { start: from + start, end, tail: Tail::Closed, ..one });
            }
            return true;
        };
        let tail = if run.end - mark >= SIGHT_BYTES { Tail::Run } else { Tail::Closed };
        if tail == Tail::Closed && run.end == text.len() && !text.closed() {
            self.pending = self.pending.min(mark);
        }
        self.add(Finding { start: mark, end: run.end, tail, ..best });
        true
    }

    /// What a window comes to if it is text, how many characters stand for how many bytes, and whether it goes on.
    fn decoded(&self, from: usize, run: Encoded) -> Option<(Vec<u8>, (usize, usize), bool)> {
        let mut chars = self.text.slice(from, run.until.min(from + WINDOW_BYTES));
        if chars.len() < ENCODED_BYTES_MIN || !begins_as_text(chars) {
            return None;
        }
        let digits = chars.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let hex = begins_as_hex(chars) && digits >= ENCODED_BYTES_MIN;
        if hex {
            chars = &chars[..digits];
        }
        let decoded = |chars: &[u8]| {
            let bytes = if hex { decode::hex(&chars[..chars.len() & !1]) } else { decode::base64(chars) };
            bytes.map(decode::text_of).filter(|bytes| !bytes.is_empty())
        };
        decoded(&chars[..ENCODED_BYTES_MIN]).filter(|head| head.len() * 2 >= ENCODED_BYTES_MIN)?;
        let end = from + chars.len();
        let goes_on = match self.text.bytes.get(end) {
            Some(_) => chars.len() == WINDOW_BYTES && end < run.until,
            None => self.text.is_endless(),
        };
        Some((decoded(chars)?, if hex { (2, 1) } else { (4, 3) }, goes_on))
    }
}

/// What a core is made of.
fn is_core_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
