//! The server on this machine, over its administration socket `<data>/shorepass.sock`.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::IF_MATCH;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use shorepass_core::RegistryName;
use url::form_urlencoded;

/// Management calls are short; the longest (a repository's deletion) is bounded by the server.
const TIMEOUT: Duration = Duration::from_secs(60);

const REGISTRIES: &str = "/api/v1/registries";

/// Why the local server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("no server answers at `{}`", socket.display())]
    NotRunning { socket: PathBuf },
    #[error("you may not use `{}`", socket.display())]
    Denied { socket: PathBuf },
    /// The server's own answer (RFC 9457).
    #[error("{}", if detail.is_empty() { title } else { detail })]
    Problem { status: u16, title: String, detail: String, hint: Option<String> },
    #[error("the server at `{}` could not be talked to", socket.display())]
    Talk {
        socket: PathBuf,
        #[source]
        source: reqwest::Error,
    },
    #[error("the server's answer to `{path}` was not understood")]
    Answer { path: String },
}

impl LocalError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => {
                Some("start it with `shorepass serve`, or name its data directory with `--data`".to_owned())
            }
            Self::Denied { .. } => Some("run this as the user the server runs as, or as root".to_owned()),
            Self::Problem { hint, .. } => hint.clone(),
            Self::Talk { .. } => Some("the server's log says more".to_owned()),
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

/// A refresh token that the local server minted for its operator.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Minted {
    pub refresh_token: SecretString,
    pub login_server: String,
    /// Where the server listens: `http://127.0.0.1:5000`.
    pub endpoint: String,
    /// The CA that signed the server's certificate, when the server made it itself.
    pub ca_file: Option<PathBuf>,
}

/// A registry of the local server, as far as signing in needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalRegistry {
    pub name: String,
    pub login_server: String,
}

/// Where the local server listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// `http://127.0.0.1:5000`.
    pub endpoint: String,
    /// The CA that signed the server's certificate, when the server made it itself.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Endpoint {
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        url::Url::parse(&self.endpoint).ok()?.port_or_known_default()
    }
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Registries {
    value: Vec<LocalRegistry>,
    /// Where the next page begins.
    #[serde(default)]
    next: Option<String>,
}

/// The server whose data directory is on this machine. The kernel tells it who is calling; no credential is sent.
#[derive(Debug, Clone)]
pub struct LocalServer {
    socket: PathBuf,
}

impl LocalServer {
    #[must_use]
    pub fn at(data: &Path) -> Self {
        Self { socket: data.join("shorepass.sock") }
    }

    /// # Errors
    /// The server is not there, refuses, or answers with a problem; likewise for every other call.
    pub async fn get(&self, path: &str) -> Result<Value, LocalError> {
        self.send(Method::GET, path, None, None).await
    }

    /// # Errors
    /// See [`LocalServer::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, LocalError> {
        self.send(Method::POST, path, Some(body), None).await
    }

    /// The server's registries.
    ///
    /// # Errors
    /// See [`LocalServer::get`].
    pub async fn registries(&self) -> Result<Vec<LocalRegistry>, LocalError> {
        let mut all = Vec::new();
        let mut path = REGISTRIES.to_owned();
        loop {
            let page: Registries = understood(&path, self.get(&path).await?)?;
            all.extend(page.value);
            let Some(last) = page.next else { return Ok(all) };
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("last", &last).finish();
            let next = format!("{REGISTRIES}?{query}");
            if next == path {
                return Ok(all);
            }
            path = next;
        }
    }

    /// Mints a refresh token for the operator (issue 2, section 3). `login_server` says under which of its names the
    /// registry will be used; without it the server chooses.
    ///
    /// # Errors
    /// See [`LocalServer::get`]; status 404 when there is no such registry.
    pub async fn mint(&self, registry: &RegistryName, login_server: Option<&str>) -> Result<Minted, LocalError> {
        let path = format!("/api/v1/registries/{registry}/refresh-token");
        let body = login_server.map_or_else(|| json!({}), |server| json!({ "loginServer": server }));
        understood(&path, self.post(&path, &body).await?)
    }

    /// Where the server serves its registries.
    ///
    /// # Errors
    /// See [`LocalServer::get`].
    pub async fn endpoint(&self) -> Result<Endpoint, LocalError> {
        let path = "/api/v1/health";
        understood(path, self.get(path).await?)
    }

    /// `path` with its query, if any. An answer without a body is `Value::Null`.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Value, LocalError> {
        let talk = |source| self.failure(source);
        let client = reqwest::Client::builder()
            .unix_socket(self.socket.as_path())
            .tls_certs_only([])
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(talk)?;
        let mut request = client.request(method, format!("http://localhost{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, format!("\"{etag}\""));
        }
        let response = request.send().await.map_err(talk)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(talk)?;
        if !status.is_success() {
            return Err(problem(status, &bytes));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| LocalError::Answer { path: path.to_owned() })
    }

    fn failure(&self, error: reqwest::Error) -> LocalError {
        let socket = self.socket.clone();
        let mut cause = error.source();
        while let Some(inner) = cause {
            match inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
                Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return LocalError::NotRunning { socket },
                Some(ErrorKind::PermissionDenied) => return LocalError::Denied { socket },
                _ => cause = inner.source(),
            }
        }
        LocalError::Talk { socket, source: error }
    }
}

fn understood<T: serde::de::DeserializeOwned>(path: &str, value: Value) -> Result<T, LocalError> {
    serde_json::from_value(value).map_err(|_| LocalError::Answer { path: path.to_owned() })
}

pub(crate) fn problem(status: StatusCode, body: &[u8]) -> LocalError {
    let title = || status.canonical_reason().unwrap_or("the server refused").to_lowercase();
    let fallback = Problem { title: title(), detail: String::new(), hint: None };
    let mut problem = serde_json::from_slice(body).unwrap_or(fallback);
    if problem.title.is_empty() {
        problem.title = title();
    }
    LocalError::Problem { status: status.as_u16(), title: problem.title, detail: problem.detail, hint: problem.hint }
}
