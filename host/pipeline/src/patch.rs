//! A change applied, in memory and from nothing: a pure function of the answer, so that a replay comes to the same
//! outcomes. What is written to disk afterwards is the tree that came out.

use diffy::{Line, Patch};
use sluice_context::answer::{Change, FileDiff};
use sluice_core::record::{PatchApply, PatchOutcome};
use std::collections::BTreeMap;

/// Longest path in bytes, and most folders in it.
const PATH_BYTES_MAX: usize = 240;
const PATH_PARTS_MAX: usize = 16;

/// Most parts of one diff. Each is looked for in the whole file, so that many parts of a large file take long.
const HUNKS_MAX: usize = 512;

/// Largest file and largest tree. An answer has at most 256 KiB, so that more comes of a mistake.
const FILE_BYTES_MAX: usize = 1 << 20;
const TREE_BYTES_MAX: usize = 4 << 20;

/// Beginnings of names that a change never touches: history, secrets, our own state.
const RESERVED: [&str; 3] = [".git", ".env", ".speckit"];

/// What `/dev/null` is called in a diff that makes or removes a file.
const NO_FILE: &str = "/dev/null";

/// Files by path.
pub type Tree = BTreeMap<String, String>;

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One for each file of the change.
    pub outcomes: Vec<PatchApply>,
    /// The files afterwards.
    pub tree: Tree,
}

impl Applied {
    /// The first patch that was refused, with its code.
    pub fn refused(&self) -> Option<(&PatchApply, &str)> {
        self.outcomes.iter().find_map(|patch| match &patch.outcome {
            PatchOutcome::Refused { code } => Some((patch, code.as_str())),
            PatchOutcome::Applied { .. } => None,
        })
    }
}

/// Applies a change to an empty tree, file by file. A patch that is refused changes nothing.
pub fn apply(call: u64, change: &Change) -> Applied {
    let mut tree = Tree::new();
    let mut outcomes = Vec::with_capacity(change.files.len());
    for (number, file) in (1..).zip(&change.files) {
        let outcome = match place(&mut tree, file) {
            Ok(applied) => applied,
            Err(code) => PatchOutcome::Refused { code: code.to_owned() },
        };
        let path = file.path[..file.path.floor_char_boundary(PATH_BYTES_MAX)].to_owned();
        outcomes.push(PatchApply { call, number, path, outcome });
    }
    Applied { outcomes, tree }
}

/// The outcomes alone, for a change as it stands in the record: what replay compares.
pub fn outcomes(call: u64, change: &str) -> Option<Vec<PatchApply>> {
    sluice_context::answer::change(change).ok().map(|change| apply(call, &change).outcomes)
}

fn place(tree: &mut Tree, file: &FileDiff) -> Result<PatchOutcome, &'static str> {
    let path = file.path.as_str();
    check_path(path)?;
    let patch = Patch::from_str(&file.diff).map_err(|_| "not-a-diff")?;
    if patch.hunks().is_empty() {
        return Err("empty");
    }
    if patch.hunks().len() > HUNKS_MAX {
        return Err("too-many-hunks");
    }
    let made = names(&patch, path, tree.contains_key(path))?;
    let base = tree.get(path).map(String::as_str).unwrap_or_default();
    let operation = match (made, tree.contains_key(path)) {
        (Operation::Create, true) => return Err("file-exists"),
        (Operation::Modify | Operation::Delete, false) => return Err("no-such-file"),
        (operation, _) => operation,
    };
    let text = diffy::apply(base, &patch).map_err(|_| "does-not-apply")?;
    let others: usize = tree.iter().filter(|(other, _)| *other != path).map(|(_, text)| text.len()).sum();
    if text.len() > FILE_BYTES_MAX || others + text.len() > TREE_BYTES_MAX {
        return Err("too-large");
    }
    if operation == Operation::Delete {
        if !text.is_empty() {
            return Err("does-not-apply");
        }
        tree.remove(path);
    } else if conflicts(tree, path) {
        return Err("path-conflict");
    } else {
        tree.insert(path.to_owned(), text.clone());
    }
    let lines = |kind: fn(&Line<'_, str>) -> bool| -> u64 {
        patch.hunks().iter().flat_map(|hunk| hunk.lines()).filter(|line| kind(line)).count() as u64
    };
    Ok(PatchOutcome::Applied {
        operation: operation.code().to_owned(),
        hunks: patch.hunks().len() as u64,
        added: lines(|line| matches!(line, Line::Insert(_))),
        removed: lines(|line| matches!(line, Line::Delete(_))),
        bytes: text.len() as u64,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Modify,
    Delete,
}

impl Operation {
    const fn code(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Modify => "modify",
            Operation::Delete => "delete",
        }
    }
}

