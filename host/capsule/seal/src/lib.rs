//! Sealed files: a stretch of the journal in one `.mv2` (Memvid), written once, verified, never changed.
//!
//! This room knows nothing of the journal: it is given frames in their order and what the manifest says of
//! them. It alone names Memvid, and Memvid only ever writes a temporary file and reads it back, or reads a
//! private copy; a sealed file itself is opened for reading alone, by [`SealedReader`]. The format is in
//! `docs/sealed-format.md`.
//!
//! *Invariant*: a name without `.sealing-` in it is given only to a file that was read back and synced. Tests
//! make every step of [`FileDoor`] fail and look for a half-written file under a sealed file's name.

mod container;
mod door;
mod error;
mod frame;
mod heal;
mod layout;
pub mod limits;
mod manifest;
mod plan;
mod reader;
mod write;

pub use door::{Disk, FileDoor};
pub use error::{Fault, SealError};
pub use frame::{Body, Frame, Shape};
pub use heal::{Expected, Verdict, discard, inspect, leftovers, sweep};
pub use manifest::{Entry, MANIFEST_URI, Manifest, SEAL_FORMAT};
pub use plan::plan;
pub use reader::{Content, Damage, Sealed, SealedReader, Which};
pub use write::write_once;

#[cfg(test)]
mod tests;
