//! Everything that is tested from outside: one binary, so that it is linked once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test needs and cannot have fails it")]

/// `sluice demo`, and that what it plants is nowhere.
mod demo;
/// A full disk and `kill -9`.
mod durability;
/// Endpoints that fail, each in its own way.
mod endpoints;
/// The governed call: evidence before action, budgets, local models, capture.
mod gateway;
/// Guests that misbehave.
mod hostile;
/// `sluice call --messages`, at the command line.
mod messages;
/// Whose words a redactor is told that a string is.
mod origins;
/// Policies, pins and snapshots, at the command line.
mod policy_cli;
/// Values that are never edited: signatures, ids, pictures.
mod protected;
/// What is on the wire, in the record and in the caller's hands.
mod redaction;
/// The record: it replays, and no change to it goes unseen.
mod replay;
/// A gateway with everything around it, in this process.
mod rig;
/// `sluice run`: six stages, what stops them, what goes on, what replay makes of it.
mod run;
/// `sluice plugin scan`: what it finds, and what it will not take.
mod scanning;
/// Sealed files: made, verified, healed, replayed from.
mod sealing;
/// Answers that are handed on while they come.
mod streaming;
/// The program as a process.
mod support;
/// House rules: sizes, directions, documents.
mod tidy;
/// Conversations with tools, and what comes back in arguments.
mod tools;
/// Exit status, streams, runs, keys, writers.
mod verbs;
