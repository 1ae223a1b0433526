//! Who may do what, and why.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;
use shorepass_access::Ask;
use shorepass_access::policy::{self, ManagementAction as M, Reason};
use shorepass_core::directory::{AssignmentScope, PrincipalRef};
use shorepass_core::{Action, Principal, RegistryName, RepositoryName};
use uuid::Uuid;

use crate::gate::{Place, shown};
use crate::principals::{kind_name, signed_in_as};
use crate::scopes::{Located, Tenancy};
use crate::{Actor, Control, ControlError, Result};

/// Most entries of a list of who can.
const MOST: usize = 1000;

/// A question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExplainQuery {
    /// The caller when nobody is named.
    pub principal: Option<String>,
    /// `content/read` …, or a management action.
    pub action: String,
    /// A scope.
    pub resource: String,
    pub from: Option<IpAddr>,
}

/// A decision as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationView {
    pub allowed: bool,
    /// In one sentence.
    pub reason: String,
    /// What granted it, or the policies that forbid it.
    pub matched: Vec<ReasonView>,
    /// For a denial: the smallest change that would allow it, if there is one.
    pub change: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonView {
    /// `roleAssignment`, `scopeMap`, `accessPolicy` or `builtIn`.
    pub kind: String,
    pub id: Option<Uuid>,
    /// The role's, map's or policy's name.
    pub name: String,
    /// Where a role is assigned.
    pub scope: Option<String>,
    pub why: String,
}

/// Somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoView {
    /// `user:<id>`, `sp:<id>`, `token:<id>` …
    pub principal: String,
    pub name: Option<String>,
    /// What grants it.
    pub matched: Vec<ReasonView>,
}

/// Something somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldingView {
    /// The assignment or the scope map.
    pub id: Uuid,
    /// The role's or the scope map's name.
    pub name: String,
    pub scope: String,
    /// The group it comes through.
    pub group: Option<String>,
    pub condition: Option<String>,
    pub actions: Vec<String>,
}

/// The caller himself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoAmI {
    pub principal: String,
    pub kind: String,
    pub object_id: Option<Uuid>,
    pub name: String,
    pub tenant: Option<String>,
    /// The tenant's GUID.
    pub tenant_id: Option<Uuid>,
}

/// What is asked about.
enum Wanted {
    Content(Action),
    Management(M),
}

impl Control {
    /// # Errors
    /// The store.
    pub async fn who_am_i(&self, actor: &Actor) -> Result<WhoAmI> {
        let principal = actor.principal();
        let home = self.home_of(actor)?;
        let tenant = self.store.tenants().await?.into_iter().find(|tenant| Some(tenant.id) == home);
        let reference = policy::PolicyState::reference(principal);
        let name = self.directory.policy(|state| state.principal_name(principal).map(str::to_owned))?;
        Ok(WhoAmI {
            principal: principal.id(),
            kind: reference.map_or("Operator", |reference: PrincipalRef| kind_name(reference.kind)).to_owned(),
            object_id: reference.map(|reference| reference.id),
            name: name.unwrap_or_else(|| "the local operator".to_owned()),
            tenant: tenant.as_ref().map(|tenant| tenant.name.clone()),
            tenant_id: tenant.map(|tenant| tenant.guid),
        })
    }

    /// Anybody asks about himself; about others, who may see role assignments there.
    ///
    /// # Errors
    /// [`ControlError::Invalid`], [`ControlError::NotFound`], [`ControlError::Forbidden`].
    pub async fn explain(&self, actor: &Actor, query: &ExplainQuery) -> Result<ExplanationView> {
        let located = self.locate(actor, &query.resource).await?;
        let principal = self.subject(actor, query.principal.as_deref(), &located).await?;
        let tenancy = self.tenancy().await?;
        let explanation = match wanted(&query.action)? {
            Wanted::Management(action) => {
                self.authoriser.explain_management(&principal, action, &located.place.scope)?
            }
            Wanted::Content(action) => {
                let (registry, repository) = content(&located, action)?;
                let ask = Ask { principal, registry, repository, action, origin: query.from };
                self.authoriser.explain(&ask).await?
            }
        };
        Ok(ExplanationView {
            allowed: explanation.allowed,
            reason: explanation.reason,
            matched: self.reasons(&tenancy, &explanation.matched)?,
            change: explanation.change,
        })
    }