/// What the names above the diff say. Where they are given they must be those of `path`: a diff that says one
/// file and means another is refused.
fn names(patch: &Patch<'_, str>, path: &str, exists: bool) -> Result<Operation, &'static str> {
    let is_path = |name: &str| {
        name == path || name.strip_prefix("a/") == Some(path) || name.strip_prefix("b/") == Some(path)
    };
    let (old, new) = (patch.original(), patch.modified());
    let strange = |name: Option<&str>| name.is_some_and(|name| name != NO_FILE && !is_path(name));
    if strange(old) || strange(new) {
        return Err("path-mismatch");
    }
    match (old == Some(NO_FILE), new == Some(NO_FILE)) {
        (true, true) => Err("path-mismatch"),
        (true, false) => Ok(Operation::Create),
        (false, true) => Ok(Operation::Delete),
        (false, false) if exists || old.is_some() => Ok(Operation::Modify),
        (false, false) => Ok(Operation::Create),
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > PATH_BYTES_MAX {
        return Err("path-bad");
    }
    if path.starts_with(['/', '\\', '~']) || path.contains(':') {
        return Err("path-outside");
    }
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    if parts.contains(&"..") {
        return Err("path-outside");
    }
    let strange = |part: &&str| part.is_empty() || **part == *"." || part.ends_with([' ', '.']);
    if parts.len() > PATH_PARTS_MAX
        || path.contains('\\')
        || path.chars().any(char::is_control)
        || parts.iter().any(strange)
    {
        return Err("path-bad");
    }
    // Also in other cases: not every disk tells them apart.
    let reserved = |part: &str| {
        let part = part.to_ascii_lowercase();
        RESERVED.iter().any(|reserved| part.starts_with(reserved))
    };
    if parts.into_iter().any(reserved) { Err("path-reserved") } else { Ok(()) }
}

/// A name cannot be a file and a folder.
fn conflicts(tree: &Tree, path: &str) -> bool {
    let below =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    tree.keys().any(|other| below(other, path) || below(path, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, diff: &str) -> FileDiff {
        FileDiff { path: path.to_owned(), diff: diff.to_owned() }
    }

    fn new_file(path: &str, text: &str) -> FileDiff {
        let lines: Vec<String> = text.lines().map(|line| format!("+{line}\n")).collect();
        file(path, &format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{} @@\n{}", lines.len(), lines.concat()))
    }

    fn applied(files: Vec<FileDiff>) -> Applied {
        apply(1, &Change { summary: String::new(), files })
    }

    fn code(file: FileDiff) -> String {
        applied(vec![file]).refused().map_or_else(|| "applied".to_owned(), |(_, code)| code.to_owned())
    }

    #[test]
    fn files_are_made_changed_and_removed() {
        let modify = file("src/a", "--- a/src/a\n+++ b/src/a\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n");
        let both = applied(vec![new_file("src/a", "one\ntwo"), modify.clone()]);
        assert_eq!(both.tree, Tree::from([("src/a".to_owned(), "one\nthree\n".to_owned())]));
        assert_eq!(
            both.outcomes[1].outcome,
            PatchOutcome::Applied { operation: "modify".into(), hunks: 1, added: 1, removed: 1, bytes: 10 }
        );
        let delete = file("src/a", "--- a/src/a\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-three\n");
        assert!(applied(vec![new_file("src/a", "one\ntwo"), modify, delete]).tree.is_empty());
        // Without names, a diff makes what is not there.
        assert_eq!(code(file("a", "@@ -0,0 +1 @@\n+x\n")), "applied");
    }

    #[test]
    fn what_leads_outside_or_where_nothing_may_go_is_refused() {
        for (path, want) in [
            ("../a", "path-outside"),
            ("a/../../b", "path-outside"),
            ("/etc/passwd", "path-outside"),
            ("~/.ssh/config", "path-outside"),
            ("C:/windows", "path-outside"),
            ("..\\a", "path-outside"),
            ("a\\b", "path-bad"),
            ("", "path-bad"),
            ("a//b", "path-bad"),
            ("./a", "path-bad"),
            ("a/", "path-bad"),
            ("a\nb", "path-bad"),
            ("a. ", "path-bad"),
            (".git/hooks/post-commit", "path-reserved"),
            ("sub/.GIT/config", "path-reserved"),
            (".gitmodules", "path-reserved"),
            (".env", "path-reserved"),
            (".env.local", "path-reserved"),
            (".speckit/keys/workspace.key", "path-reserved"),
        ] {
            assert_eq!(code(new_file(path, "x")), want, "{path:?}");
        }
        assert_eq!(code(new_file(&"a/".repeat(20), "x")), "path-bad");
        let says_another = file("a", "--- /dev/null\n+++ b/../../out\n@@ -0,0 +1 @@\n+x\n");
        assert_eq!(code(says_another), "path-mismatch");
    }

    #[test]
    fn what_is_no_diff_or_does_not_fit_is_refused() {
        assert_eq!(code(file("a", "rm -rf /")), "empty");
        assert_eq!(code(file("a", "@@ nonsense")), "not-a-diff");
        assert_eq!(code(file("a", "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n")), "no-such-file");
        let again = applied(vec![new_file("a", "x"), new_file("a", "y")]);
        assert_eq!(again.refused().unwrap().1, "file-exists");
        let off = file("a", "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-z\n+y\n");
        assert_eq!(applied(vec![new_file("a", "x"), off]).refused().unwrap().1, "does-not-apply");
        let below = applied(vec![new_file("a", "x"), new_file("a/b", "y")]);
        assert_eq!(below.refused().unwrap().1, "path-conflict");
        assert_eq!(below.tree.len(), 1, "a refused patch changes nothing");
        let hunk = |at: usize| format!("@@ -0,0 +{} @@\n+x\n", at + 1);
        let hunks = |count: usize| (0..count).map(hunk).collect::<String>();
        assert_eq!(code(file("a", &hunks(HUNKS_MAX + 1))), "too-many-hunks");
        assert_eq!(code(file("a", &hunks(2))), "applied");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever a model answers: no panic, and no path of the tree leads out of its folder.
        #[test]
        fn no_answer_breaks_it(files in proptest::collection::vec(("[a./\\\\~:g-]{0,12}|\\PC{0,8}", "(--- [ab./]{0,6}\n)?(\\+\\+\\+ [ab./]{0,6}\n)?(@@ -[0-9]{1,3}(,[0-9]{1,2})? \\+[0-9]{1,3}(,[0-9]{1,2})? @@\n)?([ +-][a-c]{0,3}\n){0,6}"), 1..4)) {
            let files: Vec<FileDiff> = files.iter().map(|(path, diff)| file(path, diff)).collect();
            let applied = applied(files.clone());
            prop_assert_eq!(applied.outcomes.len(), files.len());
            for path in applied.tree.keys() {
                let path = std::path::Path::new(path);
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
            prop_assert_eq!(super::apply(1, &Change { summary: String::new(), files }), applied);
        }
    }
}
