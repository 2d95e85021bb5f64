//! The house rules that a compiler does not check: sizes, directions, what may be named where, documents
//! that name files which exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Most lines of a source file.
const FILE_LINES_MAX: usize = 600;

/// Most lines of a function, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tracked(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no files end in {ending}");
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn refuse(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn files_and_functions_have_a_size_that_can_be_read() {
    let mut problems = Vec::new();
    for path in tracked(".rs") {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            problems.push(format!("{}: {} lines, at most {FILE_LINES_MAX}", shown(&path), lines.len()));
        }
        for (name, line, length) in functions(&lines) {
            if length > FUNCTION_LINES_MAX {
                problems.push(format!(
                    "{}:{line}: `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}",
                    shown(&path)
                ));
            }
        }
    }
    refuse(&problems);
}

/// Functions by rustfmt's layout: the closing brace stands under the signature's first column.
fn functions<'a>(lines: &[&'a str]) -> Vec<(&'a str, usize, usize)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(rest) = code.split("fn ").nth(1) else { continue };
        let before = code.split("fn ").next().unwrap_or_default();
        let is_item = before.split_whitespace().all(|word| {
            word.starts_with("pub")
                || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"" | "in" | "crate)")
        });
        if !is_item || code.starts_with("//") {
            continue;
        }
        let indent = line.len() - code.len();
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[at..].iter().position(|l| {
            *l == close
                || (l.trim_end().ends_with(';') && l.len() - l.trim_start().len() == indent && *l != *line)
        }) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            found.push((name, at + 1, length + 1));
        }
    }
    found
}

#[test]
fn nothing_is_left_open() {
    let marks = ["TODO", "FIXME", "XXX"];
    let mut problems = Vec::new();
    for path in tracked(".rs").into_iter().chain(tracked(".wit")).chain(tracked(".toml")) {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        for (at, line) in read(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) || line.contains("#[ignore") {
                problems.push(format!("{}:{}: {}", shown(&path), at + 1, line.trim()));
            }
        }
    }
    refuse(&problems);
}

/// Which rooms a room may know, besides `core`.
fn directions() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("core", &[][..]),
        ("policy", &[]),
        ("plugin", &[]),
        ("provider", &[]),
        ("capsule", &["seal"]),
        ("seal", &[]),
        ("context", &[]),
        ("bundled", &[]),
        ("loopback", &[]),
        ("governance", &["policy", "plugin"]),
        ("gateway", &["policy", "plugin", "governance", "provider", "capsule"]),
        ("pipeline", &["policy", "capsule", "context", "gateway"]),
        ("replay", &["policy", "plugin", "governance", "capsule", "context"]),
    ])
}

/// Dependencies that one room alone may name.
const OWNED: &[(&str, &str)] = &[
    ("wasmtime", "plugin"),
    ("wasmtime-wasi", "plugin"),
    ("reqwest", "provider"),
    ("rustls", "provider"),
    ("rusqlite", "capsule"),
    ("memvid-core", "seal"),
    ("bpe-openai", "context"),
    ("diffy", "pipeline"),
    ("axum", "loopback"),
    ("boon", "policy"),
];

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = read(manifest);
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| Some(line.split(['.', '=', ' ']).next()?.trim().to_owned()))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn rooms_know_only_whom_they_may() {
    let mut problems = Vec::new();
    let directions = directions();
    let rooms = fs::read_dir(root().join("host")).unwrap().map(|folder| folder.unwrap().path());
    for folder in rooms.chain([root().join("host/capsule/seal")]) {
        let room = folder.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = folder.join("Cargo.toml");
        if !manifest.exists() {
            assert_eq!(room, "cli", "a folder of host/ without a manifest");
            continue;
        }
        let Some(allowed) = directions.get(room.as_str()) else {
            problems.push(format!("host/{room}: no directions are set for this room"));
            continue;
        };
        for name in dependencies(&manifest) {
            let neighbour = name.strip_prefix("sluice-");
            if neighbour.is_some_and(|neighbour| neighbour != "core" && !allowed.contains(&neighbour)) {
                problems.push(format!("host/{room} knows {name}"));
            }
            let owner = OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, owner)| *owner);
            if owner.is_some_and(|owner| owner != room) {
                problems.push(format!("host/{room} names {name}, which belongs to {}", owner.unwrap()));
            }
        }
    }
    refuse(&problems);
}

