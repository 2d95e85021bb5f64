//! Every folder in `tests/cases` is one refused policy: `policy.toml`, or `edit.txt` with changes to the
//! default policy, optionally `plugins.lock`, and `problems.txt` with everything that is said of it.
//! `SLUICE_REWRITE=1 cargo test -p sluice-policy` writes the expected files anew.

use crate::fixtures::{bare, here, replaced};
use sluice_policy::{PluginLock, parse_with_lock};
use std::fs;
use std::path::Path;

/// Fewer cases than this, and the folder was not found.
const CASES_MIN: usize = 20;

#[test]
fn each_case_is_refused_with_all_of_its_problems() {
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the tests")]
    let rewrite = std::env::var_os("SLUICE_REWRITE").is_some();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(here("cases")).unwrap() {
        let folder = entry.unwrap().path();
        let found = told(&folder);
        let expected_file = folder.join("problems.txt");
        if rewrite {
            fs::write(&expected_file, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if expected.trim().is_empty() || expected != found {
            wrong.push(format!("{}\n--- expected\n{expected}--- found\n{found}", folder.display()));
        }
        cases += 1;
    }
    assert!(cases >= CASES_MIN, "only {cases} cases in tests/cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn told(folder: &Path) -> String {
    let lock = match fs::read_to_string(folder.join("plugins.lock")) {
        Ok(text) => PluginLock::parse(&text).unwrap(),
        Err(_) => PluginLock::default(),
    };
    let text = match fs::read_to_string(folder.join("policy.toml")) {
        Ok(text) => text,
        Err(_) => apply(&fs::read_to_string(folder.join("edit.txt")).unwrap()),
    };
    match parse_with_lock(&text, &lock) {
        Ok(_) => "no problem\n".to_owned(),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

/// Changes to the default policy without its comments, separated by lines of `====`: each a text that it
/// holds exactly once, a line `->`, and what stands there instead.
fn apply(edits: &str) -> String {
    edits.split("====\n").fold(bare(), |policy, edit| {
        let (from, to) = edit.split_once("->\n").unwrap_or_else(|| panic!("no `->` line in: {edit}"));
        replaced(&policy, from, to)
    })
}
