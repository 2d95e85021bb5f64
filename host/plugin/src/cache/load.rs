//! The one place where machine code comes from a file. The check and the act stand side by side on purpose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluice_core::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Begins every file. The number changes with the layout; then the MAC (32 bytes), then the code.
const MAGIC: &[u8; 8] = b"sluicec1";

const MAC_BYTES: usize = 32;

/// Code that this program compiled from the artifact with a given digest under a given engine id: the only way
/// to make one is to show a MAC under the cache's key.
pub(super) struct Authentic<'a> {
    code: &'a [u8],
}

impl<'a> Authentic<'a> {
    /// Checks a file's MAC, in constant time.
    pub fn verify(key: &[u8; 32], engine_id: &str, digest: Digest, file: &'a [u8]) -> Option<Authentic<'a>> {
        let (mac, code) = file.strip_prefix(MAGIC)?.split_at_checked(MAC_BYTES)?;
        begin(key, engine_id, digest, code)?.verify_slice(mac).ok()?;
        Some(Authentic { code })
    }
}

/// What stands before the code in a file.
pub(super) fn head(key: &[u8; 32], engine_id: &str, digest: Digest, code: &[u8]) -> Option<Vec<u8>> {
    let mac = begin(key, engine_id, digest, code)?.finalize().into_bytes();
    Some([MAGIC.as_slice(), mac.as_slice()].concat())
}

/// The MAC over everything that decides whether the code may run: the artifact, the engine, the code itself. Each
/// part is of fixed size or preceded by its length, so that no byte can move from one to the next.
fn begin(key: &[u8; 32], engine_id: &str, digest: Digest, code: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(MAGIC);
    mac.update(digest.as_bytes());
    mac.update(&(engine_id.len() as u64).to_be_bytes());
    mac.update(engine_id.as_bytes());
    mac.update(&(code.len() as u64).to_be_bytes());
    mac.update(code);
    Some(mac)
}

/// Loads compiled code.
///
/// # Errors
/// The code is for another wasmtime version, other switches or another processor.
#[expect(unsafe_code, reason = "wasmtime cannot check machine code; the proof stands in the body")]
pub(super) fn component(engine: &Engine, authentic: &Authentic<'_>) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` asks that the bytes are what `Component::serialize` gave, unmodified. `Authentic` can
    // only be made by `verify`, in this file, which demands a MAC over exactly these bytes under a key that only
    // this program's owner holds; and the only writer under that key (`Cache::try_store`, through `head`) hands
    // over what `serialize` gave a moment before. The slice borrowed here is the slice that was verified: it is
    // in memory, not a file that could change in between, and `deserialize` copies it before use.
    unsafe { Component::deserialize(engine, authentic.code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_holds_for_its_key_engine_digest_and_code_alone() {
        let (key, digest) = ([7; 32], Digest::of(b"artifact"));
        let file = [head(&key, "engine", digest, b"code").unwrap(), b"code".to_vec()].concat();
        assert!(Authentic::verify(&key, "engine", digest, &file).is_some_and(|a| a.code == b"code"));

        assert!(Authentic::verify(&[8; 32], "engine", digest, &file).is_none());
        assert!(Authentic::verify(&key, "engine2", digest, &file).is_none());
        assert!(Authentic::verify(&key, "engine", Digest::of(b"other"), &file).is_none());
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1;
            assert!(Authentic::verify(&key, "engine", digest, &flipped).is_none(), "byte {at}");
        }
        for end in 0..file.len() {
            assert!(Authentic::verify(&key, "engine", digest, &file[..end]).is_none(), "cut at {end}");
        }
    }
}
