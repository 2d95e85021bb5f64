//! One request of a health probe: sent as the plugin planned it, told as it went.

use crate::client::{BodyEnd, Client, auth_headers, millis, read_body};
use crate::endpoint::{self, Endpoint};
use crate::transport::Head;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use sluice_core::Cleared;
use sluice_core::contract::health_probe::{
    PROBE_BODY_BYTES_MAX, PROBE_TIMEOUT_MS_MAX, ProbeExchange, ProbeRequest,
};
use std::time::{Duration, Instant};

/// How an exchange without an answer is told to the plugin.
const UNREACHABLE: &str = "unreachable";
const TIMEOUT: &str = "timeout";
const BAD_ANSWER: &str = "bad-answer";

impl Client {
    /// Carries out one planned request, under its own deadline. `body` is `request.body` as governance
    /// cleared it; `None` for a `GET`. What comes back is capped and not yet redacted.
    ///
    /// A request that could lead elsewhere (its path, its method, a body on a `GET`) is not sent and told as
    /// `unreachable`; the plugin room refuses such a plan before it gets here.
    pub async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: &ProbeRequest,
        body: Option<Cleared>,
    ) -> ProbeExchange {
        let started = Instant::now();
        let mut told = ProbeExchange {
            request: request.id.clone(),
            status: None,
            error: String::new(),
            duration_ms: 0,
            body: String::new(),
            truncated: false,
            ext: Vec::new(),
        };
        let timeout = Duration::from_millis(u64::from(request.timeout_ms.clamp(1, PROBE_TIMEOUT_MS_MAX)));
        let sent = tokio::time::timeout(timeout, self.send_probe(endpoint, request, body, &mut told)).await;
        let error = match sent {
            Ok(Ok(())) => "",
            Ok(Err(error)) => error,
            Err(_) => TIMEOUT,
        };
        told.error = error.to_owned();
        told.duration_ms = millis(started);
        told
    }

    async fn send_probe(
        &self,
        endpoint: &Endpoint,
        request: &ProbeRequest,
        body: Option<Cleared>,
        told: &mut ProbeExchange,
    ) -> Result<(), &'static str> {
        let url = endpoint::join(&endpoint.base_url, &request.path).map_err(|_| UNREACHABLE)?;
        let headers = auth_headers(endpoint, &url).map_err(|_| UNREACHABLE)?;
        let client = self.transport.for_url(&url).map_err(|_| UNREACHABLE)?;
        let send = match (request.method.as_str(), body) {
            ("GET", None) => client.request(Method::GET, url).headers(headers),
            ("POST", Some(body)) if body.body().len() <= PROBE_BODY_BYTES_MAX => client
                .request(Method::POST, url)
                .headers(headers)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.into_body()),
            _ => return Err(UNREACHABLE),
        };
        let response = send.send().await.map_err(|_| UNREACHABLE)?;
        let head = Head::of(&response);
        told.status = Some(head.status);
        if head.loopback {
            told.ext.push(("loopback".to_owned(), "true".to_owned()));
        }
        let read = read_body(response, PROBE_BODY_BYTES_MAX).await;
        told.truncated = read.end == BodyEnd::TooLarge;
        // Replacing broken bytes can lengthen the text beyond what the contract allows.
        let text = String::from_utf8_lossy(&read.bytes);
        told.body = crate::call::cut(&text, PROBE_BODY_BYTES_MAX).to_owned();
        if read.end == BodyEnd::Broken { Err(BAD_ANSWER) } else { Ok(()) }
    }
}
