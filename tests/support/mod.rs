//! The program as its users meet it: run as a process, in a scratch folder, without the tester's environment.

use rusqlite::Connection;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The program under test.
pub const SLUICE: &str = env!("CARGO_BIN_EXE_sluice");

/// One finished process.
pub struct Ran {
    /// Exit status. A process that a signal ended fails the test that ran it.
    pub code: i32,
    /// Data.
    pub stdout: Vec<u8>,
    /// Talk.
    pub stderr: String,
    line: String,
}

impl Ran {
    fn of(line: String, output: Output) -> Ran {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let Some(code) = output.status.code() else {
            panic!("{line}: ended by a signal: {}\n{stderr}", output.status)
        };
        assert!(!stderr.contains("panicked at"), "{line}: {stderr}");
        assert!((0..=2).contains(&code), "{line}: exit {code} is not in the table\n{stderr}");
        Ran { code, stdout: output.stdout, stderr, line }
    }

    /// Expects this exit status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}\nstdout: {}\nstderr: {}", self.line, self.text(), self.stderr);
        self
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{}: not one JSON document: {error}\n{}", self.line, self.text()),
        }
    }

    /// The failure's document, checked for its shape; the message, its causes and the hint are on standard
    /// error as well.
    #[track_caller]
    pub fn error(&self) -> Failure {
        let document = self.json();
        let error = &document["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let (code, message) = (text("code"), text("message"));
        assert!(!code.is_empty() && !message.is_empty(), "{}: {document}", self.line);
        assert!(self.stderr.contains(&message), "{}: {}", self.line, self.stderr);
        Failure { code, message, hint: text("hint"), document }
    }
}

/// What a `--json` failure says.
pub struct Failure {
    /// Stable.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do; empty where there is nothing to say.
    pub hint: String,
    /// All of it.
    pub document: Value,
}

/// A command with nothing of the tester's environment but the search path.
pub fn command(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home).current_dir(home);
    command
}

/// Runs it to its end.
pub fn ran(command: &mut Command, stdin: &str) -> Ran {
    let line = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whoever does not read standard input closes it: that is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    Ran::of(line, child.wait_with_output().unwrap())
}

/// A workspace of one test, with a home folder beside it.
pub struct Workspace {
    scratch: TempDir,
}

impl Workspace {
    /// An empty folder, but for a home that holds nothing.
    pub fn empty() -> Workspace {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("home")).unwrap();
        fs::create_dir(scratch.path().join("ws")).unwrap();
        Workspace { scratch }
    }

    /// The repository's own policy, which uses bundled plugins, and no lock.
    pub fn authored() -> Workspace {
        let workspace = Workspace::empty();
        fs::copy(repository().join("model_policy.toml"), workspace.path("model_policy.toml")).unwrap();
        workspace
    }

    /// A copy of what `sluice demo` left behind.
    pub fn demo() -> Workspace {
        let workspace = Workspace::empty();
        copy(&demo().root, &workspace.root());
        workspace
    }

    /// The workspace's folder.
    pub fn root(&self) -> PathBuf {
        self.scratch.path().join("ws")
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("home")
    }

    /// A path in the workspace.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// `sluice -C <workspace>`, to be given more.
    pub fn command(&self) -> Command {
        let mut command = command(SLUICE, &self.home());
        command.arg("-C").arg(self.root());
        command
    }

    /// Runs the verb that is written here, words parted by blanks.
    pub fn run(&self, words: &str) -> Ran {
        ran(self.command().args(words.split_whitespace()), "")
    }

    /// The same with `--json`.
    pub fn json(&self, words: &str) -> Ran {
        ran(self.command().arg("--json").args(words.split_whitespace()), "")
    }

    /// The journal.
    pub fn journal_path(&self) -> PathBuf {
        self.path(".speckit/capsule/journal.db")
    }

    /// The journal, for whoever tampers with it.
    pub fn journal(&self) -> Connection {
        Connection::open(self.journal_path()).unwrap()
    }

    /// Everything that `capsule events` tells.
    pub fn events(&self) -> Vec<Value> {
        let document = self.json("capsule events --limit 100000").exits(0).json();
        document["events"].as_array().unwrap().clone()
    }

    /// Replaces text in a file; there must be such text.
    #[track_caller]
    pub fn edit(&self, relative: &str, from: &str, to: &str) {
        let path = self.path(relative);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{relative} holds no `{from}`");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// The current snapshot's file, relative to the workspace.
    pub fn snapshot_file(&self) -> String {
        let id = fs::read_to_string(self.path(".speckit/policies/current")).unwrap();
        format!(".speckit/policies/snapshot-{}.json", id.trim())
    }
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `sluice demo --json` said and left behind. Made once: tests look at copies.
pub struct Demo {
    /// Its document.
    pub document: Value,
    /// The run.
    pub run: String,
    root: PathBuf,
}

/// The demo. Its folder lies in the target folder; those of test processes that ended are removed here, because
/// nothing runs at the end of a test process.
pub fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
        fs::create_dir_all(&all).unwrap();
        for old in fs::read_dir(&all).unwrap() {
            let old = old.unwrap();
            if !Path::new("/proc").join(old.file_name()).exists() {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let home = all.join(std::process::id().to_string());
        let _ = fs::remove_dir_all(&home);
        fs::create_dir(&home).unwrap();
        let root = home.join("ws");
        let ran = ran(command(SLUICE, &home).args(["demo", "--json", "--dir"]).arg(&root), "").exits(0);
        let document = ran.json();
        let run = document["run_id"].as_str().unwrap().to_owned();
        Demo { document, run, root }
    })
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    sluice_core::Digest::of(bytes).to_hex()
}
