//! Why a verb did not end in a yes: one shape for every room's errors, so that they are told in one voice.

use serde_json::{Map, Value, json};
use sluice_capsule::CapsuleError;
use sluice_core::Blame;
use sluice_gateway::{CallFailure, StartError};
use sluice_governance::GovernorError;
use sluice_governance::guard::GuardError;
use sluice_plugin::PluginError;
use sluice_policy::{Problem, SnapshotError};
use sluice_provider::{KeyProblem, ProviderError};
use std::error::Error;
use std::io;
use std::path::Path;

/// The exit table: the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; the answer is yes.
    Yes = 0,
    /// Done; the answer is no: invalid, a mismatch, refused.
    No = 1,
    /// It could not be carried out.
    CouldNot = 2,
}

/// Most causes that are told: deeper ones are a library's inner workings.
const CAUSES_MAX: usize = 8;

/// One failure: for a person as `error:`, `because:`, `hint:`; for a program as one document.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// Stable, kebab-case: what a program may match on.
    pub code: &'static str,
    /// Lower case, no full stop.
    pub message: String,
    /// Outermost first; none repeats the one before it.
    pub causes: Vec<String>,
    /// What a person can do.
    pub hint: Option<String>,
    /// Further fields of the JSON document.
    pub more: Map<String, Value>,
}

impl Failure {
    /// The answer is no.
    pub fn no(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(Exit::No, code, message.into())
    }

    /// It could not be carried out.
    pub fn could_not(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(Exit::CouldNot, code, message.into())
    }

    fn new(exit: Exit, code: &'static str, message: String) -> Failure {
        Failure { exit, code, message, causes: Vec::new(), hint: None, more: Map::new() }
    }

    /// A room's error with everything below it.
    pub fn of(exit: Exit, code: &'static str, error: &dyn Error) -> Failure {
        Failure::new(exit, code, error.to_string()).because_of(error.source())
    }

    /// Adds `error` and what is below it as causes.
    pub fn because(self, error: &dyn Error) -> Failure {
        self.because_of(Some(error))
    }

    fn because_of(mut self, mut error: Option<&dyn Error>) -> Failure {
        while let Some(cause) = error.filter(|_| self.causes.len() < CAUSES_MAX) {
            let text = cause.to_string();
            let told = self.causes.last().unwrap_or(&self.message);
            if !text.is_empty() && !told.contains(&text) {
                self.causes.push(text);
            }
            error = cause.source();
        }
        self
    }

    /// What a person can do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same, where there may be nothing to say.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Failure {
        self.hint = hint.or(self.hint);
        self
    }

    /// A further field of the document.
    pub fn with(mut self, key: &str, value: Value) -> Failure {
        self.more.insert(key.to_owned(), value);
        self
    }

    /// A file or folder that could not be read, written, made.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Failure {
        let message = format!("cannot {doing} `{}`", path.display());
        let failure = Failure::could_not("file", message).because(error);
        match error.kind() {
            io::ErrorKind::StorageFull => failure.hint("free space on that disk"),
            io::ErrorKind::PermissionDenied => failure.hint("look at the path's owner and permissions"),
            _ => failure,
        }
    }

    /// An authored file with problems. Each is told on a line of its own by the printer.
    pub fn problems(what: &str, problems: &[Problem]) -> Failure {
        let count =
            if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
        let mut failure = Failure::no("invalid", format!("{what}: {count}"));
        failure.causes = problems.iter().map(ToString::to_string).collect();
        failure.with("problems", json!(problems))
    }

    /// The document of `--json`.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        let mut error = Map::new();
        error.insert("code".into(), json!(self.code));
        error.insert("message".into(), json!(self.message));
        if !self.more.contains_key("problems") {
            error.insert("causes".into(), json!(self.causes));
        }
        // Of problems the first has something to say about what to do.
        let of_problem = self.more.get("problems").and_then(|problems| problems.pointer("/0/hint"));
        let hint = self.hint.as_ref().map(|hint| json!(hint)).or_else(|| of_problem.cloned());
        error.insert("hint".into(), hint.unwrap_or(Value::Null));
        document.insert("error".into(), Value::Object(error));
        document.extend(self.more.clone());
        Value::Object(document)
    }
}

