//! Text under the scanner, which knows when somebody looked past its end.

use std::cell::Cell;

/// How far a matcher sees from where its match would begin: less than what a stream holds back.
pub(crate) const SIGHT_BYTES: usize = 448;

/// A view of the text. Reading past the end of a text that may still grow is noted: what was decided after such a
/// look is not settled.
pub(crate) struct Text<'a> {
    pub bytes: &'a [u8],
    /// Whether nothing follows.
    closed: bool,
    peeked: Cell<bool>,
    /// A matcher sees nothing from here on: what it has not decided by then goes on to the end of its run.
    horizon: Cell<usize>,
    /// The bytes up to there: one comparison for what is asked most.
    seen: Cell<&'a [u8]>,
    /// Whether it is the end of an open text, and not the horizon, that ends them.
    may_grow: Cell<bool>,
    /// Where a text ends that is a part of a longer one of which no more will be seen.
    limit: usize,
    /// Whether it begins in the middle of a longer one.
    headless: bool,
}

impl<'a> Text<'a> {
    pub fn new(bytes: &'a [u8], closed: bool) -> Text<'a> {
        Text {
            bytes,
            closed,
            peeked: Cell::new(false),
            horizon: Cell::new(usize::MAX),
            seen: Cell::new(bytes),
            may_grow: Cell::new(!closed),
            limit: usize::MAX,
            headless: false,
        }
    }

    /// A part of a longer text that begins or ends in the middle of it: what it ends in goes on, and nobody will see how.
    pub fn part(bytes: &'a [u8], headless: bool, endless: bool) -> Text<'a> {
        let limit = if endless { bytes.len() } else { usize::MAX };
        Text { limit, headless, ..Text::new(bytes, true) }
    }

    /// Whether the text begins in the middle of a longer one.
    pub fn is_headless(&self) -> bool {
        self.headless
    }

    /// Whether the text ends in the middle of a longer one.
    pub fn is_endless(&self) -> bool {
        self.limit != usize::MAX
    }

    /// Whether what reached this place might go on if more of the text could be seen.
    pub fn breaks_off(&self, at: usize) -> bool {
        at >= self.limit
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The byte at `at`, where there is one.
    #[inline]
    pub fn at(&self, at: usize) -> Option<u8> {
        #[cfg(debug_assertions)]
        count_steps(1);
        let byte = self.seen.get().get(at).copied();
        if byte.is_none() {
            self.peeked.set(self.peeked.get() | self.may_grow.get());
        }
        byte
    }

    /// Where the bytes from `from` on end that pass a test, at most `max` of them.
    #[inline]
    pub fn run_end(&self, from: usize, max: usize, test: impl Fn(u8) -> bool) -> usize {
        let to = from.saturating_add(max);
        // What is seen of them is known before the first is looked at.
        let seen = self.seen.get();
        let there = seen.get(from..to.min(seen.len())).unwrap_or_default();
        let end = from + there.iter().take_while(|byte| test(**byte)).count();
        #[cfg(debug_assertions)]
        count_steps(end - from);
        if end < to {
            // Ended by a byte, by the horizon, or by the end of the text: the last is noted.
            self.at(end);
        }
        end
    }

    /// From now on nothing further than [`SIGHT_BYTES`] from `start` is seen.
    pub fn look_from(&self, start: usize) {
        self.see(start.saturating_add(SIGHT_BYTES).min(self.limit));
    }

    fn see(&self, horizon: usize) {
        self.horizon.set(horizon);
        self.seen.set(&self.bytes[..horizon.min(self.bytes.len())]);
        self.may_grow.set(!self.closed && horizon > self.bytes.len());
    }

    /// From now on all is seen.
    pub fn look_everywhere(&self) {
        self.see(usize::MAX);
    }

    /// Whether a match that ends here was ended by the horizon.
    pub fn is_open(&self, end: usize) -> bool {
        end >= self.horizon.get()
    }

    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Whether `word` stands at `at`.
    pub fn stands(&self, at: usize, word: &[u8]) -> bool {
        word.iter().enumerate().all(|(i, byte)| self.at(at + i) == Some(*byte))
    }

    /// Whether the text breaks off in the middle of `word` at `at`.
    pub fn breaks_off_in(&self, at: usize, word: &[u8]) -> bool {
        self.breaks_off(at + word.len()) && word.starts_with(self.slice(at, self.len()))
    }

    /// Whether someone looked past the open end since the last call.
    pub fn take_peeked(&self) -> bool {
        self.peeked.replace(false)
    }

    /// `bytes[from..to]`, clipped to what there is.
    pub fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        let to = to.min(self.bytes.len());
        self.bytes.get(from.min(to)..to).unwrap_or_default()
    }

    pub fn starts_with_any_case(&self, at: usize, word: &str) -> bool {
        word.bytes().enumerate().all(|(i, w)| self.at(at + i).is_some_and(|b| b.eq_ignore_ascii_case(&w)))
    }
}

#[cfg(debug_assertions)]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what is looked at by other ways than [`Text::at`].
#[cfg(debug_assertions)]
pub(crate) fn count_steps(bytes: usize) {
    STEPS.with(|steps| steps.set(steps.get() + bytes as u64));
}

/// How many bytes matchers have looked at in this thread since the last call: what a test of linear time counts.
#[cfg(debug_assertions)]
#[doc(hidden)]
pub fn take_steps() -> u64 {
    STEPS.with(Cell::take)
}

/// Letters, digits and `_`.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a token may begin at `start`: the byte before is no word byte, or it is the end of an escape
/// (`\n`, `\u0022`, `%22`, `\x22`) in text that was escaped.
pub(crate) fn begins_word(bytes: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1).and_then(|at| bytes.get(at)) else { return true };
    !is_word(*before) || ends_escape(bytes, start)
}

fn ends_escape(bytes: &[u8], end: usize) -> bool {
    let back = |n: usize| end.checked_sub(n).and_then(|at| bytes.get(at)).copied();
    let hex = |n: usize| (1..=n).all(|k| back(k).is_some_and(|b| b.is_ascii_hexdigit()));
    (back(2) == Some(b'\\') && back(1).is_some_and(|b| b"nrtbfv0".contains(&b)))
        || (back(3) == Some(b'%') && hex(2))
        || (back(6) == Some(b'\\') && back(5) == Some(b'u') && hex(4))
        || (back(4) == Some(b'\\') && back(3) == Some(b'x') && hex(2))
}

/// Where the word begins that an escape may stand before: of `\nTOKEN` the letter of the escape is no part.
pub(crate) fn behind_escape(bytes: &[u8], start: usize, word: usize) -> usize {
    // Seldom: asked first.
    if !start.checked_sub(1).is_some_and(|at| matches!(bytes[at], b'\\' | b'%')) {
        return start;
    }
    let mut ends = start + 1..=word.min(start + ESCAPE_BYTES_MAX - 1);
    ends.find(|end| ends_escape(bytes, *end)).unwrap_or(start)
}

/// The longest escape: `\u` and four digits.
const ESCAPE_BYTES_MAX: usize = 6;
