use shorepass_server::net::Limits;

use crate::support::{Server, exchange, get, split, start};

async fn behind(networks: &[&str]) -> Server {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    start(Limits::default(), |settings| settings.insecure_behind_proxy = networks).await
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let server = behind(&["127.0.0.0/8", "10.0.0.0/8"]).await;
    let cases = [
        ("", "127.0.0.1", "false"),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n", "203.0.113.7", "true"),
        ("X-Forwarded-For: 10.1.1.1, 203.0.113.7, 10.2.2.2\r\n", "203.0.113.7", "false"),
        ("X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-For: ::ffff:203.0.113.7\r\n", "203.0.113.7", "false"),
        ("Forwarded: for=203.0.113.7;proto=https\r\n", "127.0.0.1", "false"),
    ];
    for (lines, peer, secure) in cases {
        let (status, told) = get(server.addr, "/origin", lines).await;
        assert_eq!(status, 200);
        assert_eq!(told, format!("public peer={peer} local=127.0.0.1 secure={secure} proxied=true"), "{lines}");
    }
}

#[tokio::test]
async fn a_client_that_the_proxy_cannot_name_is_refused() {
    let server = behind(&["127.0.0.0/8"]).await;
    let (status, body) = get(server.addr, "/origin", "X-Forwarded-For: unknown\r\n").await;
    assert_eq!(status, 400);
    assert!(body.contains("X-Forwarded-For"), "{body}");
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn nobody_but_the_proxy_is_served() {
    let server = behind(&["10.0.0.0/8"]).await;
    for request in [
        &b"GET /origin HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"",
    ] {
        let mut stream = server.connect().await;
        let answer = exchange(&mut stream, request).await;
        let (status, body) = split(&answer);
        assert_eq!(status, 403);
        let length = answer.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length, body.len().to_string());
    }
    assert_eq!(server.calls(), 0);
}
