use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use shorepass_server::net::{Limits, full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{exchange, get, get_on, read_to_end, split, start, start_plain};

const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn a_giant_header_gets_431() {
    let server = start_plain().await;
    let request = format!(
        "GET /origin HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        "x".repeat(TEN_MEGABYTES)
    );
    let mut stream = server.connect().await;
    assert_eq!(split(&exchange(&mut stream, request.as_bytes()).await).0, 431);
    let lines: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(get(server.addr, "/origin", &lines).await.0, 431);
    assert_eq!(server.calls(), 0);
    let fits = format!("Authorization: Bearer {}\r\n", "x".repeat(32 * 1024));
    assert_eq!(get(server.addr, "/origin", &fits).await.0, 200);
}

/// Many clients look for an answer only when they have sent everything, and give up when sending fails.
#[tokio::test]
async fn a_client_still_sending_gets_its_answer_and_no_reset() {
    let server = start_plain().await;
    let giant = "x".repeat(TEN_MEGABYTES);
    let header = format!("GET /origin HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {giant}\r\n\r\n");
    let body = format!("PUT /origin HTTP/1.1\r\nHost: localhost\r\nContent-Length: {TEN_MEGABYTES}\r\n\r\n{giant}");
    for (request, expected) in [(header, 431), (body, 200)] {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(split(&read_to_end(&mut stream).await).0, expected);
    }
}

#[tokio::test]
async fn a_giant_target_gets_414_or_431() {
    let server = start_plain().await;
    for length in [70 * 1024, TEN_MEGABYTES] {
        let request = format!("GET /origin?scope={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(length));
        let mut stream = server.connect().await;
        let (status, _) = split(&exchange(&mut stream, request.as_bytes()).await);
        assert!(matches!(status, 414 | 431), "{status}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_giant_header_over_http_2_hurts_nobody() {
    let server = start_plain().await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{}/origin", server.addr));
    let request = request.header("authorization", "x".repeat(TEN_MEGABYTES)).body(full("")).unwrap();
    // h2 answers 431, or ends the connection when the header's continuation frames do.
    if let Ok(response) = sender.send_request(request).await {
        assert_eq!(response.status(), 431);
    }
    assert_eq!(server.calls(), 0);
    assert_eq!(get(server.addr, "/origin", "").await.0, 200);
}

#[tokio::test]
async fn silent_and_slow_clients_are_sent_away() {
    let limits = Limits { first_request: Duration::from_millis(200), ..Limits::default() };
    let server = start(limits, |_| ()).await;
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    // `P` might become PRI, PUT or POST.
    for begin in [&b"P"[..], b"GET /origin HTTP/1.1\r\nHost: loc", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut slow = server.connect().await;
        slow.write_all(begin).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{:?} was kept", String::from_utf8_lossy(begin));
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn an_idle_connection_ends_between_requests() {
    let limits =
        Limits { first_request: Duration::from_millis(200), idle: Duration::from_millis(300), ..Limits::default() };
    let server = start(limits, |_| ()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /origin HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(split(&read_to_end(&mut idle).await).0, 200);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let limits =
        Limits { first_request: Duration::from_millis(200), stall: Duration::from_millis(400), ..Limits::default() };
    let server = start(limits, |_| ()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // The answer never ends by itself, so it ends only if the server gives up while we do not read.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let drained = async { while matches!(stream.read(&mut [0; 65_536]).await, Ok(n) if n > 0) {} };
    tokio::time::timeout(Duration::from_secs(30), drained).await.expect("the server gave up");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let server = start(Limits { connections: 2, ..Limits::default() }, |_| ()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        server.stage.entered().await;
        held.push(stream);
    }
    let mut third = server.connect().await;
    let mut asked = std::pin::pin!(get_on(&mut third, "/origin", ""));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked.as_mut()).await.is_err());
    assert_eq!(server.stage.calls.load(Ordering::SeqCst), 2);
    // The operator's doors are others.
    assert_eq!(get(server.metrics, "/healthz", "").await.0, 200);
    server.stage.release();
    assert_eq!(asked.await.0, 200);
}
