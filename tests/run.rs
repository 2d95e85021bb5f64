//! `sluice run`: six stages, what stops them, what goes on, what replay makes of it.

/// As its users meet it: arguments, files, signals, a full disk.
mod command;
/// In this process, with models that misbehave.
mod course;
/// Its record, altered.
mod record;
