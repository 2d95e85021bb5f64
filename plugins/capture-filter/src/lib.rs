//! The reference capture filter: what came from a file that holds secrets is not recorded at all, and what is very
//! large is recorded as a commitment.
//!
//! The redactor has scanned everything by the time this runs. This filter is the second line: a file whose whole
//! purpose is to hold secrets may hold some that no rule knows.

mod config;
mod paths;

/// The contract's types and export macro, generated from `wit/`.
pub mod bindings {
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "capture-filter", additional_derives: [PartialEq, Eq] });
}

pub use bindings::exports::sluicegate::plugin::{about, filtering};
use bindings::sluicegate::plugin::types::{Fault, FaultCode};
use config::Config;
use filtering::{Action, Item, Verdict};

/// One verdict per item, in order. The capture mode plays no part: the host lowers what it does not permit.
///
/// # Errors
/// `bad-config` where the configuration cannot be used.
pub fn verdicts(config: &str, items: &[Item]) -> Result<Vec<Verdict>, Fault> {
    let Ok(config) = Config::parse(config) else {
        return Err(Fault { code: FaultCode::BadConfig, ext: Vec::new() });
    };
    Ok(items.iter().map(|item| verdict(&config, item)).collect())
}

fn verdict(config: &Config, item: &Item) -> Verdict {
    let answer = |action, reason: &str| Verdict { action, reason: reason.to_owned(), ext: Vec::new() };
    // A tool's name can be a path (`read_file:/home/a/.env`), and so can the name of an artefact; a field of a
    // message is a JSON pointer and says nothing of files.
    let named = matches!(item.kind.as_str(), "artifact" | "attachment").then_some(&item.field);
    let paths = item.paths.iter().chain(&item.tool).chain(named);
    if let Some(marker) = paths.filter_map(|path| paths::marker(path, &config.more_markers)).next() {
        let mut dropped = answer(Action::Drop, "secret-path");
        dropped.ext.push(("marker".to_owned(), marker.to_owned()));
        return dropped;
    }
    if config.hash_only_above_bytes.is_some_and(|bytes_max| item.bytes > bytes_max) {
        return answer(Action::HashOnly, "too-large");
    }
    answer(Action::Keep, "nothing-against-it")
}

/// What `about.describe` says.
pub fn describe() -> about::Description {
    about::Description {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: "capture-filter".to_owned(),
        capabilities: Vec::new(),
        config_schema: config::SCHEMA.to_owned(),
        ext: Vec::new(),
    }
}

#[cfg(target_arch = "wasm32")]
mod glue {
    use super::{Fault, Item, Verdict, about, bindings, filtering};

    struct Plugin;

    impl about::Guest for Plugin {
        fn describe() -> about::Description {
            super::describe()
        }
    }

    impl filtering::Guest for Plugin {
        fn filter(config: String, _mode: String, items: Vec<Item>) -> Result<Vec<Verdict>, Fault> {
            super::verdicts(&config, &items)
        }
    }

    bindings::export!(Plugin with_types_in bindings);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, field: &str, paths: &[&str]) -> Item {
        Item {
            kind: kind.to_owned(),
            field: field.to_owned(),
            bytes: 100,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            tool: None,
            tags: Vec::new(),
            findings: 0,
            ext: Vec::new(),
        }
    }

    fn actions(config: &str, items: &[Item]) -> Vec<Action> {
        verdicts(config, items).unwrap().iter().map(|verdict| verdict.action).collect()
    }

    #[test]
    fn one_bad_path_among_many_drops_the_item_and_no_other() {
        let items = [
            item("prompt", "/messages/0/content", &["src/main.rs"]),
            item("prompt", "/x", &["README.md", "a/.env"]),
        ];
        let found = verdicts("{}", &items).unwrap();
        assert_eq!((found[0].action, found[0].reason.as_str()), (Action::Keep, "nothing-against-it"));
        assert_eq!((found[1].action, found[1].reason.as_str()), (Action::Drop, "secret-path"));
        assert_eq!(found[1].ext, [("marker".to_owned(), ".env".to_owned())]);
    }

    #[test]
    fn tools_and_artefact_names_are_paths_too_but_json_pointers_are_not() {
        let mut with_tool = item("tool-result", "/messages/1/content", &[]);
        with_tool.tool = Some("read_file:/home/a/.aws/credentials".to_owned());
        let items = [with_tool, item("artifact", "secrets.yaml", &[]), item("prompt", "/secrets/0", &[])];
        assert_eq!(actions("{}", &items), [Action::Drop, Action::Drop, Action::Keep]);
    }

    #[test]
    fn configuration_extends_the_list_and_never_shrinks_it() {
        let config = r#"{"more_markers":["id_rsa"],"hash_only_above_bytes":99}"#;
        let items = [
            item("prompt", "/a", &[".ssh/id_rsa"]),
            item("prompt", "/a", &[".env"]),
            item("prompt", "/a", &[]),
        ];
        assert_eq!(actions(config, &items), [Action::Drop, Action::Drop, Action::HashOnly]);
        assert_eq!(actions(r#"{"hash_only_above_bytes":100}"#, &items[2..]), [Action::Keep]);
        assert!(verdicts(r#"{"markers":[]}"#, &items).is_err());
    }
}
