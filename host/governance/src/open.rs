//! What may still become one of the texts that are looked for, when more comes.

/// Where text that is compared with `needles` (sorted) may not be let go yet: the first place from which it is the
/// beginning of one, and not the whole. The text's length where there is none.
pub(crate) fn open_from<N: AsRef<[u8]>>(text: &[u8], needles: &[N], longest: usize) -> usize {
    let first = text.len().saturating_sub(longest);
    let opens = |from: usize| {
        let tail = &text[from..];
        let at = needles.partition_point(|needle| needle.as_ref() < tail);
        // Needles that begin with the tail follow the place where it would stand; the tail itself may stand first.
        let mut rest = needles[at..].iter().map(AsRef::as_ref).take_while(|needle| needle.starts_with(tail));
        rest.any(|needle| needle.len() > tail.len())
    };
    (first..text.len()).find(|from| opens(*from)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::open_from;

    #[test]
    fn text_is_held_where_a_needle_may_begin() {
        let needles = ["abcd", "abcdef", "xyz"];
        let open = |text: &str| open_from(text.as_bytes(), &needles, 6);
        assert_eq!(open("hello"), 5);
        assert_eq!(open("hello ab"), 6);
        assert_eq!(open("hello abcd"), 6, "a longer one may come");
        assert_eq!(open("hello abcdef"), 12);
        assert_eq!(open("xyxy"), 2);
        assert_eq!(open("xyz"), 3);
        assert_eq!(open(""), 0);
    }
}
