//! The codes of the field. Each has one spelling, used in policy, events, contract and command line.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A word outside its closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{word}`: one of {}", known.join(", "))]
pub struct UnknownWord {
    /// What was expected: `role`, `stage` …
    pub what: &'static str,
    /// What was given.
    pub word: String,
    /// What would have been accepted.
    pub known: &'static [&'static str],
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the design.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// Every code, in the same order.
            pub const CODES: &'static [&'static str] = &[$($code,)+];

            /// The one spelling.
            pub const fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.code())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($code => Ok($name::$variant),)+
                    _ => Err(UnknownWord { what: $what, word: word.to_owned(), known: Self::CODES }),
                }
            }
        }
    };
}

words!(
    /// Who speaks in a stage.
    Role, "role", {
        /// Plans and cuts tasks.
        Architect = "architect",
        /// Writes and validates.
        Implementer = "implementer",
        /// Audits and unlocks; always cloud, high reasoning.
        Judge = "judge",
        /// Comments on the side and never blocks.
        SidecarCritic = "sidecar-critic",
        /// Fetches what is known (NotebookLM, memory).
        Librarian = "librarian",
    }
);

words!(
    /// The stages of a governed run, in order.
    Stage, "stage", {
        /// What is to be built, and how.
        Plan = "plan",
        /// The plan cut into tasks.
        Tasks = "tasks",
        /// The change itself.
        Implement = "implement",
        /// Does it do what the plan says?
        Validate = "validate",
        /// Was every rule kept?
        Audit = "audit",
        /// The verdict that lets the change in.
        Unlock = "unlock",
    }
);

words!(
    /// Where a model runs.
    Mode, "mode", {
        /// A provider's service.
        Cloud = "cloud",
        /// A local endpoint of the operator's own.
        Reflex = "reflex",
    }
);

words!(
    /// What the caller asked for. A wish: policy and router decide.
    ModeAsked, "mode", {
        /// No wish.
        Auto = "auto",
        /// Cloud, please.
        Cloud = "cloud",
        /// Local, please.
        Reflex = "reflex",
    }
);

words!(
    /// How much harm a wrong answer would do.
    Risk, "risk", {
        /// Little.
        Low = "low",
        /// The usual.
        Normal = "normal",
        /// Much: reflex is skipped.
        High = "high",
    }
);

words!(
    /// What of model input and output the record keeps. Ordered: a later one keeps more.
    CaptureMode, "capture mode", {
        /// Salted commitments only.
        None = "none",
        /// Redacted prompts; commitments of answers.
        PromptsOnly = "prompts-only",
        /// Redacted prompts and answers.
        FullIo = "full-io",
    }
);

words!(
    /// The four kinds of plugin.
    PluginKind, "plugin kind", {
        /// Orders the candidates.
        Router = "router",
        /// Finds secrets.
        Redactor = "redactor",
        /// Lowers what is captured.
        CaptureFilter = "capture-filter",
        /// Plans and judges health requests.
        HealthProbe = "health-probe",
    }
);

words!(
    /// Which shapes an endpoint speaks.
    Dialect, "dialect", {
        /// `/chat/completions`: OpenAI, SGLang, vLLM, llama.cpp, Gemini's compatible face.
        OpenAiChat = "openai-chat",
        /// `/messages`: Anthropic.
        AnthropicMessages = "anthropic-messages",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_serialises_as_itself() {
        for role in Role::ALL {
            assert_eq!(role.code().parse(), Ok(*role));
            assert_eq!(serde_json::to_string(role).unwrap(), format!("\"{role}\""));
        }
        let error = "juge".parse::<Role>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown role `juge`: one of architect, implementer, judge, sidecar-critic, librarian"
        );
    }
}
