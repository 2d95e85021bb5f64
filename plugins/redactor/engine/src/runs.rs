//! Runs that look made by a machine, with a word near them that says what they are: a keyword (`key`, `token`), or
//! the name of a service. Long runs are rare in text, so the context is only read where there is one.

use crate::classes::{self, BLOCK_BYTES, Bits, Words, low_bits};
use crate::decode;
use crate::placeholder::after_placeholders;
use crate::program::{self, in_set};
use crate::random::{is_very_random, shape};
use crate::rules::{
    ANY_RUN, Head, Kind, Known, RULES, WORD_BITS, WORD_FACTOR, WORD_FLAGS, WORD_LISTS, WORD_NAMING,
    WORD_RANKS, WORD_STARTS, WORDS, Word,
};
use crate::text::Text;

/// Shortest run that is looked at.
pub(crate) const RUN_BYTES_MIN: usize = 16;
/// From this length on a run is a blob: how long it is does not matter any more, and if it is a finding, it is one to
/// the end. So much less than [`crate::text::SIGHT_BYTES`] that it can be seen of a part of a run, too.
pub(crate) const LONG_BYTES: usize = 344;
/// How far left of the run its words may stand.
pub(crate) const CONTEXT_BYTES_MAX: usize = 56;

/// Bytes of a run: what tokens are made of.
#[inline]
pub(crate) fn is_run_byte(byte: u8) -> bool {
    KINDS[usize::from(byte)] != 0
}

static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'~') {
            table[byte] = 1;
        }
        byte += 1;
    }
    table
};

/// What the words left of a run say.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Bytes between the nearest keyword and the run.
    pub keyword_gap: Option<usize>,
    /// Whether a word in between (or right before) names something harmless.
    pub hash: bool,
    /// Rules that name a service in the window.
    pub rules: Vec<u16>,
    /// Where the name of the last of them ends.
    named_until: usize,
    /// Where the word after `public` would begin.
    public_at: usize,
    /// Where the last word ends that makes nothing of a keyword after it.
    void_until: usize,
}

/// Reads the words of the window before `start`. Where they begin is bit arithmetic; a word is looked up only where
/// its first letters may begin one that is known, and all of them only where one names something, or the run's name is
/// `glued` to it.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline(never)]
pub(crate) fn context(text: &Text<'_>, start: usize, glued: bool) -> Context {
    let bytes = text.bytes;
    let Words { digits, lowers, uppers, newlines, backslashes } = classes::before!(words, bytes, start);
    let (Bits(digits), Bits(lowers), Bits(uppers)) = (digits, lowers, uppers);
    let other = !(digits | lowers | uppers);
    let ends = other | (uppers & lowers << 1);
    // The letter of an escape is no part of the word after it.
    let escapes = if backslashes.0 == 0 { 0 } else { classes::before!(escapes, bytes, start) };
    let lowers = lowers & !(backslashes.0 << 1 & escapes);
    let alnum = digits | lowers | uppers;
    let begins = alnum & (!(alnum << 1) | (uppers & (lowers | digits) << 1));
    // A known word has a letter among its first two bytes.
    let begins = begins & !(digits & !((lowers | uppers) >> 1));
    // The block is longer than the window.
    let outside = BLOCK_BYTES - CONTEXT_BYTES_MAX;
    let begins = begins & !low_bits(outside);
    if !glued && !may_name(bytes, start, begins) {
        return Context::default();
    }
    let two = begins & !(ends >> 1) & other >> 2;
    // A line keeps the services that the line before it named, but no more.
    let line = BLOCK_BYTES - newlines.0.leading_zeros() as usize;
    let out = read(bytes, start, begins, ends, two, line);
    if !out.says_anything() || classes::before!(closers, bytes, start) & !low_bits(outside) == 0 {
        return out;
    }
    // The words in and before what was redacted say nothing of what stands behind it: they spoke of that.
    let redacted =
        BLOCK_BYTES - (start - after_placeholders(bytes, start.saturating_sub(CONTEXT_BYTES_MAX), start));
    if redacted > outside { read(bytes, start, begins & !low_bits(redacted), ends, two, line) } else { out }
}

