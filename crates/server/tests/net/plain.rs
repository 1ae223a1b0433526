use hyper_util::rt::{TokioExecutor, TokioIo};
use shorepass_server::Settings;
use shorepass_server::net::NetError;
use shorepass_server::settings::Tls;
use tempfile::TempDir;

use crate::support::{bind, exchange, get, settings, split, start_plain};

#[tokio::test]
async fn a_request_has_the_origin_of_its_connection_whatever_it_says() {
    let server = start_plain().await;
    assert_ne!(server.addr.port(), 0);
    assert_eq!(server.endpoint, format!("http://{}", server.addr));
    let expected = "public peer=127.0.0.1 local=127.0.0.1 secure=false proxied=false";
    assert_eq!(get(server.addr, "/origin", "").await, (200, expected.to_owned()));
    let spoof = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
                 Forwarded: for=10.0.0.1;proto=https\r\nX-Real-IP: 10.0.0.1\r\nX-Forwarded-Host: evil.example\r\n";
    assert_eq!(get(server.addr, "/origin", spoof).await, (200, expected.to_owned()));
}

#[tokio::test]
async fn the_proxy_protocol_is_not_spoken() {
    let server = start_plain().await;
    let mut stream = server.connect().await;
    let request = b"PROXY TCP4 10.0.0.1 127.0.0.1 4000 5000\r\nGET /origin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(split(&exchange(&mut stream, request).await).0, 400);
    let mut stream = server.connect().await;
    let version_2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x7f\0\0\x01\x0f\xa0\x13\x88GET /origin HTTP/1.1\r\n\r\n";
    assert_eq!(split(&exchange(&mut stream, version_2).await).0, 400);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_spoken() {
    let server = start_plain().await;
    let io = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}/origin", server.addr);
    let request = http::Request::get(uri).body(shorepass_server::net::full("")).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_only() {
    let server = start_plain().await;
    let (status, body) = get(server.addr, "/panic", "").await;
    assert_eq!(status, 500);
    assert!(!body.contains("on purpose"), "{body}");
    assert_eq!(get(server.addr, "/origin", "").await.0, 200);
}

#[tokio::test]
async fn a_port_in_use_is_told_with_a_hint() {
    let server = start_plain().await;
    let data = TempDir::new().unwrap();
    let error = bind(&Settings { listen: server.addr, ..settings(data.path()) }).await.unwrap_err();
    assert!(error.to_string().contains(&server.addr.to_string()), "{error}");
    assert!(error.hint().unwrap().contains("--listen"));
}

#[tokio::test]
async fn plain_http_stays_on_loopback() {
    let data = TempDir::new().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let settings = Settings { listen: address.parse().unwrap(), ..settings(data.path()) };
        let error = bind(&settings).await.unwrap_err();
        assert!(matches!(error, NetError::PlainAddress(_)), "{address}: {error}");
        assert!(error.hint().unwrap().contains("--tls-cert"));
    }
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let settings = Settings { tls: Tls::SelfSigned, insecure_behind_proxy: networks, ..settings(data.path()) };
    assert!(matches!(bind(&settings).await, Err(NetError::TlsBehindProxy)));
}
