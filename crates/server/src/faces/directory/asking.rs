//! One request to the directory.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;
use shorepass_access::policy::PolicyState;
use shorepass_core::{AuditEvent, CredentialKind, EventKind, Outcome};
use shorepass_identity::Subject;
use shorepass_store::rows::TenantRow;
use uuid::Uuid;

use super::error::OAuthError;
use super::provider::Provider;
use super::route::TenantSegment;
use crate::app::App;
use crate::auth::clip;
use crate::call::Query;
use crate::net::Origin;

/// Everything a handler may know of a request but its form.
pub struct Asking {
    pub app: Arc<App>,
    /// `None`: the one the person is of.
    pub tenant: Option<Arc<TenantRow>>,
    pub origin: Origin,
    pub request_id: String,
    /// This server's address as the client reached it, without a slash at the end.
    pub base: String,
    pub headers: HeaderMap,
    pub query: Query,
}

impl Asking {
    pub fn provider(&self) -> &Provider {
        &self.app.provider
    }

    /// The tenant that an address names. To people who name none, the only one there is: its providers are theirs.
    pub async fn find_tenant(
        app: &App,
        segment: &TenantSegment,
        for_people: bool,
    ) -> Result<Option<Arc<TenantRow>>, OAuthError> {
        let tenants = &app.provider.tenants;
        if *segment != TenantSegment::Any {
            let found = tenants.named(segment).await?;
            return found.map(Some).ok_or_else(OAuthError::unknown_tenant);
        }
        let all = tenants.all().await?;
        Ok(all.first().filter(|_| for_people && all.len() == 1).map(Arc::clone))
    }

    /// The tenant, where it has to be known.
    pub fn one_tenant(&self) -> Result<&Arc<TenantRow>, OAuthError> {
        self.tenant.as_ref().ok_or_else(OAuthError::tenant_needed)
    }

    /// Whether what belongs to the tenant of this GUID may be asked for here.
    pub fn serves(&self, tenant: Uuid) -> bool {
        self.tenant.as_ref().is_none_or(|here| here.guid == tenant)
    }

    /// The first part of the paths of this tenant.
    pub fn segment(&self) -> String {
        self.tenant.as_ref().map_or_else(|| "organizations".to_owned(), |tenant| tenant.guid.to_string())
    }

    /// An address of this tenant, as the client reaches us.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.base, self.segment())
    }

    /// Host and port of [`base`](Self::base).
    pub fn authority(&self) -> &str {
        let rest = self.base.split_once("://").map_or(self.base.as_str(), |(_, rest)| rest);
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }

    /// What the client calls this request, if that is a GUID.
    pub fn correlation(&self) -> Option<Uuid> {
        self.headers.get("client-request-id")?.to_str().ok()?.parse().ok()
    }

    /// Asks what decides, in memory.
    pub fn policy<T>(&self, ask: impl FnOnce(&PolicyState) -> T) -> Result<T, OAuthError> {
        Ok(self.app.directory.policy(ask)?)
    }

    /// A credential that was right.
    pub fn signed_in(&self, who: &Subject) {
        self.app.metrics.count_login(who.kind.as_str(), Outcome::Success);
        self.record(
            EventKind::Login,
            Outcome::Success,
            "signed in",
            &who.principal.id(),
            who.kind,
            Some(&who.client_id),
        );
    }

    /// A credential that was shown and is not good.
    pub fn sign_in_failed(&self, claimed: &str, kind: CredentialKind, reason: &str) {
        self.app.metrics.count_login(kind.as_str(), Outcome::Failure);
        self.record(EventKind::Login, Outcome::Failure, reason, &clip(claimed), kind, None);
    }

    /// A token that was issued.
    pub fn issued(&self, who: &Subject, audience: &str) {
        self.app.metrics.count_token("identity_token", Outcome::Success);
        self.record(EventKind::Token, Outcome::Success, "issued", &who.principal.id(), who.kind, Some(audience));
    }

    /// An attempt that was not even looked at.
    pub fn limited(&self, claimed: &str, kind: CredentialKind, seconds: u64) -> OAuthError {
        self.app.metrics.count_rate_limited("sign_in");
        self.sign_in_failed(claimed, kind, "too many failed sign-ins");
        OAuthError::too_many(seconds)
    }

    pub fn record(
        &self,
        kind: EventKind,
        outcome: Outcome,
        reason: &str,
        principal: &str,
        credential: CredentialKind,
        target: Option<&str>,
    ) {
        let mut event = self.event(kind, principal, credential);
        event.outcome = outcome;
        event.reason = reason.to_owned();
        event.target = target.map(str::to_owned);
        self.app.recorder.record(event);
    }

    /// A change of the directory that a person's own doing brought about. The event is durable when this returns.
    pub async fn changed(&self, operation: &str, user: Uuid, detail: Value) -> Result<(), OAuthError> {
        let principal = format!("user:{user}");
        let mut event = self.event(EventKind::Management, &principal, CredentialKind::None);
        event.operation = Some(operation.to_owned());
        event.target = Some(principal);
        event.detail = (!detail.is_null()).then_some(detail);
        Ok(self.app.recorder.record_now(event).await?)
    }

    fn event(&self, kind: EventKind, principal: &str, credential: CredentialKind) -> AuditEvent {
        AuditEvent {
            id: self.app.new_id(),
            time: self.app.clock.now(),
            kind,
            outcome: Outcome::Success,
            reason: "done".to_owned(),
            registry: None,
            repository: None,
            target: None,
            operation: None,
            principal: principal.to_owned(),
            credential: credential.as_str().to_owned(),
            origin: self.origin_text(),
            request_id: Some(self.request_id.clone()),
            count: 1,
            detail: None,
        }
    }

    pub fn origin_text(&self) -> String {
        self.origin.peer.map_or_else(|| "socket".to_owned(), |peer| peer.to_string())
    }
}
