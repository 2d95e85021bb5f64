//! Tests of a match that a pattern cannot express: a checksum.

/// How a match of a rule is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Not at all.
    None,
    /// The last six characters are the CRC-32 of what stands between the last `_` before them and them, in base 62.
    Crc32Base62,
}

/// What a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There was nothing to test, or the format leaves it open.
    Open,
    /// It holds: chance is ruled out.
    Holds,
    /// It does not hold, but the form is so peculiar that it is still likely a token, cut short or mistyped.
    Doubtful,
}

impl Check {
    pub fn test(self, value: &[u8]) -> Verdict {
        match self {
            Check::None => Verdict::Open,
            Check::Crc32Base62 => {
                let Some((head, sum)) = value.split_last_chunk::<6>() else { return Verdict::Open };
                let from = head.iter().rposition(|byte| *byte == b'_').map_or(0, |at| at + 1);
                if base62(sum) == Some(u64::from(crc32(&head[from..]))) {
                    Verdict::Holds
                } else {
                    Verdict::Doubtful
                }
            }
        }
    }
}

fn base62(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        Some(sum * 62 + u64::from(value))
    })
}

/// The CRC-32 of ISO 3309, bit by bit: it is asked for a handful of bytes, and only where a token stands.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(base62(b"00000z"), Some(61));
        assert_eq!(base62(b"000-00"), None);
    }

    #[test]
    fn a_checksum_holds_for_what_was_made_with_it() {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let body = b"A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5";
        let mut rest = u64::from(crc32(body));
        let mut sum = [0; 6];
        for digit in sum.iter_mut().rev() {
            (*digit, rest) = (DIGITS[(rest % 62) as usize], rest / 62);
        }
        let mut token = [&b"tok_"[..], body, &sum].concat();
        assert_eq!(Check::Crc32Base62.test(&token), Verdict::Holds);
        token[7] ^= 1;
        assert_eq!(Check::Crc32Base62.test(&token), Verdict::Doubtful);
    }
}
