//! A server anywhere, over its management API, as whoever has signed in.

use reqwest::header::IF_MATCH;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::http::{ServerHttp, TalkError};
use crate::identity::{AccountSession, IdentityError};
use crate::local::{LocalError, problem};

/// Why a server elsewhere did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// The server's own answer (RFC 9457).
    #[error("{}", if detail.is_empty() { title } else { detail })]
    Problem { status: u16, title: String, detail: String, hint: Option<String> },
    #[error("the server's answer to `{path}` was not understood")]
    Answer { path: String },
}

impl RemoteError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Identity(error) => error.hint(),
            Self::Talk(error) => error.hint(),
            Self::Problem { hint, .. } => hint.clone(),
            Self::Answer { .. } => Some("let `shorepass` and the server be of the same version".to_owned()),
        }
    }

    /// The status of the server's answer, when there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// The server of a session.
#[derive(Debug)]
pub struct RemoteServer {
    session: AccountSession,
}

impl RemoteServer {
    #[must_use]
    pub fn new(session: AccountSession) -> Self {
        Self { session }
    }

    #[must_use]
    pub fn session(&self) -> &AccountSession {
        &self.session
    }

    /// `path` with its query, if any; `etag`: only what still has it. An answer without a body is `Value::Null`.
    ///
    /// # Errors
    /// Nobody is signed in, the server is not reached, or it answers with a problem.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Value, RemoteError> {
        let account = self.session.account()?;
        let http = ServerHttp::new(&account.server, account.ca_file.as_deref())?;
        // The management's audience is the server's own address.
        let audience = account.server.to_string();
        let token = self.session.token(&audience).await?;
        let mut answer = self.once(&http, &method, path, body, etag, &token).await?;
        if answer.0 == StatusCode::UNAUTHORIZED {
            // What was kept may have been revoked, or signed with a key that is no more.
            let token = self.session.fresh_token(&audience).await?;
            answer = self.once(&http, &method, path, body, etag, &token).await?;
        }
        let (status, bytes) = answer;
        if !status.is_success() {
            return Err(refused(status, &bytes, path));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| RemoteError::Answer { path: path.to_owned() })
    }

    async fn once(
        &self,
        http: &ServerHttp,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
        token: &SecretString,
    ) -> Result<(StatusCode, Vec<u8>), RemoteError> {
        let url = http.server.with_path(path).ok_or_else(|| RemoteError::Answer { path: path.to_owned() })?;
        let mut request = http.request(method.clone(), url).bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, format!("\"{etag}\""));
        }
        Ok(http.send(request).await?)
    }
}

fn refused(status: StatusCode, body: &[u8], path: &str) -> RemoteError {
    match problem(status, body) {
        LocalError::Problem { status, title, detail, hint } => RemoteError::Problem { status, title, detail, hint },
        _ => RemoteError::Answer { path: path.to_owned() },
    }
}
