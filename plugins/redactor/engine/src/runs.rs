//! Runs that look made by a machine, with a word near them that says what they are: a keyword (`key`, `token`), or
//! the name of a service. Long runs are rare in text, so the context is only read where there is one.

use crate::decode;
use crate::program::{self, in_set};
use crate::random::{is_very_random, shape};
use crate::rules::{ANY_RUN, Kind, NAMES, PREFIXES, RULES, WORDS};
use crate::text::Text;

/// Shortest run that is looked at.
pub(crate) const RUN_BYTES_MIN: usize = 16;
/// How far left of the run its words may stand.
pub(crate) const CONTEXT_BYTES_MAX: usize = 56;

/// Longest word that is looked up.
const WORD_BYTES_MAX: usize = 24;

/// Bytes of a run: what tokens are made of.
#[inline]
pub(crate) fn is_run_byte(byte: u8) -> bool {
    KINDS[usize::from(byte)] != 0
}

/// The core of a run: without the punctuation that only binds.
#[inline]
pub(crate) fn is_core_byte(byte: u8) -> bool {
    KINDS[usize::from(byte)] == 2
}

static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || b == b'_' || b == b'-' {
            table[byte] = 2;
        } else if b == b'+' || b == b'/' || b == b'=' || b == b'.' || b == b'~' {
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
}

/// Reads the words of the window before `start`. A word is looked up only where its first three bytes can begin one
/// that is known.
pub(crate) fn context(text: &Text<'_>, start: usize) -> Context {
    let bytes = text.bytes;
    let mut out = Context::default();
    let mut at = start.saturating_sub(CONTEXT_BYTES_MAX);
    let mut before = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
    while at < start {
        let byte = bytes[at];
        let begins = byte.is_ascii_alphanumeric()
            && (!before.is_ascii_alphanumeric()
                || camel(before, byte)
                || (before.is_ascii_digit() && byte.is_ascii_uppercase()));
        if byte == b'\n' {
            (out.keyword_gap, out.hash) = (None, false);
        } else if begins {
            let known = may_be_known(&bytes[at..start]);
            if known != 0 {
                word(bytes, at, start, known, &mut out);
            }
        } else if byte == b'\\' && at + 1 < start && b"nrt".contains(&bytes[at + 1]) {
            // The letter of an escape is no part of the word after it.
            at += 1;
            before = b' ';
            at += 1;
            continue;
        }
        before = byte;
        at += 1;
    }
    out
}

fn camel(before: u8, byte: u8) -> bool {
    byte.is_ascii_uppercase() && before.is_ascii_lowercase()
}

/// 1 where a word may begin that is known, 2 where the name of a service may.
fn may_be_known(rest: &[u8]) -> u8 {
    let Some([a, b, c]) = rest.first_chunk() else { return u8::from(rest.eq_ignore_ascii_case(b"id")) };
    let id = a | 32 == b'i' && b | 32 == b'd' && !c.is_ascii_alphanumeric();
    PREFIXES[usize::from(a & 31) << 10 | usize::from(b & 31) << 5 | usize::from(c & 31)] | u8::from(id)
}

/// Looks up the word at `at`.
fn word(bytes: &[u8], at: usize, start: usize, known: u8, out: &mut Context) {
    let mut end = at + 1;
    while end < start && bytes[end].is_ascii_alphanumeric() && !camel(bytes[end - 1], bytes[end]) {
        end += 1;
    }
    let mut lower = [0u8; WORD_BYTES_MAX];
    let len = (end - at).min(WORD_BYTES_MAX);
    lower[..len].copy_from_slice(&bytes[at..at + len]);
    let word = &mut lower[..len];
    word.make_ascii_lowercase();
    let found =
        (known & 1 == 1).then(|| WORDS.binary_search_by(|(known, _)| known.as_bytes().cmp(word)).ok());
    match found.flatten().and_then(|at| WORDS.get(at)) {
        // A public key is none, and `AWS::KMS::Key` is the path of a type.
        Some(("key" | "keys", true)) if out.public_at == at => {}
        Some((_, true)) if type_path(bytes, at) => {}
        Some((_, true)) => (out.keyword_gap, out.hash) = (Some(start - end), false),
        Some(("public", false)) => (out.hash, out.public_at) = (true, end + 1),
        Some((_, false)) => out.hash = true,
        None => {}
    }
    if known & 2 == 2 && !type_path(bytes, at) {
        let known = out.rules.len();
        services(&bytes[at..start], &mut out.rules);
        if out.rules.len() > known {
            out.named_until = end;
        }
    }
}

fn type_path(bytes: &[u8], at: usize) -> bool {
    let name = bytes[..at].iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    bytes[..at - name].ends_with(b"::")
}

/// The services whose name begins here; the longest name counts.
fn services(rest: &[u8], out: &mut Vec<u16>) {
    let mut lower = [0u8; WORD_BYTES_MAX];
    let len = rest.len().min(lower.len());
    lower[..len].copy_from_slice(&rest[..len]);
    lower[..len].make_ascii_lowercase();
    let rest = &lower[..len];
    // Sorted: every name that `rest` begins with stands before it, the longest last, though others may lie between.
    let mut at = NAMES.partition_point(|(name, _)| name.as_bytes() <= rest);
    for _ in 0..NAMES_BETWEEN_MAX {
        let Some((name, rules)) = at.checked_sub(1).and_then(|at| NAMES.get(at)) else { return };
        if rest.starts_with(name.as_bytes()) {
            out.extend(rules.iter());
            return;
        }
        if name.as_bytes().first_chunk::<3>() != rest.first_chunk::<3>() {
            return;
        }
        at -= 1;
    }
}

/// How many names that only share a beginning may lie between a text and the name it begins with.
const NAMES_BETWEEN_MAX: usize = 8;

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

/// The rule of a service that this run satisfies.
pub(crate) fn service_rule(
    text: &Text<'_>,
    start: usize,
    end: usize,
    context: &Context,
    runs: impl Fn(u16) -> bool,
) -> Option<u16> {
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
    named.iter().chain(&ANY_RUN).copied().filter(fits).min()
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
    if decode::base64(value).is_some_and(|text| text.contains(&b' ') && decode::is_text(&text)) {
        return false;
    }
    (near && shape.digits > 0)
        || (connective && is_very_random(value))
        || (distance <= 24 && value.len() >= 24 && is_very_random(value))
}
