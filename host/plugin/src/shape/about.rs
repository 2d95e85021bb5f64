//! `describe`.

use crate::bindings::v0_1_0::Said;
use crate::error::Cause;
use semver::Version;
use serde_json::{Map, Value};
use sluice_core::PluginKind;
use sluice_core::contract::about::Description;
use sluice_core::contract::is_code;

const VERSION_BYTES_MAX: usize = 64;
const CAPABILITIES_MAX: usize = 32;
/// The schema is part of what `policy compile` reads, and is shown to people.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// The description, if it keeps the contract and names the kind that the artifact exports.
pub(crate) fn description(said: Said, kind: PluginKind) -> Result<Description, Cause> {
    let refuse = |what| Err(Cause::Description(what));
    if !is_code(&said.name) {
        return refuse("the name is not kebab-case of 1 to 48 bytes");
    }
    if said.version.len() > VERSION_BYTES_MAX || Version::parse(&said.version).is_err() {
        return refuse("the version is not a semantic version");
    }
    if said.kind != kind.code() {
        return refuse("the kind is not the one of the interface that it exports");
    }
    if said.capabilities.len() > CAPABILITIES_MAX || !said.capabilities.iter().all(|one| is_code(one)) {
        return refuse("the capabilities are not at most 32 codes");
    }
    if said.config_schema.len() > SCHEMA_BYTES_MAX {
        return refuse("the configuration's schema is larger than 64 KiB");
    }
    if serde_json::from_str::<Map<String, Value>>(&said.config_schema).is_err() {
        return refuse("the configuration's schema is not a JSON object");
    }
    if super::ext(&said.ext).is_err() {
        return refuse("`ext` has more than 64 pairs or a text of more than 1 KiB");
    }
    Ok(Description {
        name: said.name,
        version: said.version,
        kind,
        capabilities: said.capabilities,
        config_schema: said.config_schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            name: "order".into(),
            version: "1.2.3".into(),
            kind: "router".into(),
            capabilities: vec!["streaming".into()],
            config_schema: "{\"type\":\"object\"}".into(),
            ext: vec![],
        }
    }

    #[test]
    fn a_sound_description_passes() {
        assert_eq!(description(said(), PluginKind::Router).unwrap().name, "order");
    }

    #[test]
    fn each_rule_is_kept() {
        type Break = fn(&mut Said);
        let broken: &[(&str, Break)] = &[
            ("name", |s| s.name = "Not Kebab".into()),
            ("name", |s| s.name = String::new()),
            ("version", |s| s.version = "1.2".into()),
            ("version", |s| s.version = format!("1.2.3-{}", "x".repeat(64))),
            ("kind", |s| s.kind = "redactor".into()),
            ("capabilities", |s| s.capabilities = vec!["x".into(); 33]),
            ("capabilities", |s| s.capabilities = vec!["\u{1b}[31m".into()]),
            ("schema", |s| s.config_schema = "[]".into()),
            ("schema", |s| s.config_schema = "{".into()),
            ("schema", |s| s.config_schema = format!("{{\"a\":\"{}\"}}", "x".repeat(SCHEMA_BYTES_MAX))),
            ("schema", |s| s.config_schema = format!("{{\"a\":{}{}}}", "[".repeat(9000), "]".repeat(9000))),
            ("ext", |s| s.ext = vec![(String::new(), "x".repeat(1025))]),
            ("ext", |s| s.ext = vec![(String::new(), String::new()); 65]),
        ];
        for (what, break_it) in broken {
            let mut said = said();
            break_it(&mut said);
            let error = description(said, PluginKind::Router).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
    }
}
