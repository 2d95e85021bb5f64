//! What an artifact is, told from its structure alone, before anything is compiled or run.

mod structure;

use crate::artifact::Artifact;
use crate::error::Cause;
use semver::Version;
use sluice_core::{Digest, PluginKind};
use structure::{Import, Structure};

/// The contract's package.
const PACKAGE: &str = "sluicegate:plugin/";

/// WASI packages that a guest may import. Sockets and files are among them because some toolchains import them
/// whether a program uses them or not; what a guest gets is a stub that fails (see `wasi.rs`).
const WASI_PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Most import names in one error.
const NAMES_SHOWN_MAX: usize = 8;

/// A contract version that this host can speak. Patch versions only add, so each stands for its whole track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// `0.1.x`.
    V0_1,
}

/// What an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Which kind of plugin.
    pub kind: PluginKind,
    /// Contract version that it was built against: `0.1.0`.
    pub contract: String,
    /// The interface that it exports: `sluicegate:plugin/routing@0.1.0`.
    pub world: String,
    /// Names of everything that it imports, types included, in order.
    pub imports: Vec<String>,
    /// Whether it must be given the deterministic WASI.
    pub needs_wasi: bool,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub digest: Digest,
}

/// An inspection, and what admission needs of it besides.
#[derive(Debug)]
pub(crate) struct Admission {
    pub inspection: Inspection,
    pub contract: Contract,
    /// Full name of the exported `about` interface.
    pub about: String,
}

/// The interface that a kind exports.
pub(crate) const fn interface(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Router => "routing",
        PluginKind::Redactor => "redaction",
        PluginKind::CaptureFilter => "filtering",
        PluginKind::HealthProbe => "probing",
    }
}

/// Tells what `artifact` is.
pub(crate) fn admit(artifact: &Artifact) -> Result<Admission, Cause> {
    let structure = Structure::read(artifact.bytes())?;
    let needs_wasi = check_imports(&structure.imports)?;
    let (kind, contract, version, world) = find_kind(&structure.exports)?;
    let about = find_about(&structure.exports, contract)?;
    Ok(Admission {
        inspection: Inspection {
            kind,
            contract: version,
            world,
            imports: structure.imports.into_iter().map(|import| printable(&import.name)).collect(),
            needs_wasi,
            size: artifact.bytes().len() as u64,
            digest: artifact.digest(),
        },
        contract,
        about,
    })
}

/// A types-only import is fine; a function or resource must be of plain WASI. Whether WASI is needed.
fn check_imports(imports: &[Import]) -> Result<bool, Cause> {
    let capable: Vec<&Import> = imports.iter().filter(|import| import.is_capability).collect();
    let refused: Vec<&&Import> = capable.iter().filter(|import| !is_plain_wasi(&import.name)).collect();
    if refused.is_empty() {
        return Ok(!capable.is_empty());
    }
    let mut names: Vec<String> =
        refused.iter().take(NAMES_SHOWN_MAX).map(|import| format!("`{}`", printable(&import.name))).collect();
    if refused.len() > names.len() {
        names.push(format!("and {} more", refused.len() - names.len()));
    }
    Err(Cause::Imports { names: names.join(", ") })
}

fn is_plain_wasi(name: &str) -> bool {
    name.strip_prefix("wasi:")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(package, rest)| Some((package, rest.split_once('@')?.1)))
        .is_some_and(|(package, version)| WASI_PACKAGES.contains(&package) && track(version) == Some((0, 2)))
}

fn find_kind(exports: &[String]) -> Result<(PluginKind, Contract, String, String), Cause> {
    let mut found = None;
    for export in exports {
        let Some((name, version)) = contract_export(export) else { continue };
        let Some(kind) = PluginKind::ALL.iter().copied().find(|kind| interface(*kind) == name) else {
            continue;
        };
        if found.is_some() {
            return Err(Cause::SeveralKinds);
        }
        found = Some((kind, version, export));
    }
    let (kind, version, export) = found.ok_or(Cause::NoKind)?;
    let contract = speaks(version).ok_or_else(|| Cause::Version { found: printable(version) })?;
    Ok((kind, contract, version.to_owned(), export.clone()))
}

fn find_about(exports: &[String], contract: Contract) -> Result<String, Cause> {
    exports
        .iter()
        .find(|export| {
            contract_export(export)
                .is_some_and(|(name, version)| name == "about" && speaks(version) == Some(contract))
        })
        .cloned()
        .ok_or(Cause::Missing { missing: "sluicegate:plugin/about" })
}

/// (`routing`, `0.1.0`) of `sluicegate:plugin/routing@0.1.0`.
fn contract_export(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn speaks(version: &str) -> Option<Contract> {
    match track(version)? {
        (0, 1) => Some(Contract::V0_1),
        _ => None,
    }
}

/// Major and minor of a release. Before 1.0 a minor version breaks and a patch adds, so `0.1.x` is one track: a
/// guest built against a later patch still exports what this host calls, or the type check refuses it. A
/// pre-release promises nothing.
fn track(version: &str) -> Option<(u64, u64)> {
    let version = Version::parse(version).ok()?;
    (version.pre.is_empty() && version.build.is_empty()).then_some((version.major, version.minor))
}

/// A static name out of an artifact, if it is made of what such names are made of: an error is printed on
/// terminals, and the artifact's author is not trusted.
fn printable(name: &str) -> String {
    const NAME_BYTES_MAX: usize = 128;
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b":/@.-+_[]".contains(&b);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(harmless) {
        name.to_owned()
    } else {
        "(unprintable)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_spoken_and_no_other() {
        for good in ["0.1.0", "0.1.7", "0.1.12"] {
            assert_eq!(speaks(good), Some(Contract::V0_1), "{good}");
        }
        for bad in ["0.2.0", "1.0.0", "0.1", "0.1.0-rc1", "0.01.0", "", "0.1.0.0", "0.1.x", "0.1."] {
            assert_eq!(speaks(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_plain_wasi_is_wasi() {
        for good in ["wasi:cli/environment@0.2.6", "wasi:io/streams@0.2.0"] {
            assert!(is_plain_wasi(good), "{good}");
        }
        for bad in
            ["wasi:http/types@0.2.0", "wasi:io/streams@0.3.0", "wasi:io/streams", "wasix:io/streams@0.2.0"]
        {
            assert!(!is_plain_wasi(bad), "{bad}");
        }
    }

    #[test]
    fn hostile_names_are_not_shown() {
        assert_eq!(printable("wasi:http/types@0.2.0"), "wasi:http/types@0.2.0");
        for bad in ["\u{1b}[31mred", "a b", "", &"x".repeat(129)] {
            assert_eq!(printable(bad), "(unprintable)", "{bad:?}");
        }
    }
}