/// Whether any word that begins at `places` of the block before `start` may say what the run is: few do, and where none
/// does, it is all the same what the others say.
#[inline(never)]
fn may_name(bytes: &[u8], start: usize, mut places: u64) -> bool {
    while places != 0 {
        let at = start - (BLOCK_BYTES - places.trailing_zeros() as usize);
        places &= places - 1;
        let Some(list) = list_at(bytes, at) else { continue };
        let next = bytes.get(at + 4).map_or(0, |byte| (byte | 0x20) >> 1 & 63);
        if WORD_NAMING.get(list).is_some_and(|naming| naming >> next & 1 == 1) && begins_name(bytes, at, list)
        {
            return true;
        }
    }
    false
}

/// Whether the text here begins like a word of the list that says what a run is.
#[inline(never)]
fn begins_name(bytes: &[u8], at: usize, list: usize) -> bool {
    let head = Head::of(&bytes[at..]);
    words(list).any(|word| word.head.begins(head) && matches!(word.known, Known::Keyword | Known::Name(_)))
}

/// The words of a list.
#[inline]
fn words(list: usize) -> impl Iterator<Item = &'static Word> {
    let ends = WORD_STARTS.get(list).zip(WORD_STARTS.get(list + 1));
    let numbers = ends.and_then(|(first, last)| WORD_LISTS.get(usize::from(*first)..usize::from(*last)));
    numbers.unwrap_or_default().iter().filter_map(|number| WORDS.get(usize::from(*number)))
}

/// The list of the words that begin like the one here.
#[inline]
fn list_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk());
    let four = four.map_or(0, |four| u32::from_le_bytes(*four));
    let hash = ((four & 0x1f1f_1f1f).wrapping_mul(WORD_FACTOR) >> (32 - WORD_BITS)) as usize;
    let (flags, below) = (WORD_FLAGS[hash >> 6], (1u64 << (hash & 63)) - 1);
    (flags >> (hash & 63) & 1 == 1)
        .then(|| usize::from(WORD_RANKS[hash >> 6]) + (flags & below).count_ones() as usize)
}

/// Looks the words up that begin at `places` of the block before `start`. `two` are those of two letters; from `line` on
/// they stand in the run's own line.
#[inline(never)]
fn read(bytes: &[u8], start: usize, mut places: u64, ends: u64, two: u64, line: usize) -> Context {
    let mut out = Context::default();
    while places != 0 {
        let place = places.trailing_zeros() as usize;
        places &= places - 1;
        // Bits before the beginning of the text are never set.
        let at = start - (BLOCK_BYTES - place);
        if let Some(list) = list_at(bytes, at) {
            let after = (ends & !low_bits(place + 1)).trailing_zeros() as usize;
            let spot = Spot { at, end: start - (BLOCK_BYTES - after), start, in_line: place >= line };
            known_word(bytes, &spot, list, &mut out);
        }
        let id = bytes.get(at..at + 2).is_some_and(|two| two.eq_ignore_ascii_case(b"id"));
        if two >> place & 1 == 1 && place >= line && id {
            out.hash = true;
        }
    }
    out
}

impl Context {
    /// Whether a word says what the run may be, rather than what it is not.
    pub fn names_something(&self) -> bool {
        self.keyword_gap.is_some() || !self.rules.is_empty()
    }

    /// Whether any word of the window is known.
    fn says_anything(&self) -> bool {
        let Context { keyword_gap, hash, rules, named_until, public_at, void_until } = self;
        keyword_gap.is_some() || *hash || !rules.is_empty() || named_until + public_at + void_until > 0
    }
}

/// A word of the window before `start`.
struct Spot {
    at: usize,
    end: usize,
    start: usize,
    /// Whether it stands in the run's own line.
    in_line: bool,
}

#[inline(never)]
fn known_word(bytes: &[u8], spot: &Spot, list: usize, out: &mut Context) {
    let &Spot { at, end, start, in_line } = spot;
    let rest = &bytes[at..start];
    let mut named = false;
    let head = Head::of(rest);
    for Word { head: wanted, text: known, known: what } in words(list) {
        let beyond = known.as_bytes().get(Head::BYTES..).unwrap_or_default();
        if !wanted.begins(head)
            || !rest
                .get(known.len() - beyond.len()..known.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(beyond))
        {
            continue;
        }
        match what {
            // The longest name counts; nor is a part of `AWS::KMS::Key`, the path of a type, a name.
            Known::Name(rules) if !named => {
                named = true;
                if !type_path(bytes, at) {
                    out.rules.extend(*rules);
                    out.named_until = end;
                }
            }
            Known::Name(_) => {}
            _ if !in_line || at + known.len() != end => {}
            // A public key is no secret.
            Known::Keyword if out.public_at == at && matches!(*known, "key" | "keys") => {}
            Known::Keyword if type_path(bytes, at) => {}
            // With or without a separator between them.
            Known::Keyword if out.void_until > 0 && at - out.void_until <= 1 => {}
            Known::Void => out.void_until = end,
            Known::Keyword => (out.keyword_gap, out.hash) = (Some(start - end), false),
            Known::Harmless => {
                out.hash = true;
                if *known == "public" {
                    out.public_at = end + 1;
                }
            }
        }
    }
}

