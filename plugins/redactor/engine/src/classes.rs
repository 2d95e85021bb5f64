//! Classes of 64 bytes at a time, a bit a byte: what the scanner asks of every byte of the text it asks here. Sixteen
//! bytes an instruction where the machine has them: the sandbox does, and so does every 64-bit Intel or AMD. The
//! third form says what the other two mean, and a test holds them to it.

/// Bytes of a block: one bit of a `u64` each, the first byte the lowest.
pub(crate) const BLOCK_BYTES: usize = 64;

/// A block of text.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// Which bytes of a block are what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds {
    pub digits: Bits,
    pub lowers: Bits,
    pub uppers: Bits,
    /// `a` to `f` in either case.
    pub hex_letters: Bits,
}

/// A bit a byte. Apart from its neighbours in memory: the compiler would pair them in vector registers, and moving them
/// in and out costs more than all the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(16))]
pub(crate) struct Bits(pub u64);

impl Kinds {
    /// Only those of the first `len` bytes.
    #[inline]
    pub fn first(&self, len: usize) -> Kinds {
        let mask = low_bits(len);
        Kinds {
            digits: Bits(self.digits.0 & mask),
            lowers: Bits(self.lowers.0 & mask),
            uppers: Bits(self.uppers.0 & mask),
            hex_letters: Bits(self.hex_letters.0 & mask),
        }
    }

    /// Letters and digits.
    pub fn alnum(&self) -> u64 {
        self.digits.0 | self.lowers.0 | self.uppers.0
    }
}

/// What the words before a run are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Words {
    pub digits: Bits,
    pub lowers: Bits,
    pub uppers: Bits,
    pub newlines: Bits,
    pub backslashes: Bits,
}

/// What `ask` says of the 64 bytes from `at` on, zeros after the end of the text. Where all of them are there, which is
/// nearly always, they are read where they stand: a copy costs the sandbox more than the question.
macro_rules! from {
    ($ask:ident, $bytes:expr, $at:expr) => {{
        let rest = $bytes.get($at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(block) => $crate::classes::$ask(block),
            None => $crate::classes::$ask(&$crate::classes::first_of(rest)),
        }
    }};
}

/// The same of the 64 bytes before `to`, zeros before the beginning of the text.
macro_rules! before {
    ($ask:ident, $bytes:expr, $to:expr) => {{
        let before = &$bytes[..$to.min($bytes.len())];
        match before.last_chunk() {
            Some(block) => $crate::classes::$ask(block),
            None => $crate::classes::$ask(&$crate::classes::last_of(before)),
        }
    }};
}

pub(crate) use {before, from};

/// A block that begins with these bytes, of which there are less than 64.
#[cold]
#[inline(never)]
pub(crate) fn first_of(bytes: &[u8]) -> Block {
    let mut block = [0; BLOCK_BYTES];
    block[..bytes.len()].copy_from_slice(bytes);
    block
}

/// A block that ends with these bytes, of which there are less than 64.
#[cold]
#[inline(never)]
pub(crate) fn last_of(bytes: &[u8]) -> Block {
    let mut block = [0; BLOCK_BYTES];
    block[BLOCK_BYTES - bytes.len()..].copy_from_slice(bytes);
    block
}

/// The lowest `len` bits.
#[inline]
pub(crate) fn low_bits(len: usize) -> u64 {
    if len >= 64 { u64::MAX } else { (1 << len) - 1 }
}

#[inline]
fn halves(block: &Block, at: usize) -> (i64, i64) {
    let part = |from: usize| {
        let bytes = block.get(from..).and_then(|rest| rest.first_chunk::<8>()).copied();
        i64::from_le_bytes(bytes.unwrap_or_default())
    };
    (part(at), part(at + 8))
}

