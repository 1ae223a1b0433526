//! Errors as the OCI distribution specification writes them.

use http::header::{ALLOW, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};
use shorepass_access::{Denial, Unavailable};
use shorepass_core::{Action, TokenScope};
use shorepass_registry::RegistryError;
use shorepass_store::StoreError;

use crate::respond::{self, Answer};
use crate::route::{Need, Route, RouteError};

/// Seconds after which a request refused for an outage is worth repeating.
const RETRY_AFTER_OUTAGE: u64 = 5;

/// An error on its way to a client. Texts are for users; what a store said stays in the log.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    /// Boxed, so that a result that may be one stays small.
    pub detail: Option<Box<Value>>,
    pub headers: Vec<(HeaderName, String)>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None, headers: Vec::new() }
    }

    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path; the registry is under /v2/")
    }

    pub fn method_not_allowed(route: &Route) -> Self {
        let allowed: Vec<&str> = route.methods().iter().map(http::Method::as_str).collect();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the method is not allowed here")
            .with(ALLOW, allowed.join(", "))
    }

    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "the registry's storage does not answer: try again")
            .with(RETRY_AFTER, RETRY_AFTER_OUTAGE.to_string())
    }

    pub fn too_many_requests(seconds: u64) -> Self {
        let message = format!("too many failed sign-ins: try again in {seconds} seconds");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).with(RETRY_AFTER, seconds.to_string())
    }

    pub fn into_answer(self) -> Answer {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(detail) = self.detail {
            error["detail"] = *detail;
        }
        // What is refused or missing now may not be in a moment, or for somebody else (a 404 is cacheable by default).
        let mut answer = respond::no_store(respond::json(self.status, &json!({"errors": [error]})));
        for (name, value) in self.headers {
            respond::set(&mut answer, name, &value);
        }
        answer
    }
}

/// What a 401 tells a client to do: where to get a token, and for what.
#[derive(Debug, Clone)]
pub struct Challenge {
    pub realm: String,
    pub service: String,
    pub scopes: Vec<TokenScope>,
}

impl Challenge {
    pub fn new(realm: String, service: String, need: &Need) -> Self {
        Self { realm, service, scopes: need.scope().into_iter().collect() }
    }

    /// No space behind a comma: some clients split there, and of `/v2/`, which has no scope, they take nothing but realm
    /// and service (contracts/azure-clients.md 7.1).
    fn header(&self, error: Option<&str>) -> String {
        let mut text = format!("Bearer realm=\"{}\",service=\"{}\"", self.realm, self.service);
        if self.scopes.is_empty() {
            return text;
        }
        let scopes: Vec<String> = self.scopes.iter().map(ToString::to_string).collect();
        text.push_str(&format!(",scope=\"{}\"", scopes.join(" ")));
        if let Some(error) = error {
            text.push_str(&format!(",error=\"{error}\""));
        }
        text
    }

    /// The scopes as the error's detail shows them (what-the-documents-say.md 2a).
    fn detail(&self) -> Option<Value> {
        let entries: Vec<Value> = self
            .scopes
            .iter()
            .flat_map(|scope| match scope {
                TokenScope::Repository { name, actions } => actions
                    .iter()
                    .map(|action| json!({"Type": "repository", "Name": name, "Action": action.wire()}))
                    .collect(),
                TokenScope::Catalog => {
                    vec![json!({"Type": "registry", "Name": "catalog", "Action": Action::CatalogList.wire()})]
                }
                TokenScope::Unknown { .. } => Vec::new(),
            })
            .collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }

    /// Nothing was proved.
    pub fn unauthorized(&self, error: Option<&str>) -> ApiError {
        let mut answer = ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        answer.detail = self.detail().map(Box::new);
        answer.with(WWW_AUTHENTICATE, self.header(error))
    }

    /// Something was proved, but not enough. 401 and not 403: a client with more rights than its token asks for a better
    /// one, and 403 is kept for network rules.
    pub fn insufficient(&self) -> ApiError {
        let message = "requested access to the resource is denied";
        let mut answer = ApiError::new(StatusCode::UNAUTHORIZED, "DENIED", message);
        answer.detail = self.detail().map(Box::new);
        answer.with(WWW_AUTHENTICATE, self.header(Some("insufficient_scope")))
    }

    /// One look for everything a caller may not do, so that what exists and what does not cannot be told apart.
    pub fn denied(&self, denial: &Denial) -> ApiError {
        match denial {
            Denial::Anonymous => self.unauthorized(None),
            Denial::Scope | Denial::Forbidden => self.insufficient(),
            Denial::Revoked(_) => self.unauthorized(Some("invalid_token")),
            Denial::Outage(_) => ApiError::unavailable(),
            Denial::Store(error) => store(error),
        }
    }
}

fn store(error: &StoreError) -> ApiError {
    match error {
        StoreError::Unavailable(_) | StoreError::NotWritable(_) => {
            tracing::warn!(%error, "a store failed");
            ApiError::unavailable()
        }
        StoreError::Corrupt(_) | StoreError::Refused(_) => {
            tracing::error!(%error, "a store failed");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the registry's storage failed: see its log")
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        store(&error)
    }
}

impl From<Unavailable> for ApiError {
    fn from(_: Unavailable) -> Self {
        Self::unavailable()
    }
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::NotFound => Self::not_found(),
            RouteError::Encoding => Self::bad_request("NAME_INVALID", "the path is not percent-encoded text"),
            RouteError::Name(message) => Self::bad_request("NAME_INVALID", message),
            RouteError::Digest(message) => Self::bad_request("DIGEST_INVALID", message),
            RouteError::Reference(message) => Self::bad_request("TAG_INVALID", message),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        use RegistryError as E;
        let message = error.to_string();
        let (status, code) = match &error {
            E::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            E::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            E::UploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            E::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            E::UploadBusy => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            E::RangeInvalid { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            E::SizeInvalid => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
            E::DigestMismatch { .. } | E::Digest(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            E::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            E::ManifestTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            E::ManifestContentUnknown { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            E::Locked { .. } => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            E::Interrupted => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            E::StateCorrupt => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            E::Store(error) => return store(error),
        };
        let mut answer = Self::new(status, code, message);
        if let E::ManifestContentUnknown { blobs, manifests } = &error {
            let missing: Vec<_> = blobs.iter().chain(manifests).map(|digest| json!({"digest": digest})).collect();
            answer.detail = Some(Box::new(json!(missing)));
        }
        answer
    }
}

/// Adds where the upload stands to a refused chunk.
pub fn with_upload(error: ApiError, location: &str, offset: u64) -> ApiError {
    error.with(LOCATION, location).with(RANGE, upload_range(offset))
}

/// `0-<last byte>`; an upload without a byte shows `0-0`, as every registry does.
pub fn upload_range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}