fn type_path(bytes: &[u8], at: usize) -> bool {
    let name = bytes[..at].iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    bytes[..at - name].ends_with(b"::")
}

/// Forms that hashes and ids have too: hex of the usual digest lengths, and UUIDs.
pub(crate) fn looks_like_digest(value: &[u8]) -> bool {
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    (hex && matches!(value.len(), 32 | 40 | 56 | 64 | 96 | 128)) || is_uuid(value)
}

pub(crate) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && [8, 13, 18, 23].iter().all(|at| value[*at] == b'-')
        && value.iter().filter(|b| **b == b'-').count() == 4
}

/// The rule for services whose tokens have no form of their own. Being so general, it yields to a word that says
/// what else the run is.
const GENERAL_RULE: &str = "service-token";

/// The rules for which a run needs no name before it, as far as one byte tells.
fn known_by_form(text: &Text<'_>, start: usize) -> impl Iterator<Item = u16> {
    ANY_RUN.iter().filter(move |any| any.look.fits(text.bytes, start)).map(|any| any.rule)
}

/// Whether one of those may fit the run that begins here.
#[inline]
pub(crate) fn may_be_known(text: &Text<'_>, start: usize) -> bool {
    known_by_form(text, start).next().is_some()
}

/// The rule of a service that this run satisfies.
pub(crate) fn service_rule(
    text: &Text<'_>,
    start: usize,
    end: usize,
    context: &Context,
    runs: impl Fn(u16) -> bool,
) -> Option<u16> {
    // A blob: no service has such tokens, and a stream decides before it has seen the end of one.
    if end - start >= LONG_BYTES {
        return None;
    }
    // What stands behind a path of a service's name is a part of that path.
    let mut named: &[u16] = &context.rules;
    if !named.is_empty()
        && text.slice(context.named_until, start).iter().any(|b| matches!(b, b'/' | b'#' | b'?'))
    {
        named = &[];
    }
    let fits = |rule: &u16| {
        let Some(row) = RULES.get(usize::from(*rule)) else { return false };
        let Kind::Named { ops, edge } = &row.kind else { return false };
        if !runs(*rule) || (row.id == GENERAL_RULE && context.hash) {
            return false;
        }
        program::run(ops, text, start)
            .is_some_and(|stop| stop == end || !text.at(stop).is_some_and(|byte| in_set(*edge, byte)))
    };
    // The rule for all services is the last row: those with a form of their own come first.
    named.iter().copied().chain(known_by_form(text, start)).filter(fits).min()
}

/// Whether a keyword near the random run makes it a secret.
pub(crate) fn keyword_says_so(value: &[u8], context: &Context, gap: &[u8]) -> bool {
    let Some(distance) = context.keyword_gap else { return false };
    if context.hash {
        return false;
    }
    let connective =
        distance <= 12 && gap.iter().all(|b| b" \t:='\"`>-*,(".contains(b) || b.is_ascii_lowercase());
    let near = distance <= 6 && gap.iter().all(|b| b" \t:='\"`>-*(\\._".contains(b));
    let shape = shape(value);
    if value.starts_with(b"AAAA") && (value[4..].starts_with(b"C3Nza") || value[4..].starts_with(b"B3Nza")) {
        // The public half of an SSH key.
        return false;
    }
    if looks_like_digest(value) {
        let words = gap.iter().all(|b| b" :=".contains(b) || b.is_ascii_lowercase());
        return near || (words && distance <= 8);
    }
    // As much as can always be seen.
    let seen = &value[..value.len().min(LONG_BYTES)];
    if decode::base64(seen).is_some_and(|text| text.contains(&b' ') && decode::is_text(&text)) {
        return false;
    }
    (near && shape.digits > 0)
        || (connective && is_very_random(value))
        || (distance <= 24 && value.len() >= 24 && is_very_random(value))
}
