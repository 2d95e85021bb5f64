//! One request: counted, noted, and answered as the rules say.

use crate::faults;
use crate::rules::{Behaviour, Route, Rule};
use crate::wire;
use crate::{Options, anthropic, openai};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Largest request that is read: the longest context there is, with room.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// What is kept of what was received: so many requests, so many bytes of one, so many of all.
const LOG_REQUESTS_MAX: usize = 256;
const LOG_BODY_BYTES_MAX: usize = 1 << 20;
const LOG_BYTES_MAX: usize = 8 << 20;

/// A request as it arrived: what has really left the caller.
#[derive(Clone)]
pub struct Received {
    /// What it was for.
    pub route: Route,
    /// Method and path.
    pub line: String,
    /// The body, up to 1 MiB.
    pub body: Bytes,
    headers: HeaderMap,
}

impl Received {
    /// A header's value; `None` where it is missing or not text. Names in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the bytes stand anywhere in the request: in its line, a header or its body.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        let holds = |hay: &[u8]| !bytes.is_empty() && hay.windows(bytes.len()).any(|window| window == bytes);
        holds(self.line.as_bytes())
            || holds(&self.body)
            || self.headers.values().any(|value| holds(value.as_bytes()))
    }
}

// Headers and body may hold a key or a secret under test.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({}, {} bytes)", self.line, self.body.len())
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    models: Vec<String>,
    rules: Mutex<Vec<Rule>>,
    counts: [AtomicU64; Route::ALL.len()],
    log: Mutex<VecDeque<Received>>,
    stopped: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn new(options: Options, stopped: watch::Receiver<bool>) -> Shared {
        let models =
            if options.models.is_empty() { vec!["sluice-loopback".to_owned()] } else { options.models };
        Shared {
            models,
            rules: Mutex::new(options.rules),
            counts: Default::default(),
            log: Mutex::default(),
            stopped,
        }
    }

    pub(crate) fn count(&self, route: Route) -> u64 {
        self.counts[route as usize].load(Ordering::SeqCst)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.log).iter().cloned().collect()
    }

    pub(crate) fn add_rule(&self, rule: Rule) {
        lock(&self.rules).push(rule);
    }

    /// Waits, or returns at once where the server is told to stop.
    pub(crate) async fn wait(&self, time: Duration) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            // An error means that the handle is gone, which says the same.
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }

    fn note(&self, received: Received) {
        self.counts[received.route as usize].fetch_add(1, Ordering::SeqCst);
        let mut log = lock(&self.log);
        log.push_back(received);
        let mut bytes: usize = log.iter().map(|received| received.body.len()).sum();
        while log.len() > LOG_REQUESTS_MAX || bytes > LOG_BYTES_MAX {
            bytes -= log.pop_front().map_or(0, |received| received.body.len());
        }
    }
}

/// A test that panicked while it held the lock has failed already: what it left is good enough.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let route = Route::of(parts.method.as_str(), parts.uri.path());
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return faults::failed(route, 413, "the request is too large or broke off");
    };
    let kept = Bytes::copy_from_slice(&body[..body.len().min(LOG_BODY_BYTES_MAX)]);
    let line = format!("{} {}", parts.method, parts.uri);
    let anthropic = parts.headers.contains_key("anthropic-version");
    shared.note(Received { route, line, body: kept, headers: parts.headers });

    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let model = body.as_ref().and_then(|body| body["model"].as_str());
    let behaviour = Rule::take(&mut lock(&shared.rules), route, model);
    if let Behaviour::Stall(time) = behaviour {
        shared.wait(time).await;
    }
    if let Some(response) = faults::without_reading(route, &behaviour) {
        return response;
    }
    answer(&shared, route, &behaviour, body, anthropic)
        .unwrap_or_else(|message| faults::failed(route, 400, &message))
}

/// An error is in words for its 400.
fn answer(
    shared: &Arc<Shared>,
    route: Route,
    behaviour: &Behaviour,
    body: Option<Value>,
    anthropic: bool,
) -> Result<Response<Body>, String> {
    let body = || body.ok_or("the body is not JSON");
    let asked = match route {
        Route::Health => return Ok(wire::json(200, json!({ "status": "ok" }))),
        Route::Other => return Ok(wire::json(404, json!({ "detail": "Not Found" }))),
        Route::Models => {
            let wrong = *behaviour == Behaviour::WrongModels;
            return Ok(wire::json(200, faults::models(anthropic, &shared.models, wrong)));
        }
        Route::CountTokens => {
            let asked = anthropic::read(&body()?, true)?;
            return Ok(wire::json(200, json!({ "input_tokens": asked.input_tokens() })));
        }
        Route::Chat => openai::read(&body()?)?,
        Route::Messages => anthropic::read(&body()?, false)?,
    };
    let said = asked.answer(behaviour)?;
    Ok(faults::answered(shared, route, behaviour, &asked, &said))
}
