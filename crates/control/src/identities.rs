//! Managed identities: user-assigned ones, and those that belong to one registry and die with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::directory::{AssignmentScope, ManagedIdentity, PrincipalKind, PrincipalRef};
use shorepass_core::{RegistryName, Timestamp};
use shorepass_store::resources::Resource;
use shorepass_store::rows::{RegistryRecord, ResourceGroupRow, TenantRow};
use uuid::Uuid;

use crate::gate::{Allowed, Place, shown};
use crate::scopes::Tenancy;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIdentity {
    pub name: String,
    /// Name or id; the tenant's first when none is named.
    pub resource_group: Option<String>,
    /// Name or id of the resource group's subscription, where the tenant has several.
    pub subscription: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityPatch {
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum IdentityType {
    UserAssigned,
    SystemAssigned,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityView {
    pub id: Uuid,
    pub name: String,
    /// What roles are assigned to; the same as `id`.
    pub principal_id: Uuid,
    pub client_id: Uuid,
    /// The tenant's GUID.
    pub tenant_id: Uuid,
    pub resource_group: Option<String>,
    pub subscription_id: Option<Uuid>,
    #[serde(rename = "type")]
    pub kind: IdentityType,
    /// The resource a system-assigned identity belongs to.
    pub resource: Option<String>,
    pub enabled: bool,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
}

/// The identity of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegistryIdentityType {
    None,
    SystemAssigned,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryIdentity {
    #[serde(rename = "type")]
    pub kind: RegistryIdentityType,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryIdentityView {
    #[serde(rename = "type")]
    pub kind: RegistryIdentityType,
    pub principal_id: Option<Uuid>,
    pub tenant_id: Option<Uuid>,
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`]; [`ControlError::NotFound`] for a resource group that is not there;
    /// [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_identity(&self, actor: &Actor, tenant: &str, new: NewIdentity) -> Result<Made<IdentityView>> {
        let tenant = self.tenant_named(actor, tenant).await?;
        let tenancy = self.tenancy().await?;
        let group = group_for(&tenancy, tenant.id, new.subscription.as_deref(), new.resource_group.as_deref())?;
        let permit = self.allow(actor, M::IdentityWrite, &group_place(group))?;
        names::object("identity", &new.name)?;
        if let Some(there) = self.named::<ManagedIdentity>(tenant.id, &new.name).await? {
            if there.document.resource_group == group.id && there.document.system_of.is_none() {
                return Ok(Made { view: self.show_identity(&there, &tenancy)?, new: false });
            }
            return Err(ControlError::Conflict(format!("the identity `{}` exists already", there.name)));
        }
        let document = ManagedIdentity {
            client_id: self.random_id(),
            resource_group: group.id,
            system_of: None,
            enabled: true,
            epoch: 0,
        };
        let identity = self.fresh(tenant.id, new.name, document);
        let view = self.show_identity(&identity, &tenancy)?;
        let deed = deed("identity.create", &identity, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&identity)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// Those the caller may see.
    ///
    /// # Errors
    /// The tenant's.
    pub async fn identities(&self, actor: &Actor, tenant: &str, page: &Page) -> Result<Listed<IdentityView>> {
        let tenant = self.tenant_named(actor, tenant).await?;
        let tenancy = self.tenancy().await?;
        let groups: Vec<Uuid> = tenancy
            .groups
            .iter()
            .filter(|group| tenancy.tenant_of_subscription(group.subscription_id) == Some(tenant.id))
            .filter(|group| self.allow(actor, M::IdentityRead, &group_place(group)).is_ok())
            .map(|group| group.id)
            .collect();
        if groups.is_empty() {
            // Says why not, to who may know of the tenant.
            self.allow(actor, M::IdentityRead, &Place::tenant(tenant.id, &tenant.name))?;
        }
        let all = self.all::<ManagedIdentity>(tenant.id, |i| groups.contains(&i.document.resource_group)).await?;
        let listed = Listed::page(all, page, |identity| identity.name.to_ascii_lowercase());
        let value =
            listed.value.iter().map(|identity| self.show_identity(identity, &tenancy)).collect::<Result<_>>()?;
        Ok(Listed { value, next: listed.next })
    }

    /// By name, id or client id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn identity(&self, actor: &Actor, tenant: &str, said: &str) -> Result<IdentityView> {
        let (_, _, identity) = self.identity_for(actor, M::IdentityRead, tenant, said).await?;
        self.show_identity(&identity, &self.tenancy().await?)
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for the last owner.
    pub async fn update_identity(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: IdentityPatch,
        expected: Expected,
    ) -> Result<IdentityView> {
        let (permit, tenant, mut identity) = self.identity_for(actor, M::IdentityWrite, tenant, said).await?;
        expected.check(identity.etag)?;
        let tenancy = self.tenancy().await?;
        let before = self.show_identity(&identity, &tenancy)?;
        let enabled = patch.enabled.unwrap_or(identity.document.enabled);
        if identity.document.enabled && !enabled {
            self.not_the_last_owner(tenant.id, reference(&identity)).await?;
            identity.document.epoch += 1;
        }
        identity.document.enabled = enabled;
        let detail = json!({"before": before, "after": self.show_identity(&identity, &tenancy)?});
        let write = [self.update(&identity)?];
        self.commit(&permit, actor, &write, deed("identity.update", &identity, detail)).await?;
        let identity = self.identified::<ManagedIdentity>(tenant.id, identity.id).await?;
        self.show_identity(&identity.ok_or_else(|| missing(said))?, &tenancy)
    }

    /// With federated credentials, memberships and roles.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for one that belongs to a resource, or the last owner.
    pub async fn delete_identity(&self, actor: &Actor, tenant: &str, said: &str, expected: Expected) -> Result<()> {
        let (permit, tenant, identity) = self.identity_for(actor, M::IdentityDelete, tenant, said).await?;
        expected.check(identity.etag)?;
        if identity.document.system_of.is_some() {
            return Err(ControlError::Conflict(
                "a system-assigned identity goes with its resource: `shorepass registry identity remove`".to_owned(),
            ));
        }
        self.remove_identity(&permit, actor, &tenant, &identity).await
    }

    async fn remove_identity(
        &self,
        permit: &Allowed,
        actor: &Actor,
        tenant: &TenantRow,
        identity: &Resource<ManagedIdentity>,
    ) -> Result<()> {
        let mut writes = self.trail(tenant.id, reference(identity)).await?;
        writes.extend(self.proofs_of(identity.id).await?);
        writes.push(write::delete(identity));
        let detail = json!({"before": self.show_identity(identity, &self.tenancy().await?)?});
        self.commit(permit, actor, &writes, deed("identity.delete", identity, detail)).await
    }

    /// With its resource, whoever it was: what is gone owns nothing.
    pub(crate) async fn end_identity(
        &self,
        permit: &Allowed,
        actor: &Actor,
        identity: &Resource<ManagedIdentity>,
    ) -> Result<()> {
        let mut writes = self.remains(identity.parent, reference(identity)).await?;
        writes.extend(self.proofs_of(identity.id).await?);
        writes.push(write::delete(identity));
        self.commit(permit, actor, &writes, deed("identity.delete", identity, json!(null))).await
    }

    /// # Errors
    /// The registry's.
    pub async fn registry_identity(&self, actor: &Actor, registry: &RegistryName) -> Result<RegistryIdentityView> {
        let (_, record) = self.registry_for(actor, M::RegistryRead, registry).await?;
        self.show_registry_identity(&record).await
    }

    /// Gives the registry an identity of its own, or takes it away; one that is given again is a new one.
    ///
    /// # Errors
    /// The registry's.
    pub async fn set_registry_identity(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        wanted: RegistryIdentity,
    ) -> Result<RegistryIdentityView> {
        let (permit, record) = self.registry_for(actor, M::RegistryWrite, registry).await?;
        let there = self.system_identity(&record).await?;
        match (wanted.kind, there) {
            (RegistryIdentityType::SystemAssigned, None) => {
                let document = ManagedIdentity {
                    client_id: self.random_id(),
                    resource_group: record.registry.resource_group_id,
                    system_of: Some(record.registry.id),
                    enabled: true,
                    epoch: 0,
                };
                let identity = self.fresh(record.tenant_id, system_name(&record), document);
                let detail = json!({"after": {"principalId": identity.id}});
                let deed = Deed { registry: Some(registry), ..deed("registry.identity.assign", &identity, detail) };
                self.commit(&permit, actor, &[write::create(&identity)?], deed).await?;
            }
            (RegistryIdentityType::None, Some(identity)) => {
                let tenants = self.store.tenants().await?;
                let tenant = tenants.into_iter().find(|tenant| tenant.id == record.tenant_id);
                let tenant = tenant.ok_or_else(|| missing("system"))?;
                self.remove_identity(&permit, actor, &tenant, &identity).await?;
            }
            _ => {}
        }
        self.show_registry_identity(&record).await
    }

    async fn show_registry_identity(&self, record: &RegistryRecord) -> Result<RegistryIdentityView> {
        let Some(identity) = self.system_identity(record).await? else {
            return Ok(RegistryIdentityView { kind: RegistryIdentityType::None, principal_id: None, tenant_id: None });
        };
        let tenants = self.store.tenants().await?;
        Ok(RegistryIdentityView {
            kind: RegistryIdentityType::SystemAssigned,
            principal_id: Some(identity.id),
            tenant_id: tenants.iter().find(|tenant| tenant.id == record.tenant_id).map(|tenant| tenant.guid),
        })
    }

    pub(crate) async fn system_identity(&self, record: &RegistryRecord) -> Result<Option<Resource<ManagedIdentity>>> {
        let found = self.named::<ManagedIdentity>(record.tenant_id, &system_name(record)).await?;
        Ok(found.filter(|identity| identity.document.system_of == Some(record.registry.id)))
    }

    /// Asked at the resource group the identity is in; who may not know of that learns nothing.
    pub(crate) async fn identity_for(
        &self,
        actor: &Actor,
        action: M,
        tenant: &str,
        said: &str,
    ) -> Result<(Allowed, TenantRow, Resource<ManagedIdentity>)> {
        let tenant = self.tenant_named(actor, tenant).await?;
        let found = match said.parse::<Uuid>() {
            Err(_) => self.named::<ManagedIdentity>(tenant.id, said).await?,
            Ok(id) => match self.identified::<ManagedIdentity>(tenant.id, id).await? {
                Some(found) => Some(found),
                None => self.directory.policy(|state| {
                    let found = state.managed_identity_by_client_id(id);
                    found.filter(|identity| identity.parent == tenant.id).map(|identity| (**identity).clone())
                })?,
            },
        };
        let Some(identity) = found else {
            // The same words as for one that is hidden.
            return Err(missing(said));
        };
        let scope = AssignmentScope::ResourceGroup { id: identity.document.resource_group };
        let place = Place { scope, said: format!("identity `{}`", shown(said)) };
        Ok((self.allow(actor, action, &place)?, tenant, identity))
    }

    fn show_identity(&self, identity: &Resource<ManagedIdentity>, tenancy: &Tenancy) -> Result<IdentityView> {
        let document = &identity.document;
        let group = tenancy.groups.iter().find(|group| group.id == document.resource_group);
        let resource = match document.system_of {
            Some(id) => Some(self.scope_text(tenancy, &AssignmentScope::Registry { id })?),
            None => None,
        };
        Ok(IdentityView {
            id: identity.id,
            name: identity.name.clone(),
            principal_id: identity.id,
            client_id: document.client_id,
            tenant_id: tenancy.tenant(identity.parent).map_or(identity.parent, |tenant| tenant.guid),
            resource_group: group.map(|group| group.name.clone()),
            subscription_id: group.map(|group| group.subscription_id),
            kind: if resource.is_some() { IdentityType::SystemAssigned } else { IdentityType::UserAssigned },
            resource,
            enabled: document.enabled,
            creation_date: identity.created_at,
            updated_at: identity.updated_at,
            etag: identity.etag.to_string(),
        })
    }
}

/// No name of somebody's own choice begins so.
fn system_name(record: &RegistryRecord) -> String {
    format!("_registry-{}", record.registry.id)
}

/// The resource group that is named, or the tenant's only or first one.
pub(crate) fn group_for<'a>(
    tenancy: &'a Tenancy,
    tenant: Uuid,
    subscription: Option<&str>,
    group: Option<&str>,
) -> Result<&'a ResourceGroupRow> {
    let subscription = match subscription {
        Some(said) => {
            let found = tenancy.subscription(Some(tenant), said).filter(|found| found.tenant_id == tenant);
            Some(found.ok_or_else(|| Place::missing(&format!("subscription `{}`", shown(said))))?.id)
        }
        None => None,
    };
    let mut candidates: Vec<&ResourceGroupRow> = tenancy
        .groups
        .iter()
        .filter(|row| tenancy.tenant_of_subscription(row.subscription_id) == Some(tenant))
        .filter(|row| subscription.is_none_or(|id| id == row.subscription_id))
        .filter(|row| group.is_none_or(|said| row.name.eq_ignore_ascii_case(said) || row.id.to_string() == said))
        .collect();
    candidates.sort_by_key(|row| (row.created_at, row.id));
    match (candidates.as_slice(), group) {
        ([first, ..], None) => Ok(first),
        ([one], Some(_)) => Ok(one),
        ([], Some(said)) => Err(Place::missing(&format!("resource group `{}`", shown(said)))),
        ([], None) => Err(ControlError::NotFound(
            "the tenant has no resource group: `shorepass group create` makes one".to_owned(),
        )),
        (_, Some(said)) => Err(ControlError::Invalid(format!(
            "several subscriptions have a resource group `{}`: name the subscription too",
            shown(said)
        ))),
    }
}

pub(crate) fn group_place(group: &ResourceGroupRow) -> Place {
    Place { scope: AssignmentScope::ResourceGroup { id: group.id }, said: format!("resource group `{}`", group.name) }
}

fn missing(said: &str) -> ControlError {
    Place::missing(&format!("identity `{}`", shown(said)))
}

fn reference(identity: &Resource<ManagedIdentity>) -> PrincipalRef {
    PrincipalRef { kind: PrincipalKind::ManagedIdentity, id: identity.id }
}

fn deed<'a>(operation: &'a str, identity: &Resource<ManagedIdentity>, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("identity {}", identity.name), detail }
}
