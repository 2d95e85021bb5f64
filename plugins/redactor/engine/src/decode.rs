//! Encodings that hide a secret: base64, hex, percent and unicode escapes. Every pass is bounded.

/// Longest run with escapes that is decoded in one piece.
pub(crate) const RUN_BYTES_MAX: usize = crate::text::SIGHT_BYTES;

/// Bytes of a run in which escapes are undone.
pub(crate) fn is_escaped_run(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != b'"' && byte != b'<'
}

fn sextet(byte: u8) -> Option<u32> {
    let value = SEXTETS[usize::from(byte)];
    (value < 64).then_some(u32::from(value))
}

/// What each character of either alphabet of base64 means; 64 and more for all others.
static SEXTETS: [u8; 256] = {
    let mut table = [0xff; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < alphabet.len() {
        table[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

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

/// Whether the first eight characters are base64 of printable bytes.
pub(crate) fn begins_as_base64(run: &[u8]) -> bool {
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
pub(crate) fn begins_as_hex(run: &[u8]) -> bool {
    let Some(head) = run.first_chunk::<8>() else { return false };
    head.chunks_exact(2).all(|pair| match (digit(pair[0]), digit(pair[1])) {
        (Some(high), Some(low)) => is_text(&[high << 4 | low]),
        _ => false,
    })
}

/// Whether decoded bytes are text: nearly all printable.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|b| !((0x20..0x7f).contains(*b) || b"\n\r\t".contains(*b))).count();
    !bytes.is_empty() && odd * 20 <= bytes.len()
}

/// Text with its percent, `\u00XX` and `\xXX` escapes replaced, and for each byte the place it came from; the last
/// entry is the end of the run.
pub(crate) fn escapes(run: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut from) = (Vec::with_capacity(run.len()), Vec::with_capacity(run.len() + 1));
    let mut at = 0;
    while at < run.len() {
        let rest = &run[at..];
        let pair = |skip: usize| Some(digit(*rest.get(skip)?)? << 4 | digit(*rest.get(skip + 1)?)?);
        let (byte, len) = if rest.starts_with(b"%") {
            pair(1).map_or((b'%', 1), |b| (b, 3))
        } else if rest.starts_with(b"\\u00") {
            pair(4).map_or((b'\\', 1), |b| (b, 6))
        } else if rest.starts_with(b"\\x") {
            pair(2).map_or((b'\\', 1), |b| (b, 4))
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
