//! How a model is reached: dialects, which are pure, and one HTTP client.
//!
//! ```text
//! ChatCall --encode--> JSON body ..governance clears it..> Cleared --Client::send--> Reply { Answer }
//!                                                                      |
//!                               whole JSON or SSE chunks --decode------+
//! ```
//!
//! * [`dialect`]: one file a wire shape. Encoding and decoding do no I/O; a stream is folded into the same
//!   body that an answer without streaming has, so there is one reading of an answer and not two.
//! * [`sse`]: server-sent events, byte by byte.
//! * [`client`]: the only code of the program that sends anything to a model.
//! * [`keys`]: which key belongs to which origin.
//!
//! *Invariants*: a body leaves only as [`sluice_core::Cleared`]; a key goes into one header, to the origin
//! it is bound to, and never over plain HTTP to another machine; redirects are not followed and proxies of
//! the environment are not used, so nothing goes anywhere but to the base URL that policy names; no error
//! text holds a header, a body or a server's words.

pub mod call;
pub mod client;
pub mod dialect;
pub mod endpoint;
pub mod keys;
pub mod sse;

mod exchange;
mod transport;

pub use call::{Answer, CallProblem, ChatCall, Message, Tool, ToolChoice};
pub use client::{CallError, Client, OnPart, ProviderError, Reply};
pub use dialect::{StreamDecoder, Streamed, StreamedCall, StreamedText, decode, encode};
pub use endpoint::{Endpoint, UrlProblem};
pub use keys::{KeyProblem, OperatorFile};
