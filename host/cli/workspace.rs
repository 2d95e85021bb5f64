//! The workspace: a folder with `model_policy.toml`, and `.speckit/` in it, where state lives.
//!
//! ```text
//! model_policy.toml        what is allowed           .speckit/policies/snapshot-<id>.json
//! plugins.lock             which bytes               .speckit/policies/current
//! docs/MODEL-POLICY.md     why (where there is one)  .speckit/cache/, capsule/, keys/
//! ```

use crate::failure::Failure;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The authored policy's file name.
pub const POLICY_FILE: &str = "model_policy.toml";
/// The lock's.
pub const LOCK_FILE: &str = "plugins.lock";
/// The page that gives the reasons; part of the policy where it exists.
pub const REASONS_FILE: &str = "docs/MODEL-POLICY.md";
/// The state folder's.
pub const STATE_FOLDER: &str = ".speckit";

/// Largest text file that is read whole: policies, locks and specifications are far smaller.
pub const TEXT_BYTES_MAX: u64 = 16 << 20;

/// A workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The folder that `-C` names, or the nearest one at or above `here` that holds a policy.
    pub fn find(given: Option<&Path>, here: &Path) -> Result<Workspace, Failure> {
        let start = match given {
            Some(folder) => here.join(folder),
            None => here.to_owned(),
        };
        let start = fs::canonicalize(&start).map_err(|error| Failure::file("open", &start, &error))?;
        if given.is_some() {
            return if start.is_dir() {
                Ok(Workspace { root: start })
            } else {
                Err(Failure::could_not("no-workspace", format!("not a folder: `{}`", start.display())))
            };
        }
        let found = start.ancestors().find(|folder| folder.join(POLICY_FILE).is_file());
        found.map(|root| Workspace { root: root.to_owned() }).ok_or_else(|| {
            Failure::could_not("no-workspace", format!("no `{POLICY_FILE}` here or in a folder above"))
                .hint("go to a workspace, or name it with `-C DIR`; `sluice demo` makes one to look at")
        })
    }

    /// A workspace at a folder that is known to exist.
    pub fn at(root: PathBuf) -> Workspace {
        Workspace { root }
    }

    /// The folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `.speckit`.
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// Where snapshots lie.
    pub fn policies(&self) -> PathBuf {
        self.state().join("policies")
    }

    /// Where compiled plugin code lies.
    pub fn cache(&self) -> PathBuf {
        self.state().join("cache")
    }

    /// The authored policy.
    pub fn policy_file(&self) -> PathBuf {
        self.root.join(POLICY_FILE)
    }

    /// The lock.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join(LOCK_FILE)
    }

    /// A name for URIs, made of the folder's: what a URI cannot hold becomes `-`.
    pub fn name(&self) -> String {
        let name =
            self.root.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let name: String =
            name.chars().map(|c| if allowed(c) { c } else { '-' }).take(NAME_CHARS_MAX).collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        if name.is_empty() { "workspace".to_owned() } else { name.to_owned() }
    }

    /// The path of a file inside the workspace: no link on the way leads out of it.
    pub fn inside(&self, relative: &str) -> Result<PathBuf, Failure> {
        let path = self.root.join(relative);
        let real = fs::canonicalize(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let root = fs::canonicalize(&self.root).map_err(|error| Failure::file("read", &self.root, &error))?;
        if real.starts_with(&root) {
            Ok(real)
        } else {
            let message = format!("`{relative}` leads out of the workspace: `{}`", real.display());
            Err(Failure::no("outside-workspace", message).hint("copy the file into the workspace"))
        }
    }
}

/// Longest workspace name: the rule of ids.
const NAME_CHARS_MAX: usize = 64;

/// A file's text; `None` where there is none.
pub fn read_text_if_there(path: &Path) -> Result<Option<String>, Failure> {
    let fail = |error: &io::Error| Failure::file("read", path, error);
    let file = match OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(&error)),
    };
    if !file.metadata().map_err(|error| fail(&error))?.is_file() {
        return Err(Failure::could_not("file", format!("not a regular file: `{}`", path.display())));
    }
    read_capped(file, &path.display().to_string()).map(Some)
}

/// Opening a FIFO for reading waits for a writer unless told otherwise.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// A file's text.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    read_text_if_there(path)?
        .ok_or_else(|| Failure::could_not("file", format!("no such file: `{}`", path.display())))
}

/// The text of `-` (standard input) or of a file.
pub fn read_text_or_stdin(name: &str, here: &Path) -> Result<String, Failure> {
    if name == "-" { read_capped(io::stdin().lock(), "standard input") } else { read_text(&here.join(name)) }
}

/// What compressed files begin with, and who unpacks them.
const PACKED: [(&[u8], &str, &str); 3] = [
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ", "xz", "xz -dc"),
];

fn read_capped(reader: impl Read, what: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(TEXT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::could_not("file", format!("cannot read `{what}`")).because(&error))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(Failure::could_not(
            "too-large",
            format!("`{what}` is larger than {TEXT_BYTES_MAX} bytes"),
        ));
    }
    // None of these begins UTF-8 text.
    let unpacked = PACKED.iter().find(|(magic, ..)| bytes.starts_with(magic));
    if let Some((_, name, command)) = unpacked {
        let message = format!("`{what}` is compressed ({name})");
        return Err(Failure::could_not("not-text", message)
            .hint(format!("unpack it with `{command}` and give the text")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("`{what}` is not UTF-8: byte {}", error.utf8_error().valid_up_to());
        Failure::could_not("not-text", message).hint("convert it with `iconv`")
    })
}

/// A folder that only its owner enters, with those above it.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::file("create", path, &error))
}

/// Replaces a file in one step: whoever reads sees the old bytes or the new ones, also after a crash.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut draft = tempfile::Builder::new().prefix(".draft-").tempfile_in(folder)?;
        draft.write_all(bytes)?;
        draft.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| Failure::file("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_policy_above_is_the_workspace() {
        let scratch = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(scratch.path()).unwrap();
        let deep = root.join("Ä Ü/b/c");
        fs::create_dir_all(&deep).unwrap();
        fs::write(root.join("Ä Ü").join(POLICY_FILE), "").unwrap();
        let found = Workspace::find(None, &deep).unwrap();
        assert_eq!(found.root(), root.join("Ä Ü"));
        assert_eq!(found.name(), "workspace");
        assert_eq!(Workspace::find(Some(Path::new("..")), &deep).unwrap().root(), root.join("Ä Ü/b"));
        assert_eq!(Workspace::find(Some(Path::new("none")), &deep).unwrap_err().code, "file");
        assert_eq!(Workspace::at("/x/My App (2)".into()).name(), "my-app--2-");
        assert!(Workspace::at("/x/.hidden".into()).name().parse::<sluice_core::RunId>().is_ok());
    }

    #[test]
    fn links_do_not_lead_out() {
        let scratch = tempfile::tempdir().unwrap();
        let (inside, outside) = (scratch.path().join("in"), scratch.path().join("out"));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("p.wasm"), "x").unwrap();
        fs::write(inside.join("own.wasm"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("plugins")).unwrap();
        let workspace = Workspace::at(inside);
        assert!(workspace.inside("own.wasm").is_ok());
        assert_eq!(workspace.inside("plugins/p.wasm").unwrap_err().code, "outside-workspace");
    }

    #[test]
    fn a_replaced_file_has_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("f");
        replace_file(&path, b"one", 0o600).unwrap();
        replace_file(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
