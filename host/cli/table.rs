//! Plain text in columns: readable in 100 columns, without colour.

/// Widest line of a screen.
pub const WIDTH: usize = 100;

/// Rows in columns, each as wide as its widest cell, two spaces between. The last column is not padded.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| chars(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if at + 1 < row.len() {
                let pad = widths.get(at).copied().unwrap_or(0).saturating_sub(chars(cell)) + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// `text` in lines of at most `width` characters, broken at spaces; a longer word stands on its own line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && chars(&line) + 1 + chars(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// At most `width` characters, the last being `…` where something was cut.
pub fn clip(text: &str, width: usize) -> String {
    if chars(text) <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// `1 call`, `2 calls`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_at_their_text() {
        let rows =
            vec![vec!["a".into(), "bb".into(), "c".into()], vec!["ä…".into(), String::new(), String::new()]];
        assert_eq!(columns(&rows), "a   bb  c\nä…\n");
    }

    #[test]
    fn words_wrap_and_long_ones_stand_alone() {
        assert_eq!(wrap("aa bb cccccc d", 5), ["aa bb", "cccccc", "d"]);
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(
            (thousands(1_234_567), thousands(12), thousands(123)),
            ("1,234,567".into(), "12".into(), "123".into())
        );
        assert_eq!((count(1, "call"), count(0, "call")), ("1 call".into(), "0 calls".into()));
    }
}
