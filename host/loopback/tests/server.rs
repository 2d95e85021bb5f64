//! The server as a program without an HTTP library sees it: bytes on a socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use sluice_loopback::{Behaviour, Loopback, Options, Route, Rule};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FOR_EVER: Duration = Duration::from_secs(3600);

async fn raw(addr: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn post(addr: SocketAddr, path: &str, body: &str) -> String {
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}", body.len());
    raw(addr, &format!("{head}\r\n\r\n{body}")).await
}

async fn get(addr: SocketAddr, line: &str, headers: &str) -> String {
    raw(addr, &format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn every_answer_is_labelled_whatever_was_asked() {
    let server = Loopback::start(Options::default()).await.unwrap();
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let answers = [
        (get(server.addr(), "HEAD /", "").await, 200),
        (get(server.addr(), "GET /health", "").await, 200),
        (get(server.addr(), "GET /v1/models", "").await, 200),
        (get(server.addr(), "GET /v1/chat/completions", "").await, 404),
        (get(server.addr(), "GET /nowhere", "").await, 404),
        (post(server.addr(), "/v1/chat/completions", chat).await, 200),
        (post(server.addr(), "/v1/chat/completions", "{").await, 400),
        (post(server.addr(), "/v1/chat/completions", "{}").await, 400),
        (post(server.addr(), "/v1/messages", chat).await, 400),
        (post(server.addr(), "/v1/messages/count_tokens", chat).await, 200),
    ];
    for (answer, status) in answers {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nx-sluice-loopback: 1\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.is_empty() || body.contains("\"sluice_loopback\":true"), "{answer}");
    }
    assert_eq!((server.requests(), server.requests_on(Route::Chat)), (10, 3));
    server.stop().await;
}

#[tokio::test]
async fn the_list_of_models_has_the_face_that_the_headers_ask_for() {
    let server = Loopback::start(Options { models: vec!["a".into(), "b".into()], ..Options::default() })
        .await
        .unwrap();
    let openai = get(server.addr(), "GET /v1/models", "").await;
    assert!(openai.contains(r#""object":"list""#) && openai.contains(r#""id":"b""#), "{openai}");
    let anthropic = get(server.addr(), "GET /v1/models", "anthropic-version: 2023-06-01\r\n").await;
    assert!(anthropic.contains(r#""last_id":"b""#), "{anthropic}");
}

#[tokio::test]
async fn stopping_ends_what_stalls() {
    let rules =
        vec![Rule::new(Behaviour::Stall(FOR_EVER)).times(1), Rule::new(Behaviour::StallInside(FOR_EVER))];
    let server = Loopback::start(Options { rules, ..Options::default() }).await.unwrap();
    let addr = server.addr();
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let stalled = [0, 1].map(|_| tokio::spawn(async move { post(addr, "/v1/chat/completions", body).await }));
    while server.requests() < 2 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
    for answer in stalled {
        assert!(answer.await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_port_is_told_with_a_hint() {
    let server = Loopback::start(Options::default()).await.unwrap();
    let port = server.addr().port();
    let error = Loopback::start(Options { port, ..Options::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the loopback server cannot listen on 127.0.0.1:{port}"));
    assert!(error.hint().unwrap().contains("another program"));
}

#[tokio::test]
async fn the_log_is_bounded_and_sees_what_left() {
    let server = Loopback::start(Options::default()).await.unwrap();
    for _ in 0..300 {
        get(server.addr(), "GET /health", "").await;
    }
    let large = "x".repeat(2 << 20);
    for _ in 0..10 {
        post(server.addr(), "/v1/chat/completions", &large).await;
    }
    let log = server.received();
    assert_eq!(server.requests(), 310);
    assert!(log.iter().map(|received| received.body.len()).sum::<usize>() <= 8 << 20);
    assert!(log.len() <= 256 && log.last().unwrap().body.len() == 1 << 20);
    get(server.addr(), "GET /health", "x-test: needle\r\n").await;
    let last = server.received().pop().unwrap();
    assert!(
        last.contains(b"needle") && !last.contains(b"haystack") && last.header("X-Test") == Some("needle")
    );
}
