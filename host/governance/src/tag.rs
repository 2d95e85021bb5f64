//! Placeholders. The same secret has the same tag within a run, so a model can still tell two apart; across
//! runs tags do not match, and without the key nobody can try guesses against one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the tag: 64 bits, so that two secrets of a run do not meet by chance.
const TAG_BYTES: usize = 8;

/// Hex digits of the tag.
pub(crate) const TAG_DIGITS: usize = 2 * TAG_BYTES;

/// Makes the tags of one run. The key is derived from the workspace key and the run, and stays in memory.
#[derive(Clone)]
pub struct Tagger(Hmac<Sha256>);

impl Tagger {
    /// A tagger under a key that is the run's own.
    pub fn new(key: &[u8; 32]) -> Tagger {
        // HMAC takes keys of any length, and this one has 32 bytes; the branch is never taken.
        match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mac) => Tagger(mac),
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }

    /// 16 hex digits.
    pub fn tag(&self, secret: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(secret);
        let bytes = mac.finalize().into_bytes();
        sluice_core::digest::to_hex(&bytes[..TAG_BYTES])
    }
}

impl std::fmt::Debug for Tagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tagger(…)")
    }
}

/// `[REDACTED:<rule>:<tag>]`: needs no escaping in JSON, URLs aside, and matches no rule.
pub fn placeholder(rule: &str, tag: &str) -> String {
    format!("[REDACTED:{rule}:{tag}]")
}

/// HMAC-SHA256 of `content` under `salt`: a commitment that cannot be guessed without the salt.
pub fn commitment(salt: &[u8], content: &[u8]) -> sluice_core::Digest {
    match Hmac::<Sha256>::new_from_slice(salt) {
        Ok(mut mac) => {
            mac.update(content);
            sluice_core::Digest::from_bytes(mac.finalize().into_bytes().into())
        }
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}
