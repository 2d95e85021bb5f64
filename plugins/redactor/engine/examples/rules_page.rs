//! Prints the rules as they stand in `docs/redaction.md`.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

fn main() {
    print!("{}", redactor_engine::rules_page());
}
