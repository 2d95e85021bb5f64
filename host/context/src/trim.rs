//! A text cut to an allowance of tokens, at a border that a reader would choose too.

use crate::tokens::count;

/// The longest beginning of `text` that ends at the end of a line and holds at most `allowance` tokens; where
/// a paragraph ends in the second half of that, it is cut there. `None` where not even one line fits.
pub(crate) fn beginning(text: &str, allowance: u64) -> Option<&str> {
    let mut borders = Vec::new();
    let (mut at, mut tokens) = (0, 0);
    for line in text.split_inclusive('\n') {
        // Lines counted one by one come close to the whole; what is off is put right below.
        tokens += count(line);
        if tokens > allowance {
            break;
        }
        at += line.len();
        if !line.trim().is_empty() {
            borders.push(at);
        }
    }
    while let Some(border) = borders.last().copied() {
        if count(&text[..border]) <= allowance {
            return Some(&text[..paragraph(text, &borders).unwrap_or(border)]);
        }
        borders.pop();
    }
    None
}

/// The last end of a paragraph in the second half of what fits.
fn paragraph(text: &str, borders: &[usize]) -> Option<usize> {
    let end = *borders.last()?;
    let ends_paragraph = |border: &&usize| {
        let next = text[**border..].split('\n').next().unwrap_or_default();
        next.trim().is_empty()
    };
    borders.iter().rev().take_while(|border| **border * 2 >= end).find(ends_paragraph).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_before_lines_and_lines_before_nothing() {
        let text = "one two three\nfour five six\n\nseven eight nine\nten eleven twelve\n";
        assert_eq!(beginning(text, 1000), Some(text));
        let short = count("one two three\nfour five six\n\nseven eight nine\n");
        assert_eq!(beginning(text, short), Some("one two three\nfour five six\n"));
        assert_eq!(beginning(text, count("one two three\n")), Some("one two three\n"));
        assert_eq!(beginning(text, 1), None);
        assert_eq!(beginning("", 10), None);
    }

    #[test]
    fn a_whole_text_without_a_last_newline_stays_whole() {
        assert_eq!(beginning("a\n\nb", 10), Some("a\n\nb"));
    }
}
