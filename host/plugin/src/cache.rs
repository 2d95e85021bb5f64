//! Compiled code, kept from one start to the next. A file is loaded only if its MAC says that this program wrote
//! it for this digest and this engine. A cache is a convenience: whatever is wrong with a file, the plugin is
//! compiled anew, and the count says so.

mod load;

use crate::error::Cause;
use load::Authentic;
use rustix::fs::OFlags;
use sluice_core::Digest;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Most bytes of one file: about ten times the largest artifact.
const FILE_BYTES_MAX: u64 = 768 << 20;

/// Most files. Each upgrade of the engine or of a plugin leaves one behind; the oldest go first.
const FILES_MAX: usize = 64;

const EXTENSION: &str = "cwasm";

/// Where compiled code is kept, and the key that proves who wrote it.
#[derive(Clone)]
pub struct CodeCache {
    /// A folder of its own. Made with mode 0700 if it does not exist; refused if others can write to it.
    pub dir: PathBuf,
    /// Key of the MAC. Whoever has it can have code run outside the sandbox.
    pub key: [u8; 32],
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeCache({})", self.dir.display())
    }
}

/// What the cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Loaded.
    pub hits: u64,
    /// Not there.
    pub misses: u64,
    /// There, and not used: a MAC that does not match, a file that cannot be read, code for another machine.
    pub rejected: u64,
    /// Compiled and not kept: a full disk, say.
    pub unwritten: u64,
}

pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    engine_id: String,
    hits: AtomicU64,
    misses: AtomicU64,
    rejected: AtomicU64,
    unwritten: AtomicU64,
}

impl Cache {
    pub fn open(cache: CodeCache, engine_id: &str) -> Result<Cache, Cause> {
        let CodeCache { dir, key } = cache;
        prepare(&dir)?;
        Ok(Cache {
            dir,
            key,
            engine_id: engine_id.to_owned(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
        })
    }

    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            unwritten: self.unwritten.load(Ordering::Relaxed),
        }
    }

    /// The compiled form of the artifact with this digest, if it is there and authentic.
    pub fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let file = match read(&self.path(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(_) => return self.reject(),
        };
        let Some(authentic) = Authentic::verify(&self.key, &self.engine_id, digest, &file) else {
            return self.reject();
        };
        // Authentic code can still be for another processor, where folders travel between machines.
        let Ok(component) = load::component(engine, &authentic) else {
            return self.reject();
        };
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(component)
    }

    fn reject(&self) -> Option<Component> {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Keeps compiled code. Failing to is counted, never an error: the plugin runs all the same.
    pub fn store(&self, digest: Digest, component: &Component) {
        if self.try_store(digest, component).is_none() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn try_store(&self, digest: Digest, component: &Component) -> Option<()> {
        let code = component.serialize().ok()?;
        let head = load::head(&self.key, &self.engine_id, digest, &code)?;
        self.prune();
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).ok()?;
        file.write_all(&head).and_then(|()| file.write_all(&code)).ok()?;
        // Not synced: a torn file fails its MAC and is compiled anew.
        file.persist(self.path(digest)).ok()?;
        Some(())
    }

    /// Makes room for one more file.
    fn prune(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == EXTENSION))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        if files.len() < FILES_MAX {
            return;
        }
        files.sort();
        for (_, path) in &files[..=files.len() - FILES_MAX] {
            // Another process may have been faster.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The digest is of the artifact alone, so the engine stands in the name too: two versions of this program
    /// can share a folder.
    fn path(&self, digest: Digest) -> PathBuf {
        let engine = Digest::of(self.engine_id.as_bytes()).short();
        self.dir.join(format!("{digest}-{engine}.{EXTENSION}"))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The MAC alone keeps foreign code out. That the folder is private is the second lock: it keeps others from
/// deleting files or filling the disk, and shows a mistake in the set-up early.
fn prepare(dir: &Path) -> Result<(), Cause> {
    let refuse = |why, source| Cause::CacheDir { path: dir.to_owned(), why, source };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| refuse("cannot be made", Some(error)))?;
    let metadata = std::fs::metadata(dir).map_err(|error| refuse("cannot be read", Some(error)))?;
    if !metadata.is_dir() {
        Err(refuse("is not a folder", None))
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Err(refuse("belongs to another user", None))
    } else if metadata.mode() & 0o022 != 0 {
        Err(refuse("can be written by others", None))
    } else {
        Ok(())
    }
}
