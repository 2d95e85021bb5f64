//! The validation command: what policy lists, in the scratch folder, without a shell, with an empty environment,
//! bounded in time and output.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Most bytes kept of what it prints, of each stream: the beginning, where compilers put the first error.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// Where programs are looked for: policy may name any other by its path.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How a command ended that was not let run to its end because the run was stopped.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// What came of it.
pub(crate) struct Finished {
    /// `exit 0`, `signal`, `timeout`, `not-started`.
    pub ended: String,
    /// What it printed, both streams one after the other.
    pub output: String,
}

/// Runs it to its end, to its deadline, or until `stop`. `end_group` ends a process with everything that it started.
pub(crate) async fn run(
    words: &[String],
    folder: &Path,
    timeout: Duration,
    stop: impl Future<Output = ()>,
    end_group: &mut dyn FnMut(u32),
) -> Finished {
    let Some((program, arguments)) = words.split_first() else {
        return Finished { ended: "not-started".to_owned(), output: String::new() };
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Finished { ended: "not-started".to_owned(), output: error.to_string() },
    };
    let process = child.id();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut texts = (Vec::new(), Vec::new());
    let both = async {
        tokio::join!(drain(stdout, &mut texts.0), drain(stderr, &mut texts.1));
        child.wait().await
    };
    let ended = tokio::select! {
        status = both => status.map_or_else(|_| "signal".to_owned(), word),
        () = tokio::time::sleep(timeout) => "timeout".to_owned(),
        () = stop => INTERRUPTED.to_owned(),
    };
    // Whatever it left behind goes with it, also where it ended by itself.
    process.into_iter().for_each(end_group);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { ended, output: format!("{}{}", text(&texts.0), text(&texts.1)) }
}

fn word(status: ExitStatus) -> String {
    status.code().map_or_else(|| "signal".to_owned(), |code| format!("exit {code}"))
}

/// Reads to the end and keeps the beginning: a program whose pipe is full would wait for ever.
async fn drain(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(stream) = stream else { return };
    let mut stream = stream.take(u64::MAX);
    let mut piece = [0; 8 << 10];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        let room = (OUTPUT_BYTES_MAX as usize).saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
}

/// The artefact: what ran, how it ended, what it printed.
pub(crate) fn page(words: &[String], finished: &Finished) -> String {
    let mut page = format!("$ {}\n{}\n\n{}", words.join(" "), finished.ended, finished.output.trim_end());
    page.push('\n');
    page
}

/// How the command of an artefact ended.
pub(crate) fn ended(page: &str) -> String {
    page.lines().nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ran(words: &[&str], timeout_ms: u64) -> (Finished, Vec<u32>) {
        let folder = tempfile::tempdir().unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut ended = Vec::new();
        let timeout = Duration::from_millis(timeout_ms);
        let never = std::future::pending();
        let finished = run(&words, folder.path(), timeout, never, &mut |id| ended.push(id)).await;
        (finished, ended)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn it_has_an_empty_environment_and_says_how_it_ended() {
        let (finished, ended) = block_on(ran(&["/usr/bin/env"], 60_000));
        let names: Vec<&str> = finished.output.lines().filter_map(|line| line.split('=').next()).collect();
        assert_eq!((finished.ended.as_str(), ended.len()), ("exit 0", 1));
        assert!(names.iter().all(|name| ["PATH", "HOME"].contains(name)), "{names:?}");
        assert_eq!(block_on(ran(&["false"], 60_000)).0.ended, "exit 1");
        assert_eq!(block_on(ran(&["no-such-program-here"], 60_000)).0.ended, "not-started");
    }

    #[test]
    fn a_flood_is_cut_and_an_endless_one_ends() {
        let (finished, _) = block_on(ran(&["head", "-c", "1000000", "/dev/zero"], 60_000));
        assert_eq!((finished.ended.as_str(), finished.output.len()), ("exit 0", OUTPUT_BYTES_MAX as usize));
        let (finished, _) = block_on(ran(&["yes"], 50));
        assert_eq!(finished.ended, "timeout");
        assert!(finished.output.len() <= OUTPUT_BYTES_MAX as usize);
    }

    #[test]
    fn a_page_reads_back() {
        let finished = Finished { ended: "exit 101".into(), output: "a\nb\n\n".into() };
        let page = page(&["cargo".into(), "test".into()], &finished);
        assert_eq!((page.as_str(), ended(&page).as_str()), ("$ cargo test\nexit 101\n\na\nb\n", "exit 101"));
    }
}
