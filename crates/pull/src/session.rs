//! A credential for a registry that does not expire in the middle of work.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use shorepass_core::{Clock, RegistryName};

use crate::client::RegistryClient;
use crate::config::ConfigError;
use crate::credential::Credential;
use crate::host::RegistryHost;
use crate::jwt;
use crate::local::{LocalError, LocalServer, Minted};
use crate::store::{CredentialStore, Stored};

/// A token with less time left than this is renewed: a long push must end before its token does.
pub const RENEW_BEFORE: Duration = Duration::from_secs(10 * 60);

/// Where credentials come from on this machine.
#[derive(Debug)]
pub struct Session<'a> {
    pub store: &'a CredentialStore,
    pub local: Option<&'a LocalServer>,
    pub clock: &'a dyn Clock,
}

impl Session<'_> {
    /// The best credential there is for `server`: a refresh token with time left where one can be had. `None`: nobody
    /// signed in, or the session ended and cannot be renewed.
    ///
    /// # Errors
    /// The credential file cannot be read or written.
    pub async fn credential(&self, server: &RegistryHost) -> Result<Option<Credential>, ConfigError> {
        match self.store.get(server)? {
            None => Ok(self.mint(server).await.map(|minted| Credential::token(minted.refresh_token))),
            Some(stored) if stored.credential().is_token() => Ok(self.renewed_token(server, stored.secret).await),
            Some(stored) => self.with_password(server, stored).await.map(Some),
        }
    }

    async fn with_password(&self, server: &RegistryHost, stored: Stored) -> Result<Credential, ConfigError> {
        if let Some(token) = stored.refresh_token.as_ref().filter(|token| self.time_left(token) >= RENEW_BEFORE) {
            return Ok(Credential::token(token.clone()));
        }
        let credential = stored.credential();
        let fetched = match RegistryClient::reach(server, None).await {
            Ok(client) => client.refresh_token(&credential).await,
            Err(error) => Err(error),
        };
        match fetched {
            Ok(Some(token)) => {
                self.store.remember(server, &credential, &token)?;
                Ok(Credential::token(token))
            }
            // A registry without refresh tokens, or out of reach: the client may fare better with the password itself.
            Ok(None) | Err(_) => Ok(credential),
        }
    }

    async fn renewed_token(&self, server: &RegistryHost, token: SecretString) -> Option<Credential> {
        let left = self.time_left(&token);
        if left < RENEW_BEFORE {
            // Only for who already was the local operator: who signed in as somebody lesser is not made more.
            let subject = jwt::subject(token.expose_secret());
            let minted = self.mint(server).await.map(|minted| minted.refresh_token);
            let same = minted.filter(|new| subject.is_some() && jwt::subject(new.expose_secret()) == subject);
            if let Some(new) = same {
                return Some(Credential::token(new));
            }
        }
        (left > Duration::ZERO).then(|| Credential::token(token))
    }

    async fn mint(&self, server: &RegistryHost) -> Option<Minted> {
        mint_for(self.local?, server).await.ok().flatten()
    }

    /// A token whose end cannot be read is the registry's to judge.
    fn time_left(&self, token: &SecretString) -> Duration {
        jwt::expiry(token.expose_secret()).map_or(Duration::MAX, |end| end.since(self.clock.now()))
    }
}

/// A refresh token from the server on this machine, when `server` is one of its registries. `None`: it is not.
///
/// # Errors
/// The local server is not there, or refuses.
pub async fn mint_for(local: &LocalServer, server: &RegistryHost) -> Result<Option<Minted>, LocalError> {
    match registry_of(local, server).await? {
        Some(registry) => local.mint(&registry, Some(&server.to_string())).await.map(Some),
        None => Ok(None),
    }
}

/// The registry of the server on this machine that `server` names: by login server, or `default` by the loopback host
/// and port it listens on.
///
/// # Errors
/// The local server is not there, or refuses.
pub async fn registry_of(local: &LocalServer, server: &RegistryHost) -> Result<Option<RegistryName>, LocalError> {
    let registries = local.registries().await?;
    let is_ours = |login_server: &str| login_server.parse::<RegistryHost>().is_ok_and(|host| host == *server);
    if let Some(found) = registries.iter().find(|registry| is_ours(&registry.login_server)) {
        return Ok(found.name.parse().ok());
    }
    let port = server.port();
    if server.is_loopback() && port.is_some() && local.endpoint().await?.port() == port {
        return Ok("default".parse().ok());
    }
    Ok(None)
}
