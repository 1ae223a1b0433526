//! Identity tokens of a session: kept while they are good, renewed by what the session was begun with.

use std::env;
use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shorepass_core::{Clock, Timestamp};
use url::Url;

use crate::account::{Account, AccountStore, IdentityToken, Proof};
use crate::config::ConfigError;
use crate::directory::{COMMAND_LINE_CLIENT, DirectoryClient, DirectoryError, JWT_BEARER, personal_scope_of, scope_of};
use crate::server_url::ServerUrl;

/// A token with less time left than this is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// A federated token longer than this is no token.
const MAX_TOKEN: u64 = 64 * 1024;

/// Why there is no identity token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("you are not signed in to `{0}`")]
    NotSignedIn(ServerUrl),
    #[error("your session at `{server}` has ended: {reason}")]
    Ended { server: ServerUrl, reason: String },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] ConfigError),
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("the token in `{path}` cannot be read: {reason}")]
    TokenFile { path: String, reason: String },
    #[error("there is no identity endpoint here")]
    NoEndpoint,
    #[error("the identity endpoint gave no token: {0}")]
    Endpoint(String),
}

impl IdentityError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotSignedIn(server) => Some(format!("sign in with `shorepass account login {server}`")),
            Self::Ended { server, .. } => Some(format!("sign in again with `shorepass account login {server}`")),
            Self::Directory(error) => error.hint(),
            Self::NoEndpoint => Some(
                "IDENTITY_ENDPOINT and IDENTITY_HEADER name it, in the environment of workloads that have an identity"
                    .to_owned(),
            ),
            Self::Store(_) | Self::Certificate(_) | Self::TokenFile { .. } | Self::Endpoint(_) => None,
        }
    }

    /// Whether the server says that it has no such resource.
    #[must_use]
    pub fn is_unknown_resource(&self) -> bool {
        matches!(self, Self::Directory(error) if error.code() == Some("invalid_resource"))
    }
}

/// Signs with a certificate's key, which this crate has no code for.
pub trait Assert: Send + Sync + std::fmt::Debug {
    /// A client assertion (RFC 7523) by the certificate and key in `file`.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    fn assertion(&self, file: &Path, client_id: &str, audience: &str) -> Result<String, String>;
}

/// A session at a server, in use.
#[derive(Debug)]
pub struct AccountSession {
    store: AccountStore,
    server: ServerUrl,
    signer: Box<dyn Assert>,
    clock: Box<dyn Clock>,
}

impl AccountSession {
    #[must_use]
    pub fn new(store: AccountStore, server: ServerUrl, signer: Box<dyn Assert>, clock: Box<dyn Clock>) -> Self {
        Self { store, server, signer, clock }
    }

    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// # Errors
    /// Nobody is signed in there, or the file cannot be read.
    pub fn account(&self) -> Result<Account, IdentityError> {
        self.store.get(&self.server)?.ok_or_else(|| IdentityError::NotSignedIn(self.server.clone()))
    }

    /// A token for this audience with time left.
    ///
    /// # Errors
    /// Nobody is signed in there, the session has ended, or the server is not reached.
    pub async fn token(&self, audience: &str) -> Result<SecretString, IdentityError> {
        let account = self.account()?;
        let now = self.clock.now();
        match account.tokens.get(audience) {
            Some(kept) if kept.expires_at.since(now) >= RENEW_BEFORE => Ok(kept.token.clone()),
            _ => self.renewed(account, audience).await,
        }
    }

    /// A token that was made just now: for when a kept one was refused.
    ///
    /// # Errors
    /// See [`AccountSession::token`].
    pub async fn fresh_token(&self, audience: &str) -> Result<SecretString, IdentityError> {
        self.renewed(self.account()?, audience).await
    }

    async fn renewed(&self, mut account: Account, audience: &str) -> Result<SecretString, IdentityError> {
        let new = fetch(&mut account, audience, &*self.signer, &*self.clock).await.map_err(|error| match error {
            IdentityError::Directory(refused) if refused.code() == Some("invalid_grant") => {
                IdentityError::Ended { server: self.server.clone(), reason: refused.to_string() }
            }
            other => other,
        })?;
        let now = self.clock.now();
        account.tokens.retain(|_, token| token.expires_at > now);
        account.tokens.insert(audience.to_owned(), new.clone());
        self.store.remember(&account)?;
        Ok(new.token)
    }
}