#[test]
fn only_governance_clears_text() {
    let mut problems = Vec::new();
    for path in tracked(".rs") {
        let name = shown(&path);
        let is_product =
            name.starts_with("host/") && !name.contains("/tests/") && !name.contains("/examples/");
        let is_home = name.starts_with("host/governance/") || name == "host/core/src/cleared.rs";
        let text = read(&path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        if is_product && !is_home && !name.contains("test") && product.contains("Cleared::attest") {
            problems.push(name);
        }
    }
    refuse(&problems);
}

#[test]
fn unsafe_stands_in_named_files() {
    let mut homes = BTreeSet::new();
    // Hostile guests lie by hand about pointers: that is what they are for, and they run in the sandbox alone.
    for path in tracked(".rs").into_iter().filter(|path| !shown(path).starts_with("plugins/hostile/")) {
        let text = read(&path);
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        if code.clone().any(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        }) {
            homes.insert(shown(&path));
        }
    }
    homes.remove("tests/tidy.rs");
    // One in the host, with its proof; one in the guests, where unsafe code can harm its own instance alone; one that
    // no guest has: the redactor run natively, for tests and benches, asks for instructions that its target always has.
    let named = [
        "host/plugin/src/cache/load.rs",
        "plugins/kit/src/bump.rs",
        "plugins/redactor/engine/src/classes.rs",
    ];
    assert_eq!(homes, named.map(str::to_owned).into());
}

#[test]
fn governance_and_core_read_no_clock_and_do_no_io() {
    let mut problems = Vec::new();
    for path in tracked(".rs") {
        let name = shown(&path);
        let is_pure = [
            "host/core/src",
            "host/context/src",
            "host/governance/src",
            "host/policy/src",
            "host/provider/src/dialect",
        ]
        .iter()
        .any(|room| name.starts_with(room));
        let text = read(&path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in [
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "ToSocketAddrs",
            "SystemTime",
            "Instant::now",
            "getrandom",
            "std::env",
            "std::process",
        ] {
            if is_pure && product.contains(word) {
                problems.push(format!("{name} names {word}"));
            }
        }
    }
    refuse(&problems);
}

#[test]
fn replay_has_no_network_in_its_graph() {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let tree = |package: &str| {
        let out = Command::new(cargo)
            .args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "-p", package])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let replay = names(&tree("sluice-replay"));
    for crate_name in [
        "reqwest",
        "hyper",
        "hyper-util",
        "tokio-postgres",
        "h2",
        "rustls",
        "axum",
        "sluice-provider",
        "sluice-gateway",
    ] {
        assert!(!replay.contains(crate_name), "{crate_name} is in the graph of sluice-replay");
    }
    // The positive control: the same question finds them where they are.
    assert!(names(&tree("sluice-provider")).contains("reqwest"));
}

#[test]
fn documents_name_files_that_exist() {
    let mut problems = Vec::new();
    for path in tracked(".md") {
        let text = read(&path);
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains("://");
            if is_local && !path.parent().unwrap().join(target).exists() {
                problems.push(format!("{} links to {target}", shown(&path)));
            }
        }
        for word in text.split(['`', '\n']).filter(|word| !word.contains([' ', '<', '*', '{', '…'])) {
            let is_path =
                ["host/", "plugins/", "tests/", "docs/", "wit/"].iter().any(|start| word.starts_with(start));
            if is_path && !root().join(word).exists() {
                problems.push(format!("{} names {word}", shown(&path)));
            }
        }
    }
    refuse(&problems);
}

#[test]
fn the_event_catalogue_is_complete() {
    let text = read(&root().join("docs/events.md"));
    let missing: Vec<String> = sluice_core::EventKind::ALL
        .iter()
        .map(|kind| kind.name().to_owned())
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    refuse(&missing);
}
