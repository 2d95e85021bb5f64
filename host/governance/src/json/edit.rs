//! Edits of a JSON text that leave every other byte as it was.

use std::ops::Range;

/// An element of an array that is an object.
pub(crate) struct Element<'a> {
    /// The key that the array stands under, as it is written.
    pub array_key: &'a str,
    /// Where the element stands.
    pub at: Range<usize>,
    /// The same with the comma that goes with it.
    pub with_comma: Range<usize>,
}

/// The innermost element around the string at `at` of a text that is JSON. `None` where there is none under a key of
/// its own, and where it is its array's only one.
pub(crate) fn element_around(raw: &str, at: usize) -> Option<Element<'_>> {
    let bytes = raw.as_bytes();
    // Where each container begins, and the key that it stands under.
    let mut levels: Vec<(usize, Option<&str>)> = Vec::new();
    let (mut here, mut string, mut found) = (0, "", None);
    let mut key = None;
    while let Some(byte) = bytes.get(here) {
        if here == at {
            let is_element = |pair: &&[(usize, _)]| bytes[pair[0].0] == b'[' && bytes[pair[1].0] == b'{';
            let pair = levels.windows(2).enumerate().rev().find(|(_, pair)| is_element(pair));
            let (depth, pair) = pair?;
            found = Some((depth + 1, pair[0].1?, pair[1].0));
        }
        match byte {
            b'"' => {
                let end = end_of_string(bytes, here);
                string = &raw[here + 1..end - 1];
                here = end;
                continue;
            }
            b':' => key = Some(string),
            b',' => key = None,
            b'{' | b'[' => levels.push((here, key.take())),
            b'}' | b']' => {
                levels.pop();
                if let Some((depth, array_key, start)) = found
                    && levels.len() == depth
                {
                    return with_comma(bytes, start..here + 1).map(|with_comma| Element {
                        array_key,
                        at: start..here + 1,
                        with_comma,
                    });
                }
            }
            _ => {}
        }
        here += 1;
    }
    None
}

/// Behind the closing quote of the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// An element with the comma behind it, or before it where it is the last.
fn with_comma(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let behind = at.end + bytes[at.end..].iter().take_while(|byte| is_space(byte)).count();
    if bytes.get(behind) == Some(&b',') {
        return Some(at.start..behind + 1);
    }
    let before = at.start - bytes[..at.start].iter().rev().take_while(|byte| is_space(byte)).count();
    (before > 0 && bytes[before - 1] == b',').then(|| before - 1..at.end)
}

/// `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `raw` with each of `changes` (a place out of [`Leaf::at`], and the new unescaped text) put in. The places
/// are ascending and do not overlap.
pub fn splice(raw: &str, changes: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut done = 0;
    for (at, text) in changes {
        out.push_str(&raw[done..at.start]);
        out.push_str(&quote(text));
        done = at.end;
    }
    out.push_str(&raw[done..]);
    out
}
