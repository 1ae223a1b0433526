//! RFC 9457 problems.

use http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use shorepass_access::Denial;
use shorepass_control::ControlError;
use shorepass_registry::RegistryError;

use crate::respond::{self, Answer};

/// Seconds after which a call refused for an outage is worth repeating.
const RETRY_AFTER_OUTAGE: &str = "5";

/// A problem on its way to a client.
#[derive(Debug)]
pub struct Problem {
    pub(super) status: StatusCode,
    detail: String,
    hint: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

/// A problem as it is written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), hint: None, headers: Vec::new() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path")
            .hint("the API is under /api/v1; a client and a server of different versions may disagree about it")
    }

    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "only the local operator does this, over the server's socket")
    }

    pub fn method_not_allowed(allowed: &[Method]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here").with(ALLOW, allowed.join(", "))
    }

    /// Nothing was proved, or no longer. The challenge names where tokens come from (contracts/azure-clients.md 4).
    pub fn unauthorized(detail: impl Into<String>, base: &str, error: Option<&str>) -> Self {
        let mut challenge = format!("Bearer authorization_uri=\"{base}/organizations/oauth2/v2.0/authorize\"");
        if let Some(error) = error {
            challenge.push_str(&format!(", error=\"{error}\""));
        }
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .hint("`shorepass account login` signs in")
            .with(WWW_AUTHENTICATE, challenge)
    }

    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server's storage does not answer")
            .hint("`shorepass health` says which part of it; try again when it is back")
            .with(RETRY_AFTER, RETRY_AFTER_OUTAGE)
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a management call failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed").hint("its log says why")
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn into_answer(self) -> Answer {
        let body = ProblemBody {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            hint: self.hint,
        };
        let mut answer = respond::json_as(self.status, "application/problem+json", &body);
        for (name, value) in self.headers {
            respond::set(&mut answer, name, &value);
        }
        answer
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let text = error.to_string();
        match error {
            ControlError::Invalid(_) => Self::bad_request(text),
            ControlError::NotFound(_) => {
                let problem = Self::new(StatusCode::NOT_FOUND, text.as_str());
                if text.contains("no registry") {
                    problem.hint("`shorepass registry list` shows what there is")
                } else {
                    problem
                }
            }
            ControlError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, text),
            ControlError::Conflict(_) | ControlError::Changed => Self::new(StatusCode::CONFLICT, text),
            ControlError::Precondition => Self::new(StatusCode::PRECONDITION_FAILED, text),
            ControlError::Ended(_) => Self::unauthorized(text, "", Some("invalid_token")),
            ControlError::Unavailable(_) => Self::unavailable(),
            ControlError::Store(error) => error.into(),
            ControlError::Identity(error) => Self::internal(&error),
            ControlError::Token(error) => Self::internal(&error),
        }
    }
}

impl From<shorepass_store::StoreError> for Problem {
    fn from(error: shorepass_store::StoreError) -> Self {
        use shorepass_store::StoreError as E;
        match error {
            E::Unavailable(_) | E::NotWritable(_) => {
                tracing::warn!(%error, "a management call failed");
                Self::unavailable()
            }
            E::Corrupt(_) | E::Refused(_) => Self::internal(&error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error {
            RegistryError::NameUnknown | RegistryError::ManifestUnknown | RegistryError::BlobUnknown => {
                Self::new(StatusCode::NOT_FOUND, text)
            }
            RegistryError::Locked { .. } => Self::new(StatusCode::METHOD_NOT_ALLOWED, text)
                .hint("`shorepass repository lock` with `--delete-enabled true --write-enabled true` unlocks it"),
            RegistryError::Store(error) => error.into(),
            other => Self::bad_request(other.to_string()),
        }
    }
}

/// Of what touches content.
impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Outage(_) => Self::unavailable(),
            Denial::Store(error) => error.into(),
            Denial::Revoked(why) => Self::unauthorized(why, "", Some("invalid_token")),
            Denial::Anonymous | Denial::Scope | Denial::Forbidden => {
                Self::new(StatusCode::FORBIDDEN, "you may not do this there").hint(
                    "`shorepass access explain` says what is missing; somebody who may grant roles there can give it to you",
                )
            }
        }
    }
}
