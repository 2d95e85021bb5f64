//! Who wrote a string: what a field of the plugin contract says as `author`, `tool-name` and `media-type`.

use std::sync::Arc;

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Author {
    /// The body does not say, or not in words that the contract has.
    #[default]
    Unknown,
    /// `system`
    System,
    /// `developer`
    Developer,
    /// `user`
    User,
    /// `assistant`
    Assistant,
    /// `tool`
    Tool,
}

impl Author {
    /// As the contract spells it.
    pub const fn code(self) -> &'static str {
        match self {
            Author::Unknown => "",
            Author::System => "system",
            Author::Developer => "developer",
            Author::User => "user",
            Author::Assistant => "assistant",
            Author::Tool => "tool",
        }
    }

    pub(crate) fn of_role(role: Option<&str>) -> Author {
        match role {
            Some("system") => Author::System,
            Some("developer") => Author::Developer,
            Some("user") => Author::User,
            Some("assistant") => Author::Assistant,
            Some("tool") => Author::Tool,
            _ => Author::Unknown,
        }
    }

    /// Gemini's roles.
    pub(crate) fn of_contents_role(role: Option<&str>) -> Author {
        match role {
            Some("user") => Author::User,
            Some("model") => Author::Assistant,
            Some("function") => Author::Tool,
            _ => Author::Unknown,
        }
    }
}

/// Where a string comes from. The texts are shared: a body names few tools, and has many strings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Who wrote it.
    pub author: Author,
    /// The tool whose result it is of, or that it is an argument for.
    pub tool: Option<Arc<str>>,
    /// What it is.
    pub media_type: Option<Arc<str>>,
}
