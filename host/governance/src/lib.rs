//! What is decided about a call: route, redact, filter, judge. The same code live and in replay.
//!
//! *Invariant*: only this room turns plugin answers into decisions, and only this room makes
//! [`sluice_core::Cleared`]. It does no I/O, reads no clock and draws no random number (`tests/tidy.rs`).

pub mod arguments;
mod author;
mod calls;
pub mod capture;
mod cuts;
mod excluded;
pub mod governor;
pub mod guard;
pub mod json;
pub mod ledger;
pub mod memo;
mod open;
mod origin;
mod pieces;
pub mod probe;
mod protected;
mod rebuild;
pub mod redact;
pub mod restore;
pub mod route;
pub mod stream;
pub mod tag;

pub use author::{Author, Origin};
pub use excluded::EXCLUDED_PATH_RULE;
pub use governor::{Governor, GovernorError, ScanScope};
pub use guard::{KNOWN_VALUE_RULE, KnownValues};
pub use ledger::Ledger;
pub use memo::Memo;
pub use origin::TOLD;
pub use redact::{Blocked, Direction, Scanned};
pub use stream::TextStream;
pub use tag::Tagger;
