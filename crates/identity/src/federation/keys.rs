//! An issuer's keys: fetched when they are needed, remembered, and kept while the issuer is down.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_core::{Clock, Timestamp};
use tokio::task::JoinHandle;
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::FederationError;
use super::fetch::{Fetch, FetchError, MAX_DOCUMENT_BYTES, is_loopback};
use crate::jose::{OutsideToken, PublicKey};

/// When keys are asked for again although they serve: so long a key lives on here that its issuer has withdrawn.
const KEYS_LIFE: Duration = Duration::from_secs(60 * 60);

/// How often an issuer may be asked again, however many unknown key ids come (issue 3, section 1).
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);

/// While none of an issuer's keys is known yet, it is asked more often: nobody can sign in until it answers.
const BETWEEN_FIRST_FETCHES: Duration = Duration::from_secs(10);

/// More than any issuer publishes; the rest is not looked at.
const MAX_KEYS: usize = 64;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// What is wrong with an issuer's document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    #[error("the issuer is empty or longer than 2048 bytes; it is the `iss` claim of its tokens, exactly")]
    Issuer,
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
    #[error("`{0}` is not https; only this machine itself (`http://127.0.0.1:…`) may be asked without it")]
    Insecure(String),
    /// The URL is not repeated: it may hold a password.
    #[error("the URL holds a user name, a password or a fragment; none of them belongs there")]
    UrlParts,
    #[error("the issuer holds a query, so its discovery document must be given a URL of its own")]
    Query,
    #[error("the pinned keys are not a JWKS document: {{\"keys\": [...]}}, at most 256 KiB")]
    NotJwks,
    #[error("none of the pinned keys can be used; RSA of at least 2048 bits, P-256, P-384 and Ed25519 can")]
    NoUsableKey,
    #[error("the pinned keys hold a secret or private key; give the public ones only")]
    PrivateKey,
    #[error("the CA is not a PEM certificate")]
    Ca,
}

pub(super) fn check(issuer: &Issuer) -> Result<(), IssuerError> {
    if issuer.issuer.is_empty() || issuer.issuer.len() > 2048 {
        return Err(IssuerError::Issuer);
    }
    match &issuer.keys {
        IssuerKeys::Discovery { .. } => discovery_url(issuer).map(drop)?,
        IssuerKeys::Pinned { jwks } => {
            let document = KeyDocument::read(jwks.as_bytes()).ok_or(IssuerError::NotJwks)?;
            // A private key has `d` (RFC 7518, 6), a MAC's secret `k`.
            if document.keys.iter().any(|key| key.contains_key("d") || key.contains_key("k")) {
                return Err(IssuerError::PrivateKey);
            }
            if document.usable().is_empty() {
                return Err(IssuerError::NoUsableKey);
            }
        }
    }
    match &issuer.ca {
        Some(pem) if !is_authority(pem) => Err(IssuerError::Ca),
        _ => Ok(()),
    }
}

/// Certificates, at least one, and nothing among them that only looks like one.
fn is_authority(pem: &str) -> bool {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let readable = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok();
    certificates.is_ok_and(|certificates| !certificates.is_empty() && certificates.iter().all(readable))
}

/// A key with what its JWK says about its use.
#[derive(Debug)]
struct Published {
    kid: Option<String>,
    algorithm: Option<String>,
    key: PublicKey,
}

#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<Map<String, Value>>,
}

impl KeyDocument {
    fn read(json: &[u8]) -> Option<Self> {
        (json.len() <= MAX_DOCUMENT_BYTES).then(|| serde_json::from_slice(json).ok()).flatten()
    }

    /// Those for signatures, of a family we know; an issuer may publish others beside them.
    fn usable(&self) -> Vec<Published> {
        self.keys.iter().take(MAX_KEYS).filter_map(Published::read).collect()
    }
}

impl Published {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let signs = jwk.get("use").is_none_or(|value| value == "sig");
        let verifies = jwk
            .get("key_ops")
            .is_none_or(|value| value.as_array().is_some_and(|operations| operations.iter().any(|op| op == "verify")));
        if !signs || !verifies {
            return None;
        }
        Some(Self {
            kid: text("kid").map(str::to_owned),
            algorithm: text("alg").map(str::to_owned),
            key: PublicKey::from_jwk(jwk)?,
        })
    }

    fn fits(&self, token: &OutsideToken<'_>) -> bool {
        self.key.fits(token.algorithm)
            && self.algorithm.as_deref().is_none_or(|own| token.header_text("alg") == Some(own))
    }
}

