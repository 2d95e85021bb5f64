//! Builds the guests with a nested cargo and hands their bytes to `src/lib.rs` through `OUT_DIR`.
//!
//! A plugin is pinned by the digest of its bytes, so the bytes must depend on the sources, the guests' own lock file
//! and the toolchain, and on nothing else. That is why the nested cargo gets an environment of its own, why the
//! folders that could show in a panic message are mapped to fixed names, and why the guests are one workspace with
//! one profile. `tests/reproducible-plugins.sh` holds this to the byte.
#![expect(clippy::disallowed_methods, reason = "a build script's parameters are environment variables")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Free of an operating system: such a component has nothing to import.
const TARGET: &str = "wasm32-unknown-unknown";

/// Packages of `plugins/` that are bundled, in one invocation: features are unified over the packages of an
/// invocation, so a different set could give different bytes.
const GUESTS: &[&str] =
    &["router", "router-thrift", "redactor", "redactor-strict", "capture-filter", "health-probe"];

/// Packages whose examples are the hostile guests.
const HOSTILE: &[&str] =
    &["hostile-router", "hostile-redactor", "hostile-capture-filter", "hostile-health-probe"];

/// Settings of the user's that the nested cargo keeps: where the registry is and how it is reached. All others
/// (`CARGO_ENCODED_RUSTFLAGS`, `CARGO_PROFILE_…`, what the outer cargo set for this script) could change the bytes.
const KEPT_PREFIXES: &[&str] =
    &["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let plugins = root()?.join("plugins");
    let out = path("OUT_DIR")?;
    watch(&plugins)?;
    ensure_target(&plugins)?;

    let target_dir = target_dir(&out)?;
    let flags = flags(&plugins)?;
    let release = target_dir.join(TARGET).join("release");

    cargo(&plugins, &target_dir, &flags, GUESTS, &[])?;
    for guest in GUESTS {
        let file = format!("{}.wasm", guest.replace('-', "_"));
        copy(&release.join(file), &out.join(format!("{guest}.wasm")))?;
    }
    if env::var_os("CARGO_FEATURE_HOSTILE").is_some() {
        cargo(&plugins, &target_dir, &flags, HOSTILE, &["--examples"])?;
        for package in HOSTILE {
            hostile_examples(&plugins, package, &release, &out)?;
        }
        hostile_texts(&plugins, &out)?;
    }
    Ok(())
}

fn path(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set `{name}`"))
}

/// The repository.
fn root() -> Result<PathBuf, String> {
    let manifest = path("CARGO_MANIFEST_DIR")?;
    let root = manifest.ancestors().nth(2).ok_or("this crate does not stand in `host/bundled`")?;
    Ok(root.to_owned())
}

/// Runs again when a guest, its lock file, the contract or the toolchain changes. `plugins/target` is left out:
/// whoever builds there by hand would set this off each time.
fn watch(plugins: &Path) -> Result<(), String> {
    let entries =
        fs::read_dir(plugins).map_err(|error| format!("cannot list {}: {error}", plugins.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot list {}: {error}", plugins.display()))?;
        if entry.file_name() != "target" {
            println!("cargo::rerun-if-changed={}", entry.path().display());
        }
    }
    for file in ["wit", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", plugins.join("..").join(file).display());
    }
    println!("cargo::rerun-if-env-changed=CARGO_HOME");
    Ok(())
}

/// One folder for all profiles: the guests are always built for release, so `cargo run`, `cargo test` and
/// `cargo build --release` share one build. `OUT_DIR` is `<target>[/<triple>]/<profile>/build/<package>/out`.
fn target_dir(out: &Path) -> Result<PathBuf, String> {
    let Some(profile) = out.ancestors().find(|folder| folder.ends_with("build")).and_then(Path::parent)
    else {
        return Ok(out.join("guests"));
    };
    let triple = env::var("TARGET").map_err(|error| format!("`TARGET`: {error}"))?;
    let target = match profile.parent() {
        Some(folder) if folder.ends_with(&triple) => folder.parent(),
        other => other,
    };
    Ok(target.unwrap_or(out).join("guests"))
}

/// Where rustup does not add the target by itself (`RUSTUP_AUTO_INSTALL=0`), this does.
fn ensure_target(plugins: &Path) -> Result<(), String> {
    if target_is_installed(plugins)? {
        return Ok(());
    }
    let added = tool("rustup", plugins).args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) && target_is_installed(plugins)? {
        return Ok(());
    }
    Err(format!(
        "the plugins are built for {TARGET}, which this toolchain lacks; type: rustup target add {TARGET}"
    ))
}

