//! The page in the documentation says what the table says.

use std::path::PathBuf;

const BEGIN: &str =
    "<!-- rules: made by `SLUICE_WRITE_RULES=1 cargo test -p redactor-engine --test page` -->\n";
const END: &str = "<!-- end of rules -->";

#[test]
fn the_rules_in_the_documentation_are_those_of_the_table() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/redaction.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (rules, tail) = rest.split_once(END).unwrap();
    let wanted = format!("\n{}\n", redactor_engine::rules_page());
    if std::env::var_os("SLUICE_WRITE_RULES").is_some() {
        std::fs::write(&file, format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
    } else {
        assert!(
            rules == wanted,
            "docs/redaction.md is out of date; type: SLUICE_WRITE_RULES=1 cargo test -p redactor-engine --test page"
        );
    }
}