/// The questions, in the words of one machine: `lane`, `any`, `equal`, `between`, `lower_case`, `bits`.
macro_rules! forms {
    ($(#[$feature:meta])*) => {
        /// Letters, digits, `_` and `-`.
        #[inline]
        $(#[$feature])*
        pub(crate) fn core_bytes(block: &Block) -> u64 {
            let mut out = 0;
            for at in (0..BLOCK_BYTES).step_by(16) {
                let bytes = lane(block, at);
                let letters = between(lower_case(bytes), b'a', b'z');
                let rest = any(between(bytes, b'0', b'9'), any(equal(bytes, b'_'), equal(bytes, b'-')));
                out |= bits(any(letters, rest)) << at;
            }
            out
        }

        /// What tokens are made of but `=`, which ends a name: the bytes of [`core_bytes`] and `+ / . ~`.
        #[inline]
        $(#[$feature])*
        pub(crate) fn bound_bytes(block: &Block) -> u64 {
            let mut out = 0;
            for at in (0..BLOCK_BYTES).step_by(16) {
                let bytes = lane(block, at);
                let letters = between(lower_case(bytes), b'a', b'z');
                // From `-` to `9` lie `-`, `.`, `/` and the digits.
                let middle = any(between(bytes, b'-', b'9'), equal(bytes, b'_'));
                let rest = any(equal(bytes, b'+'), equal(bytes, b'~'));
                out |= bits(any(letters, any(middle, rest))) << at;
            }
            out
        }

        /// Digits and letters by their kind.
        #[inline]
        $(#[$feature])*
        pub(crate) fn kinds(block: &Block) -> Kinds {
            let mut out = Kinds::default();
            for at in (0..BLOCK_BYTES).step_by(16) {
                let bytes = lane(block, at);
                out.digits.0 |= bits(between(bytes, b'0', b'9')) << at;
                out.lowers.0 |= bits(between(bytes, b'a', b'z')) << at;
                out.uppers.0 |= bits(between(bytes, b'A', b'Z')) << at;
                out.hex_letters.0 |= bits(between(lower_case(bytes), b'a', b'f')) << at;
            }
            out
        }

        /// What finds the words of a block.
        #[inline]
        $(#[$feature])*
        pub(crate) fn words(block: &Block) -> Words {
            let mut out = Words::default();
            for at in (0..BLOCK_BYTES).step_by(16) {
                let bytes = lane(block, at);
                out.digits.0 |= bits(between(bytes, b'0', b'9')) << at;
                out.lowers.0 |= bits(between(bytes, b'a', b'z')) << at;
                out.uppers.0 |= bits(between(bytes, b'A', b'Z')) << at;
                out.newlines.0 |= bits(equal(bytes, b'\n')) << at;
                out.backslashes.0 |= bits(equal(bytes, b'\\')) << at;
            }
            out
        }

        /// `]`, with which placeholders end.
        #[inline]
        $(#[$feature])*
        pub(crate) fn closers(block: &Block) -> u64 {
            let mut out = 0;
            for at in (0..BLOCK_BYTES).step_by(16) {
                out |= bits(equal(lane(block, at), b']')) << at;
            }
            out
        }

        /// `n`, `r` and `t`, which stand for white space after a backslash.
        #[inline]
        $(#[$feature])*
        pub(crate) fn escapes(block: &Block) -> u64 {
            let mut out = 0;
            for at in (0..BLOCK_BYTES).step_by(16) {
                let bytes = lane(block, at);
                let white = any(equal(bytes, b'n'), any(equal(bytes, b'r'), equal(bytes, b't')));
                out |= bits(white) << at;
            }
            out
        }
    };
}

pub(crate) use machine::{bound_bytes, closers, core_bytes, escapes, kinds, words};

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::{BLOCK_BYTES, Block, Kinds, Words};
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8,
    };

    type Lane = __m128i;

    #[inline]
    #[target_feature(enable = "sse2")]
    fn lane(block: &Block, at: usize) -> Lane {
        let (low, high) = super::halves(block, at);
        _mm_set_epi64x(high, low)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn any(a: Lane, b: Lane) -> Lane {
        _mm_or_si128(a, b)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal(bytes: Lane, byte: u8) -> Lane {
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn between(bytes: Lane, first: u8, last: u8) -> Lane {
        // Moved to the lower end of the signed numbers: one comparison instead of two.
        let moved = _mm_add_epi8(bytes, _mm_set1_epi8(128u8.wrapping_sub(first) as i8));
        _mm_cmpgt_epi8(_mm_set1_epi8((last - first) as i8 - 127), moved)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn lower_case(bytes: Lane) -> Lane {
        _mm_or_si128(bytes, _mm_set1_epi8(0x20))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn bits(lane: Lane) -> u64 {
        _mm_movemask_epi8(lane) as u32 as u64
    }

    forms!(#[target_feature(enable = "sse2")]);
}

/// Every 64-bit Intel or AMD has SSE2; the compiler wants to be told.
#[cfg(target_arch = "x86_64")]
mod machine {
    use super::{Block, Kinds, Words, sse2};

    macro_rules! always {
        ($($name:ident -> $answer:ty),*) => {
            $(
                #[inline]
                pub(crate) fn $name(block: &Block) -> $answer {
                    const { assert!(cfg!(target_feature = "sse2")) };
                    // SAFETY: the line above does not compile where the feature is not there.
                    unsafe { sse2::$name(block) }
                }
            )*
        };
    }

    always!(core_bytes -> u64, bound_bytes -> u64, closers -> u64, escapes -> u64, kinds -> Kinds, words -> Words);
}

#[cfg(target_arch = "wasm32")]
mod machine {
    use super::{BLOCK_BYTES, Block, Kinds, Words};
    use std::arch::wasm32::{
        i8x16_add, i8x16_bitmask, i8x16_lt, i8x16_splat, i64x2, u8x16_eq, u8x16_splat, v128, v128_or,
    };

    type Lane = v128;

    #[inline]
    #[target_feature(enable = "simd128")]
    fn lane(block: &Block, at: usize) -> Lane {
        let (low, high) = super::halves(block, at);
        i64x2(low, high)
    }

    #[inline]
    #[target_feature(enable = "simd128")]
    fn any(a: Lane, b: Lane) -> Lane {
        v128_or(a, b)
    }

    #[inline]
    #[target_feature(enable = "simd128")]
    fn equal(bytes: Lane, byte: u8) -> Lane {
        u8x16_eq(bytes, u8x16_splat(byte))
    }

    #[inline]
    #[target_feature(enable = "simd128")]
    fn between(bytes: Lane, first: u8, last: u8) -> Lane {
        // Moved to the lower end of the signed numbers: one comparison instead of two.
        let moved = i8x16_add(bytes, u8x16_splat(128u8.wrapping_sub(first)));
        i8x16_lt(moved, i8x16_splat((last - first) as i8 - 127))
    }

    #[inline]
    #[target_feature(enable = "simd128")]
    fn lower_case(bytes: Lane) -> Lane {
        v128_or(bytes, i8x16_splat(0x20))
    }

    #[inline]
    #[target_feature(enable = "simd128")]
    fn bits(lane: Lane) -> u64 {
        u64::from(i8x16_bitmask(lane))
    }

    forms!(#[target_feature(enable = "simd128")]);
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "wasm32")))]
use plain as machine;

/// Byte by byte.
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "wasm32"))))]
mod plain {
    use super::{BLOCK_BYTES, Block, Kinds, Words};

    type Lane = [u8; 16];

    fn lane(block: &Block, at: usize) -> Lane {
        std::array::from_fn(|k| block[at + k])
    }

    fn any(a: Lane, b: Lane) -> Lane {
        std::array::from_fn(|k| a[k] | b[k])
    }

    fn equal(bytes: Lane, byte: u8) -> Lane {
        bytes.map(|b| if b == byte { 255 } else { 0 })
    }

    fn between(bytes: Lane, first: u8, last: u8) -> Lane {
        bytes.map(|b| if (first..=last).contains(&b) { 255 } else { 0 })
    }

    fn lower_case(bytes: Lane) -> Lane {
        bytes.map(|b| b | 0x20)
    }

    fn bits(lane: Lane) -> u64 {
        (0..16).map(|k| u64::from(lane[k] >> 7) << k).sum()
    }

    forms!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers_as_the_plain_form_does_for_every_byte() {
        for shift in 0..64 {
            for part in 0..4u8 {
                let block: Block =
                    std::array::from_fn(|k| (part * 64).wrapping_add(((k + shift) % 64) as u8));
                assert_eq!(core_bytes(&block), plain::core_bytes(&block));
                assert_eq!(bound_bytes(&block), plain::bound_bytes(&block));
                assert_eq!(kinds(&block), plain::kinds(&block));
                assert_eq!(words(&block), plain::words(&block));
                assert_eq!(escapes(&block), plain::escapes(&block));
                assert_eq!(closers(&block), plain::closers(&block));
                for (k, byte) in block.iter().enumerate() {
                    let core = byte.is_ascii_alphanumeric() || b"_-".contains(byte);
                    assert_eq!(core_bytes(&block) >> k & 1 == 1, core);
                    assert_eq!(bound_bytes(&block) >> k & 1 == 1, core || b"+/.~".contains(byte));
                    assert_eq!(kinds(&block).digits.0 >> k & 1 == 1, byte.is_ascii_digit());
                }
            }
        }
    }

    #[test]
    fn a_block_past_either_end_is_zeros_there() {
        assert_eq!(from!(core_bytes, b"ab"[..], 1), 1);
        assert_eq!(before!(core_bytes, b"abc"[..], 2), 3 << 62);
        assert_eq!(from!(core_bytes, b"ab"[..], 7), 0);
        assert_eq!((low_bits(0), low_bits(3), low_bits(64)), (0, 7, u64::MAX));
    }
}
