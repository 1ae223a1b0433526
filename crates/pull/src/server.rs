//! A server, wherever it is: over the socket on this machine, or elsewhere as whoever has signed in.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shorepass_core::RegistryName;

use crate::local::{LocalError, LocalRegistry, LocalServer};
use crate::remote::{RemoteError, RemoteServer};

/// Why a server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl ServerError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Local(error) => error.hint(),
            Self::Remote(error) => error.hint(),
        }
    }

    /// The status of the server's answer, when there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Local(error) => error.status(),
            Self::Remote(error) => error.status(),
        }
    }
}

/// Who does what is asked.
#[derive(Debug)]
pub enum Server {
    Local(LocalServer),
    Remote(RemoteServer),
}

impl Server {
    /// # Errors
    /// The server is not there, refuses, or answers with a problem; likewise for every other call.
    pub async fn get(&self, path: &str) -> Result<Value, ServerError> {
        self.send(Method::GET, path, None, None).await
    }

    /// # Errors
    /// See [`Server::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ServerError> {
        self.send(Method::POST, path, Some(body), None).await
    }

    /// # Errors
    /// See [`Server::get`].
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ServerError> {
        self.send(Method::PUT, path, Some(body), None).await
    }

    /// # Errors
    /// See [`Server::get`].
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, ServerError> {
        self.send(Method::PATCH, path, Some(body), None).await
    }

    /// Changes what is still as it was when it had this `etag`. `None`: whatever it is.
    ///
    /// # Errors
    /// See [`Server::get`]; status 412 when it has changed since.
    pub async fn patch_if(&self, path: &str, body: &Value, etag: Option<&str>) -> Result<Value, ServerError> {
        self.send(Method::PATCH, path, Some(body), etag).await
    }

    /// # Errors
    /// See [`Server::get`].
    pub async fn delete(&self, path: &str) -> Result<(), ServerError> {
        self.send(Method::DELETE, path, None, None).await.map(drop)
    }

    /// One registry.
    ///
    /// # Errors
    /// See [`Server::get`]; status 404 when there is no such registry, or none that may be seen.
    pub async fn registry(&self, name: &RegistryName) -> Result<LocalRegistry, ServerError> {
        let path = format!("/api/v1/registries/{name}");
        let answer = self.get(&path).await?;
        self.understood(path, answer)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Value, ServerError> {
        Ok(match self {
            Self::Local(server) => server.send(method, path, body, etag).await?,
            Self::Remote(server) => server.send(method, path, body, etag).await?,
        })
    }

    fn understood<T: DeserializeOwned>(&self, path: String, value: Value) -> Result<T, ServerError> {
        serde_json::from_value(value).map_err(|_| match self {
            Self::Local(_) => LocalError::Answer { path }.into(),
            Self::Remote(_) => RemoteError::Answer { path }.into(),
        })
    }
}
