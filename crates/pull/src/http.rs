//! Talking to a Shorepass server: its directory and its management.

use std::error::Error as _;
use std::path::Path;

use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use crate::client::{self, ClientError};
use crate::server_url::ServerUrl;

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    #[error(transparent)]
    Setup(#[from] ClientError),
    #[error("the server `{server}` cannot be reached")]
    Unreachable {
        server: ServerUrl,
        #[source]
        source: reqwest::Error,
    },
    #[error("the certificate of `{server}` is not trusted")]
    Certificate {
        server: ServerUrl,
        #[source]
        source: reqwest::Error,
    },
    #[error("the answer of `{0}` is longer than any answer should be")]
    TooLong(ServerUrl),
}

impl TalkError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Certificate { server, .. } => {
                Some(format!("if it has a CA of its own, name that: `shorepass account login {server} --ca-file FILE`"))
            }
            Self::Unreachable { .. } => Some("is the address right, and the server running?".to_owned()),
            Self::Setup(_) | Self::TooLong(_) => None,
        }
    }
}

/// A server, and how to reach it.
#[derive(Debug, Clone)]
pub(crate) struct ServerHttp {
    pub server: ServerUrl,
    http: Client,
}

impl ServerHttp {
    /// `ca` is trusted beside the system's authorities.
    pub fn new(server: &ServerUrl, ca: Option<&Path>) -> Result<Self, TalkError> {
        Ok(Self { server: server.clone(), http: client::client(server.host(), server.scheme(), ca)? })
    }

    pub fn get(&self, url: Url) -> RequestBuilder {
        self.http.get(url)
    }

    pub fn request(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), TalkError> {
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let status = response.status();
        let body = client::bounded(response).await.ok_or_else(|| TalkError::TooLong(self.server.clone()))?;
        Ok((status, body))
    }

    fn failure(&self, error: reqwest::Error) -> TalkError {
        // A query may hold what is nobody's business.
        let source = error.without_url();
        let server = self.server.clone();
        let mut cause = source.source();
        while let Some(inner) = cause {
            if inner.to_string().contains("invalid peer certificate") {
                return TalkError::Certificate { server, source };
            }
            cause = inner.source();
        }
        TalkError::Unreachable { server, source }
    }
}
