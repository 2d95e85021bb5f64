//! Words that every room shares: ids, roles, digests, canonical JSON, money, limits, the plugin contract as
//! plain data, the shapes of recorded events, and text that is [`Cleared`].
//!
//! *Invariant*: nothing here does I/O, reads a clock or draws a random number (`tests/tidy.rs` checks the
//! dependencies). What needs one takes it as a parameter.

pub mod canonical;
pub mod cleared;
pub mod contract;
pub mod digest;
pub mod event;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod merkle;
pub mod money;
pub mod record;
pub mod secret;
pub mod spoken;
pub mod time;
pub mod uri;
pub mod words;

pub use cleared::{Cleared, Egress, Protected, ScanEvidence};
pub use digest::Digest;
pub use event::{Event, EventDraft, EventKind, PolicyBinding};
pub use fault::{Blame, FaultCode};
pub use ids::{PolicyId, RunId, SpecId};
pub use limits::PluginLimits;
pub use money::{MicroUsd, Price, PriceUnit, Usage};
pub use secret::{Guard, Secret};
pub use spoken::{Spoken, ToolCall};
pub use time::Timestamp;
pub use uri::LogicalUri;
pub use words::{CaptureMode, Dialect, Mode, ModeAsked, PluginKind, Risk, Role, Stage};
