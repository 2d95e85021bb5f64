//! Answers that are none.

use crate::answer::{Asked, Said};
use crate::rules::{Behaviour, Route};
use crate::server::Shared;
use crate::wire::{self, EVENTS, JSON};
use crate::{anthropic, openai};
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Size of [`Behaviour::Garbage`].
const GARBAGE_BYTES: usize = 1 << 20;

/// The behaviours that look at nothing of the request but its route.
pub(crate) fn without_reading(route: Route, behaviour: &Behaviour) -> Option<Response<Body>> {
    Some(match behaviour {
        Behaviour::Fail(status) => failed(route, *status, "told to fail"),
        Behaviour::Overload { status, retry_after_ms } => {
            let mut response = failed(route, *status, "told to be overloaded");
            let headers = response.headers_mut();
            headers.insert("retry-after-ms", HeaderValue::from(*retry_after_ms));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1000)));
            response
        }
        Behaviour::Redirect(place) => {
            let mut response = wire::respond(307, "text/plain", Body::empty());
            if let Ok(place) = HeaderValue::from_str(place) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            response
        }
        Behaviour::Html => wire::respond(
            200,
            "text/html; charset=utf-8",
            "<!doctype html><title>loopback</title><p>Sign in first.",
        ),
        _ => return None,
    })
}

/// An error in the shape that clients of the route expect.
pub(crate) fn failed(route: Route, status: u16, message: &str) -> Response<Body> {
    let message = format!("loopback: {message}");
    let body = match route {
        Route::Messages | Route::CountTokens => anthropic::error(status, &message),
        _ => openai::error(status, &message),
    };
    wire::json(status, body)
}

/// An answer, whole or as events, and what is to go wrong with it.
pub(crate) fn answered(
    shared: &Arc<Shared>,
    route: Route,
    behaviour: &Behaviour,
    asked: &Asked,
    said: &Said,
) -> Response<Body> {
    let anthropic = route == Route::Messages;
    let (content_type, parts) = match (anthropic, asked.stream) {
        (false, false) => (JSON, vec![Bytes::from(openai::whole(asked, said).to_string())]),
        (true, false) => (JSON, vec![Bytes::from(anthropic::whole(asked, said).to_string())]),
        (false, true) => (EVENTS, openai::events(asked, said)),
        (true, true) => (EVENTS, anthropic::events(asked, said)),
    };
    let send = |parts: Vec<Bytes>| sequence(shared, parts.into_iter().map(Step::Send).collect());
    let half = || halve(&parts);
    let body = match behaviour {
        Behaviour::Empty => Body::empty(),
        Behaviour::Garbage => Body::from(garbage()),
        Behaviour::HalfStream => send(half()),
        Behaviour::Cut => {
            let steps = half().into_iter().map(Step::Send).chain([Step::Break]);
            sequence(shared, steps.collect())
        }
        Behaviour::StallInside(time) => {
            let steps = half().into_iter().map(Step::Send).chain([Step::Wait(*time)]);
            sequence(shared, steps.collect())
        }
        Behaviour::Slow(time) => sequence(
            shared,
            parts.into_iter().flat_map(|part| [Step::Wait(*time), Step::Send(part)]).collect(),
        ),
        Behaviour::ErrorFirst => send(error_parts(anthropic, asked.stream)),
        Behaviour::ErrorInStream if asked.stream => send([half(), error_parts(anthropic, true)].concat()),
        Behaviour::ErrorInStream => send(error_parts(anthropic, false)),
        _ if asked.stream => send(parts),
        _ => Body::from(parts.concat()),
    };
    wire::respond(200, content_type, body)
}

/// The first half of the events; of a body in one part, the first half of its bytes.
fn halve(parts: &[Bytes]) -> Vec<Bytes> {
    match parts {
        [one] => vec![one.slice(..one.len() / 2)],
        many => many[..many.len() / 2].to_vec(),
    }
}

/// As SGLang words an overload inside a stream, and as Anthropic does.
fn error_parts(anthropic: bool, stream: bool) -> Vec<Bytes> {
    let mut error = if anthropic {
        anthropic::error(529, "loopback: overloaded")
    } else {
        json!({ "error": {
            "object": "error", "message": "loopback: the request queue is full.", "type": "Service Unavailable",
            "param": null, "code": 503
        } })
    };
    wire::label(&mut error);
    match (anthropic, stream) {
        (_, false) => vec![Bytes::from(error.to_string())],
        (true, true) => vec![wire::event(Some("error"), &error)],
        (false, true) => vec![wire::event(None, &error), Bytes::from_static(b"data: [DONE]\n\n")],
    }
}

/// Printable bytes without a pattern that a parser could like. The same on each run.
fn garbage() -> Vec<u8> {
    let mut state: u32 = 0x2545_f491;
    let mut bytes = Vec::with_capacity(GARBAGE_BYTES);
    while bytes.len() < GARBAGE_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The top seven bits, laid over 0x21..=0x7e: the low bits of such a generator repeat soon.
        bytes.push(0x21 + ((state >> 25) % 94) as u8);
    }
    bytes
}

enum Step {
    Send(Bytes),
    Wait(Duration),
    Break,
}

/// A body in steps. A wait ends early when the server stops.
fn sequence(shared: &Arc<Shared>, steps: Vec<Step>) -> Body {
    let shared = Arc::clone(shared);
    let steps = stream::unfold(steps.into_iter(), move |mut steps| {
        let shared = Arc::clone(&shared);
        async move {
            loop {
                match steps.next()? {
                    Step::Send(part) => return Some((Ok(part), steps)),
                    Step::Wait(time) => shared.wait(time).await,
                    Step::Break => {
                        // A pause makes the server write out what it holds, which an error would discard.
                        tokio::task::yield_now().await;
                        return Some((Err(io::Error::other("told to break")), steps));
                    }
                }
            }
        }
    });
    Body::from_stream(steps)
}

/// The models to list: what there is, or nothing of it.
pub(crate) fn models(anthropic: bool, models: &[String], wrong: bool) -> Value {
    let other = ["some-other-model".to_owned()];
    let models = if wrong { &other[..] } else { models };
    if anthropic { anthropic::models(models) } else { openai::models(models) }
}
