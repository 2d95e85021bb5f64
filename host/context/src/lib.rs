//! What a stage sees, and what its answer is worth: the specification and earlier artefacts trimmed to a token
//! budget, the answer read against its form, the events that a merge takes along. Pure, so that a replay
//! derives the same from the record as the run did live.
//!
//! *Invariant*: no I/O, no clock, no randomness (`tests/tidy.rs`). The same inputs always give the same bytes.

pub mod answer;
mod compile;
pub mod merge;
pub mod stages;
mod tokens;
mod trim;

pub use answer::{Change, FileDiff, Unusable};
pub use compile::{Context, Inputs, compile};
pub use merge::MergeMode;
pub use stages::{StagePlan, plan_of};
pub use tokens::{count as count_tokens, warm};
