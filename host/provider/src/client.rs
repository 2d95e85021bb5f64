//! One attempt at a model, over HTTP.

use crate::call::{Answer, CallProblem};
use crate::dialect::{self, BODY_BYTES_MAX, Shape, StreamDecoder, Streamed, anthropic_messages};
use crate::endpoint::{self, Endpoint, UrlProblem};
use crate::transport::{Head, Transport, sending_problem};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use sluice_core::record::AttemptOutcome;
use sluice_core::{Cleared, Dialect};
use std::fmt;
use std::time::{Duration, Instant};

/// Most bytes read of an answer that is an error: its sentence stands at the front.
const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// How long the end of the body is waited for once the stream has said that it is complete. It comes with
/// the end mark or right behind it, and a connection whose body was read to its end can serve again; a
/// server that holds it back must not hold the answer back.
const TAIL_WAIT: Duration = Duration::from_millis(20);

/// Who listens to an answer on its way.
pub type OnPart<'a> = &'a mut (dyn FnMut(Streamed<'_>) + Send);

/// No client could be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct ProviderError(#[source] reqwest::Error);

/// A whole answer, and what it took.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// HTTP status, of the 2xx.
    pub status: u16,
    /// From sending to the last byte.
    pub duration_ms: u64,
}

/// An attempt without an answer.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CallError {
    /// What escalation reads.
    pub outcome: AttemptOutcome,
    /// HTTP status, where one came.
    pub status: Option<u16>,
    /// From sending to giving up.
    pub duration_ms: u64,
    /// How long the server asks to be left alone, at most an hour.
    pub retry_after_ms: Option<u64>,
    /// Whether the answer's head said that it comes from the loopback stand-in.
    pub loopback: bool,
    /// The host's own words, from a fixed list.
    pub detail: &'static str,
    /// The server's words, bounded. Never printed or stored before redaction.
    pub excerpt: Option<String>,
}

impl CallError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.outcome {
            AttemptOutcome::Unreachable => {
                "see that the server runs and that the policy's `base_url` names it; proxies of the environment are \
                 not used"
            }
            AttemptOutcome::Auth => {
                "see that the key of this origin is valid and may use the model (`operator.toml` or the provider's \
                 usual variable)"
            }
            AttemptOutcome::NotFound => {
                "see that the policy's model name and `base_url` are what the server knows: the URL ends before \
                 `/chat/completions` or `/messages`"
            }
            AttemptOutcome::BadAnswer => {
                "see that the policy's `base_url` and `dialect` are the server's: what came back is not that dialect"
            }
            AttemptOutcome::Timeout => "raise the model's `timeout_ms` in the policy, or use a faster model",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

// The excerpt is the server's: it is left out.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("outcome", &self.outcome)
            .field("status", &self.status)
            .field("duration_ms", &self.duration_ms)
            .field("retry_after_ms", &self.retry_after_ms)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

/// The one way out. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client without connections. No certificates are read before the first `https` call.
    pub fn new() -> Result<Client, ProviderError> {
        Transport::new().map(|transport| Client { transport }).map_err(ProviderError)
    }

    /// Makes one attempt: `body` to the endpoint's chat route, and the whole answer back. `stream` says
    /// whether the body asks for events. `timeout` covers everything from the connection to the last byte.
    ///
    /// Dropping the future closes the connection and so cancels the call.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        body: Cleared,
        stream: bool,
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        self.send_listening(endpoint, body, stream, timeout, &mut |_| {}).await
    }

    /// The same, with `on_part` told of the answer's text whenever more of it has come, each time all of it so far,
    /// and of each tool call once, when it is complete. An answer that does not come as a stream is not told of.
    pub async fn send_listening(
        &self,
        endpoint: &Endpoint,
        body: Cleared,
        stream: bool,
        timeout: Duration,
        on_part: OnPart<'_>,
    ) -> Result<Reply, CallError> {
        let started = Instant::now();
        let mut head = None;
        let attempt = self.attempt(endpoint, body, stream, &mut head, on_part);
        let result = tokio::time::timeout(timeout, attempt).await.unwrap_or_else(|_| {
            Err(CallProblem::new(AttemptOutcome::Timeout, "no whole answer within the deadline"))
        });
        let duration_ms = millis(started);
        let status = head.as_ref().map(|head| head.status);
        match result {
            Ok(answer) => Ok(Reply { answer, status: status.unwrap_or(200), duration_ms }),
            Err(problem) => Err(CallError {
                outcome: problem.outcome,
                status,
                duration_ms,
                retry_after_ms: head.as_ref().and_then(|head| head.retry_after_ms),
                loopback: head.as_ref().is_some_and(|head| head.loopback),
                detail: problem.detail,
                excerpt: problem.excerpt,
            }),
        }
    }

    /// `head` is set as soon as it is known, so that it outlives an attempt that the deadline ends.
    async fn attempt(
        &self,
        endpoint: &Endpoint,
        body: Cleared,
        stream: bool,
        head: &mut Option<Head>,
        on_part: OnPart<'_>,
    ) -> Result<Answer, CallProblem> {
        let url = endpoint::join(&endpoint.base_url, dialect::path(endpoint.dialect)).map_err(url_problem)?;
        let mut headers = auth_headers(endpoint, &url)?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if stream { "text/event-stream" } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let request = self.transport.for_url(&url)?.post(url).headers(headers).body(body.into_body());
        let response = request.send().await.map_err(|error| sending_problem(&error))?;
        let head = head.insert(Head::of(&response));
        let answer = receive(endpoint.dialect, head, response, on_part).await?;
        Ok(Answer { loopback: answer.loopback || head.loopback, ..answer })
    }
}

