//! Responses, each with its label.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use serde_json::{Value, json};

/// The header that says whose answer it is.
const LABEL: &str = "x-sluice-loopback";

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream";

pub(crate) fn respond(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    // A rule may ask for any number; what is no status becomes the one for a broken server.
    *response.status_mut() = status.try_into().unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(LABEL, HeaderValue::from_static("1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON body, labelled where it is an object.
pub(crate) fn json(status: u16, mut body: Value) -> Response<Body> {
    label(&mut body);
    respond(status, JSON, body.to_string())
}

pub(crate) fn label(body: &mut Value) {
    if let Value::Object(body) = body {
        body.insert("sluice_loopback".to_owned(), json!(true));
    }
}

/// One server-sent event. JSON text has no line ends, so one `data` line holds it.
pub(crate) fn event(name: Option<&str>, data: &Value) -> Bytes {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    Bytes::from(format!("{name}data: {data}\n\n"))
}

/// Cuts a text into pieces of at most `bytes` each, on character boundaries.
pub(crate) fn pieces(text: &str, bytes: usize) -> Vec<&str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // A character longer than a piece is a piece.
        let at = match rest.floor_char_boundary(bytes) {
            0 => rest.ceil_char_boundary(1),
            at => at,
        };
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