/// Where one issuer's keys come from, and those we have.
#[derive(Debug)]
pub(super) struct Source {
    issuer: String,
    /// `None`: the keys are pinned.
    discovery: Option<Result<Url, IssuerError>>,
    ca: Option<String>,
    state: RwLock<State>,
    /// Held while the issuer is asked: one question at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<Vec<Published>>>,
    fetched_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl State {
    /// Whether the issuer may be asked again.
    fn may_ask(&self, now: Timestamp) -> bool {
        let pause = if self.keys.is_some() { BETWEEN_FETCHES } else { BETWEEN_FIRST_FETCHES };
        self.asked_at.is_none_or(|at| now.since(at) >= pause)
    }

    fn is_old(&self, now: Timestamp) -> bool {
        self.fetched_at.is_some_and(|at| now.since(at) >= KEYS_LIFE)
    }
}

impl Source {
    pub(super) fn new(issuer: &Issuer) -> Self {
        let (discovery, keys) = match &issuer.keys {
            IssuerKeys::Discovery { .. } => (Some(discovery_url(issuer)), None),
            IssuerKeys::Pinned { jwks } => {
                let keys = KeyDocument::read(jwks.as_bytes()).map(|document| document.usable()).unwrap_or_default();
                (None, Some(Arc::new(keys)))
            }
        };
        Self {
            issuer: issuer.issuer.clone(),
            discovery,
            ca: issuer.ca.clone(),
            state: RwLock::new(State { keys, ..State::default() }),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The keys that can have signed this token: those it names, of a family that fits its algorithm.
    pub(super) async fn keys_for(
        self: &Arc<Self>,
        token: &OutsideToken<'_>,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<PublicKey>, FederationError> {
        let found = self.find(token);
        if !found.is_empty() {
            if self.is_old(clock.now()) {
                // Nobody waits for it: what we have serves, also while the issuer is down.
                drop(self.ask(fetch, clock));
            }
            return Ok(found);
        }
        if self.discovery.is_some() {
            // In a task of its own: a caller who goes away must not take the answer from all others.
            let _ = self.ask(fetch, clock).await;
        }
        let found = self.find(token);
        match (found.is_empty(), self.read().keys.is_some()) {
            (false, _) => Ok(found),
            (true, true) => Err(FederationError::UnknownKey),
            (true, false) => Err(FederationError::Unavailable),
        }
    }

    fn find(&self, token: &OutsideToken<'_>) -> Vec<PublicKey> {
        let Some(keys) = self.read().keys.clone() else { return Vec::new() };
        let fitting = keys.iter().filter(|published| published.fits(token));
        match token.header.get("kid") {
            Some(kid) => {
                let named = fitting.filter(|published| published.kid.as_deref().is_some_and(|own| kid == own));
                named.map(|published| published.key.clone()).collect()
            }
            // Without a name it can only be the one there is.
            None => match fitting.collect::<Vec<_>>().as_slice() {
                [only] => vec![only.key.clone()],
                _ => Vec::new(),
            },
        }
    }

    /// Asks the issuer, if it may be asked at this time.
    fn ask(self: &Arc<Self>, fetch: &Arc<dyn Fetch>, clock: &Arc<dyn Clock>) -> JoinHandle<()> {
        let (source, fetch, clock) = (Arc::clone(self), Arc::clone(fetch), Arc::clone(clock));
        tokio::spawn(async move {
            let _asking = source.asking.lock().await;
            let now = clock.now();
            if !source.read().may_ask(now) {
                return;
            }
            source.write(|state| state.asked_at = Some(now));
            match source.fetch(&*fetch).await {
                Ok(keys) => source.write(|state| {
                    state.keys = Some(Arc::new(keys));
                    state.fetched_at = Some(now);
                }),
                Err(error) => {
                    tracing::warn!(issuer = %source.issuer, %error, "the keys of an issuer could not be fetched");
                }
            }
        })
    }

    async fn fetch(&self, fetch: &dyn Fetch) -> Result<Vec<Published>, DocumentError> {
        let Some(discovery) = &self.discovery else { return Err(DocumentError::Pinned) };
        let url = discovery.as_ref().map_err(|error| DocumentError::Issuer(error.clone()))?;
        let document = fetch.get(url, self.ca.as_deref()).await?;
        let document: Discovery = serde_json::from_slice(&document).map_err(|_| DocumentError::Discovery)?;
        // OpenID Connect Discovery 1.0, 4.3. Without it, one host of an issuer could answer for another issuer.
        if document.issuer != self.issuer {
            return Err(DocumentError::OtherIssuer(document.issuer));
        }
        // The issuer's host may name keys elsewhere (Google's does), but never on this machine unless it is there itself.
        let keys = parse_url(&document.jwks_uri, is_loopback(url)).map_err(DocumentError::Issuer)?;
        let keys = fetch.get(&keys, self.ca.as_deref()).await?;
        Ok(KeyDocument::read(&keys).ok_or(DocumentError::Keys)?.usable())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_old(&self, now: Timestamp) -> bool {
        let state = self.read();
        state.is_old(now) && state.may_ask(now)
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Why an issuer's documents gave no keys. For the log.
#[derive(Debug, thiserror::Error)]
enum DocumentError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Issuer(IssuerError),
    #[error("its keys are pinned")]
    Pinned,
    #[error("the discovery document has no `issuer` and `jwks_uri`")]
    Discovery,
    #[error("the discovery document is of `{0}`")]
    OtherIssuer(String),
    #[error("what is at `jwks_uri` is not a JWKS document")]
    Keys,
}

/// Where the discovery document is: below the issuer, unless another place is given, which is then the whole URL.
fn discovery_url(issuer: &Issuer) -> Result<Url, IssuerError> {
    match &issuer.keys {
        IssuerKeys::Discovery { url: Some(url) } => parse_url(url, true),
        _ => {
            let base = parse_url(&issuer.issuer, true)?;
            if base.query().is_some() {
                return Err(IssuerError::Query);
            }
            parse_url(&format!("{}{WELL_KNOWN}", base.as_str().trim_end_matches('/')), true)
        }
    }
}

/// A URL that may be asked: https, or plain http on this machine where `loopback` allows it.
fn parse_url(text: &str, loopback: bool) -> Result<Url, IssuerError> {
    let url = Url::parse(text).map_err(|_| IssuerError::NotAUrl(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(IssuerError::UrlParts);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback && is_loopback(&url) => Ok(url),
        _ => Err(IssuerError::Insecure(text.to_owned())),
    }
}
