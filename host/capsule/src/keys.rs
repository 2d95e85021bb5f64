//! The workspace key: 32 random bytes in a file that only its owner reads. Every other key is derived from
//! it, so that there is one thing to keep, and nothing else to lose.

use crate::error::CapsuleError;
use crate::files;
use crate::limits::KEY_FILE_BYTES_MAX;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sluice_core::digest::{from_hex, to_hex};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a key file begins with. A file of another version is refused rather than guessed at.
const FILE_PREFIX: &str = "sluice-workspace-key-1:";

/// HKDF info of the signing key. Labels of [`WorkspaceKey::derive`] have a prefix of their own, so that no
/// caller can ask for this one.
const SIGNING_INFO: &[u8] = b"sluicegate/capsule/checkpoint-signing/v1";

/// What stands before a caller's label in the HKDF info.
const DERIVE_PREFIX: &str = "sluicegate/derive/v1/";

pub(crate) const TOO_OPEN: &str = "can be read or changed by others";
pub(crate) const FOLDER_TOO_OPEN: &str = "lies in a folder that others can change";

/// The workspace's secret. It signs checkpoints and derives keys; it is never handed out, printed or stored
/// anywhere but in its file.
pub struct WorkspaceKey {
    secret: Zeroizing<[u8; 32]>,
    signing: SigningKey,
}

impl WorkspaceKey {
    /// Reads `<state>/keys/workspace.key`.
    pub fn load(state: &Path) -> Result<WorkspaceKey, CapsuleError> {
        match WorkspaceKey::load_if_there(state)? {
            Some(key) => Ok(key),
            None => Err(CapsuleError::Key { path: key_path(state), problem: "is not there" }),
        }
    }

    /// The same; `None` where there is no key file, as on an auditor's machine.
    pub(crate) fn load_if_there(state: &Path) -> Result<Option<WorkspaceKey>, CapsuleError> {
        let path = key_path(state);
        let Some(file) = files::read_private(&path, KEY_FILE_BYTES_MAX)? else { return Ok(None) };
        let bad = |problem| CapsuleError::Key { path: path.clone(), problem };
        if !file.regular {
            return Err(bad("is not an ordinary file"));
        }
        if file.mode & 0o077 != 0 {
            return Err(bad(TOO_OPEN));
        }
        if files::mode(&keys_dir(state))? & 0o022 != 0 {
            return Err(bad(FOLDER_TOO_OPEN));
        }
        let hex = std::str::from_utf8(&file.bytes)
            .ok()
            .and_then(|text| text.strip_prefix(FILE_PREFIX))
            .and_then(|text| text.strip_suffix('\n'));
        let bytes = hex.and_then(from_hex).map(Zeroizing::new);
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()) {
            Some(secret) => Ok(Some(WorkspaceKey::from_secret(Zeroizing::new(secret)))),
            None => Err(bad("is not a workspace key of version 1")),
        }
    }

    /// Makes the key file out of 32 random bytes. Durable when this returns; a crash leaves a whole file or
    /// none.
    pub(crate) fn create(
        state: &Path,
        entropy: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
    ) -> Result<WorkspaceKey, CapsuleError> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy(secret.as_mut_slice()).map_err(|error| CapsuleError::Entropy(Arc::new(error)))?;
        let text = Zeroizing::new(format!("{FILE_PREFIX}{}\n", *Zeroizing::new(to_hex(secret.as_slice()))));
        let (path, draft) = (key_path(state), keys_dir(state).join("workspace.key.new"));
        files::remove_if_there(&draft)?;
        files::write_new_private(&draft, text.as_bytes())?;
        files::rename(&draft, &path)?;
        files::sync_dir(&keys_dir(state))?;
        Ok(WorkspaceKey::from_secret(secret))
    }

    fn from_secret(secret: Zeroizing<[u8; 32]>) -> WorkspaceKey {
        let signing = SigningKey::from_bytes(&Zeroizing::new(expand(&secret, SIGNING_INFO)));
        WorkspaceKey { secret, signing }
    }

    /// A key of its own for each `info` label: HKDF-SHA256 without salt, info `sluicegate/derive/v1/<info>`.
    pub fn derive(&self, info: &str) -> [u8; 32] {
        expand(&self.secret, format!("{DERIVE_PREFIX}{info}").as_bytes())
    }

    /// What checkpoints are verified with.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for WorkspaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkspaceKey(public {})", self.public_key())
    }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 refuses only outputs of more than 8160 bytes")]
fn expand(secret: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, secret).expand(info, &mut out).expect("32 bytes are few enough");
    out
}

pub(crate) fn keys_dir(state: &Path) -> PathBuf {
    state.join("keys")
}

fn key_path(state: &Path) -> PathBuf {
    keys_dir(state).join("workspace.key")
}

/// Random bytes from the operating system, in the shape that [`crate::init`] takes.
pub fn os_entropy(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// An ed25519 public key. Written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// A text that is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key: want 64 lower-case hex digits")]
pub struct BadPublicKey;

impl PublicKey {
    /// Whether `signature` over `message` is this key's. Strict: weak keys and malleable signatures do not
    /// pass, so that one statement has one signature (`verify_strict` of ed25519-dalek).
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<PublicKey, BadPublicKey> {
        let bytes = from_hex(text).ok_or(BadPublicKey)?;
        Ok(PublicKey(bytes.try_into().map_err(|_| BadPublicKey)?))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = BadPublicKey;

    fn try_from(text: String) -> Result<PublicKey, BadPublicKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}
