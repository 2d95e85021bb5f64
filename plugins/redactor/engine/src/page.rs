//! The rules as a page for people.

use std::fmt::Write;

use crate::rules::RULES;

/// The rules in Markdown: a heading a group, a row a rule, in the order of the table.
pub fn rules_page() -> String {
    let mut groups: Vec<&str> = Vec::new();
    for rule in &RULES {
        if !groups.contains(&rule.group) {
            groups.push(rule.group);
        }
    }
    let mut page = format!("{} rules in {} groups.\n", RULES.len(), groups.len());
    for group in groups {
        let _ =
            write!(page, "\n### {group}\n\n| rule | finds | severity | confidence |\n|---|---|---|---:|\n");
        for rule in RULES.iter().filter(|rule| rule.group == group) {
            let title = rule.title.replace('|', "\\|");
            let only = if rule.strict { " (only `redactor-strict`)" } else { "" };
            let _ =
                writeln!(page, "| `{}` | {title}{only} | {} | {} |", rule.id, rule.severity, rule.confidence);
        }
    }
    page
}
