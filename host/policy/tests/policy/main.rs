//! What policy takes and refuses. One module a question; a golden folder of refusals in `tests/cases`, and
//! one stored snapshot of every schema version that ever shipped in `tests/golden`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a fixture that fails fails its test")]

mod compiling;
mod fixtures;
mod locking;
mod looking;
mod properties;
mod refusals;
mod storing;
