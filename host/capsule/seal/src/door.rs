//! The one door to every file that this room makes, names or removes, so that a test can make any step fail.
//! (What Memvid does inside the temporary file is its own; nothing there counts before the file was read back.)

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Steps of making a file durable under a name.
pub trait FileDoor: Send + Sync {
    /// Makes an empty file that was not there before, for its owner only.
    fn create_temp(&self, path: &Path) -> io::Result<()>;

    /// Takes the right to write away, also from the owner: opened without thought by Memvid's own tools, which
    /// ask for it, a sealed file is refused to them instead of rewritten.
    fn protect(&self, path: &Path) -> io::Result<()>;

    /// Makes a file's bytes durable.
    fn fsync(&self, path: &Path) -> io::Result<()>;

    /// Gives a file its final name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a folder's entries durable.
    fn fsync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl FileDoor for Disk {
    fn create_temp(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
    }

    fn protect(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(0o400))
    }

    fn fsync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