/// Gets a token by what the session was begun with. A new refresh token replaces the account's.
///
/// # Errors
/// The proof is refused or cannot be read, or the server is not reached.
pub async fn fetch(
    account: &mut Account,
    audience: &str,
    signer: &dyn Assert,
    clock: &dyn Clock,
) -> Result<IdentityToken, IdentityError> {
    let proof = account.proof.clone();
    if let Proof::ManagedIdentity { client_id } = &proof {
        return managed(audience, client_id.as_deref(), clock).await;
    }
    let directory = DirectoryClient::discover(&account.server, &account.tenant_id, account.ca_file.as_deref()).await?;
    let scope = scope_of(audience);
    let tokens = match &proof {
        Proof::User { refresh_token } => {
            let personal = personal_scope_of(audience);
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", COMMAND_LINE_CLIENT),
                ("refresh_token", refresh_token.expose_secret()),
                ("scope", &personal),
            ];
            directory.token(&form).await?
        }
        Proof::ClientSecret { client_id, secret } => {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", secret.expose_secret()),
                ("scope", &scope),
            ];
            directory.token(&form).await?
        }
        Proof::Certificate { client_id, file } => {
            let assertion = signer.assertion(file, client_id, directory.token_endpoint());
            let assertion = assertion.map_err(IdentityError::Certificate)?;
            asserted(&directory, client_id, &assertion, &scope).await?
        }
        Proof::FederatedToken { client_id, file } => {
            asserted(&directory, client_id, read_token(file)?.expose_secret(), &scope).await?
        }
        Proof::ManagedIdentity { .. } => return Err(IdentityError::NoEndpoint),
    };
    if let (Proof::User { refresh_token }, Some(new)) = (&mut account.proof, tokens.refresh_token) {
        *refresh_token = new;
    }
    let expires_at = clock.now().plus(Duration::from_secs(tokens.expires_in));
    Ok(IdentityToken { token: tokens.access_token, expires_at })
}

async fn asserted(
    directory: &DirectoryClient,
    client_id: &str,
    assertion: &str,
    scope: &str,
) -> Result<crate::directory::Tokens, DirectoryError> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
        ("scope", scope),
    ];
    directory.token(&form).await
}

fn read_token(file: &Path) -> Result<SecretString, IdentityError> {
    use std::io::Read as _;
    let failed = |reason: String| IdentityError::TokenFile { path: file.display().to_string(), reason };
    let mut text = String::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text));
    opened.map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        token => Ok(token.to_owned().into()),
    }
}

/// What an identity endpoint answers (contracts/azure-clients.md 3.7): the end as a time or as seconds from now, either as
/// number or as text.
#[derive(Deserialize)]
struct Managed {
    access_token: SecretString,
    expires_on: Option<Number>,
    expires_in: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn get(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

#[derive(Deserialize)]
struct ManagedRefusal {
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    message: String,
}

/// Asks the environment's identity endpoint: of App Service's form, or of a virtual machine's where one is named. The
/// well-known address of the latter is not tried: on a cloud's machine it is the cloud's.
async fn managed(audience: &str, client_id: Option<&str>, clock: &dyn Clock) -> Result<IdentityToken, IdentityError> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (endpoint, version, header) = match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
        (Some(endpoint), Some(header)) => (endpoint, "2019-08-01", Some(header)),
        _ => match variable("AZURE_POD_IDENTITY_AUTHORITY_HOST") {
            Some(host) => {
                (format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/')), "2018-02-01", None)
            }
            None => return Err(IdentityError::NoEndpoint),
        },
    };
    let wrong = |text: &str| IdentityError::Endpoint(text.to_owned());
    let mut url = Url::parse(&endpoint).map_err(|_| wrong("its address is not a URL"))?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", audience);
    if let Some(client_id) = client_id {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    let plain = url.scheme() == "http";
    let http = crate::client::endpoint_client(plain).map_err(|error| IdentityError::Endpoint(error.to_string()))?;
    let mut request = http.get(url).header("metadata", "true");
    if let Some(header) = header {
        let mut value = HeaderValue::from_str(&header).map_err(|_| wrong("IDENTITY_HEADER cannot be sent"))?;
        value.set_sensitive(true);
        request = request.header("x-identity-header", value);
    }
    let response = request.send().await.map_err(|error| IdentityError::Endpoint(error.without_url().to_string()))?;
    let status = response.status();
    let body = crate::client::bounded(response).await.ok_or_else(|| wrong("its answer is too long"))?;
    if !status.is_success() {
        let said = serde_json::from_slice::<ManagedRefusal>(&body).ok();
        let said =
            said.map(|said| if said.error_description.is_empty() { said.message } else { said.error_description });
        let said = said.and_then(|said| said.lines().next().map(str::to_owned)).filter(|said| !said.is_empty());
        return Err(IdentityError::Endpoint(said.unwrap_or_else(|| format!("it answered {status}"))));
    }
    let answer: Managed = serde_json::from_slice(&body).map_err(|_| wrong("its answer was not understood"))?;
    let on =
        answer.expires_on.and_then(|number| number.get()).map(|on| Timestamp::from_millis(on.saturating_mul(1000)));
    let after = answer.expires_in.and_then(|number| u64::try_from(number.get()?).ok());
    let expires_at = on.or_else(|| Some(clock.now().plus(Duration::from_secs(after?))));
    let expires_at = expires_at.ok_or_else(|| wrong("its answer does not say when the token ends"))?;
    Ok(IdentityToken { token: answer.access_token, expires_at })
}
