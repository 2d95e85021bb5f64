//! How one governed call flows: admit, route, redact, call, filter, record, escalate. One file a step
//! (escalation's rule is governance's, its loop is in `call.rs`); `docs/call-life.md` draws them.
//!
//! *Invariant*: no byte leaves before the decision that sends it is committed, and no answer is handed out
//! before its envelope is. The gateway decides nothing itself: it asks `governance` and records what it was
//! told.

mod admit;
mod attempt;
mod call;
mod conversation;
mod doors;
mod filter;
mod health;
mod listen;
mod record;
mod redact;
mod reply;
mod restore;
mod route;
mod run;
mod scanning;

pub use admit::{CallRequest, PROMPT_BYTES_MAX};
pub use conversation::{Conversation, NoConversation};
pub use doors::{Note, recorded_answer};
pub use listen::Listener;
pub use reply::{AttemptSummary, CallFailure, CallReply};
pub use run::{Gateway, Parts, Run, RunOptions, StartError};

use sluice_core::Timestamp;
use sluice_policy::snapshot::Provider;
use sluice_provider::Endpoint;
use sluice_provider::keys::KeyProblem;

pub use sluice_governance::Blocked;

/// Where the time comes from: a fact, recorded with each event.
pub type Clock = std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where randomness comes from: run ids and seeds, each recorded.
pub type Entropy = std::sync::Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Turns a provider of the policy into a place to call: the command line binds keys to origins, or puts the
/// loopback server in every provider's place.
pub trait Endpoints: Send + Sync {
    /// The endpoint for `name`, with its key where one is needed.
    fn endpoint(&self, name: &str, provider: &Provider) -> Result<Endpoint, KeyProblem>;
}
