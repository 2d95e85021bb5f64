//! The HTTP client underneath: how it is built, and what its errors mean.

use crate::call::CallProblem;
use reqwest::{StatusCode, Url, header, redirect, retry};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use sluice_core::record::AttemptOutcome;
use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest wait for a connection, TLS included. A server that is there answers a handshake in well under a
/// second; ten leave room for one lost packet and its repeats.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection to a local server is kept for the next call. uvicorn (under SGLang and vLLM)
/// closes after 5 s, and a call sent into a closing connection is a failed attempt.
const IDLE_PLAIN: Duration = Duration::from_secs(4);

/// The same for TLS, where a handshake costs; the providers' front ends keep a minute and more.
const IDLE_SECURE: Duration = Duration::from_secs(50);

/// Idle connections kept per host: as many calls as one host plausibly has in flight at a time.
const IDLE_PER_HOST_MAX: usize = 64;

/// Longest `retry-after` that is believed. A day, say, is a server's way of saying no.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// Two clients in one: TLS needs the system's certificates, which a machine without any should only miss
/// when it calls out, and whose loading (some 10 ms) a local call should not pay.
#[derive(Clone)]
pub(crate) struct Transport {
    plain: reqwest::Client,
    secure: Arc<OnceLock<Option<reqwest::Client>>>,
}

impl Transport {
    pub(crate) fn new() -> Result<Transport, reqwest::Error> {
        // No roots: this one never speaks TLS. Preconfigured, since reqwest would otherwise load them all.
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|config| config.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        let builder = common().pool_idle_timeout(IDLE_PLAIN);
        // ring knows both protocol versions, so the error cannot be; `build` would refuse what it cannot use.
        let builder = match tls {
            Ok(tls) => builder.tls_backend_preconfigured(tls),
            Err(_) => builder,
        };
        Ok(Transport { plain: builder.build()?, secure: Arc::default() })
    }

    pub(crate) fn for_url(&self, url: &Url) -> Result<&reqwest::Client, CallProblem> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        let secure = self.secure.get_or_init(|| {
            // reqwest asks for the process's provider. Where one is set already, that one is used.
            let _ = ring::default_provider().install_default();
            common().https_only(true).pool_idle_timeout(IDLE_SECURE).build().ok()
        });
        secure.as_ref().ok_or(CallProblem::new(
            AttemptOutcome::Unreachable,
            "this machine has no certificate authorities to check the server with",
        ))
    }
}

/// Redirects, proxies, retries and cookies off: one request, to one origin, that the record knows of.
/// Proxies of the environment are off for good and not by a switch: `HTTPS_PROXY` in somebody's shell must
/// not decide where prompts go. Who needs one names it as the base URL.
fn common() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .http1_only()
        .user_agent(concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
}

/// What a failure before the answer's head means. The error itself is dropped: its text holds the URL.
pub(crate) fn sending_problem(error: &reqwest::Error) -> CallProblem {
    let detail = if error.is_dns() {
        "the endpoint's name does not resolve"
    } else if error.is_connect() && error.is_timeout() {
        "no connection to the endpoint within 10 s"
    } else if error.is_connect() {
        match connect_cause(error) {
            Some(Cause::Refused) => "nothing listens at the endpoint",
            Some(Cause::Tls) => "no TLS connection to the endpoint: certificate or handshake refused",
            None => "no connection to the endpoint",
        }
    } else {
        "the connection broke before an answer"
    };
    CallProblem::new(AttemptOutcome::Unreachable, detail)
}

enum Cause {
    Refused,
    Tls,
}

/// Looks for the cause that a person can act on. An I/O error that wraps another does not name it as its
/// source, so both ways down are taken.
fn connect_cause(error: &(dyn Error + 'static)) -> Option<Cause> {
    if error.is::<rustls::Error>() {
        return Some(Cause::Tls);
    }
    let io = error.downcast_ref::<io::Error>();
    if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
        return Some(Cause::Refused);
    }
    io.and_then(io::Error::get_ref)
        .and_then(|inner| connect_cause(inner))
        .or_else(|| connect_cause(error.source()?))
}

/// What of an answer's head is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) loopback: bool,
    pub(crate) retry_after_ms: Option<u64>,
    /// The body is compressed, though nobody asked for that.
    pub(crate) encoded: bool,
}

impl Head {
    pub(crate) fn of(response: &reqwest::Response) -> Head {
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Head {
            status: response.status().as_u16(),
            content_type: text(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned(),
            loopback: text("x-sluice-loopback").is_some_and(|value| value.trim() == "1"),
            retry_after_ms: retry_after_ms(text("retry-after-ms"), text(header::RETRY_AFTER.as_str())),
            encoded: text(header::CONTENT_ENCODING.as_str())
                .is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }
}

/// `retry-after-ms`, else `retry-after` in whole seconds. Its other form, a date, would need a clock that
/// agrees with the server's.
fn retry_after_ms(millis: Option<&str>, seconds: Option<&str>) -> Option<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let millis = millis
        .and_then(number)
        .or_else(|| seconds.and_then(number).map(|seconds| seconds.saturating_mul(1000)));
    millis.map(|millis| millis.min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_units_and_never_for_ever() {
        assert_eq!(retry_after_ms(Some("250"), Some("9")), Some(250));
        assert_eq!(retry_after_ms(None, Some(" 2 ")), Some(2000));
        assert_eq!(retry_after_ms(None, Some("99999999999999999999")), None);
        assert_eq!(retry_after_ms(None, Some("9999999999999")), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(retry_after_ms(None, Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after_ms(Some("-1"), None), None);
    }
}
