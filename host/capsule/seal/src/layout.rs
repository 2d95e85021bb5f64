//! Where things lie in a `.mv2`, as far as a sealed file needs it: the header, the payloads one behind the
//! other, the footer. Reading them without Memvid keeps a sealed file readable from where nothing may be
//! written, in any later version of Memvid, and by twenty lines of another language.

use std::ops::Range;

/// Memvid's name for its format, with the version that `=2.0.140` writes.
const MAGIC: &[u8] = b"MV2\0\x01\x02\x02\x01";

/// Bytes of the header.
const HEADER_BYTES: usize = 4096;

/// What the footer begins with.
const FOOTER_MAGIC: &[u8] = b"MV2FOOT!";

/// Magic, length of the table of contents, its BLAKE3 digest, generation.
const FOOTER_BYTES: usize = 8 + 8 + 32 + 8;

/// Where the payloads of all frames are, in the order in which they were put, each right behind the one before;
/// Memvid's time index may follow them. `Err` says what is wrong with the container around them.
pub(crate) fn payloads(file: &[u8]) -> Result<Range<usize>, &'static str> {
    if file.len() < HEADER_BYTES + FOOTER_BYTES {
        return Err("it is too short");
    }
    if !file.starts_with(MAGIC) {
        return Err("it is not a `.mv2` of format 2.1");
    }
    let (footer_at, region_at, region_bytes) = (number(file, 8), number(file, 16), number(file, 24));
    let start = region_at.zip(region_bytes).and_then(|(at, bytes)| at.checked_add(bytes));
    let (Some(start), Some(tables_at)) = (start, footer_at) else {
        return Err("its header is damaged");
    };
    if region_at != Some(HEADER_BYTES) || start > tables_at || tables_at > file.len() {
        return Err("its header is damaged, or it is cut off");
    }
    let footer = &file[file.len() - FOOTER_BYTES..];
    if !footer.starts_with(FOOTER_MAGIC) {
        return Err("its end is missing");
    }
    // Memvid looks backwards for any footer that holds; so it opens a file that was cut at an older one, or
    // that something was added to. Here the last footer must be at the end and belong to the header.
    let whole = number(footer, 8).and_then(|tables| tables_at.checked_add(tables)?.checked_add(FOOTER_BYTES));
    if whole != Some(file.len()) {
        return Err("its header and its end do not belong together");
    }
    Ok(start..tables_at)
}

/// The little-endian number at `at`.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}
