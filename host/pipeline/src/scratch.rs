//! The run's scratch folder: `.speckit/runs/<run>/scratch`. It is made anew from the tree that a change came to, and
//! nothing is ever read back from it but by the command that policy lists.

use crate::patch::Tree;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a run's scratch folder is.
pub(crate) fn folder(state: &Path, run: &str) -> PathBuf {
    state.join("runs").join(run).join("scratch")
}

/// Makes the folder hold exactly `tree`. What was there goes: links are removed and never followed.
pub(crate) fn write(folder: &Path, tree: &Tree) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    make(folder)?;
    for (path, text) in tree {
        let target = folder.join(path);
        make(target.parent().unwrap_or(folder))?;
        // New, so that nothing that is there already is written through.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_holds_the_tree_and_nothing_from_before() {
        let scratch = tempfile::tempdir().unwrap();
        let (inside, outside) = (scratch.path().join("s"), scratch.path().join("o"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("src")).unwrap();
        let tree = Tree::from([("src/a".to_owned(), "x\n".to_owned())]);
        write(&inside, &tree).unwrap();
        write(&inside, &tree).unwrap();
        assert_eq!(fs::read_to_string(inside.join("src/a")).unwrap(), "x\n");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "a link is not followed");
    }
}
