//! Sessions at servers: who signed in where, kept in one private file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use shorepass_core::Timestamp;

use crate::config::ConfigError;
use crate::files;
use crate::server_url::ServerUrl;

/// What gets new identity tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Proof {
    /// A person who has signed in.
    User {
        #[serde(serialize_with = "exposed")]
        refresh_token: SecretString,
    },
    ClientSecret {
        client_id: String,
        #[serde(serialize_with = "exposed")]
        secret: SecretString,
    },
    /// Certificate and private key in PEM; the file stays where it is.
    Certificate { client_id: String, file: PathBuf },
    /// A token of an outside issuer; the file is read anew each time, since whoever writes it renews it.
    FederatedToken { client_id: String, file: PathBuf },
    /// The environment's identity endpoint.
    ManagedIdentity { client_id: Option<String> },
}

impl Proof {
    /// For people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::ClientSecret { .. } => "servicePrincipal",
            Self::Certificate { .. } => "servicePrincipal (certificate)",
            Self::FederatedToken { .. } => "federated",
            Self::ManagedIdentity { .. } => "managedIdentity",
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            // Renewed now and then.
            (Self::User { .. }, Self::User { .. }) => true,
            (Self::ClientSecret { client_id, secret }, Self::ClientSecret { client_id: id, secret: own }) => {
                client_id == id && secret.expose_secret() == own.expose_secret()
            }
            (Self::Certificate { client_id, file }, Self::Certificate { client_id: id, file: own })
            | (Self::FederatedToken { client_id, file }, Self::FederatedToken { client_id: id, file: own }) => {
                client_id == id && file == own
            }
            (Self::ManagedIdentity { client_id }, Self::ManagedIdentity { client_id: id }) => client_id == id,
            _ => false,
        }
    }
}

/// An identity token and its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityToken {
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
    pub expires_at: Timestamp,
}

/// A session: one for each server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub server: ServerUrl,
    /// The tenant's GUID.
    pub tenant_id: String,
    /// The tenant's name, where it is known.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Who it is, for people.
    pub name: String,
    pub proof: Proof,
    /// Trusted beside the system's authorities.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// By audience.
    #[serde(default)]
    pub tokens: BTreeMap<String, IdentityToken>,
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    /// The server that is meant when none is named.
    active: Option<ServerUrl>,
    #[serde(default)]
    accounts: BTreeMap<ServerUrl, Account>,
}

/// The file. Every change reads it anew under a lock, so that two commands at once lose nothing.
#[derive(Debug, Clone)]
pub struct AccountStore {
    path: PathBuf,
}

impl AccountStore {
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// # Errors
    /// The file cannot be read; likewise for every other call.
    pub fn get(&self, server: &ServerUrl) -> Result<Option<Account>, ConfigError> {
        Ok(self.read()?.accounts.remove(server))
    }

    /// The session that is meant when no server is named.
    ///
    /// # Errors
    /// See [`AccountStore::get`].
    pub fn active(&self) -> Result<Option<Account>, ConfigError> {
        let mut contents = self.read()?;
        Ok(contents.active.and_then(|server| contents.accounts.remove(&server)))
    }

    /// Every session, by server.
    ///
    /// # Errors
    /// See [`AccountStore::get`].
    pub fn list(&self) -> Result<Vec<Account>, ConfigError> {
        Ok(self.read()?.accounts.into_values().collect())
    }

    /// Keeps a session in place of the server's old one, and makes it the active one.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn put(&self, account: Account) -> Result<(), ConfigError> {
        self.change(|contents| {
            contents.active = Some(account.server.clone());
            contents.accounts.insert(account.server.clone(), account);
        })
    }

    /// Makes the server's session the active one; `false` when there is none.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn activate(&self, server: &ServerUrl) -> Result<bool, ConfigError> {
        self.change(|contents| {
            let there = contents.accounts.contains_key(server);
            if there {
                contents.active = Some(server.clone());
            }
            there
        })
    }

    /// Forgets a session; `false` when there was none.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn remove(&self, server: &ServerUrl) -> Result<bool, ConfigError> {
        self.change(|contents| {
            contents.active.take_if(|active| active == server);
            contents.accounts.remove(server).is_some()
        })
    }

    /// Keeps new tokens of a session, unless that was replaced or ended meanwhile.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn remember(&self, account: &Account) -> Result<(), ConfigError> {
        self.change(|contents| {
            if let Some(kept) = contents.accounts.get_mut(&account.server)
                && kept.name == account.name
                && kept.tenant_id == account.tenant_id
                && kept.proof.is(&account.proof)
            {
                kept.proof = account.proof.clone();
                kept.tokens.clone_from(&account.tokens);
            }
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> Result<T, ConfigError> {
        let _lock = files::lock(&self.path).map_err(|source| self.failed(source))?;
        let mut contents = self.read()?;
        let result = change(&mut contents);
        let bytes = serde_json::to_vec_pretty(&contents).map_err(|error| self.failed(error.into()))?;
        files::replace(&self.path, &bytes).map_err(|source| self.failed(source))?;
        Ok(result)
    }

    fn read(&self) -> Result<Contents, ConfigError> {
        match files::read(&self.path).map_err(|source| self.failed(source))? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| ConfigError::Form { path: self.path.clone() }),
            None => Ok(Contents::default()),
        }
    }

    fn failed(&self, source: io::Error) -> ConfigError {
        ConfigError::Io { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn account(server: &str, token: &str) -> Account {
        Account {
            server: server.parse().unwrap(),
            tenant_id: "t".to_owned(),
            tenant: None,
            name: "alice".to_owned(),
            proof: Proof::User { refresh_token: token.to_owned().into() },
            ca_file: None,
            tokens: BTreeMap::new(),
        }
    }

    fn refresh_token(account: &Account) -> String {
        match &account.proof {
            Proof::User { refresh_token } => refresh_token.expose_secret().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sessions_are_private_and_the_last_one_is_active() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shorepass/accounts.json");
        let store = AccountStore::at(&path);
        assert!(store.active().unwrap().is_none());
        store.put(account("https://a.example.com", "one")).unwrap();
        store.put(account("https://b.example.com", "two")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(refresh_token(&store.active().unwrap().unwrap()), "two");
        let a = "https://a.example.com".parse().unwrap();
        assert!(store.activate(&a).unwrap());
        assert_eq!(refresh_token(&store.active().unwrap().unwrap()), "one");
        assert!(store.remove(&a).unwrap() && !store.remove(&a).unwrap() && !store.activate(&a).unwrap());
        assert!(store.active().unwrap().is_none(), "nobody falls into another session");
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn new_tokens_do_not_come_back_to_a_session_that_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = AccountStore::at(&dir.path().join("accounts.json"));
        let old = account("https://a.example.com", "old");
        store.put(old.clone()).unwrap();
        store
            .remember(&Account { proof: Proof::User { refresh_token: "new".to_owned().into() }, ..old.clone() })
            .unwrap();
        assert_eq!(refresh_token(&store.active().unwrap().unwrap()), "new");
        store.put(Account { name: "bob".to_owned(), ..account("https://a.example.com", "bobs") }).unwrap();
        store.remember(&old).unwrap();
        assert_eq!(refresh_token(&store.active().unwrap().unwrap()), "bobs");
        store.remove(&old.server).unwrap();
        store.remember(&old).unwrap();
        assert!(store.list().unwrap().is_empty());
    }
}
