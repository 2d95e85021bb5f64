//! What looks like a secret and is none: values that documentation shows, and tokens that cannot be any.

use crate::random;
use crate::rules::ANCHORS;

/// Whether the word stands in it that documentation puts into its samples.
pub(crate) fn says_example(value: &[u8]) -> bool {
    value.windows(7).any(|window| window.eq_ignore_ascii_case(b"example"))
}

/// Whether a value stands in public documentation: its hash does in the table.
pub(crate) fn is_documented(value: &[u8], hashes: &[u64]) -> bool {
    let hash = |value: &[u8]| {
        value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    !hashes.is_empty() && hashes.contains(&hash(value))
}

/// Words by which a part of a token says that it is made to be refused.
const WRONG: &[&str] = &[
    "bogus", "dummy", "extra", "fake", "invalid", "mock", "nope", "notreal", "short", "toolong", "tooshort",
    "wrong",
];

/// Whether a whole part of the value is such a word.
pub(crate) fn says_wrong(value: &[u8]) -> bool {
    let is_wrong = |part: &[u8]| WRONG.iter().any(|word| part.eq_ignore_ascii_case(word.as_bytes()));
    value.split(|byte| !byte.is_ascii_alphanumeric()).any(is_wrong)
}

/// A token of a known form that is visibly made up (`ghp_xxxxxxxx…`, `sk_live_abcdefghij…`, `…EXAMPLE`).
pub(crate) fn made_up(value: &[u8]) -> bool {
    if random::is_sample(value) || says_example(value) || says_wrong(value) {
        return true;
    }
    let tail = &value[value.len() / 3..];
    let distinct = {
        let mut seen = [false; 256];
        tail.iter().for_each(|b| seen[usize::from(*b)] = true);
        seen.iter().filter(|s| **s).count()
    };
    tail.len() >= 8 && distinct <= 3
}

/// Whether a value begins like the tokens of one provider, and of no other, but ends before the shortest of them does,
/// or has a sign before that which no token has. Longer ones may be of a form that is not known yet.
pub(crate) fn cut_short(value: &[u8]) -> bool {
    let sign = value.iter().position(|byte| b"!#&(),;<>? ".contains(byte));
    let token = &value[..sign.unwrap_or(value.len())];
    (2..=token.len().min(PREFIX_BYTES_MAX)).any(|len| {
        let wanted = (&token[..len], true);
        let found = ANCHORS.binary_search_by(|anchor| (anchor.text.as_bytes(), anchor.exact).cmp(&wanted));
        found.ok().and_then(|at| ANCHORS.get(at)).is_some_and(|anchor| token.len() < anchor.least)
    })
}

/// Longer prefixes are none of one token.
const PREFIX_BYTES_MAX: usize = 32;

/// Hex of which half a byte was lost, or one too many taken: one digit beside the usual lengths.
pub(crate) fn is_odd_hex(value: &[u8]) -> bool {
    matches!(value.len(), 31 | 33 | 39 | 41 | 63 | 65) && value.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_value_is_known_by_the_common_hash() {
        assert!(is_documented(b"foobar", &[0x8594_4171_f739_67e8]));
        assert!(!is_documented(b"foobaz", &[0x8594_4171_f739_67e8]));
        assert!(!is_documented(b"foobar", &[]));
    }

    #[test]
    fn a_known_prefix_asks_for_a_length() {
        let body = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
        assert!(!cut_short(format!("ghp_{body}").as_bytes()));
        assert!(!cut_short(format!("ghp_{body}_more").as_bytes()));
        assert!(cut_short(format!("ghp_{}", &body[1..]).as_bytes()));
        assert!(!cut_short(body.as_bytes()));
        assert!(cut_short(format!("ghp_{}!{}", &body[..30], &body[31..]).as_bytes()));
        // Many providers have tokens that begin so.
        assert!(!cut_short(b"secret_A1b2C3"));
    }

    #[test]
    fn a_part_of_a_token_may_say_that_it_is_wrong() {
        assert!(says_wrong(b"tok_0f9d8c7b6a5f4e3d_Extra"));
        assert!(!says_wrong(b"tok_0f9d8c7b6a5f4e3dextra"));
    }

    #[test]
    fn hex_comes_in_whole_bytes() {
        assert!(is_odd_hex(&[b'c'; 39]));
        assert!(!is_odd_hex(&[b'c'; 40]) && !is_odd_hex(&[b'c'; 37]) && !is_odd_hex(&[b'x'; 39]));
    }
}
