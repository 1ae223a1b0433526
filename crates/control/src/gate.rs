//! Who may do it. Every operation asks here first, and only then looks at what it is about: a caller without the right
//! learns nothing of what exists.

use shorepass_access::policy::ManagementAction;
use shorepass_access::{Denial, Manage, Permit, Requester, Target};
use shorepass_core::directory::AssignmentScope;
use shorepass_core::{CredentialKind, Principal, RegistryName};
use shorepass_store::rows::{RegistryRecord, RegistryRow, TenantRow};
use uuid::Uuid;

use crate::{Control, ControlError, DEFAULT_REGISTRY, Result};

/// The authoriser's word that a management action may be done at a place.
pub(crate) type Allowed = Permit<Manage, Target>;

/// The tenant a caller is of, where a tenant is named.
pub const CURRENT_TENANT: &str = "current";

/// Who calls an operation.
#[derive(Debug, Clone)]
pub struct Actor {
    pub requester: Requester,
    /// What was shown, for the audit.
    pub credential: CredentialKind,
    /// The peer's address, or `socket`.
    pub origin: String,
    pub request_id: Option<String>,
    /// Where this server is reached, without a slash at the end: links begin with it.
    pub base: String,
}

impl Actor {
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.requester.principal
    }
}

/// Where something is to be done, and how the caller named it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub scope: AssignmentScope,
    /// ``registry `prod` ``
    pub said: String,
}

impl Place {
    pub fn tenant(id: Uuid, said: &str) -> Self {
        Self { scope: AssignmentScope::Tenant { id }, said: format!("tenant `{}`", shown(said)) }
    }

    pub fn registry(id: Uuid, name: &RegistryName) -> Self {
        Self { scope: AssignmentScope::Registry { id }, said: format!("registry `{name}`") }
    }

    /// What is said of a place that is not there, or that the caller may not know of.
    pub fn missing(said: &str) -> ControlError {
        ControlError::NotFound(format!("there is no {said}"))
    }
}

/// A caller's word, as an error repeats it.
pub(crate) fn shown(text: &str) -> String {
    shorepass_core::text::excerpt(text, 80)
}

impl Control {
    /// # Errors
    /// [`ControlError::Forbidden`] for who may know of the place, [`ControlError::NotFound`] for who may not.
    pub(crate) fn allow(&self, actor: &Actor, action: ManagementAction, place: &Place) -> Result<Allowed> {
        let asked = self.authoriser.manage_at(&actor.requester, action, &Target::Scope(place.scope.clone()));
        asked.map_err(|denial| match denial {
            Denial::Forbidden => self.refusal(actor, action, place),
            other => other.into(),
        })
    }

    pub(crate) fn refusal(&self, actor: &Actor, action: ManagementAction, place: &Place) -> ControlError {
        if !self.sees(actor, &place.scope) {
            return Place::missing(&place.said);
        }
        ControlError::Forbidden(format!(
            "this needs `{action}` at the {}: somebody who may grant roles there can give you one that has it",
            place.said
        ))
    }

    /// What is the operator's alone.
    pub(crate) fn allow_server(&self, actor: &Actor, action: ManagementAction) -> Result<Allowed> {
        let asked = self.authoriser.manage_at(&actor.requester, action, &Target::Server);
        asked.map_err(|denial| match denial {
            Denial::Forbidden => {
                ControlError::Forbidden("only the local operator does this, over the server's socket".to_owned())
            }
            other => other.into(),
        })
    }

    fn sees(&self, actor: &Actor, scope: &AssignmentScope) -> bool {
        use ManagementAction as M;
        let may = |action, scope: &AssignmentScope| {
            self.authoriser.manage_at(&actor.requester, action, &Target::Scope(scope.clone())).is_ok()
        };
        match scope {
            AssignmentScope::Tenant { id } => {
                self.home_of(actor).is_ok_and(|home| home == Some(*id)) || may(M::TenantRead, scope)
            }
            AssignmentScope::Subscription { .. } => may(M::SubscriptionRead, scope),
            AssignmentScope::ResourceGroup { .. } => may(M::ResourceGroupRead, scope),
            AssignmentScope::Registry { .. } => may(M::RegistryRead, scope),
            AssignmentScope::Repository { registry, .. } => {
                may(M::RegistryRead, &AssignmentScope::Registry { id: *registry })
            }
        }
    }

    /// Whether the caller may know that the registry is there.
    #[must_use]
    pub fn sees_registry(&self, actor: &Actor, registry: &RegistryRow) -> bool {
        self.sees(actor, &AssignmentScope::Registry { id: registry.id })
    }

    /// Of one registry, for who may; of everything, the local operator.
    ///
    /// # Errors
    /// [`ControlError::Forbidden`], [`ControlError::NotFound`].
    pub async fn may_read_audit(&self, actor: &Actor, registry: Option<&str>) -> Result<()> {
        if self.allow_server(actor, ManagementAction::AuditRead).is_ok() {
            return Ok(());
        }
        match registry.map(str::parse::<RegistryName>) {
            Some(Ok(name)) => self.registry_for(actor, ManagementAction::AuditRead, &name).await.map(drop),
            Some(Err(error)) => Err(ControlError::Invalid(error.to_string())),
            None => Err(ControlError::Forbidden(
                "the whole server's audit is the local operator's: name a `registry`".to_owned(),
            )),
        }
    }

    /// The tenant whose directory the caller is in; the operator is in none.
    pub(crate) fn home_of(&self, actor: &Actor) -> Result<Option<Uuid>> {
        Ok(self.directory.policy(|state| state.tenant_of(actor.principal()))?)
    }

    /// The registry of this name, for an action on it.
    pub(crate) async fn registry_for(
        &self,
        actor: &Actor,
        action: ManagementAction,
        name: &RegistryName,
    ) -> Result<(Allowed, RegistryRecord)> {
        let record = self.find(name).await?;
        let permit = self.allow(actor, action, &Place::registry(record.registry.id, name))?;
        Ok((permit, record))
    }

    pub(crate) async fn find(&self, name: &RegistryName) -> Result<RegistryRecord> {
        let record = self.store.registry(name).await?;
        record.ok_or_else(|| Place::missing(&format!("registry `{name}`")))
    }

    /// The tenant that `said` names, for an action on it or its directory.
    pub(crate) async fn tenant_for(
        &self,
        actor: &Actor,
        action: ManagementAction,
        said: &str,
    ) -> Result<(Allowed, TenantRow)> {
        let tenant = self.tenant_named(actor, said).await?;
        let permit = self.allow(actor, action, &Place::tenant(tenant.id, said))?;
        Ok((permit, tenant))
    }

    /// Only the operator is in no tenant, and names any; for everybody else there is his own.
    pub(crate) async fn tenant_named(&self, actor: &Actor, said: &str) -> Result<TenantRow> {
        let tenants = self.store.tenants().await?;
        let home = self.home_of(actor)?;
        let named = |tenant: &TenantRow| match said {
            CURRENT_TENANT => home.is_some() || tenant.name == DEFAULT_REGISTRY,
            name => {
                tenant.name.eq_ignore_ascii_case(name)
                    || name.parse::<Uuid>().is_ok_and(|id| id == tenant.guid || id == tenant.id)
            }
        };
        let operator = matches!(actor.principal(), Principal::Operator { .. });
        let found = tenants.into_iter().find(|tenant| (operator || home == Some(tenant.id)) && named(tenant));
        found.ok_or_else(|| Place::missing(&format!("tenant `{}`", shown(said))))
    }
}
