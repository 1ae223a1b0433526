//! What is asked of an outside provider over HTTP: where its endpoints are, and the token that a code stands for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moka::sync::Cache;
use reqwest::{Certificate, Client, RequestBuilder, redirect};
use serde::Deserialize;
use serde_json::{Map, Value};
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_identity::Fetch;
use url::{Host, Url};

use super::super::pages::Refused;

/// How long a provider's endpoints are remembered.
const DOCUMENT_LIFE: Duration = Duration::from_secs(60 * 60);

/// A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Tokens, with every group a person is in.
const MAX_ANSWER: usize = 256 * 1024;

/// Connection pools kept: one for each private CA.
const MAX_CLIENTS: u64 = 64;

/// What a provider says about itself, as far as we need it.
#[derive(Debug, Deserialize)]
pub struct Document {
    issuer: String,
    #[serde(deserialize_with = "url")]
    pub authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    token_endpoint: Url,
    #[serde(default, deserialize_with = "optional_url")]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn optional_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}

/// Why a provider gave no token. For the log.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    #[error("its endpoints are not known: {0}")]
    Document(String),
    #[error("the CA certificate is not PEM")]
    Ca,
    #[error("no answer: {0}")]
    Unreachable(reqwest::Error),
    #[error("the answer was {status} ({error})")]
    Refused { status: u16, error: String },
    #[error("the answer is not JSON of at most {MAX_ANSWER} bytes")]
    Unreadable,
}

/// Asks outside providers.
pub struct Outside {
    fetch: Arc<dyn Fetch>,
    documents: Cache<(String, Option<String>), Arc<Document>>,
    clients: Cache<(bool, Option<String>), Client>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside(..)")
    }
}

impl Outside {
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>) -> Self {
        let documents = Cache::builder().max_capacity(1_000).time_to_live(DOCUMENT_LIFE).build();
        Self { fetch, documents, clients: Cache::new(MAX_CLIENTS) }
    }

    /// Where the provider's endpoints are.
    pub async fn document(&self, issuer: &Issuer) -> Result<Arc<Document>, Refused> {
        self.known(issuer).await.map_err(|error| {
            tracing::warn!(issuer = issuer.issuer, %error, "an outside provider's endpoints cannot be read");
            Refused::new(StatusCode::BAD_GATEWAY, "The provider cannot be reached at this moment. Try again later.")
        })
    }

    async fn known(&self, issuer: &Issuer) -> Result<Arc<Document>, OutsideError> {
        let bad = |text: &str| OutsideError::Document(text.to_owned());
        let url = match &issuer.keys {
            IssuerKeys::Discovery { url: Some(url) } => url.clone(),
            _ => format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/')),
        };
        let key = (format!("{}\n{url}", issuer.issuer), issuer.ca.clone());
        if let Some(document) = self.documents.get(&key) {
            return Ok(document);
        }
        let url = Url::parse(&url).map_err(|_| bad("the issuer is no URL"))?;
        let bytes = self.fetch.get(&url, issuer.ca.as_deref()).await.map_err(|error| bad(&error.to_string()))?;
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|_| bad("the discovery document is not one"))?;
        if document.issuer != issuer.issuer {
            return Err(bad("the discovery document is another issuer's"));
        }
        let endpoints = [&document.authorization_endpoint, &document.token_endpoint];
        for endpoint in endpoints.into_iter().chain(&document.userinfo_endpoint) {
            if !(endpoint.scheme() == "https"
                || endpoint.scheme() == "http" && is_loopback(endpoint) && is_loopback(&url))
            {
                return Err(bad("an endpoint is not https"));
            }
        }
        let document = Arc::new(document);
        self.documents.insert(key, Arc::clone(&document));
        Ok(document)
    }

    /// The answer of the token endpoint. `credentials`: our id there, and our secret if we have one.
    pub async fn redeem(
        &self,
        issuer: &Issuer,
        credentials: (&str, Option<&str>),
        fields: &[(&str, &str)],
    ) -> Result<Map<String, Value>, OutsideError> {
        let document = self.known(issuer).await?;
        let client = self.client(is_loopback(&document.token_endpoint), issuer.ca.as_deref())?;
        let (header, form) = document.form(credentials, fields);
        let mut request = client
            .post(document.token_endpoint.clone())
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        read(request.body(form)).await
    }

    /// What the provider says of the person beside the id token (OpenID Connect Core 1.0, 5.3); nothing when it has no
    /// such endpoint.
    pub async fn user_info(&self, issuer: &Issuer, access_token: &str) -> Result<Map<String, Value>, OutsideError> {
        let document = self.known(issuer).await?;
        let Some(endpoint) = document.userinfo_endpoint.clone() else { return Ok(Map::new()) };
        let client = self.client(is_loopback(&endpoint), issuer.ca.as_deref())?;
        let request = client.get(endpoint).header("accept", "application/json");
        read(request.header("authorization", format!("Bearer {access_token}"))).await
    }

    fn client(&self, loopback: bool, ca: Option<&str>) -> Result<Client, OutsideError> {
        let key = (loopback, ca.map(str::to_owned));
        if let Some(client) = self.clients.get(&key) {
            return Ok(client);
        }
        // No redirects: they would carry the secret elsewhere.
        let mut builder = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT);
        if loopback {
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| OutsideError::Ca)?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(OutsideError::Unreachable)?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Sends the request; the JSON object of a 200.
async fn read(request: RequestBuilder) -> Result<Map<String, Value>, OutsideError> {
    let unreachable = |error: reqwest::Error| OutsideError::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(unreachable)?;
    let (status, mut body) = (response.status().as_u16(), Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(OutsideError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| OutsideError::Unreadable)?;
    if status == 200 {
        return Ok(answer);
    }
    // OAuth's word for it is no secret; anything longer is not looked at.
    let error = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
    Err(OutsideError::Refused { status, error: error.chars().take(60).flat_map(char::escape_default).collect() })
}

impl Document {
    /// What is asked for. Some providers tell of groups only when asked for them by name.
    pub fn scope(&self, with_groups: bool) -> String {
        let groups = with_groups && self.scopes_supported.iter().any(|scope| scope == "groups");
        if groups { "openid profile groups".to_owned() } else { "openid profile".to_owned() }
    }

    /// The form, and the header that proves us beside it, if that is where the provider wants it.
    fn form(&self, (client_id, secret): (&str, Option<&str>), fields: &[(&str, &str)]) -> (Option<String>, String) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        if let Some(secret) = secret.filter(|_| self.takes_basic()) {
            return (Some(basic(client_id, secret)), form.finish());
        }
        form.append_pair("client_id", client_id);
        form.extend_pairs(secret.map(|secret| ("client_secret", secret)));
        (None, form.finish())
    }

    /// HTTP Basic is what every provider takes that does not say otherwise (OpenID Connect Discovery 1.0, 3).
    fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }
}

/// Both parts are form-encoded before they are joined (RFC 6749, 2.3.1).
fn basic(user: &str, password: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(user), encoded(password))))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
