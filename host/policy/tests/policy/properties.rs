//! What holds for any input.

use crate::fixtures::{DEFAULT, SCHEMA, authored, compiled, context, facts, facts_of};
use proptest::prelude::*;
use sluice_core::PluginKind;
use sluice_policy::{PluginLock, compile, load, parse, parse_with_lock};
use std::sync::LazyLock;
use toml::Table;

/// Few: the suite stays fast on two cores, and a fault in a parser shows within tens of cases.
const CASES: u32 = 40;

/// The default policy, compiled once: each compile checks four schemas.
static COMPILED: LazyLock<sluice_policy::Compiled> = LazyLock::new(compiled);

/// Cuts the document into its tables and puts tables, and the lines in them, into another order. TOML gives
/// order no meaning; nor may the hash.
fn shuffled(table: &Table, seed: u64) -> String {
    fn entries(path: &str, table: &Table, out: &mut Vec<(String, Vec<String>)>) {
        let mut lines = Vec::new();
        for (key, value) in table {
            let key = format!("\"{key}\"");
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                toml::Value::Table(inner) => entries(&below, inner, out),
                other => lines.push(format!("{key} = {other}")),
            }
        }
        if !path.is_empty() {
            out.push((path.to_owned(), lines));
        }
    }
    let mut random = seed;
    let mut next = move |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % bound
    };
    let mut tables = Vec::new();
    entries("", table, &mut tables);
    for i in (1..tables.len()).rev() {
        tables.swap(i, next(i + 1));
    }
    let mut text = String::new();
    for (path, mut lines) in tables {
        for i in (1..lines.len()).rev() {
            lines.swap(i, next(i + 1));
        }
        text.push_str(&format!("[{path}]\n{}\n", lines.join("\n")));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn the_hash_does_not_depend_on_the_order_of_keys(seed: u64) {
        let table: Table = DEFAULT.parse().unwrap();
        let text = shuffled(&table, seed);
        let again = compile(&authored(&text), &facts(), &context()).unwrap();
        prop_assert_eq!(&again.bytes, &COMPILED.bytes);
    }

    #[test]
    fn a_changed_plugin_byte_changes_the_hash(kind in 0..4_usize, bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        prop_assume!(bytes != b"bytes");
        let mut changed = facts();
        changed[kind] = facts_of(PluginKind::ALL[kind], &bytes);
        let other = compile(&authored(DEFAULT), &changed, &context()).unwrap();
        prop_assert_ne!(other.snapshot.hash, COMPILED.snapshot.hash);
    }

    #[test]
    fn no_schema_makes_the_compiler_panic(at in 0..SCHEMA.len(), cut in 0..20_usize, put in "[\\[\\]{}\",:$a-z0-9#/]{0,10}") {
        let to = (at + cut).min(SCHEMA.len());
        let mut facts = facts();
        facts[0].config_schema = format!("{}{put}{}", &SCHEMA[..at], &SCHEMA[to..]);
        match compile(&authored(DEFAULT), &facts, &context()) {
            Ok(compiled) => prop_assert_eq!(compiled.snapshot.hash, COMPILED.snapshot.hash, "a schema is no content"),
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.path == "plugins.router.config")),
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,200}", toml in "[a-z_]{1,8} = [0-9\"'{}\\[\\].,a-z=]{0,40}\n") {
        prop_assert!(parse(&text).is_err());
        prop_assert!(parse(&toml).is_err());
        let _ = PluginLock::parse(&text);
        let _ = PluginLock::parse(&toml);
        prop_assert!(load(text.as_bytes()).is_err());
    }

    #[test]
    fn no_mutation_of_a_policy_makes_the_readers_panic(
        at in 0..DEFAULT.len(), cut in 0..60_usize, put in "[\\[\\]{}=\"'.,\\\\#\n0-9a-zé-]{0,12}",
    ) {
        let from = (0..=at).rev().find(|at| DEFAULT.is_char_boundary(*at)).unwrap();
        let to = (from + cut..=DEFAULT.len()).find(|at| DEFAULT.is_char_boundary(*at)).unwrap_or(DEFAULT.len());
        let text = format!("{}{put}{}", &DEFAULT[..from], &DEFAULT[to..]);
        match parse_with_lock(&text, &PluginLock::default()) {
            // What passes must compile to something that loads.
            Ok(authored) => {
                if let Ok(compiled) = compile(&authored, &facts(), &context()) {
                    prop_assert!(load(&compiled.bytes).is_ok());
                }
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn a_policy_that_parses_also_compiles(line: usize, value in "(true|7|-1|1\\.5|\"x\"|\\[\\]|\\[1\\]|2026-01-01|\\{\\})") {
        let mut lines: Vec<String> = DEFAULT.lines().map(str::to_owned).collect();
        let assigns = |line: &String| line.contains(" = ") && !line.starts_with('#') && !line.ends_with("\"\"\"");
        let places: Vec<usize> = (0..lines.len()).filter(|at| assigns(&lines[*at])).collect();
        let at = places[line % places.len()];
        let key = lines[at].split(" = ").next().unwrap().to_owned();
        lines[at] = format!("{key} = {value}");
        let text = lines.join("\n");
        if let Ok(authored) = parse(&text) {
            let compiled = compile(&authored, &facts(), &context());
            prop_assert!(compiled.is_ok(), "{}: {:?}", lines[at], compiled.err());
        }
    }
}