fn target_is_installed(plugins: &Path) -> Result<bool, String> {
    let mut command = tool("rustc", plugins);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    // The folder is named whether it exists or not.
    let named = run(command, "asking rustc for its targets")?;
    Ok(Path::new(named.trim()).is_dir())
}

/// `RUSTFLAGS` in the form that allows for spaces in paths.
fn flags(plugins: &Path) -> Result<OsString, String> {
    let mut flags = vec![
        // Ships with the toolchain; what leaves it is a component.
        OsString::from("-Clinker=wasm-component-ld"),
        // Rust's default of 1 MiB is zeroed memory that each fresh instance carries; no guest recurses deeply.
        OsString::from("-Clink-arg=-zstack-size=131072"),
        remap(plugins, "/plugins"),
    ];
    // Each registry has a folder whose name is made from its address: a mirror must not show either.
    let sources = cargo_home()?.join("registry").join("src");
    if let Ok(entries) = fs::read_dir(&sources) {
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        flags.extend(folders.iter().map(|folder| remap(folder, "/cargo")));
    }
    Ok(flags.join(OsStr::new("\x1f")))
}

fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

/// Cargo sets `CARGO_HOME` for build scripts only where the user did.
fn cargo_home() -> Result<PathBuf, String> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().ok_or("there is neither `CARGO_HOME` nor a home folder")?;
    Ok(home.join(".cargo"))
}

fn cargo(
    plugins: &Path,
    target_dir: &Path,
    flags: &OsString,
    packages: &[&str],
    more: &[&str],
) -> Result<(), String> {
    let mut command = tool("cargo", plugins);
    command.args(["build", "--release", "--locked", "--target", TARGET]);
    command.arg("--target-dir").arg(target_dir);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.args(more);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    if let Ok(jobs) = env::var("NUM_JOBS") {
        command.args(["--jobs", &jobs]);
    }
    run(command, "building the plugins").map(|_| ())
}

/// A program of the toolchain that `rust-toolchain.toml` names, knowing nothing of the cargo that runs this script:
/// without `RUSTUP_TOOLCHAIN`, `cargo +nightly test` still builds the guests with the compiler their bytes are pinned
/// to.
fn tool(program: &str, plugins: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(plugins);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let foreign =
            ["CARGO", "RUSTFLAGS", "RUSTC", "RUSTUP_TOOLCHAIN"].iter().any(|own| text.starts_with(own));
        if foreign && !KEPT_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// What it printed.
fn run(mut command: Command, what: &str) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{what}: cannot run {:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{what} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("cannot copy {}: {error}", from.display()))
}

/// Every file of `plugins/hostile/<kind>/examples` is a guest of that name.
fn hostile_examples(plugins: &Path, package: &str, release: &Path, out: &Path) -> Result<(), String> {
    let folder = plugins.join("hostile").join(package.trim_start_matches("hostile-")).join("examples");
    for name in stems(&folder, "rs")? {
        let built = release.join("examples").join(format!("{name}.wasm"));
        copy(&built, &out.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Components that no compiler would produce are written as text.
fn hostile_texts(plugins: &Path, out: &Path) -> Result<(), String> {
    let folder = plugins.join("hostile").join("text");
    for name in stems(&folder, "wat")? {
        let file = folder.join(format!("{name}.wat"));
        let bytes = assemble(&file)?;
        let to = out.join(format!("{name}.wasm"));
        fs::write(&to, bytes).map_err(|error| format!("cannot write {}: {error}", to.display()))?;
    }
    Ok(())
}

#[cfg(feature = "hostile")]
fn assemble(file: &Path) -> Result<Vec<u8>, String> {
    wat::parse_file(file).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(not(feature = "hostile"))]
fn assemble(file: &Path) -> Result<Vec<u8>, String> {
    Err(format!("{}: hostile guests were not asked for", file.display()))
}

fn stems(folder: &Path, extension: &str) -> Result<Vec<String>, String> {
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| format!("cannot list {}: {error}", folder.display()))?.path();
        if file.extension().is_some_and(|found| found == extension) {
            names.extend(file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}
