//! What a piece hands to the next, in at most a few bytes and the left context.

use crate::encoded::WINDOW_STEP_BYTES;
use crate::merge::Stretch;
use crate::scan::{Cut, Encoding, Walk};
use crate::stream::CONTEXT_BYTES_MAX;

/// So near to where the context was cut, the words and edges that decide are not all there. Nothing is looked for that
/// begins there; what a scan of the whole text would know behind it is carried.
const CUT_EDGE_BYTES: usize = 256;

const VERSION: u8 = 5;
const NUMBERS: usize = 6;
/// The version, two bytes of flags, the phase, the numbers.
const HEAD_BYTES: usize = 4 + 2 * NUMBERS;
const _: () = assert!(WINDOW_STEP_BYTES <= 256);

/// What goes on at the place up to which a text is settled. Distances are from there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Open {
    /// What is redacted there.
    pub stretch: Option<Stretch>,
    /// Whether runs of each kind went on at the end of what was seen.
    pub run: bool,
    pub value: bool,
    pub escaped: bool,
    /// How far that was.
    pub seen: usize,
    /// How far the material of a key was walked over.
    pub pem: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carry<'a> {
    pub open: Open,
    /// Where the context is not all of the text before.
    pub cut: Option<Cut>,
    pub context: &'a [u8],
}

impl<'a> Carry<'a> {
    /// After `text`, which began at `cut` and in which the scan walked over `walks`.
    pub fn after(text: &'a [u8], cut: Option<Cut>, walks: &[(Walk, usize, usize)], open: Open) -> Carry<'a> {
        let from = text.len().saturating_sub(CONTEXT_BYTES_MAX);
        let context = &text[from..];
        if from == 0 && cut.is_none() {
            return Carry { open, cut: None, context };
        }
        let edge = from + CUT_EDGE_BYTES;
        let mut next = Cut {
            from: CUT_EDGE_BYTES,
            phase: (cut.map_or(0, |cut| cut.phase) + from) % WINDOW_STEP_BYTES,
            ..Cut::default()
        };
        for (walk, ..) in
            walks.iter().filter(|(_, start, end)| (*start..*end).contains(&edge) && *start < edge)
        {
            match walk {
                Walk::Wide => next.wide = true,
                Walk::Encoding(Some(found)) if *found < edge => next.encoding = Some(Encoding::Found),
                Walk::Encoding(_) => next.encoding = Some(Encoding::Open),
            }
        }
        Carry { open, cut: Some(next), context }
    }

    pub fn read(carry: &'a [u8]) -> Option<Carry<'a>> {
        let (head, context) = carry.split_first_chunk::<HEAD_BYTES>()?;
        let number = |at: usize| usize::from(u16::from_le_bytes([head[4 + 2 * at], head[5 + 2 * at]]));
        let flag = |bit: u8| u16::from_le_bytes([head[1], head[2]]) >> bit & 1 == 1;
        let cut = Cut {
            from: CUT_EDGE_BYTES,
            phase: usize::from(head[3]) % WINDOW_STEP_BYTES,
            wide: flag(1),
            encoding: flag(2).then(|| if flag(3) { Encoding::Found } else { Encoding::Open }),
        };
        let stretch = Stretch {
            start: -(number(0) as isize),
            end: number(1),
            rule: number(2) as u16,
            confidence: number(3) as u16,
        };
        let open = Open {
            stretch: flag(8).then_some(stretch),
            run: flag(4),
            value: flag(5),
            escaped: flag(6),
            seen: number(4),
            pem: flag(7).then(|| number(5)),
        };
        (head[0] == VERSION).then_some(Carry { open, cut: flag(0).then_some(cut), context })
    }

    pub fn write(&self) -> Vec<u8> {
        let Carry { open, cut, context } = self;
        let known = cut.unwrap_or_default();
        let flags = [
            cut.is_some(),
            known.wide,
            known.encoding.is_some(),
            known.encoding == Some(Encoding::Found),
            open.run,
            open.value,
            open.escaped,
            open.pem.is_some(),
            open.stretch.is_some(),
        ];
        let flags = flags.iter().rev().fold(0, |flags, flag| flags << 1 | u16::from(*flag));
        let stretch = open.stretch.unwrap_or(Stretch { start: 0, end: 0, rule: 0, confidence: 0 });
        let numbers: [usize; NUMBERS] = [
            stretch.start.unsigned_abs(),
            stretch.end,
            usize::from(stretch.rule),
            usize::from(stretch.confidence),
            open.seen,
            open.pem.unwrap_or_default(),
        ];
        let mut out = Vec::with_capacity(HEAD_BYTES + context.len());
        let [low, high] = flags.to_le_bytes();
        out.extend([VERSION, low, high, known.phase as u8]);
        // How far back a stretch began matters only where it is near.
        out.extend(
            numbers.iter().flat_map(|number| u16::try_from(*number).unwrap_or(u16::MAX).to_le_bytes()),
        );
        out.extend(*context);
        out
    }
}