async fn receive(
    dialect: Dialect,
    head: &Head,
    response: Response,
    on_part: OnPart<'_>,
) -> Result<Answer, CallProblem> {
    if !head.is_success() {
        // Whatever breaks while an error is read, the status has said what matters.
        let body = read_body(response, ERROR_BODY_BYTES_MAX).await;
        return Err(dialect::status_problem(head.status, &body.bytes));
    }
    if head.encoded {
        return Err(CallProblem::bad("the answer is compressed, which was not asked for"));
    }
    match Shape::of(&head.content_type) {
        Shape::Stream => receive_stream(dialect, response, on_part).await,
        shape => {
            let body = read_body(response, BODY_BYTES_MAX).await;
            match body.end {
                BodyEnd::Whole => dialect::decode_whole(dialect, shape, &body.bytes),
                BodyEnd::TooLarge => Err(CallProblem::bad("the answer is larger than allowed")),
                BodyEnd::Broken => Err(CallProblem::bad("the connection broke inside the answer")),
            }
        }
    }
}

async fn receive_stream(
    dialect: Dialect,
    mut response: Response,
    on_part: OnPart<'_>,
) -> Result<Answer, CallProblem> {
    let mut decoder = StreamDecoder::new(dialect);
    while !decoder.is_done() {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                decoder.push(&chunk)?;
                if let Some(text) = decoder.text() {
                    on_part(Streamed::Text(text));
                }
                decoder.tool_calls().into_iter().for_each(|call| on_part(Streamed::Call(call)));
            }
            Ok(None) => break,
            Err(_) => return Err(CallProblem::bad("the connection broke inside the stream")),
        }
    }
    if decoder.is_done() {
        let _ = tokio::time::timeout(TAIL_WAIT, response.chunk()).await;
    }
    decoder.finish()
}

/// Bytes of a body, and how they ended.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: BodyEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Whole,
    /// More than `bytes_max`; `bytes` holds exactly that many.
    TooLarge,
    Broken,
}

pub(crate) async fn read_body(mut response: Response, bytes_max: usize) -> Body {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > bytes_max => {
                let room = bytes_max - bytes.len();
                bytes.extend_from_slice(&chunk[..room]);
                return Body { bytes, end: BodyEnd::TooLarge };
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Body { bytes, end: BodyEnd::Whole },
            Err(_) => return Body { bytes, end: BodyEnd::Broken },
        }
    }
}

/// The dialect's headers, with the key in the one that is for it. `url` is where they will go: the key is
/// looked at together with the place it travels to.
pub(crate) fn auth_headers(endpoint: &Endpoint, url: &Url) -> Result<HeaderMap, CallProblem> {
    let mut headers = HeaderMap::new();
    if endpoint.dialect == Dialect::AnthropicMessages {
        let name = HeaderName::from_static("anthropic-version");
        headers.insert(name, HeaderValue::from_static(anthropic_messages::VERSION));
    }
    if let Some(key) = &endpoint.key {
        endpoint::check_key_may_travel(url).map_err(url_problem)?;
        let (name, value) = match endpoint.dialect {
            // The only place where a key is exposed: it goes to the server that it belongs to.
            Dialect::OpenAiChat => {
                (header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", key.expose())))
            }
            Dialect::AnthropicMessages => {
                (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key.expose()))
            }
        };
        let mut value = value.map_err(|_| {
            CallProblem::new(AttemptOutcome::Auth, "the key holds characters that a header cannot carry")
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

pub(crate) fn url_problem(problem: UrlProblem) -> CallProblem {
    CallProblem::new(AttemptOutcome::Unreachable, problem.detail())
}

pub(crate) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