    /// Who may do this there.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub async fn who_can(&self, actor: &Actor, resource: &str, action: &str) -> Result<Vec<WhoView>> {
        let located = self.locate(actor, resource).await?;
        self.allow(actor, M::RoleAssignmentRead, &located.place)?;
        let Wanted::Content(action) = wanted(action)? else {
            return Err(ControlError::Invalid(
                "the list is of who may do something with content: `content/read`, `catalog/list` …".to_owned(),
            ));
        };
        let (registry, repository) = content(&located, action)?;
        let tenancy = self.tenancy().await?;
        let found = self.authoriser.who_can(registry, repository.as_ref(), action, MOST)?;
        let view = |who: policy::Who| {
            Ok(WhoView { principal: who.principal, name: who.name, matched: self.reasons(&tenancy, &who.matched)? })
        };
        found.into_iter().map(view).collect()
    }

    /// What somebody holds, wherever in his tenant.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub async fn what_can(&self, actor: &Actor, principal: Option<&str>, tenant: &str) -> Result<Vec<HoldingView>> {
        let row = self.tenant_named(actor, tenant).await?;
        let located = Located { place: Place::tenant(row.id, tenant), tenant: row.id };
        let principal = self.subject(actor, principal, &located).await?;
        let tenancy = self.tenancy().await?;
        let mut views = Vec::new();
        for holding in self.authoriser.what_can(&principal)? {
            let group = match holding.group {
                Some(id) => self.directory.policy(|state| state.group(id).map(|group| group.name.clone()))?,
                None => None,
            };
            views.push(HoldingView {
                id: holding.id,
                name: holding.name,
                scope: self.scope_text(&tenancy, &holding.scope)?,
                group,
                condition: holding.condition,
                actions: holding.actions,
            });
        }
        Ok(views)
    }

    /// Who is asked about.
    async fn subject(&self, actor: &Actor, said: Option<&str>, at: &Located) -> Result<Principal> {
        let seen = self.allow(actor, M::RoleAssignmentRead, &at.place);
        let Some(said) = said else {
            // Another tenant's places are not there for him.
            let here = seen.is_ok() || self.home_of(actor)? == Some(at.tenant);
            return if here { Ok(actor.principal().clone()) } else { Err(Place::missing(&at.place.said)) };
        };
        if let Err(refused) = seen {
            // About himself anybody may ask.
            return match self.principal_named(at.tenant, said).await.ok().and_then(signed_in_as) {
                Some(principal) if principal == *actor.principal() => Ok(principal),
                _ => Err(refused),
            };
        }
        if said == "anonymous" {
            return Ok(Principal::Anonymous);
        }
        if let Some(("admin", registry)) = said.split_once(':') {
            return Ok(Principal::Admin { registry: self.registry_said(actor, registry).await? });
        }
        if let Some((registry, token)) = said.strip_prefix("token:").and_then(|said| said.split_once('/')) {
            let registry = self.registry_said(actor, registry).await?;
            let found = self.directory.policy(|state| state.token_by_name(registry, token).map(|token| token.id))?;
            let missing = || ControlError::NotFound(format!("there is no token `{}`", shown(token)));
            return Ok(Principal::RepositoryToken { registry, id: found.ok_or_else(missing)? });
        }
        let reference = self.principal_named(at.tenant, said).await?;
        signed_in_as(reference)
            .ok_or_else(|| ControlError::Invalid("a group does not sign in: name one of its members".to_owned()))
    }

    async fn registry_said(&self, actor: &Actor, said: &str) -> Result<Uuid> {
        let name: RegistryName =
            said.parse().map_err(|error: shorepass_core::NameError| ControlError::Invalid(error.to_string()))?;
        Ok(self.registry_for(actor, M::TokenRead, &name).await?.1.registry.id)
    }

    fn reasons(&self, tenancy: &Tenancy, reasons: &[Reason]) -> Result<Vec<ReasonView>> {
        let view = |reason: &Reason| {
            let scope = reason.scope.as_ref().map(|scope| self.scope_text(tenancy, scope)).transpose()?;
            Ok(ReasonView {
                kind: reason.kind.to_owned(),
                id: reason.id,
                name: reason.name.clone(),
                scope,
                why: reason.why.clone(),
            })
        };
        reasons.iter().map(view).collect()
    }
}

fn wanted(said: &str) -> Result<Wanted> {
    if let Some(action) = Action::ALL.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(said)) {
        return Ok(Wanted::Content(action));
    }
    said.parse::<M>().map(Wanted::Management).map_err(|error| {
        ControlError::Invalid(format!(
            "{error}: `content/read`, `content/write`, `content/delete`, `metadata/read`, `metadata/write` and `catalog/list` are about content; management actions are written as roles write them"
        ))
    })
}

/// The catalog is a registry's; everything else about content is a repository's.
fn content(located: &Located, action: Action) -> Result<(Uuid, Option<RepositoryName>)> {
    match (&located.place.scope, action) {
        (AssignmentScope::Registry { id }, Action::CatalogList) => Ok((*id, None)),
        (AssignmentScope::Repository { registry, name }, action) if action != Action::CatalogList => {
            Ok((*registry, Some(name.clone())))
        }
        (_, Action::CatalogList) => {
            Err(ControlError::Invalid("the catalog is a registry's: name `/registries/r`".to_owned()))
        }
        _ => Err(ControlError::Invalid(format!(
            "`{action}` is about a repository: name `/registries/r/repositories/name`"
        ))),
    }
}
