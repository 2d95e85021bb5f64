//! The host's files that read bytes from outside, taken by path: as crates they would bring the sandbox's compiler and
//! a TLS stack with them, and minutes of building, none of which is under test.

#[expect(dead_code, reason = "a leaf's origin is set by others")]
#[path = "../../../host/governance/src/author.rs"]
pub mod author;
#[expect(dead_code, reason = "what only a stream asks of it")]
#[path = "../../../host/governance/src/guard.rs"]
pub mod guard;
#[expect(dead_code, unused_imports, reason = "edits of whole elements are another module's")]
#[path = "../../../host/governance/src/json/mod.rs"]
pub mod json;
#[path = "../../../host/governance/src/open.rs"]
mod open;
#[path = "../../../host/provider/src/sse.rs"]
pub mod sse;
