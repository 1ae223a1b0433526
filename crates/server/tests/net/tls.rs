use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use shorepass_server::net::{Limits, NetError, full};
use shorepass_server::settings::{Settings, Tls};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Server, bind, get_on, read_to_end, settings, start};

fn client<'a>(roots: impl IntoIterator<Item = &'a CertificateDer<'static>>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

async fn connect(server: &Server, client: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(client.clone()).connect(name, server.connect().await).await
}

async fn self_signed(limits: Limits) -> (Server, Vec<CertificateDer<'static>>) {
    let server = start(limits, |settings| settings.tls = Tls::SelfSigned).await;
    let root = CertificateDer::from_pem_file(server.ca_file.as_ref().unwrap()).unwrap();
    (server, vec![root])
}

#[tokio::test]
async fn the_self_signed_server_is_trusted_through_its_ca_alone() {
    let (server, roots) = self_signed(Limits::default()).await;
    assert_eq!(server.endpoint, format!("https://{}", server.addr));
    let trusting = client(&roots, &[]);
    for name in ["localhost", "127.0.0.1", "::1"] {
        let mut stream = connect(&server, &trusting, name).await.unwrap();
        let (status, told) = get_on(&mut stream, "/origin", "X-Forwarded-Proto: http\r\n").await;
        assert_eq!(status, 200);
        assert_eq!(told, "public peer=127.0.0.1 local=127.0.0.1 secure=true proxied=false");
    }
    assert!(connect(&server, &trusting, "evil.example").await.is_err());
    assert!(connect(&server, &client([], &[]), "localhost").await.is_err());
}

#[tokio::test]
async fn both_versions_of_http_are_negotiated() {
    let (server, roots) = self_signed(Limits::default()).await;
    let stream = connect(&server, &client(&roots, &[b"h2", b"http/1.1"]), "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/origin").body(full("")).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    let mut stream = connect(&server, &client(&roots, &[b"http/1.1"]), "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(get_on(&mut stream, "/origin", "").await.0, 200);
}

#[tokio::test]
async fn sessions_are_resumed() {
    let (server, roots) = self_signed(Limits::default()).await;
    let client = client(&roots, &[b"http/1.1"]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&server, &client, "localhost").await.unwrap();
        assert_eq!(get_on(&mut stream, "/origin", "").await.0, 200);
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
}

#[tokio::test]
async fn clients_that_say_nothing_delay_nobody_and_are_dropped() {
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let (server, roots) = self_signed(limits).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.connect().await);
    }
    let mut stream = connect(&server, &client(&roots, &[]), "localhost").await.unwrap();
    assert_eq!(get_on(&mut stream, "/origin", "").await.0, 200);
    for stream in &mut silent {
        assert_eq!(read_to_end(stream).await, "");
    }
    // Plain HTTP to the TLS port ends too.
    let mut plain = server.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), plain.read_to_end(&mut rest)).await.unwrap().ok();
    assert!(!rest.starts_with(b"HTTP/"));
}

/// Writes a fresh certificate for `localhost` to `cert.pem` and `key.pem`; it is its own root.
fn write_certificate(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(dir: &Path) -> Tls {
    Tls::Files { certificate: dir.join("cert.pem"), key: dir.join("key.pem") }
}

#[tokio::test]
async fn certificates_are_exchanged_while_it_runs() {
    let dir = TempDir::new().unwrap();
    let old = write_certificate(dir.path());
    let server = start(Limits::default(), |settings| settings.tls = files(dir.path())).await;
    assert_eq!(server.ca_file, None);
    assert!(connect(&server, &client([&old], &[]), "localhost").await.is_ok());
    let new = write_certificate(dir.path());
    server.serving.reload_certificates(&shorepass_core::SystemClock).unwrap();
    assert!(connect(&server, &client([&new], &[]), "localhost").await.is_ok());
    assert!(connect(&server, &client([&old], &[]), "localhost").await.is_err());
    // A broken pair leaves the one in use in place.
    std::fs::write(dir.path().join("cert.pem"), "nonsense").unwrap();
    assert!(server.serving.reload_certificates(&shorepass_core::SystemClock).is_err());
    assert!(connect(&server, &client([&new], &[]), "localhost").await.is_ok());
}

#[tokio::test]
async fn unusable_certificates_are_told_apart_and_quote_nothing() {
    let (dir, other, data) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    write_certificate(dir.path());
    write_certificate(other.path());
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let foreign_key = other.path().join("key.pem");
    let broken = dir.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN PRIVATE KEY-----\nSECRET!!\n-----END PRIVATE KEY-----\n").unwrap();
    let attempt = |certificate: &Path, key: &Path| {
        let tls = Tls::Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let settings = Settings { tls, ..settings(data.path()) };
        async move { bind(&settings).await.unwrap_err() }
    };
    let mismatch = attempt(&cert, &foreign_key).await;
    assert!(matches!(mismatch, NetError::Certificate { .. }), "{mismatch}");
    assert!(mismatch.to_string().contains("is not its key"), "{mismatch}");
    let missing = attempt(&dir.path().join("none.pem"), &key).await;
    assert!(matches!(missing, NetError::TlsFile { what: "certificate", .. }), "{missing}");
    let swapped = attempt(&key, &cert).await;
    assert!(swapped.to_string().contains("no certificate"), "{swapped}");
    let unreadable = attempt(&cert, &broken).await;
    assert!(!unreadable.to_string().contains("SECRET"), "{unreadable}");
    assert!(unreadable.hint().is_some());
}
