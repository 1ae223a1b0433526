//! One request to one registry, on its way to a face.

use std::sync::Arc;

use http::{HeaderMap, Method};
use shorepass_access::{Caller, Denial, Grant, Permit};
use shorepass_core::{AuditEvent, EventKind, Outcome, RepositoryName};
use shorepass_store::rows::RegistryRecord;

use crate::app::App;
use crate::auth::Proven;
use crate::error::{ApiError, Challenge};
use crate::net::Origin;
use crate::route::Need;

/// Everything a handler may know of a request but its body.
pub struct Call {
    pub app: Arc<App>,
    pub origin: Origin,
    pub request_id: String,
    pub registry: Arc<RegistryRecord>,
    /// The registry's login server, as the client reached it.
    pub login_server: String,
    /// Where the client is sent for tokens.
    pub realm: String,
    pub method: Method,
    pub headers: HeaderMap,
    pub query: Query,
}

/// What happened, for the audit.
pub struct Happening<'a> {
    pub kind: EventKind,
    pub outcome: Outcome,
    pub reason: &'a str,
    pub repository: Option<&'a str>,
    pub target: Option<String>,
}

impl Call {
    pub fn challenge(&self, need: &Need) -> Challenge {
        Challenge::new(self.realm.clone(), self.login_server.clone(), need)
    }

    /// Asks the authoriser for a permit; a refusal is audited and becomes the 401 that `need` calls for.
    pub async fn permit<A: Grant>(
        &self,
        proven: &Proven,
        name: &RepositoryName,
        need: &Need,
    ) -> Result<Permit<A>, ApiError> {
        let decided = self.app.authoriser.repository::<A>(&proven.caller, name).await;
        decided.map_err(|denial| self.refuse(proven, need, &denial, Some(name)))
    }

    pub fn refuse(
        &self,
        proven: &Proven,
        need: &Need,
        denial: &Denial,
        repository: Option<&RepositoryName>,
    ) -> ApiError {
        // A first request without credentials is the protocol's way of asking where to sign in; a token that lacks a
        // scope is its way of asking for another. Neither is a denial worth a line.
        if matches!(denial, Denial::Forbidden | Denial::Revoked(_)) {
            let reason = denial.to_string();
            self.record(
                &proven.caller,
                Happening {
                    kind: EventKind::Denied,
                    outcome: Outcome::Failure,
                    reason: &reason,
                    repository: repository.map(RepositoryName::as_str),
                    target: None,
                },
            );
        }
        self.challenge(need).denied(denial)
    }

    /// Queues an audit event about `caller`.
    pub fn record(&self, caller: &Caller, what: Happening<'_>) {
        let credential = if caller.credential == caller.root {
            caller.credential.as_str().to_owned()
        } else {
            format!("{}:{}", caller.root.as_str(), caller.credential.as_str())
        };
        self.record_as(caller.principal.id(), credential, what, None);
    }

    pub fn record_as(
        &self,
        principal: String,
        credential: String,
        what: Happening<'_>,
        detail: Option<serde_json::Value>,
    ) {
        self.app.recorder.record(AuditEvent {
            id: self.app.new_id(),
            time: self.app.clock.now(),
            kind: what.kind,
            outcome: what.outcome,
            reason: what.reason.to_owned(),
            registry: Some(self.registry.registry.name.to_string()),
            repository: what.repository.map(str::to_owned),
            target: what.target,
            operation: None,
            principal,
            credential,
            origin: self.origin_text(),
            request_id: Some(self.request_id.clone()),
            count: 1,
            detail,
        });
    }

    pub fn origin_text(&self) -> String {
        self.origin.peer.map_or_else(|| "socket".to_owned(), |peer| peer.to_string())
    }
}

/// A query or a form, decoded once.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
