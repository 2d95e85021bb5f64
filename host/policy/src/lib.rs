//! What is allowed: authored TOML to problems or to a [`PolicySnapshot`].
//!
//! ```text
//! model_policy.toml --parse--> Authored --compile (+ plugin facts)--> Compiled { snapshot, bytes }
//!                        \                     \                            |
//!                         +--- every Problem at once                     stored once, load()ed at every use
//! ```
//!
//! *Invariant*: a policy with a problem gives no snapshot, and a snapshot is not believed before its hash is
//! recomputed from the stored bytes.
//! *Invariant*: nothing here does I/O or reads a clock: bytes, ids and times come in as parameters.

pub mod authored;
pub mod compile;
mod config_schema;
mod cursor;
pub mod diff;
mod document;
pub mod hash;
pub mod lint;
pub mod load;
pub mod lockfile;
mod node;
pub mod problem;
mod relations;
pub mod rules;
mod secretlike;
pub mod snapshot;
mod values;

pub use authored::{Authored, AuthoredPlugin, PluginSource, parse, parse_with_lock};
pub use compile::{CompileContext, Compiled, PluginFacts, compile};
pub use diff::{Change, diff};
pub use hash::content_hash;
pub use lint::{Warning, lint};
pub use load::{Loaded, SnapshotError, load};
pub use lockfile::PluginLock;
pub use problem::Problem;
pub use snapshot::PolicySnapshot;
