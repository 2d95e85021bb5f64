//! `plugins.lock` at the root says which bytes are shipped; the build has to give them.

use sluice_bundled::ALL;
use sluice_core::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Set to `1` to write the bundled plugins' entries anew, where `sluice plugin lock` is not at hand.
const WRITE: &str = "SLUICE_WRITE_PLUGINS_LOCK";

#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: String,
    source: String,
    sha256: String,
    size: usize,
    contract: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: u32,
    plugin: Vec<Entry>,
}

fn built() -> BTreeMap<String, Entry> {
    let entry = |bundled: &sluice_bundled::Bundled| Entry {
        kind: bundled.kind.to_string(),
        source: format!("bundled:{}", bundled.name),
        sha256: Digest::of(bundled.bytes).to_string(),
        size: bundled.bytes.len(),
        contract: "0.1.0".to_owned(),
    };
    ALL.iter().map(|bundled| (bundled.name.to_owned(), entry(bundled))).collect()
}

/// The form that the policy room prints.
fn print(mut entries: Vec<(sluice_core::PluginKind, Entry)>) -> String {
    entries.sort_by(|a, b| (a.0, &a.1.source).cmp(&(b.0, &b.1.source)));
    let mut text =
        "# Written by `sluice plugin lock`. Which bytes each plugin source had when it was last reviewed.\n\
                    version = 1\n"
            .to_owned();
    for (_, entry) in entries {
        let Entry { kind, source, sha256, size, contract } = entry;
        text += &format!("\n[[plugin]]\nkind = \"{kind}\"\nsource = \"{source}\"\n");
        text += &format!("sha256 = \"{sha256}\"\nsize = {size}\ncontract = \"{contract}\"\n");
    }
    text
}

#[test]
fn the_built_bytes_are_the_locked_ones() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins.lock");
    if std::env::vars().any(|(name, value)| name == WRITE && value == "1") {
        let mut built = built();
        let entries = ALL.iter().filter_map(|bundled| Some((bundled.kind, built.remove(bundled.name)?)));
        fs::write(&file, print(entries.collect())).unwrap();
    }
    let hint = format!(
        "if the change is meant, review it and write the lock anew: `sluice plugin lock`, or \
         `{WRITE}=1 cargo test -p sluice-bundled`"
    );
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}; {hint}", file.display()));
    let lock: Lock = toml::from_str(&text).unwrap();
    assert_eq!(lock.version, 1);
    let locked: BTreeMap<String, Entry> = lock
        .plugin
        .into_iter()
        .filter_map(|entry| Some((entry.source.strip_prefix("bundled:")?.to_owned(), entry)))
        .collect();
    for (name, built) in &built() {
        assert_eq!(Some(built), locked.get(name), "bundled:{name}; {hint}");
    }
    assert_eq!(built().len(), locked.len(), "an entry that is no longer bundled; {hint}");
}

#[test]
fn every_bundled_plugin_is_a_component_and_found_by_name() {
    for bundled in ALL {
        assert_eq!(&bundled.bytes[..8], b"\0asm\x0d\0\x01\0", "{} is not a component", bundled.name);
        assert_eq!(sluice_bundled::find(bundled.name).map(|found| found.name), Some(bundled.name));
    }
    assert!(ALL.is_sorted_by_key(|bundled| bundled.name));
    assert!(sluice_bundled::find("no-such").is_none());
}

/// A pinned digest must not depend on where the source was built (`tests/reproducible-plugins.sh` compares builds).
#[test]
fn no_path_of_the_building_machine_stands_in_a_component() {
    let home = std::env::home_dir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let paths = [home.join(".cargo"), repository.to_owned()];
    for bundled in ALL {
        for path in &paths {
            let needle = path.to_string_lossy().into_owned().into_bytes();
            let found = bundled.bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds {}", bundled.name, path.display());
        }
    }
}
