//! Encodings that hide a secret: base64, hex, percent and unicode escapes. Every pass is bounded.

/// Bytes of a run in which escapes are undone.
pub(crate) fn is_escaped_run(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != b'"' && byte != b'<'
}

/// The value of each character of base64; of others one with all bits.
static SEXTETS: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => u8::MAX,
        };
        byte += 1;
    }
    table
};

fn sextet(byte: u8) -> Option<u32> {
    let value = SEXTETS[usize::from(byte)];
    (value < 64).then_some(u32::from(value))
}

/// Decodes either alphabet, with or without padding. Stops at the first `=`.
pub(crate) fn base64(run: &[u8]) -> Option<Vec<u8>> {
    #[cfg(debug_assertions)]
    crate::text::count_steps(run.len());
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for &byte in run {
        if byte == b'=' {
            break;
        }
        bits = bits << 6 | sextet(byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

/// Decodes hex digits, two a byte.
pub(crate) fn hex(run: &[u8]) -> Option<Vec<u8>> {
    if !run.len().is_multiple_of(2) {
        return None;
    }
    let mut out = Vec::with_capacity(run.len() / 2);
    for pair in run.chunks_exact(2) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Whether the first eight characters are base64 of printable bytes. The first of them says so of most that are not.
#[inline(always)]
pub(crate) fn begins_as_base64(run: &[u8]) -> bool {
    let first = run.first().map_or(u8::MAX, |byte| SEXTETS[usize::from(*byte)]);
    matches!(first, 2..=3 | 8..=31) && eight_of_base64(run)
}

#[inline(never)]
fn eight_of_base64(run: &[u8]) -> bool {
    let Some(head) = run.first_chunk::<8>() else { return false };
    let (mut bits, mut other) = (0u64, 0);
    for byte in head {
        let value = SEXTETS[usize::from(*byte)];
        other |= value;
        bits = bits << 6 | u64::from(value & 63);
    }
    // Most bytes of anything else are no text; so the cheapest question comes first.
    other < 64 && bits & 0x8080_8080_8080 == 0 && is_text(&bits.to_be_bytes()[2..])
}

/// Whether the first eight characters are hex of printable bytes.
#[inline(always)]
pub(crate) fn begins_as_hex(run: &[u8]) -> bool {
    run.first().is_some_and(|first| matches!(first, b'0' | b'2'..=b'7')) && eight_of_hex(run)
}

#[inline(never)]
fn eight_of_hex(run: &[u8]) -> bool {
    let Some(head) = run.first_chunk::<8>() else { return false };
    head.chunks_exact(2).all(|pair| match (digit(pair[0]), digit(pair[1])) {
        (Some(high), Some(low)) => is_text(&[high << 4 | low]),
        _ => false,
    })
}

/// Whether decoded bytes are text: nearly all printable.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|byte| is_odd(**byte)).count();
    !bytes.is_empty() && odd * 20 <= bytes.len()
}

fn is_odd(byte: u8) -> bool {
    !((0x20..0x7f).contains(&byte) || b"\n\r\t".contains(&byte))
}

/// The beginning of decoded bytes that is text: what was not encoded is often glued to what was.
pub(crate) fn text_of(mut bytes: Vec<u8>) -> Vec<u8> {
    if !is_text(&bytes) {
        let odd = |part: &[u8]| part.iter().filter(|byte| is_odd(**byte)).count() >= 3;
        if let Some(end) = bytes.windows(8).position(odd) {
            bytes.truncate(end);
        }
        bytes.truncate(bytes.len() - bytes.iter().rev().take_while(|byte| is_odd(**byte)).count());
    }
    bytes
}

/// How many bytes from `at` on belong to an escape that begins before it.
pub(crate) fn rest_of_escape(bytes: &[u8], at: usize) -> usize {
    let digits =
        |from: usize| bytes.get(from..from + 2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let end_of = |start: usize| {
        let rest = &bytes[start..];
        let signs: &[(&[u8], usize)] = &[(b"%", 3), (b"\\x", 4), (b"\\u00", 6)];
        let escape = signs.iter().find(|(sign, len)| rest.starts_with(sign) && digits(start + len - 2));
        escape.map_or(0, |(_, len)| start + len)
    };
    (at.saturating_sub(5)..at).map(end_of).max().map_or(0, |end| end.saturating_sub(at))
}

/// The run without an escape at its end that is not all there.
pub(crate) fn whole_escapes(run: &[u8]) -> &[u8] {
    let cut = |sign: u8, len: usize| {
        let last = &run[run.len().saturating_sub(len - 1)..];
        last.iter().position(|byte| *byte == sign).map_or(0, |at| last.len() - at)
    };
    // The shorter `\xXX` may be whole; what is left out then is in the next window.
    &run[..run.len() - cut(b'%', 3).max(cut(b'\\', 6))]
}

/// So often is an escape itself escaped: JSON in JSON in JSON.
const SIGNS_MAX: usize = 8;

/// Text with its percent, `\u00XX` and `\xXX` escapes replaced, and for each byte the place it came from; the last
/// entry is the end of the run.
pub(crate) fn escapes(run: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut from) = (Vec::with_capacity(run.len()), Vec::with_capacity(run.len() + 1));
    let mut at = 0;
    while at < run.len() {
        let rest = &run[at..];
        // Escaped as often as it may be: all of its signs go.
        let signs = rest.iter().take(SIGNS_MAX).take_while(|byte| **byte == b'\\').count();
        let pair = |skip: usize| Some(digit(*rest.get(skip)?)? << 4 | digit(*rest.get(skip + 1)?)?);
        let (byte, len) = if rest[0] == b'%' {
            pair(1).map_or((b'%', 1), |b| (b, 3))
        } else if signs > 0 && rest[signs..].starts_with(b"u00") {
            pair(signs + 3).map_or((b'\\', 1), |b| (b, signs + 5))
        } else if signs > 0 && rest[signs..].starts_with(b"x") {
            pair(signs + 1).map_or((b'\\', 1), |b| (b, signs + 3))
        } else if signs > 0 && rest[signs..].starts_with(b"/") {
            (b'/', signs + 1)
        } else {
            (rest[0], 1)
        };
        out.push(byte);
        from.push(at);
        at += len;
    }
    from.push(run.len());
    (out, from)
}
