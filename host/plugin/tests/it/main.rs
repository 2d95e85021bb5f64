//! The plugin room at its seam: artifacts go in, answers or faults come out. Guests are written as WebAssembly
//! text, because most of what they do cannot be said in a language that means well.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test needs and cannot have fails it")]

mod admission;
mod cache;
mod faults;
mod guest;
mod kinds;
mod limits;
mod wasi;
