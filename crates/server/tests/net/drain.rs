use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{get, read_to_end, split, start_plain};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_request_under_way_ends_and_readyz_says_why_no_other_begins() {
    let server = start_plain().await;
    let (addr, metrics) = (server.addr, server.metrics);
    let mut held = server.connect().await;
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    server.stage.entered().await;
    assert_eq!(get(metrics, "/readyz", "").await.0, 200);
    let stage = server.stage.clone();
    let drain = tokio::spawn(server.serving.drain(LONG));
    // The listener closes as the drain begins.
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (status, body) = get(metrics, "/readyz", "").await;
    assert_eq!(status, 503);
    assert!(body.contains("draining"), "{body}");
    assert_eq!(get(metrics, "/healthz", "").await.0, 200);
    stage.release();
    assert_eq!(split(&read_to_end(&mut held).await), (200, "held".to_owned()));
    drop(held);
    drain.await.unwrap();
    assert!(TcpStream::connect(metrics).await.is_err());
}

#[tokio::test]
async fn idle_and_unused_connections_do_not_hold_it_up() {
    let server = start_plain().await;
    let mut unused = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /origin HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let began = Instant::now();
    server.serving.drain(LONG).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(unused.read(&mut first).await.unwrap(), 0);
    read_to_end(&mut idle).await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let server = start_plain().await;
    let mut held = server.connect().await;
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    server.stage.entered().await;
    server.serving.drain(Duration::from_millis(50)).await;
    let mut rest = Vec::new();
    assert!(held.read_to_end(&mut rest).await.is_err() || rest.is_empty());
}

#[tokio::test]
async fn a_server_that_is_dropped_serves_no_longer() {
    let server = start_plain().await;
    let mut held = server.connect().await;
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    server.stage.entered().await;
    let (addr, metrics) = (server.addr, server.metrics);
    drop(server);
    let mut rest = Vec::new();
    assert!(held.read_to_end(&mut rest).await.is_err() || rest.is_empty());
    for addr in [addr, metrics] {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
