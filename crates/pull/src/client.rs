//! A registry over HTTP: reaching it, and getting tokens from it.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use crate::challenge::{Challenge, ChallengeError, check_realm};
use crate::credential::{Credential, NULL_GUID};
use crate::host::{RegistryHost, Scheme};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Tokens and lists are small; whoever sends more is not a registry we know.
const MAX_ANSWER: usize = 1024 * 1024;

const USER_AGENT: &str = concat!("shorepass/", env!("CARGO_PKG_VERSION"));

/// Why a registry gave no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the certificate file `{}` cannot be used: {reason}", path.display())]
    Ca { path: PathBuf, reason: String },
    #[error("no HTTP client can be made on this machine")]
    Setup(#[source] reqwest::Error),
    #[error(
        "Could not connect to the registry login server '{host}'. Please verify that the registry exists and the URL '{url}' is reachable from your environment."
    )]
    Unreachable {
        host: RegistryHost,
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the certificate of `{host}` is not trusted")]
    Certificate {
        host: RegistryHost,
        #[source]
        source: reqwest::Error,
    },
    #[error("registry '{0}' did not issue a challenge")]
    NoChallenge(RegistryHost),
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    #[error("registry `{host}` answered {status}")]
    Refused { host: RegistryHost, status: u16 },
    #[error("registry `{0}` answered with something that is not understood")]
    Answer(RegistryHost),
}

impl ClientError {
    /// The status a registry refused with.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A registry that was reached.
#[derive(Debug)]
pub struct RegistryClient {
    http: Client,
    host: RegistryHost,
    scheme: Scheme,
    status: StatusCode,
    challenges: Vec<HeaderValue>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Option<SecretString>,
    token: Option<SecretString>,
    refresh_token: Option<SecretString>,
}

impl RegistryClient {
    /// Asks `GET /v2/` without a credential: by HTTPS, and for a loopback name by HTTP when HTTPS is not spoken there.
    /// `ca` is trusted beside the system's authorities.
    ///
    /// # Errors
    /// The registry is not reached, or its certificate is not trusted.
    pub async fn reach(host: &RegistryHost, ca: Option<&Path>) -> Result<Self, ClientError> {
        let first = Self::ask(host, Scheme::Https, ca).await;
        match first {
            // `Setup`: a machine without any authority, where plain HTTP to itself works all the same.
            Err(ClientError::Unreachable { .. } | ClientError::Setup(_)) if host.is_loopback() => {
                Self::ask(host, Scheme::Http, ca).await
            }
            other => other,
        }
    }

    async fn ask(host: &RegistryHost, scheme: Scheme, ca: Option<&Path>) -> Result<Self, ClientError> {
        let http = client(host, scheme, ca)?;
        let url = host.url(scheme, "/v2/").ok_or_else(|| ClientError::Answer(host.clone()))?;
        let response = http.get(url.clone()).send().await.map_err(|error| failure(host, &url, error))?;
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().cloned().collect();
        Ok(Self { http, host: host.clone(), scheme, status: response.status(), challenges })
    }

    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What `GET /v2/` answered.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The challenge of `GET /v2/`.
    ///
    /// # Errors
    /// There was none, or it is malformed.
    pub fn challenge(&self) -> Result<Challenge, ClientError> {
        let mut found = Err(ClientError::NoChallenge(self.host.clone()));
        for header in &self.challenges {
            let text = header.to_str().map_err(|_| ChallengeError::Form("it is not ASCII"))?;
            match Challenge::parse(text) {
                Ok(bearer @ Challenge::Bearer { .. }) => return Ok(bearer),
                other => found = other.map_err(Into::into),
            }
        }
        found
    }

    /// Signs in with a user name and password and asks for a refresh token. `None`: the registry gives none.
    ///
    /// # Errors
    /// The credential is refused, or would have to be sent to another party.
    pub async fn refresh_token(&self, credential: &Credential) -> Result<Option<SecretString>, ClientError> {
        let (mut url, service) = self.token_endpoint()?;
        let username = if credential.is_token() { NULL_GUID } else { &credential.username };
        url.query_pairs_mut()
            .append_pair("service", &service)
            .append_pair("offline_token", "true")
            .append_pair("client_id", "shorepass")
            .append_pair("account", username);
        let request = self.http.get(url).basic_auth(username, Some(credential.expose()));
        let tokens: Tokens = self.json(request).await?;
        Ok(tokens.refresh_token)
    }

