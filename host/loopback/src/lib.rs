//! A model server that says it is none.
//!
//! Real HTTP on 127.0.0.1, the OpenAI-compatible and the Anthropic face, plain and as events. Answers are a
//! pure function of the request: no clock, no randomness, no state but the rules that tell it to misbehave.
//! With it demo and tests drive the same client, redactor and record as a call to a real model.
//!
//! *Invariant*: no answer of it can be taken for a model's. Each carries the header `x-sluice-loopback: 1`,
//! each JSON body `"sluice_loopback": true`, each OpenAI body the fingerprint `sluice-loopback`, and each
//! text begins with `[loopback] ` unless a rule or a JSON Schema says otherwise.

mod answer;
mod anthropic;
mod faults;
mod openai;
mod rules;
mod schema;
mod server;
mod wire;

pub use rules::{Behaviour, Route, Rule};
pub use server::Received;

use axum::Router;
use axum::serve::ListenerExt;
use server::Shared;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the server is told at its start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Port on 127.0.0.1; 0 takes a free one. No other address: a stand-in has no business on a network.
    pub port: u16,
    /// What the list of models holds; `sluice-loopback` where empty. Like real servers, it answers for any
    /// other name too.
    pub models: Vec<String>,
    /// How to misbehave, and when. The first rule that fits and is not used up decides.
    pub rules: Vec<Rule>,
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
#[error("the loopback server cannot listen on 127.0.0.1:{port}")]
pub struct LoopbackError {
    port: u16,
    #[source]
    source: std::io::Error,
}

impl LoopbackError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        (self.source.kind() == std::io::ErrorKind::AddrInUse)
            .then(|| "another program listens there: choose another port, or 0 for any".to_owned())
    }
}

/// A running server. Dropping it stops it without waiting; [`Loopback::stop`] waits.
#[derive(Debug)]
pub struct Loopback {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stopping: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Listens, and serves until it is stopped or dropped. Needs a tokio runtime.
    pub async fn start(options: Options) -> Result<Loopback, LoopbackError> {
        let port = options.port;
        let failed = |source| LoopbackError { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stopping, mut stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(options, stopped.clone()));
        let service = Router::new().fallback(server::serve).with_state(Arc::clone(&shared));
        // Without it an event waits for the acknowledgement of the one before (48 ms, measured on a peer).
        // A socket that refuses the option still serves.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let task = tokio::spawn(async move {
            let stop = async move {
                // An error means that the handle is gone, which says the same.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // The future of axum's server never resolves to an error.
            let _ = axum::serve(listener, service).with_graceful_shutdown(stop).await;
        });
        Ok(Loopback { addr, shared, stopping, task: Some(task) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL of both faces: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Requests received so far, on every route.
    pub fn requests(&self) -> u64 {
        Route::ALL.iter().map(|route| self.requests_on(*route)).sum()
    }

    /// Requests received so far on one route.
    pub fn requests_on(&self, route: Route) -> u64 {
        self.shared.count(route)
    }

    /// What was received, oldest first: the last 256 requests, or fewer where they are large. A body of more
    /// than 1 MiB is kept up to there.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received()
    }

    /// Adds a rule behind those there are.
    pub fn add_rule(&self, rule: Rule) {
        self.shared.add_rule(rule);
    }

    /// Takes no more connections, ends what stalls, and waits for the rest.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        if let Some(task) = self.task.take() {
            // A server that panicked is stopped too.
            let _ = task.await;
        }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
    }
}
