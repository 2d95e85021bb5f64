//! What looks like a secret and is none: values that documentation shows.

use crate::random;

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

/// A token of a known form that is visibly made up (`ghp_xxxxxxxx…`, `sk_live_abcdefghij…`, `…EXAMPLE`).
pub(crate) fn made_up(value: &[u8]) -> bool {
    if random::is_sample(value) || says_example(value) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_value_is_known_by_the_common_hash() {
        assert!(is_documented(b"foobar", &[0x8594_4171_f739_67e8]));
        assert!(!is_documented(b"foobaz", &[0x8594_4171_f739_67e8]));
        assert!(!is_documented(b"foobar", &[]));
    }
}
