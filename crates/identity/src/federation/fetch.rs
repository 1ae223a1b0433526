//! Reading an issuer's public documents over HTTP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use reqwest::{Certificate, Client, redirect};
use url::{Host, Url};

/// Both documents of an issuer are read within twice this; whoever waits for them is a user signing in.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Fifty keys with their certificates.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Connection pools kept: one for each private CA, and two more.
const MAX_CLIENTS: u64 = 256;

const USER_AGENT: &str = concat!("shorepass/", env!("CARGO_PKG_VERSION"));

/// Why a document could not be read. For the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("the CA certificate is not PEM")]
    Ca,
    #[error("no answer: {0}")]
    Unreachable(String),
    /// A redirect too: an issuer's documents are where it says they are, and following one is how a server is made to
    /// ask its own network.
    #[error("the answer was {0}")]
    Status(u16),
    #[error("the answer is longer than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong,
}

/// How documents are fetched. Tests script it.
#[async_trait]
pub trait Fetch: Send + Sync + fmt::Debug {
    /// The body of a 200 at `url`, at most 256 KiB. `ca`: PEM of the only authorities that are trusted, instead of the
    /// system's.
    async fn get(&self, url: &Url, ca: Option<&str>) -> Result<Vec<u8>, FetchError>;
}

/// Over HTTP, as production does it: no redirects, no cookies, bounded in time and size.
pub struct HttpFetch {
    timeout: Duration,
    clients: Cache<(bool, Option<String>), Client>,
}

impl fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpFetch")
    }
}

impl Default for HttpFetch {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpFetch {
    #[must_use]
    pub fn new() -> Self {
        Self::with_timeout(TIMEOUT)
    }

    /// Gives up on an answer after this time, instead of five seconds.
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self { timeout, clients: Cache::new(MAX_CLIENTS) }
    }

    fn client(&self, loopback: bool, ca: Option<&str>) -> Result<Client, FetchError> {
        let key = (loopback, ca.map(str::to_owned));
        if let Some(client) = self.clients.get(&key) {
            return Ok(client);
        }
        let client = self.build(loopback, ca)?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, loopback: bool, ca: Option<&str>) -> Result<Client, FetchError> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout);
        if loopback {
            // Nobody between us and ourselves: no proxy, and no name server that gives `localhost` another address.
            let here =
                [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, 0));
            builder = builder.no_proxy().resolve_to_addrs("localhost", &here);
        }
        if let Some(pem) = ca {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| FetchError::Ca)?;
            // Text without any certificate is read as none at all.
            if authorities.is_empty() {
                return Err(FetchError::Ca);
            }
            builder = builder.tls_certs_only(authorities);
        }
        builder.build().map_err(unreachable)
    }
}

#[async_trait]
impl Fetch for HttpFetch {
    async fn get(&self, url: &Url, ca: Option<&str>) -> Result<Vec<u8>, FetchError> {
        let request = self.client(is_loopback(url), ca)?.get(url.clone()).header("accept", "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// With the reasons below it: "error sending request" alone helps nobody.
fn unreachable(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    FetchError::Unreachable(text)
}

/// Whether a URL names this machine by an address or the name that means one.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