    /// An access token for `scope` (`repository:a:pull`): by refresh token, or by user name and password.
    ///
    /// # Errors
    /// The credential is refused, or would have to be sent to another party.
    pub async fn access_token(&self, credential: &Credential, scope: &str) -> Result<SecretString, ClientError> {
        let (url, service) = self.token_endpoint()?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("service", &service).append_pair("client_id", "shorepass").append_pair("scope", scope);
        if credential.is_token() {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", credential.expose());
        } else {
            form.append_pair("grant_type", "password")
                .append_pair("username", &credential.username)
                .append_pair("password", credential.expose());
        }
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let tokens: Tokens = self.json(request.body(form.finish())).await?;
        tokens.access_token.or(tokens.token).ok_or_else(|| ClientError::Answer(self.host.clone()))
    }

    /// A refresh token for an identity token of the registry's own directory (what-the-documents-say.md 2a).
    ///
    /// # Errors
    /// The identity may not use this registry, or the token would have to be sent to another party.
    pub async fn exchange(&self, tenant: &str, identity_token: &SecretString) -> Result<SecretString, ClientError> {
        let (mut url, service) = self.token_endpoint()?;
        url.set_path("/oauth2/exchange");
        url.set_query(None);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "access_token")
            .append_pair("service", &service)
            .append_pair("tenant", tenant)
            .append_pair("access_token", identity_token.expose_secret())
            .finish();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let tokens: Tokens = self.json(request).await?;
        tokens.refresh_token.ok_or_else(|| ClientError::Answer(self.host.clone()))
    }

    /// A JSON answer of the registry itself (`/v2/_catalog`), with an access token.
    ///
    /// # Errors
    /// The registry refuses, or does not answer with what was expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, token: &SecretString) -> Result<T, ClientError> {
        let url = self.host.url(self.scheme, path).ok_or_else(|| ClientError::Answer(self.host.clone()))?;
        self.json(self.http.get(url).bearer_auth(token.expose_secret())).await
    }

    /// Where tokens are fetched, after the check that credentials for this registry may go there, and the service's name.
    fn token_endpoint(&self) -> Result<(Url, String), ClientError> {
        let Challenge::Bearer { realm, service, .. } = self.challenge()? else {
            return Err(ChallengeError::Scheme.into());
        };
        check_realm(&self.host, &realm)?;
        Ok((realm, service.unwrap_or_else(|| self.host.to_string())))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let base = self.host.url(self.scheme, "/v2/").ok_or_else(|| ClientError::Answer(self.host.clone()))?;
        let response = request.send().await.map_err(|error| failure(&self.host, &base, error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(ClientError::Refused { host: self.host.clone(), status: status.as_u16() });
        }
        let body = bounded(response).await.ok_or_else(|| ClientError::Answer(self.host.clone()))?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Answer(self.host.clone()))
    }
}

pub(crate) async fn bounded(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// Redirects are not followed: a credential goes where it was meant to go or nowhere.
pub(crate) fn client(host: &RegistryHost, scheme: Scheme, ca: Option<&Path>) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT);
    if host.is_loopback() {
        // Nobody between us and ourselves: no proxy, and no name server that gives `localhost` another address (an
        // address as the host is not looked up at all).
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, 0));
        builder = builder.no_proxy().resolve_to_addrs(&host.host(), &here);
    }
    if scheme == Scheme::Http {
        // No authority is needed, and a machine may have none.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = ca {
        builder = trusting(builder, host, certificates(path)?);
    }
    builder.build().map_err(ClientError::Setup)
}

/// For an endpoint of a workload's own environment: no proxy is between it and us. Over plain HTTP no authority is needed,
/// and a container may have none.
pub(crate) fn endpoint_client(plain: bool) -> Result<Client, ClientError> {
    let builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none()).no_proxy();
    let builder = if plain { builder.tls_certs_only([]) } else { builder };
    builder.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build().map_err(ClientError::Setup)
}

/// A loopback server with a CA of its own is trusted by that CA alone; any other by the system's as well.
fn trusting(builder: reqwest::ClientBuilder, host: &RegistryHost, ca: Vec<Certificate>) -> reqwest::ClientBuilder {
    if host.is_loopback() { builder.tls_certs_only(ca) } else { builder.tls_certs_merge(ca) }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let failed = |reason: String| ClientError::Ca { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|_| failed("it holds no PEM certificate".to_owned()))
}

fn failure(host: &RegistryHost, url: &Url, error: reqwest::Error) -> ClientError {
    // The URL of a token endpoint is nobody's business in an error, even without its query.
    let source = error.without_url();
    let mut cause = source.source();
    while let Some(inner) = cause {
        if inner.to_string().contains("invalid peer certificate") {
            return ClientError::Certificate { host: host.clone(), source };
        }
        cause = inner.source();
    }
    ClientError::Unreachable { host: host.clone(), url: url.to_string(), source }
}
