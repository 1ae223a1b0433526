//! Docker's `config.json` and podman's `auth.json`: which credential or helper goes with which registry.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::credential::{Credential, IDENTITY_TOKEN};
use crate::files;
use crate::host::RegistryHost;

/// Why a client's configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("`{}` cannot be read or written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is not the JSON object it should be; it was left alone", path.display())]
    Form { path: PathBuf },
}

/// A client's configuration. Keys unknown to us are kept as they are.
#[derive(Debug)]
pub struct ClientConfig {
    path: PathBuf,
    keys: Map<String, Value>,
}

impl ClientConfig {
    /// Reads `path`; a missing or empty file is an empty configuration.
    ///
    /// # Errors
    /// The file cannot be read, or is no JSON object.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Io { path: path.to_owned(), source };
        let bytes = files::read(path).map_err(failed)?.unwrap_or_default();
        let keys = if bytes.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(&bytes).map_err(|_| ConfigError::Form { path: path.to_owned() })?
        };
        Ok(Self { path: path.to_owned(), keys })
    }

    /// The credential helper used for `server`: `credHelpers`, else `credsStore`.
    #[must_use]
    pub fn helper(&self, server: &RegistryHost) -> Option<&str> {
        let own = self.entry("credHelpers", server).and_then(Value::as_str);
        own.or_else(|| self.keys.get("credsStore")?.as_str()).filter(|name| !name.is_empty())
    }

    /// The credential written in the file itself for `server`.
    #[must_use]
    pub fn credential(&self, server: &RegistryHost) -> Option<Credential> {
        let entry = self.entry("auths", server)?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Some(Credential::new(IDENTITY_TOKEN, token.to_owned()));
        }
        let decoded = String::from_utf8(STANDARD.decode(text("auth")?).ok()?).ok()?;
        let (username, secret) = decoded.split_once(':')?;
        // Docker pads the password with NUL bytes on some platforms.
        Some(Credential::new(username, secret.trim_end_matches('\0').to_owned()))
    }

    /// Puts `credential` for `server` into the file's own `auths`.
    ///
    /// # Errors
    /// `auths` is there and is no object.
    pub fn set_credential(&mut self, server: &RegistryHost, credential: &Credential) -> Result<(), ConfigError> {
        let auth = STANDARD.encode(format!("{}:{}", credential.username, credential.expose()));
        self.set("auths", server, json!({ "auth": auth }))
    }

    /// Takes the credential for `server` out of the file's own `auths`.
    pub fn remove_credential(&mut self, server: &RegistryHost) {
        if let Some(entries) = self.keys.get_mut("auths").and_then(Value::as_object_mut) {
            entries.remove(&server.to_string());
        }
    }

    /// Has `docker-credential-<helper>` asked for `server`'s credentials.
    ///
    /// # Errors
    /// `credHelpers` is there and is no object.
    pub fn set_helper(&mut self, server: &RegistryHost, helper: &str) -> Result<(), ConfigError> {
        self.set("credHelpers", server, json!(helper))
    }

    /// Replaces the file at once; mode 0600.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), ConfigError> {
        let failed = |source| ConfigError::Io { path: self.path.clone(), source };
        let mut bytes = serde_json::to_vec_pretty(&self.keys).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        files::replace(&self.path, &bytes).map_err(failed)
    }

    fn set(&mut self, section: &str, server: &RegistryHost, value: Value) -> Result<(), ConfigError> {
        let entries = self.keys.entry(section).or_insert_with(|| json!({}));
        let entries = entries.as_object_mut().ok_or_else(|| ConfigError::Form { path: self.path.clone() })?;
        entries.insert(server.to_string(), value);
        Ok(())
    }

    /// Clients write a server with or without scheme and path; an entry for a part of a registry is not for all of it.
    fn entry(&self, section: &str, server: &RegistryHost) -> Option<&Value> {
        let entries = self.keys.get(section)?.as_object()?;
        let is_server = |key: &str| {
            let whole = key.contains("://") || !key.contains('/');
            whole && key.parse::<RegistryHost>().is_ok_and(|host| host == *server)
        };
        entries.get(&server.to_string()).or_else(|| entries.iter().find(|(key, _)| is_server(key)).map(|(_, v)| v))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn server(text: &str) -> RegistryHost {
        text.parse().unwrap()
    }

    #[test]
    fn unknown_keys_stay_and_the_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/config.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, r#"{"zebra":{"b":1,"a":[2]},"auths":{"other":{"auth":"x"}},"psFormat":"table"}"#).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        let mut config = ClientConfig::load(&path).unwrap();
        config
            .set_credential(&server("r.example.com:5000"), &Credential::new("robot", "pass:word".to_owned()))
            .unwrap();
        config.set_helper(&server("localhost:5000"), "shorepass").unwrap();
        config.save().unwrap();

        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["zebra"], json!({"b":1,"a":[2]}));
        assert_eq!(written["psFormat"], "table");
        assert_eq!(written["auths"]["other"]["auth"], "x");
        assert_eq!(written["credHelpers"]["localhost:5000"], "shorepass");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");

        let read = ClientConfig::load(&path).unwrap();
        let credential = read.credential(&server("r.example.com:5000")).unwrap();
        assert_eq!((credential.username.as_str(), credential.expose()), ("robot", "pass:word"));
        assert_eq!(read.helper(&server("localhost:5000")), Some("shorepass"));
        assert_eq!(read.helper(&server("r.example.com")), None);

        config.remove_credential(&server("r.example.com:5000"));
        config.save().unwrap();
        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["auths"], json!({"other":{"auth":"x"}}));
    }

    #[test]
    fn servers_are_found_in_the_forms_clients_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let text = r#"{"auths":{"https://Docked.example.com/v1/":{"identitytoken":"t"},"part.example.com/team":{"auth":"YTpi"}},"credsStore":"desktop"}"#;
        fs::write(&path, text).unwrap();
        let config = ClientConfig::load(&path).unwrap();
        assert_eq!(config.credential(&server("docked.example.com")).unwrap().username, IDENTITY_TOKEN);
        assert!(config.credential(&server("part.example.com")).is_none());
        assert_eq!(config.helper(&server("any.example.com")), Some("desktop"));
    }

    #[test]
    fn a_broken_file_is_left_alone_and_a_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let broken = dir.path().join("broken.json");
        fs::write(&broken, "{\"auths\":").unwrap();
        assert!(matches!(ClientConfig::load(&broken), Err(ConfigError::Form { .. })));

        let (real, link) = (dir.path().join("real.json"), dir.path().join("config.json"));
        fs::write(&real, "").unwrap();
        symlink(&real, &link).unwrap();
        let mut config = ClientConfig::load(&link).unwrap();
        config.set_helper(&server("localhost:5000"), "shorepass").unwrap();
        config.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("localhost:5000"));
    }
}
