//! `/api/v1`: the native management API. In this version it is served on the administration socket only.

mod registries;
mod repositories;
mod route;
mod views;

use std::sync::Arc;

use http::header::HeaderName;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shorepass_access::{Denial, Manage, Permit, ServerSubject};
use shorepass_control::{Actor, ControlError};
use shorepass_core::{CredentialKind, Principal};
use shorepass_registry::RegistryError;

use crate::app::{App, RequestBody};
use crate::call::Query;
use crate::respond::{self, Answer};
pub use route::ManagementRoute;

/// The body of a management call: a few settings.
const MAX_BODY: usize = 64 * 1024;

/// An RFC 9457 problem.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    hint: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
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
        Self::new(StatusCode::FORBIDDEN, "only the local operator administers this server")
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server's storage does not answer")
            .hint("`shorepass health` says which part of it; try again when it is back")
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a management call failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed").hint("its log says why")
    }

    pub fn into_answer(self) -> Answer {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(hint) = self.hint {
            body["hint"] = json!(hint);
        }
        respond::json_as(self.status, "application/problem+json", &body)
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let text = error.to_string();
        match error {
            ControlError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, text),
            ControlError::NotFound(_) => {
                Self::new(StatusCode::NOT_FOUND, text).hint("`shorepass registry list` shows what there is")
            }
            ControlError::Conflict(_) | ControlError::Changed => Self::new(StatusCode::CONFLICT, text),
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
            other => Self::new(StatusCode::BAD_REQUEST, other.to_string()),
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Outage(_) => Self::unavailable(),
            Denial::Store(error) => error.into(),
            Denial::Anonymous | Denial::Scope | Denial::Forbidden | Denial::Revoked(_) => Self::forbidden(),
        }
    }
}

/// A management call by the local operator.
pub struct Managing {
    pub app: Arc<App>,
    pub permit: Permit<Manage, ServerSubject>,
    pub actor: Actor,
    pub uid: u32,
    pub query: Query,
}

impl Managing {
    /// # Errors
    /// When the caller is not the local operator.
    pub fn new(app: Arc<App>, uid: u32, request_id: String, query: Query) -> Result<Self, Problem> {
        let principal = Principal::Operator { uid };
        let permit = app.authoriser.manage(&principal)?;
        let actor = Actor {
            principal,
            credential: CredentialKind::Socket,
            origin: "socket".to_owned(),
            request_id: Some(request_id),
        };
        Ok(Self { app, permit, actor, uid, query })
    }
}

/// Answers a management request.
pub async fn answer(call: Managing, route: ManagementRoute, method: &Method, body: RequestBody) -> Answer {
    if !route.methods().contains(method) {
        let allowed: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
        let mut answer = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here").into_answer();
        respond::set(&mut answer, HeaderName::from_static("allow"), &allowed.join(", "));
        return answer;
    }
    let answered = match read_body(body).await {
        Ok(body) => dispatch(&call, route, method, &body).await,
        Err(problem) => Err(problem),
    };
    respond::no_store(answered.unwrap_or_else(Problem::into_answer))
}

async fn dispatch(call: &Managing, route: ManagementRoute, method: &Method, body: &[u8]) -> Result<Answer, Problem> {
    use ManagementRoute as R;
    match route {
        R::Registries if *method == Method::POST => registries::create(call, parse(body)?).await,
        R::Registries => registries::list(call).await,
        R::CheckName => registries::check_name(call, parse(body)?).await,
        R::Registry(name) => match *method {
            Method::PATCH => registries::update(call, &name, parse(body)?).await,
            Method::DELETE => registries::delete(call, &name).await,
            _ => registries::show(call, &name).await,
        },
        R::Admin(name) => registries::admin(call, &name).await,
        R::AdminEnable(name) => registries::admin_switch(call, &name, true).await,
        R::AdminDisable(name) => registries::admin_switch(call, &name, false).await,
        R::AdminRenew(name) => registries::admin_renew(call, &name, parse(body)?).await,
        R::RefreshToken(name) => registries::refresh_token(call, &name, parse(body)?).await,
        R::Repositories(name) => repositories::list(call, &name).await,
        R::Repository(name, repository) => repositories::repository(call, &name, &repository, method, body).await,
        R::Tags(name, repository) => repositories::tags(call, &name, &repository).await,
        R::Tag(name, repository, tag) => repositories::tag(call, &name, &repository, &tag, method, body).await,
        R::Manifests(name, repository) => repositories::manifests(call, &name, &repository).await,
        R::Manifest(name, repository, digest) => {
            repositories::manifest(call, &name, &repository, &digest, method, body).await
        }
        R::Audit => views::audit(call).await,
        R::Health => views::health(call).await,
        R::Keys => Ok(views::keys(&call.app.control.signing_keys(&call.permit))),
        R::KeysRotate => Ok(views::keys(&call.app.control.rotate_keys(&call.permit, &call.actor).await?)),
    }
}

async fn read_body(body: RequestBody) -> Result<Vec<u8>, Problem> {
    let collected = Limited::new(body, MAX_BODY).collect().await;
    let collected = collected.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"))?;
    Ok(collected.to_bytes().to_vec())
}

/// A JSON object; an empty body is `{}`. Unknown fields are refused by the types, which would also take a list of their
/// fields' values.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::bad_request("the body is not a JSON object"));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
}

fn list(entries: Vec<Value>) -> Answer {
    respond::json(StatusCode::OK, &json!({"value": entries}))
}
