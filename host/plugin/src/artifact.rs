//! A component's bytes and their digest, read once: what is hashed is what is compiled and run.

use crate::error::{Cause, PluginError};
use rustix::fs::OFlags;
use sluice_core::Digest;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// Most bytes of a component. The largest seen in the field (Python, statically linked) has 18 MiB; the
/// compiler's memory grows with this number, and a sealed file holds no more in one piece.
pub const ARTIFACT_BYTES_MAX: u64 = 32 << 20;

/// A component's bytes and their SHA-256. Cheap to clone.
#[derive(Clone)]
pub struct Artifact {
    bytes: Arc<[u8]>,
    digest: Digest,
}

impl Artifact {
    /// Reads a regular file, following symbolic links.
    ///
    /// # Errors
    /// Load phase: the file cannot be read, is not a regular file, or has more than [`ARTIFACT_BYTES_MAX`] bytes.
    pub fn read(path: &Path) -> Result<Artifact, PluginError> {
        read_capped(path).and_then(Artifact::new).map_err(PluginError::load)
    }

    /// Takes bytes that are in memory already.
    ///
    /// # Errors
    /// Load phase: more than [`ARTIFACT_BYTES_MAX`] bytes.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Artifact, PluginError> {
        Artifact::new(bytes.into()).map_err(PluginError::load)
    }

    fn new(bytes: Arc<[u8]>) -> Result<Artifact, Cause> {
        refuse_large(bytes.len() as u64)?;
        let digest = Digest::of(&bytes);
        Ok(Artifact { bytes, digest })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Artifact({}, {} bytes)", self.digest.short(), self.bytes.len())
    }
}

fn refuse_large(bytes: u64) -> Result<(), Cause> {
    if bytes > ARTIFACT_BYTES_MAX { Err(Cause::TooLarge { bytes }) } else { Ok(()) }
}

/// Opens without blocking, because opening a FIFO for reading waits for a writer, and looks at what was opened
/// rather than at the path, so that nothing can be swapped in between.
fn read_capped(path: &Path) -> Result<Arc<[u8]>, Cause> {
    let cannot_read = |source| Cause::Read { path: path.to_owned(), source };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(cannot_read)?;
    let metadata = file.metadata().map_err(cannot_read)?;
    if !metadata.is_file() {
        return Err(Cause::NotAFile { path: path.to_owned() });
    }
    refuse_large(metadata.len())?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // The file may grow while it is read: the cap holds for what is read, not for what it said.
    file.take(ARTIFACT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_fifo_are_refused_without_waiting() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Artifact::read(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");

        let fifo = scratch.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let error = Artifact::read(&fifo).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_file_beyond_the_cap_is_refused_before_it_is_read() {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        // Sparse: takes no disk, and would take minutes and memory if it were read.
        scratch.as_file().set_len(1 << 40).unwrap();
        let error = Artifact::read(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn the_digest_is_of_the_bytes() {
        let artifact = Artifact::from_bytes(b"abc".as_slice()).unwrap();
        assert_eq!(artifact.digest(), Digest::of(b"abc"));
    }
}
