//! Runs the patterns that the build compiled. Repeats take what they can and nothing is tried twice, so a pattern
//! costs at most the bytes it looks at.

use crate::rules::SETS;
use crate::text::Text;

/// One step of a pattern.
#[derive(Debug)]
pub(crate) enum Op {
    /// These bytes.
    Lit(&'static [u8]),
    /// Between `min` and `max` bytes of a set.
    Run(u16, u16, u16),
    /// The first of these that matches here.
    Alt(&'static [&'static [Op]]),
    /// Between `min` and `max` times these.
    Rep(&'static [Op], u16, u16),
}

/// A repeat that counted this far has no upper end: the match goes on to the end of the run.
pub(crate) const OPEN_MAX: u16 = 512;

#[inline]
pub(crate) fn in_set(set: u16, byte: u8) -> bool {
    SETS.get(usize::from(set)).is_some_and(|bits| holds(bits, byte))
}

/// Whether a byte is in a set that has a bit for each.
#[inline]
pub(crate) fn holds(bits: &[u64; 4], byte: u8) -> bool {
    bits[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
}

/// The end of the match that begins at `at`. One that agrees as far as a text goes that breaks off is a match.
pub(crate) fn run(ops: &[Op], text: &Text<'_>, mut at: usize) -> Option<usize> {
    for op in ops {
        at = step(op, text, at)?;
    }
    Some(at)
}

fn step(op: &Op, text: &Text<'_>, at: usize) -> Option<usize> {
    match op {
        Op::Lit(literal) => {
            let end = at + literal.len();
            let stands = text.stands(at, literal) || text.breaks_off_in(at, literal);
            stands.then_some(end.min(text.len()))
        }
        Op::Run(set, min, max) => {
            let end = text.run_end(at, usize::from(*max), |byte| in_set(*set, byte));
            (end - at >= usize::from(*min) || text.breaks_off(end)).then_some(end)
        }
        Op::Alt(branches) => branches.iter().find_map(|branch| run(branch, text, at)),
        Op::Rep(ops, min, max) => {
            let (mut end, mut count) = (at, 0u16);
            while count < *max {
                match run(ops, text, end) {
                    Some(next) if next > end => (end, count) = (next, count + 1),
                    _ => break,
                }
            }
            (count >= *min || text.breaks_off(end)).then_some(end)
        }
    }
}
