//! What earlier redaction left: it must not be found again.

/// The head, an id of 48 bytes, a tag of 16 and the two signs around it.
pub(crate) const PLACEHOLDER_BYTES_MAX: usize = 10 + 48 + 1 + 16 + 1;

/// How each begins.
pub(crate) const PLACEHOLDER_HEAD: &[u8] = b"[REDACTED:";

/// Where the last placeholder ends that ends in `start..end`; `start` if there is none.
pub(crate) fn after_placeholders(bytes: &[u8], start: usize, end: usize) -> usize {
    if !bytes[start..end].contains(&b']') {
        return start;
    }
    let ends = placeholders(bytes, start, end).into_iter().map(|(_, stop)| stop);
    ends.filter(|stop| *stop <= end).max().unwrap_or(start)
}

/// Placeholders (`[REDACTED:<rule>:<16 hex digits>]`) that touch `start..end`.
pub(crate) fn placeholders(bytes: &[u8], start: usize, end: usize) -> Vec<(usize, usize)> {
    let from = start.saturating_sub(PLACEHOLDER_BYTES_MAX);
    let window = bytes.get(from..end).unwrap_or_default();
    let mut out = Vec::new();
    for at in window.iter().enumerate().filter(|(_, byte)| **byte == b'[').map(|(at, _)| from + at) {
        let rest = &bytes[at..bytes.len().min(at + PLACEHOLDER_BYTES_MAX)];
        let Some(body) = rest.strip_prefix(PLACEHOLDER_HEAD) else { continue };
        let Some(close) = body.iter().position(|byte| *byte == b']') else { continue };
        let Some(colon) = body[..close].iter().position(|byte| *byte == b':') else { continue };
        let (id, tag) = (&body[..colon], &body[colon + 1..close]);
        let named =
            !id.is_empty() && id.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        let stop = at + PLACEHOLDER_HEAD.len() + close + 1;
        if named && tag.len() == 16 && tag.iter().all(u8::is_ascii_hexdigit) && stop > start {
            out.push((at, stop));
        }
    }
    out
}