impl From<CapsuleError> for Failure {
    fn from(error: CapsuleError) -> Failure {
        use sluice_capsule::Fault;
        let (exit, code) = match (&error, error.fault()) {
            (CapsuleError::Secret { .. }, _) => (Exit::No, "secret-held-back"),
            (CapsuleError::NotFound(_) | CapsuleError::ForeignWorkspace { .. }, _) => {
                (Exit::CouldNot, "not-found")
            }
            (CapsuleError::Locked(_), _) => (Exit::CouldNot, "capsule-locked"),
            (CapsuleError::NotInitialised(_), _) => (Exit::CouldNot, "no-capsule"),
            (CapsuleError::SealedGap(_), _) => (Exit::CouldNot, "sealed-gap"),
            (CapsuleError::NotSealed { .. }, _) => (Exit::CouldNot, "not-sealed"),
            (CapsuleError::AlreadyInitialised(_), _) => (Exit::No, "capsule-exists"),
            (_, Fault::Record) => (Exit::No, "record-does-not-hold"),
            _ => (Exit::CouldNot, "capsule"),
        };
        let failure = Failure::of(exit, code, &error);
        match &error {
            CapsuleError::NotFound(_) => failure.hint(
                "`sluice capsule events` lists the events' URIs, `sluice capsule stats` the runs; a URI is exact",
            ),
            CapsuleError::ForeignWorkspace { .. } => failure.hint("`sluice capsule stats` names this workspace"),
            _ => failure.maybe_hint(error.hint()),
        }
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Failure {
        use sluice_plugin::Phase;
        let unreadable = error.digest().is_none() && error.phase() == Phase::Load;
        let (exit, code) = match error.phase() {
            _ if unreadable => (Exit::CouldNot, "plugin-unreadable"),
            _ if error.blame() == Blame::Host => (Exit::CouldNot, "plugin-not-run"),
            Phase::Load | Phase::Check => (Exit::No, "plugin-refused"),
            Phase::Call => (Exit::CouldNot, "plugin-failed"),
        };
        Failure::of(exit, code, &error).maybe_hint(error.hint())
    }
}

impl From<GovernorError> for Failure {
    fn from(error: GovernorError) -> Failure {
        let hint = match &error {
            GovernorError::Refused { source, .. } => source.hint(),
            GovernorError::OtherName { .. } => {
                Some("`sluice policy compile` reads the plugin anew".to_owned())
            }
            _ => None,
        };
        match &error {
            // Nothing is said against the plugin where it is this machine that cannot run it.
            GovernorError::Refused { source, .. } if source.blame() == Blame::Host => {
                Failure::of(Exit::CouldNot, "plugin-not-run", &error)
                    .hint("the machine lacks memory, threads or open files for the sandbox: `ulimit -a`")
                    .maybe_hint(hint)
            }
            GovernorError::Fetch { .. } => Failure::of(Exit::CouldNot, "plugin-unreadable", &error)
                .hint("`sluice capsule verify` says whether the record still holds its bytes"),
            _ => Failure::of(Exit::No, "plugin-refused", &error).maybe_hint(hint),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Failure {
        Failure::of(Exit::No, "snapshot-refused", &error).maybe_hint(error.hint())
    }
}

impl From<GuardError> for Failure {
    fn from(error: GuardError) -> Failure {
        Failure::of(Exit::CouldNot, "guard", &error)
            .hint("each variable named like a secret is guarded: unset those that this process does not need")
    }
}

impl From<KeyProblem> for Failure {
    fn from(error: KeyProblem) -> Failure {
        Failure::of(Exit::CouldNot, "key", &error).maybe_hint(error.hint())
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Failure {
        Failure::of(Exit::CouldNot, "http-client", &error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let hint = error.hint();
        match error {
            StartError::Record(error) => error.into(),
            StartError::Finished(_) => Failure::of(Exit::No, "run-finished", &error).maybe_hint(hint),
            StartError::Staged(_) => Failure::of(Exit::No, "run-staged", &error).maybe_hint(hint),
            StartError::Unreadable(..) => {
                Failure::of(Exit::No, "record-does-not-hold", &error).maybe_hint(hint)
            }
        }
    }
}

impl From<CallFailure> for Failure {
    fn from(error: CallFailure) -> Failure {
        let error = match error {
            CallFailure::Record(error) => return error.into(),
            other => other,
        };
        let exit = if error.is_refusal() { Exit::No } else { Exit::CouldNot };
        let code = match &error {
            CallFailure::NotAdmitted { .. } => "not-admitted",
            CallFailure::Refused { .. } => "refused",
            CallFailure::NeedsApproval { .. } => "needs-approval",
            CallFailure::Blocked { .. } => "blocked",
            CallFailure::Failed { .. } => "no-answer",
            CallFailure::Record(_) => "capsule",
        };
        let failure = Failure::of(exit, code, &error).maybe_hint(error.hint());
        match &error {
            CallFailure::Refused { decision, reason, .. }
            | CallFailure::NeedsApproval { decision, reason, .. } => {
                failure.with("decision", json!(decision)).with("reason", json!(reason))
            }
            CallFailure::Failed { attempts, .. } => failure
                .with("attempts", Value::Array(attempts.iter().map(crate::call::attempt_json).collect())),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner words")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner words")]
        struct Inner(#[source] io::Error);
        let error = Outer(Inner(io::Error::other("the root")));
        let failure = Failure::of(Exit::CouldNot, "x", &error);
        assert_eq!(failure.message, "outer: inner words");
        assert_eq!(failure.causes, ["the root"]);
    }
}
