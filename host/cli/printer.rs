//! The one printer. Data goes to standard output, talk to standard error; with `--json` standard output holds
//! exactly one document. Everything passes the guard on its way.

use crate::failure::{Exit, Failure};
use serde_json::{Map, Value};
use sluice_core::Guard;
use sluice_governance::KnownValues;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// What a verb has to say when it is done.
pub struct Answer {
    /// Yes, or a considered no.
    pub exit: Exit,
    /// For `--json`.
    pub document: Value,
    /// For a person. Empty where the talk on standard error said it all.
    pub text: String,
    /// The answer went out line by line already: nothing more is printed.
    silent: bool,
}

impl Answer {
    /// A yes.
    pub fn yes(document: Value, text: impl Into<String>) -> Answer {
        Answer::of(true, document, text)
    }

    /// A yes or a no.
    pub fn of(yes: bool, document: Value, text: impl Into<String>) -> Answer {
        let exit = if yes { Exit::Yes } else { Exit::No };
        Answer { exit, document, text: text.into(), silent: false }
    }

    /// A yes that was given line by line.
    pub fn silent() -> Answer {
        Answer { silent: true, ..Answer::yes(Value::Null, "") }
    }
}

/// Prints.
pub struct Printer {
    json: bool,
    guard: Mutex<Arc<KnownValues>>,
}

impl Printer {
    /// A printer that lets none of the guard's values pass.
    pub fn new(json: bool, guard: Arc<KnownValues>) -> Printer {
        Printer { json, guard: Mutex::new(guard) }
    }

    /// Whether a program reads the answer.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// From here on with this guard: once a policy is loaded its patterns are known.
    pub fn use_guard(&self, guard: Arc<KnownValues>) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = guard;
    }

    fn guard(&self) -> Arc<KnownValues> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A line of talk.
    pub fn say(&self, text: impl AsRef<str>) {
        let text = harmless(&self.guard().mask(text.as_ref()));
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A line about what is going on, for who watches: on a terminal, and only there.
    pub fn progress(&self, text: impl AsRef<str>) {
        if io::stderr().is_terminal() && !self.json {
            self.say(text);
        }
    }

    /// A piece of an answer that is still coming. Nobody reading any more does not end the call.
    pub fn piece(&self, text: &str) {
        let mut text = self.guard().mask(text);
        if io::stdout().is_terminal() {
            text = harmless(&text);
        }
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// One document on one line, for verbs that answer line by line.
    pub fn line(&self, document: &Value) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", mask(document, &*self.guard())).map_err(|error| closed(&error))
    }

    /// Bytes of data as they are: for content whose digest matters. What is not text, or holds a known value,
    /// goes to a file that the caller names, never to a terminal.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if std::str::from_utf8(bytes).is_err() && io::stdout().is_terminal() {
            return Err(Failure::could_not("binary", "the content is not text").hint("add `--out FILE`"));
        }
        if self.guard().finds_secret(bytes) {
            let failure = Failure::no("secret-held-back", "a known secret value is in the content");
            return Err(
                failure.hint("it was stored before that value was known: `--out FILE` writes it as it is")
            );
        }
        io::stdout().lock().write_all(bytes).map_err(|error| closed(&error))
    }

    /// The last word.
    pub fn finish(&self, outcome: Result<Answer, Failure>) -> ExitCode {
        let (exit, text) = match &outcome {
            Ok(answer) if answer.silent => (answer.exit, String::new()),
            Ok(answer) if self.json => (answer.exit, self.document(&answer.document)),
            Ok(answer) => (answer.exit, self.text(&answer.text)),
            Err(failure) if failure.code == OUTPUT_CLOSED => (Exit::Yes, String::new()),
            Err(failure) => {
                self.complain(failure);
                (failure.exit, if self.json { self.document(&failure.document()) } else { String::new() })
            }
        };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.say(format!("error: cannot write to standard output\n  because: {error}"));
                ExitCode::from(Exit::CouldNot as u8)
            }
            // Whoever read the output had enough of it: that is their yes or no to give.
            _ => ExitCode::from(exit as u8),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = self.guard().mask(text);
        if io::stdout().is_terminal() {
            text = harmless(&text);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }

    fn document(&self, document: &Value) -> String {
        let mut text = format!("{:#}", mask(document, &*self.guard()));
        text.push('\n');
        text
    }

    fn complain(&self, failure: &Failure) {
        let mut text = format!("error: {}", failure.message);
        for cause in &failure.causes {
            text.push_str("\n  because: ");
            text.push_str(&cause.replace('\n', "\n  "));
        }
        if let Some(hint) = &failure.hint {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        self.say(text);
    }
}

/// Code of a failure that nobody is left to be told of: the reader has closed the pipe.
const OUTPUT_CLOSED: &str = "output-closed";

fn closed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::could_not(OUTPUT_CLOSED, "standard output was closed");
    }
    Failure::could_not("output", "cannot write to standard output").because(error)
}

/// Without control characters: names, server words and model answers must not drive a terminal.
fn harmless(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Masks every string of a document, so that what comes out is still JSON.
fn mask(value: &Value, guard: &dyn Guard) -> Value {
    match value {
        Value::String(text) => Value::String(guard.mask(text)),
        Value::Array(items) => items.iter().map(|item| mask(item, guard)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (guard.mask(key), mask(value, guard)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sluice_core::Secret;

    #[test]
    fn a_masked_document_is_still_a_document() {
        let guard = KnownValues::new(&[Secret::new("a\"quoted\\secret".into())]).unwrap();
        let masked = mask(&json!({"k": ["x a\"quoted\\secret y", 7, null]}), &guard);
        assert_eq!(masked, json!({"k": ["x [REDACTED:known-value] y", 7, null]}));
    }

    #[test]
    fn a_terminal_is_not_driven_by_text() {
        assert_eq!(harmless("a\u{1b}[2Jb\tc\n"), "a\u{fffd}[2Jb\tc\n");
    }
}
