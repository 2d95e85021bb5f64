//! Turns `rules.toml` into static tables: a flag for each pair of
//! bytes by which an anchor is found, and one small program a pattern.
//! Nothing is compiled, validated or allocated at run time: a fresh instance of the plugin scans at once.
#![expect(clippy::print_stdout, reason = "printing is how a build script speaks to cargo")]

mod emit;
mod grams;
mod pattern;
mod table;
mod words;

use std::path::PathBuf;

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let rules = manifest.join("../rules.toml");
    println!("cargo::rerun-if-changed={}", rules.display());
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let outcome = std::fs::read_to_string(&rules)
        .map_err(|error| vec![format!("{}: {error}", rules.display())])
        .and_then(|text| table::read(&text))
        .and_then(|table| emit::tables(&table))
        .and_then(|code| {
            std::fs::write(out.join("tables.rs"), code).map_err(|error| vec![format!("tables.rs: {error}")])
        });
    if let Err(problems) = outcome {
        for problem in &problems {
            println!("cargo::error=rules.toml: {problem}");
        }
        std::process::exit(1);
    }
}
