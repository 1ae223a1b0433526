//! Fetching an issuer's documents over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use shorepass_core::{Clock as _, SystemClock};
use shorepass_identity::{Federation, Fetch as _, FetchError, HttpFetch, check_issuer, self_signed};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::issuer::*;

type Answer = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// A web server on this machine: the answer to a path, byte for byte. It stops with the test's runtime.
struct Web {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Web {
    async fn start(tls: Option<TlsAcceptor>, answer: impl FnOnce(&str) -> Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (answer, asked) = (answer(&url), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, answer, counter) = (tls.clone(), Arc::clone(&answer), Arc::clone(&counter));
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, &answer, &counter).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, &answer, &counter).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    async fn with(response: &'static str) -> Self {
        Self::start(None, |_| Arc::new(move |_| response.as_bytes().to_vec())).await
    }

    async fn get(&self) -> Result<Vec<u8>, FetchError> {
        HttpFetch::new().get(&Url::parse(&self.url).unwrap(), None).await
    }
}

async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, answer: &Answer, counter: &AtomicUsize) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    counter.fetch_add(1, Ordering::SeqCst);
    let request = String::from_utf8(request).unwrap();
    let _ = socket.write_all(&answer(request.split(' ').nth(1).unwrap())).await;
    let _ = socket.shutdown().await;
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// The documents of an issuer with this key.
fn issuer_with(key: &TestKey) -> impl FnOnce(&str) -> Answer {
    let keys = jwks(&[key.jwk("one")]).to_string();
    move |url: &str| {
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        Arc::new(move |path: &str| match path {
            "/.well-known/openid-configuration" => ok(&discovery),
            "/keys" => ok(&keys),
            _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        })
    }
}

#[tokio::test]
async fn a_token_is_verified_with_keys_from_a_server() {
    for key in [TestKey::p256(), TestKey::rsa()] {
        let clock = super::clock();
        let web = Web::start(None, issuer_with(&key)).await;
        let federation = Federation::new(Arc::new(HttpFetch::new()), clock.clone());
        let issuer = discovered(&web.url);
        assert_eq!(check_issuer(&issuer), Ok(()));
        let algorithm = if matches!(key, TestKey::Rsa(_)) { "RS256" } else { "ES256" };
        let token = key.token(&header(algorithm, "one"), &gitlab_claims(clock.now(), &web.url));
        for _ in 0..2 {
            let verified = federation.verify(&issuer, &token, &[AUDIENCE]).await.unwrap();
            assert_eq!(verified.subject, "project_path:group/app:ref_type:branch:ref:main");
        }
        assert_eq!(web.asked.load(Ordering::SeqCst), 2, "discovery and keys, once");
    }
}

/// An acceptor, and the PEM of the authority behind it.
fn tls(dir: &std::path::Path) -> (TlsAcceptor, String) {
    let made = self_signed(dir, &["127.0.0.1".to_owned()], &SystemClock).unwrap();
    let chain = CertificateDer::pem_file_iter(&made.cert_pem).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&made.key_pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), std::fs::read_to_string(made.ca_pem).unwrap())
}

#[tokio::test]
async fn an_issuers_own_authority_is_trusted_for_it_alone() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (acceptor, ca) = tls(dir.path());
    let (_, another_ca) = tls(other.path());
    let key = TestKey::p256();
    let web = Web::start(Some(acceptor), issuer_with(&key)).await;
    let (fetch, url) = (HttpFetch::new(), Url::parse(&format!("{}/keys", web.url)).unwrap());
    let keys = jwks(&[key.jwk("one")]).to_string().into_bytes();
    assert_eq!(fetch.get(&url, Some(&ca)).await, Ok(keys.clone()));
    for untrusting in [None, Some(another_ca.as_str())] {
        let Err(FetchError::Unreachable(text)) = fetch.get(&url, untrusting).await else { panic!("it was trusted") };
        assert!(text.contains("certificate"), "{text}");
        assert!(!text.contains("/keys"), "the address is no part of the reason: {text}");
    }
    assert_eq!(fetch.get(&url, Some("no PEM")).await.unwrap_err(), FetchError::Ca);
    assert_eq!(fetch.get(&url, Some(&ca)).await, Ok(keys), "one issuer's clients do not spoil another's");
    let plain = Url::parse(&web.url.replace("https", "http")).unwrap();
    assert!(matches!(fetch.get(&plain, None).await, Err(FetchError::Unreachable(_))));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let secret = Web::with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = secret.url.clone();
        let web = Web::start(None, |_| {
            let answer =
                format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            Arc::new(move |_: &str| answer.clone().into_bytes())
        })
        .await;
        assert_eq!(web.get().await, Err(FetchError::Status(status[..3].parse().unwrap())));
    }
    assert_eq!(secret.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn only_a_200_is_an_answer() {
    for (response, status) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", 404),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}", 500),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
    ] {
        assert_eq!(Web::with(response).await.get().await, Err(FetchError::Status(status)));
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound_however_it_is_sent() {
    let fits = "x".repeat(256 * 1024);
    for (size, fit) in [(fits.len(), true), (fits.len() + 1, false), (20_000_000, false)] {
        let whole = Web::start(None, move |_| Arc::new(move |_: &str| ok(&"x".repeat(size)))).await;
        assert_eq!(whole.get().await.map(|body| body.len()), if fit { Ok(size) } else { Err(FetchError::TooLong) });
        let chunked = Web::start(None, move |_| {
            Arc::new(move |_: &str| {
                let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
                answer.extend(format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size)).into_bytes());
                answer
            })
        })
        .await;
        assert_eq!(chunked.get().await.map(|body| body.len()), if fit { Ok(size) } else { Err(FetchError::TooLong) });
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let given_up = HttpFetch::with_timeout(Duration::from_millis(200)).get(&url, None).await;
    assert!(matches!(given_up, Err(FetchError::Unreachable(_))), "{given_up:?}");
    drop(listener);
    assert!(matches!(HttpFetch::new().get(&url, None).await, Err(FetchError::Unreachable(_))), "nobody there");
}
