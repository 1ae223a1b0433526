//! The credentials that `docker-credential-shorepass` keeps: one private file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::ConfigError;
use crate::credential::Credential;
use crate::files;
use crate::host::RegistryHost;

/// One server's entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stored {
    pub username: String,
    #[serde(serialize_with = "exposed")]
    pub secret: SecretString,
    /// The refresh token last fetched with a user name and password.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_option")]
    pub refresh_token: Option<SecretString>,
}

impl Stored {
    #[must_use]
    pub fn credential(&self) -> Credential {
        Credential { username: self.username.clone(), secret: self.secret.clone() }
    }
}

impl From<&Credential> for Stored {
    fn from(credential: &Credential) -> Self {
        Self { username: credential.username.clone(), secret: credential.secret.clone(), refresh_token: None }
    }
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn exposed_option<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(serializer)
}

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    servers: BTreeMap<String, Stored>,
}

/// The file. Every change reads it anew under a lock, so that two docker commands at once lose nothing.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    path: PathBuf,
}

impl CredentialStore {
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// # Errors
    /// The file cannot be read; likewise for every other call.
    pub fn get(&self, server: &RegistryHost) -> Result<Option<Stored>, ConfigError> {
        Ok(self.read()?.servers.remove(&server.to_string()))
    }

    /// Every server and its user name.
    ///
    /// # Errors
    /// See [`CredentialStore::get`].
    pub fn list(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        Ok(self.read()?.servers.into_iter().map(|(server, stored)| (server, stored.username)).collect())
    }

    /// # Errors
    /// The file cannot be read or written.
    pub fn put(&self, server: &RegistryHost, stored: Stored) -> Result<(), ConfigError> {
        self.change(|contents| drop(contents.servers.insert(server.to_string(), stored)))
    }

    /// # Errors
    /// The file cannot be read or written.
    pub fn erase(&self, server: &RegistryHost) -> Result<(), ConfigError> {
        self.change(|contents| drop(contents.servers.remove(&server.to_string())))
    }

    /// Keeps a refresh token beside the credential that fetched it, unless that was replaced meanwhile.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn remember(
        &self,
        server: &RegistryHost,
        fetched_with: &Credential,
        token: &SecretString,
    ) -> Result<(), ConfigError> {
        self.change(|contents| {
            if let Some(stored) = contents.servers.get_mut(&server.to_string())
                && stored.username == fetched_with.username
                && stored.secret.expose_secret() == fetched_with.expose()
            {
                stored.refresh_token = Some(token.clone());
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Contents)) -> Result<(), ConfigError> {
        let _lock = files::lock(&self.path).map_err(|source| self.failed(source))?;
        let mut contents = self.read()?;
        change(&mut contents);
        let bytes = serde_json::to_vec_pretty(&contents).map_err(|error| self.failed(error.into()))?;
        files::replace(&self.path, &bytes).map_err(|source| self.failed(source))
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

    #[test]
    fn what_is_stored_comes_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shorepass/credentials.json");
        let store = CredentialStore::at(&path);
        let server: RegistryHost = "https://R.example.com:5000/v2/".parse().unwrap();
        assert!(store.get(&server).unwrap().is_none());
        store.put(&server, Stored::from(&Credential::new("robot", "secret".to_owned()))).unwrap();
        let same: RegistryHost = "r.example.com:5000".parse().unwrap();
        assert_eq!(store.get(&same).unwrap().unwrap().credential().expose(), "secret");
        assert_eq!(
            store.list().unwrap().into_iter().collect::<Vec<_>>(),
            [("r.example.com:5000".into(), "robot".into())]
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        store.erase(&same).unwrap();
        assert!(store.get(&same).unwrap().is_none());
    }

    #[test]
    fn changes_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = CredentialStore::at(&dir.path().join("credentials.json"));
        std::thread::scope(|scope| {
            for i in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    let server = format!("r{i}.example.com").parse().unwrap();
                    store.put(&server, Stored::from(&Credential::new("robot", "s".to_owned()))).unwrap();
                });
            }
        });
        assert_eq!(store.list().unwrap().len(), 8);
    }

    #[test]
    fn a_token_is_not_kept_beside_a_credential_it_does_not_belong_to() {
        let dir = tempfile::tempdir().unwrap();
        let store = CredentialStore::at(&dir.path().join("credentials.json"));
        let server: RegistryHost = "r.example.com".parse().unwrap();
        store.put(&server, Stored::from(&Credential::new("robot", "new".to_owned()))).unwrap();
        store.remember(&server, &Credential::new("robot", "old".to_owned()), &"t".to_owned().into()).unwrap();
        assert!(store.get(&server).unwrap().unwrap().refresh_token.is_none());
        store.remember(&server, &Credential::new("robot", "new".to_owned()), &"t".to_owned().into()).unwrap();
        assert!(store.get(&server).unwrap().unwrap().refresh_token.is_some());
    }
}
