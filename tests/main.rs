//! Everything that is tested from outside: one binary, so that it is linked once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test needs and cannot have fails it")]

/// A full disk and `kill -9`.
mod durability;
/// Endpoints that fail, each in its own way.
mod endpoints;
/// The governed call: evidence before action, budgets, local models, capture.
mod gateway;
/// Guests that misbehave.
mod hostile;
/// What is on the wire, in the record and in the caller's hands.
mod redaction;
/// A gateway with everything around it, in this process.
mod rig;
/// House rules: sizes, directions, documents.
mod tidy;
