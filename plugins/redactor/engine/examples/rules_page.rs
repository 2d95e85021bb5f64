//! Prints the rules as a page for the documentation: a heading a group, a row a rule.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use redactor_engine::rules;

fn main() {
    println!("# Rules of the redactor\n");
    println!(
        "Made from `plugins/redactor/rules.toml` by `cargo run -p redactor-engine --example rules_page`."
    );
    let mut groups: Vec<&str> = Vec::new();
    for rule in rules() {
        if !groups.contains(&rule.group) {
            groups.push(rule.group);
        }
    }
    println!("{} rules in {} groups.", rules().len(), groups.len());
    for group in groups {
        println!("\n## {group}\n\n| rule | finds | severity | confidence |\n|---|---|---|---|");
        for rule in rules().iter().filter(|rule| rule.group == group) {
            println!(
                "| `{}` | {} | {} | {} |",
                rule.id,
                rule.title.replace('|', "\\|"),
                rule.severity,
                rule.confidence
            );
        }
    }
}
