//! One request to one registry, on its way to a face.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use shorepass_access::{Caller, Denial, Grant, Permit};
use shorepass_core::{AuditEvent, CredentialKind, EventKind, Outcome, RepositoryName};
use shorepass_store::rows::RegistryRecord;

use crate::app::App;
use crate::auth::{Failure, Proven};
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
    kind: EventKind,
    outcome: Outcome,
    reason: &'a str,
    repository: Option<&'a str>,
    target: Option<String>,
    detail: Option<serde_json::Value>,
}

impl<'a> Happening<'a> {
    pub fn success(kind: EventKind, reason: &'a str) -> Self {
        Self { kind, outcome: Outcome::Success, reason, repository: None, target: None, detail: None }
    }

    pub fn failure(kind: EventKind, reason: &'a str) -> Self {
        Self { outcome: Outcome::Failure, ..Self::success(kind, reason) }
    }

    pub fn on(self, repository: impl Into<Option<&'a RepositoryName>>) -> Self {
        Self { repository: repository.into().map(RepositoryName::as_str), ..self }
    }

    pub fn target(self, target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    pub fn detail(self, detail: Option<serde_json::Value>) -> Self {
        Self { detail, ..self }
    }
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
            self.record(&proven.caller, Happening::failure(EventKind::Denied, &reason).on(repository));
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
        self.record_as(caller.principal.id(), credential, what);
    }

    /// Records a password that was right.
    pub fn signed_in(&self, caller: &Caller) {
        use CredentialKind as K;
        if matches!(caller.credential, K::AdminPassword | K::TokenPassword | K::ClientSecret | K::IdentityToken) {
            self.record(caller, Happening::success(EventKind::Login, "signed in"));
            self.app.metrics.count_login(caller.credential.as_str(), Outcome::Success);
        }
    }

    /// Records a credential that was shown and is not good.
    pub fn sign_in_failed(&self, failure: &Failure) {
        let what = Happening::failure(EventKind::Login, &failure.reason);
        self.record_as(failure.claimed.clone(), failure.credential.as_str().to_owned(), what);
        self.app.metrics.count_login(failure.credential.as_str(), Outcome::Failure);
        if failure.limited.is_some() {
            self.app.metrics.count_rate_limited("sign_in");
        }
    }

    fn record_as(&self, principal: String, credential: String, what: Happening<'_>) {
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
            detail: what.detail,
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

    /// The query of a request's target. As in its path, control characters are refused (`None`): nothing that is named,
    /// listed or filtered has any, and a database may not take them.
    pub fn of(target: &Uri) -> Option<Self> {
        let query = Self::parse(target.query().unwrap_or_default());
        let clean = query.0.iter().all(|(name, value)| !name.chars().chain(value.chars()).any(char::is_control));
        clean.then_some(query)
    }

    /// One of `names` that is there more than once: whoever reads the first, and whoever reads the last, would see two
    /// different requests (RFC 6749, section 3.2).
    pub fn repeated<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.all(name).nth(1).is_some())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
