//! Text with escapes that hides a secret. A short run of it is undone whole. A longer one is undone in windows of which
//! each answers for what begins in its own part, so what is found does not depend on where a scan came from, and each
//! finding has seen some text before it and twice as much behind.

use crate::decode;
use crate::scan::{DEPTH_MAX, Finding, Scan, Tail, extend, scan};
use crate::text::{SIGHT_BYTES, Text};

/// The part that a window answers for. One more lies before it, and two behind.
const PART_BYTES: usize = SIGHT_BYTES / 4;
/// Parts of a window from its own on.
const PARTS_AHEAD: usize = 3;
/// A run up to this long is one window.
const SHORT_BYTES: usize = PARTS_AHEAD * PART_BYTES;
/// How far back an escape reaches that comes next: what it is part of may begin there.
pub(crate) const BACK_BYTES: usize = SHORT_BYTES + ESCAPE_BYTES_MAX;
/// The longest escape: `\u00` and two digits.
const ESCAPE_BYTES_MAX: usize = 6;

const _: () = assert!(crate::encoded::WINDOW_STEP_BYTES.is_multiple_of(PART_BYTES));

/// How far escapes were undone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Undone {
    /// The last escape that was looked at.
    hit: usize,
    /// The run of it was seen up to here.
    seen: usize,
    /// First part that was not looked at.
    part: usize,
}

/// A run as far as it was looked for.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    /// Whether the text ends there, and may go on.
    open: bool,
}

impl Scan<'_, '_> {
    /// Undoes the escapes around `hit` and scans what comes out.
    pub fn escaped(&mut self, hit: usize) {
        if self.is_behind(hit) || self.depth >= DEPTH_MAX {
            return;
        }
        let phase = self.cut.map_or(0, |cut| cut.phase);
        let part = (hit + phase) / PART_BYTES;
        // The windows that the escape lies in are those of four parts.
        let (first, behind) = ((part + 1).saturating_sub(PARTS_AHEAD), part + 2);
        if hit < self.undone.seen && self.undone.part >= behind {
            return;
        }
        let place = |part: usize| (part * PART_BYTES).saturating_sub(phase);
        let run = self.run_around(hit, place(first.saturating_sub(1)), place(behind + PARTS_AHEAD - 1));
        let same = hit < self.undone.seen || (self.undone.seen > 0 && self.undone.hit >= run.start);
        let decided = if same { self.undone.part } else { 0 };
        self.undone = Undone { hit, seen: run.end, part: decided };
        let short = run.start > place(first.saturating_sub(1)) || run.start == 0;
        if short && run.end - run.start <= SHORT_BYTES {
            self.undone.part = usize::MAX;
            if run.open {
                self.pending = self.pending.min(run.start);
            } else {
                self.undo(run, run.start..run.end);
            }
            return;
        }
        for part in first.max(decided).max((run.start + phase) / PART_BYTES)..behind {
            let own = place(part).max(run.start)..place(part + 1);
            if own.start >= run.end {
                break;
            }
            let window = Run {
                start: place(part.saturating_sub(1)).max(run.start),
                end: place(part + PARTS_AHEAD).min(run.end),
                open: run.open && place(part + PARTS_AHEAD) > run.end,
            };
            if window.open {
                self.pending = self.pending.min(own.start);
                self.undone.part = usize::MAX;
                return;
            }
            self.undone.part = part + 1;
            self.undo(window, own);
        }
    }

    /// The run around a place, as far as from `least` to `most`.
    fn run_around(&self, hit: usize, least: usize, most: usize) -> Run {
        let bytes = self.text.bytes;
        let most = most.min(bytes.len());
        let before = bytes[least..hit].iter().rev().take_while(|byte| decode::is_escaped_run(**byte)).count();
        let behind = bytes[hit..most].iter().take_while(|byte| decode::is_escaped_run(**byte)).count();
        let end = hit + behind;
        #[cfg(debug_assertions)]
        crate::text::count_steps(before + behind);
        Run { start: hit - before, end, open: end == bytes.len() && !self.text.closed() }
    }

    /// Undoes the escapes of a window and keeps what begins in its own part.
    fn undo(&mut self, window: Run, own: std::ops::Range<usize>) {
        let bytes = self.text.bytes;
        let plain = |at: usize| bytes.get(at).map(|byte| decode::is_escaped_run(*byte));
        let goes_on = plain(window.end).unwrap_or(self.text.is_endless());
        let headless =
            window.start.checked_sub(1).map_or(self.text.is_headless(), |at| plain(at) == Some(true));
        let first = window.start + decode::rest_of_escape(bytes, window.start);
        let mut run = &bytes[first.min(window.end)..window.end];
        if goes_on {
            run = decode::whole_escapes(run);
        }
        let (decoded, from) = decode::escapes(run);
        if decoded.len() == run.len() {
            return;
        }
        let inner = Text::part(&decoded, headless, goes_on);
        for found in scan(&inner, self.switches, None, self.depth + 1).findings {
            let (start, mut end) = (first + from[found.start], first + from[found.end]);
            let mut tail = Tail::Closed;
            if goes_on && ends_at_most_in_punctuation(&decoded[found.end..]) {
                (end, tail) = (extend(self.text, window.end, Tail::Escaped), Tail::Escaped);
            }
            if own.contains(&start) {
                self.add_decided(Finding { start, end, tail, ..found }, window.end);
            }
        }
    }
}

/// Whether what is left behind a finding may be a part of it that was not known to be one, or the end of a key's line.
fn ends_at_most_in_punctuation(rest: &[u8]) -> bool {
    rest.iter().all(|byte| b".=~/:!\r\n".contains(byte))
}
