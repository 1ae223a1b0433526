//! Tenants, subscriptions and resource groups: where everything else is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::directory::{
    AssignmentScope, Document, Group, Issuer, ManagedIdentity, Membership, RoleAssignment, RoleDefinition,
    ServicePrincipal, User,
};
use shorepass_core::{Timestamp, new_id};
use shorepass_store::resources::Write;
use shorepass_store::rows::{ResourceGroupRow, SubscriptionRow, TenancyOutcome, TenantRow};
use uuid::Uuid;

use crate::bootstrap::account_number;
use crate::gate::{Allowed, Place, shown};
use crate::identities::group_place;
use crate::write::{self, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantView {
    pub id: Uuid,
    /// The GUID that tokens and paths name it by.
    pub tenant_id: Uuid,
    pub name: String,
    pub account_number: String,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    pub id: Uuid,
    pub name: String,
    /// The tenant's GUID.
    pub tenant_id: Uuid,
    pub tenant: String,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceGroupView {
    pub id: Uuid,
    pub name: String,
    pub subscription_id: Uuid,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
}

impl TenantView {
    pub(crate) fn of(row: &TenantRow) -> Self {
        Self {
            id: row.id,
            tenant_id: row.guid,
            name: row.name.clone(),
            account_number: row.account_number.clone(),
            creation_date: row.created_at,
        }
    }
}

impl SubscriptionView {
    fn of(row: &SubscriptionRow, tenant: &TenantRow) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            tenant_id: tenant.guid,
            tenant: tenant.name.clone(),
            creation_date: row.created_at,
        }
    }
}

impl ResourceGroupView {
    fn of(row: &ResourceGroupRow) -> Self {
        Self { id: row.id, name: row.name.clone(), subscription_id: row.subscription_id, creation_date: row.created_at }
    }
}

impl Control {
    /// The operator's alone.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_tenant(&self, actor: &Actor, new: Named) -> Result<Made<TenantView>> {
        self.allow_server(actor, M::TenantWrite)?;
        names::tenant(&new.name)?;
        let there = self.store.tenants().await?;
        if let Some(there) = there.iter().find(|row| row.name.eq_ignore_ascii_case(&new.name)) {
            return Ok(Made { view: TenantView::of(there), new: false });
        }
        let row = TenantRow {
            id: new_id(&*self.clock, &*self.random),
            name: new.name,
            guid: self.random_id(),
            account_number: account_number(&*self.random),
            created_at: self.clock.now(),
        };
        self.tenancy_done(self.store.create_tenant(&row).await?, &row.name)?;
        let view = TenantView::of(&row);
        self.tenancy_changed(actor, "tenant.create", format!("tenant {}", row.name), json!({"after": view})).await?;
        Ok(Made { view, new: true })
    }

    /// Those the caller may know of.
    ///
    /// # Errors
    /// The store.
    pub async fn tenants(&self, actor: &Actor, page: &Page) -> Result<Listed<TenantView>> {
        let home = self.home_of(actor)?;
        let mut rows = self.store.tenants().await?;
        rows.retain(|row| {
            home == Some(row.id) || self.allow(actor, M::TenantRead, &Place::tenant(row.id, &row.name)).is_ok()
        });
        let listed = Listed::page(rows, page, |row| row.name.to_ascii_lowercase());
        Ok(listed.map(|row| TenantView::of(&row)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn tenant(&self, actor: &Actor, said: &str) -> Result<TenantView> {
        let tenant = self.tenant_named(actor, said).await?;
        if self.home_of(actor)? != Some(tenant.id) {
            self.allow(actor, M::TenantRead, &Place::tenant(tenant.id, said))?;
        }
        Ok(TenantView::of(&tenant))
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for a name that is taken.
    pub async fn rename_tenant(&self, actor: &Actor, said: &str, new: Named) -> Result<TenantView> {
        let (_, tenant) = self.tenant_for(actor, M::TenantWrite, said).await?;
        names::tenant(&new.name)?;
        self.tenancy_done(self.store.rename_tenant(tenant.id, &new.name).await?, &new.name)?;
        let view = TenantView { name: new.name, ..TenantView::of(&tenant) };
        let detail = json!({"before": TenantView::of(&tenant), "after": view});
        self.tenancy_changed(actor, "tenant.update", format!("tenant {}", tenant.name), detail).await?;
        Ok(view)
    }

    /// The operator's alone. With its directory; not while it has subscriptions.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] while it has subscriptions.
    pub async fn delete_tenant(&self, actor: &Actor, said: &str) -> Result<()> {
        let permit = self.allow_server(actor, M::TenantWrite)?;
        let tenant = self.tenant_named(actor, said).await?;
        let subscriptions = self.store.subscriptions().await?;
        if let Some(row) = subscriptions.iter().find(|row| row.tenant_id == tenant.id) {
            return Err(ControlError::Conflict(format!(
                "the subscription `{}` belongs to the tenant: delete it first",
                row.name
            )));
        }
        self.clear_directory(&permit, actor, &tenant).await?;
        self.tenancy_done(self.store.delete_tenant(tenant.id).await?, &tenant.name)?;
        let detail = json!({"before": TenantView::of(&tenant)});
        self.tenancy_changed(actor, "tenant.delete", format!("tenant {}", tenant.name), detail).await
    }

    async fn clear_directory(&self, permit: &Allowed, actor: &Actor, tenant: &TenantRow) -> Result<()> {
        let mut writes = Vec::new();
        for group in self.all::<Group>(tenant.id, |_| true).await? {
            writes.extend(self.all::<Membership>(group.id, |_| true).await?.iter().map(write::delete));
            writes.push(write::delete(&group));
        }
        for application in self.all::<ServicePrincipal>(tenant.id, |_| true).await? {
            if application.document.home_tenant == tenant.id {
                writes.extend(self.elsewhere(&application).await?);
                writes.extend(self.proofs_of(application.id).await?);
            }
            writes.push(write::delete(&application));
        }
        for identity in self.all::<ManagedIdentity>(tenant.id, |_| true).await? {
            writes.extend(self.proofs_of(identity.id).await?);
            writes.push(write::delete(&identity));
        }
        self.clear::<User>(tenant.id, &mut writes).await?;
        self.clear::<Issuer>(tenant.id, &mut writes).await?;
        self.clear::<RoleAssignment>(tenant.id, &mut writes).await?;
        self.clear::<RoleDefinition>(tenant.id, &mut writes).await?;
        if writes.is_empty() {
            return Ok(());
        }
        let target = format!("tenant {}", tenant.name);
        let detail = json!({"removed": writes.len()});
        let deed = write::Deed { operation: "tenant.clear", registry: None, target, detail };
        self.commit(permit, actor, &writes, deed).await
    }

    async fn clear<D: Document>(&self, parent: Uuid, writes: &mut Vec<Write>) -> Result<()> {
        writes.extend(self.all::<D>(parent, |_| true).await?.iter().map(write::delete));
        Ok(())
    }

    /// # Errors
    /// [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_subscription(&self, actor: &Actor, tenant: &str, new: Named) -> Result<Made<SubscriptionView>> {
        let (_, tenant) = self.tenant_for(actor, M::SubscriptionWrite, tenant).await?;
        names::object("subscription", &new.name)?;
        let there = self.store.subscriptions().await?.into_iter();
        let mut there = there.filter(|row| row.tenant_id == tenant.id && row.name.eq_ignore_ascii_case(&new.name));
        if let Some(there) = there.next() {
            return Ok(Made { view: SubscriptionView::of(&there, &tenant), new: false });
        }
        let row = SubscriptionRow {
            id: new_id(&*self.clock, &*self.random),
            tenant_id: tenant.id,
            name: new.name,
            created_at: self.clock.now(),
        };
        self.tenancy_done(self.store.create_subscription(&row).await?, &row.name)?;
        let view = SubscriptionView::of(&row, &tenant);
        let target = format!("subscription {}", row.name);
        self.tenancy_changed(actor, "subscription.create", target, json!({"after": view})).await?;
        Ok(Made { view, new: true })
    }

    /// Those the caller may know of.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for the tenant.
    pub async fn subscriptions(&self, actor: &Actor, tenant: &str, page: &Page) -> Result<Listed<SubscriptionView>> {
        let tenant = self.tenant_named(actor, tenant).await?;
        let mut rows = self.store.subscriptions().await?;
        rows.retain(|row| {
            row.tenant_id == tenant.id && self.allow(actor, M::SubscriptionRead, &subscription_place(row)).is_ok()
        });
        if rows.is_empty() {
            self.allow(actor, M::SubscriptionRead, &Place::tenant(tenant.id, &tenant.name))?;
        }
        let listed = Listed::page(rows, page, |row| row.name.to_ascii_lowercase());
        Ok(listed.map(|row| SubscriptionView::of(&row, &tenant)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn subscription(&self, actor: &Actor, tenant: &str, said: &str) -> Result<SubscriptionView> {
        let (_, tenant, row) = self.subscription_for(actor, M::SubscriptionRead, tenant, said).await?;
        Ok(SubscriptionView::of(&row, &tenant))
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for a name that is taken.
    pub async fn rename_subscription(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        new: Named,
    ) -> Result<SubscriptionView> {
        let (_, tenant, row) = self.subscription_for(actor, M::SubscriptionWrite, tenant, said).await?;
        names::object("subscription", &new.name)?;
        self.tenancy_done(self.store.rename_subscription(row.id, &new.name).await?, &new.name)?;
        let view = SubscriptionView { name: new.name, ..SubscriptionView::of(&row, &tenant) };
        let detail = json!({"before": SubscriptionView::of(&row, &tenant), "after": view});
        self.tenancy_changed(actor, "subscription.update", format!("subscription {}", row.name), detail).await?;
        Ok(view)
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] while it has resource groups.
    pub async fn delete_subscription(&self, actor: &Actor, tenant: &str, said: &str) -> Result<()> {
        let (permit, tenant, row) = self.subscription_for(actor, M::SubscriptionDelete, tenant, said).await?;
        self.tenancy_done(self.store.delete_subscription(row.id).await?, &row.name)?;
        let detail = json!({"before": SubscriptionView::of(&row, &tenant)});
        self.tenancy_changed(actor, "subscription.delete", format!("subscription {}", row.name), detail).await?;
        self.clear_assignments(&permit, actor, tenant.id, &AssignmentScope::Subscription { id: row.id }).await
    }

    /// # Errors
    /// [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_resource_group(
        &self,
        actor: &Actor,
        tenant: &str,
        subscription: &str,
        new: Named,
    ) -> Result<Made<ResourceGroupView>> {
        let (_, _, subscription) = self.subscription_for(actor, M::ResourceGroupWrite, tenant, subscription).await?;
        names::object("resource group", &new.name)?;
        let there = self.store.resource_groups().await?.into_iter();
        let mut there =
            there.filter(|row| row.subscription_id == subscription.id && row.name.eq_ignore_ascii_case(&new.name));
        if let Some(there) = there.next() {
            return Ok(Made { view: ResourceGroupView::of(&there), new: false });
        }
        let row = ResourceGroupRow {
            id: new_id(&*self.clock, &*self.random),
            subscription_id: subscription.id,
            name: new.name,
            created_at: self.clock.now(),
        };
        self.tenancy_done(self.store.create_resource_group(&row).await?, &row.name)?;
        let view = ResourceGroupView::of(&row);
        let target = format!("resource group {}", row.name);
        self.tenancy_changed(actor, "resource-group.create", target, json!({"after": view})).await?;
        Ok(Made { view, new: true })
    }

    /// Those the caller may know of.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for the subscription.
    pub async fn resource_groups(
        &self,
        actor: &Actor,
        tenant: &str,
        subscription: &str,
        page: &Page,
    ) -> Result<Listed<ResourceGroupView>> {
        let (tenant, subscription) = self.subscription_named(actor, tenant, subscription).await?;
        let mut rows = self.store.resource_groups().await?;
        rows.retain(|row| {
            row.subscription_id == subscription.id && self.allow(actor, M::ResourceGroupRead, &group_place(row)).is_ok()
        });
        if rows.is_empty() {
            drop(tenant);
            self.allow(actor, M::ResourceGroupRead, &subscription_place(&subscription))?;
        }
        let listed = Listed::page(rows, page, |row| row.name.to_ascii_lowercase());
        Ok(listed.map(|row| ResourceGroupView::of(&row)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn resource_group(
        &self,
        actor: &Actor,
        tenant: &str,
        subscription: &str,
        said: &str,
    ) -> Result<ResourceGroupView> {
        let (_, _, row) = self.resource_group_for(actor, M::ResourceGroupRead, tenant, subscription, said).await?;
        Ok(ResourceGroupView::of(&row))
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for a name that is taken.
    pub async fn rename_resource_group(
        &self,
        actor: &Actor,
        tenant: &str,
        subscription: &str,
        said: &str,
        new: Named,
    ) -> Result<ResourceGroupView> {
        let (_, _, row) = self.resource_group_for(actor, M::ResourceGroupWrite, tenant, subscription, said).await?;
        names::object("resource group", &new.name)?;
        self.tenancy_done(self.store.rename_resource_group(row.id, &new.name).await?, &new.name)?;
        let view = ResourceGroupView { name: new.name, ..ResourceGroupView::of(&row) };
        let detail = json!({"before": ResourceGroupView::of(&row), "after": view});
        self.tenancy_changed(actor, "resource-group.update", format!("resource group {}", row.name), detail).await?;
        Ok(view)
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] while it has registries or identities.
    pub async fn delete_resource_group(
        &self,
        actor: &Actor,
        tenant: &str,
        subscription: &str,
        said: &str,
    ) -> Result<()> {
        let (permit, tenant, row) =
            self.resource_group_for(actor, M::ResourceGroupDelete, tenant, subscription, said).await?;
        let identities = self.all::<ManagedIdentity>(tenant.id, |i| i.document.resource_group == row.id).await?;
        if let Some(identity) = identities.first() {
            return Err(ControlError::Conflict(format!(
                "the identity `{}` belongs to the resource group: delete it first",
                identity.name
            )));
        }
        self.tenancy_done(self.store.delete_resource_group(row.id).await?, &row.name)?;
        let detail = json!({"before": ResourceGroupView::of(&row)});
        self.tenancy_changed(actor, "resource-group.delete", format!("resource group {}", row.name), detail).await?;
        self.clear_assignments(&permit, actor, tenant.id, &AssignmentScope::ResourceGroup { id: row.id }).await
    }

    /// Roles at a scope that is gone. They reached nothing any more.
    pub(crate) async fn clear_assignments(
        &self,
        permit: &Allowed,
        actor: &Actor,
        tenant: Uuid,
        scope: &AssignmentScope,
    ) -> Result<()> {
        let within = |assignment: &AssignmentScope| match (assignment, scope) {
            (AssignmentScope::Repository { registry, .. }, AssignmentScope::Registry { id }) => registry == id,
            (assignment, scope) => assignment == scope,
        };
        let gone = self.all::<RoleAssignment>(tenant, |assignment| within(&assignment.document.scope)).await?;
        if gone.is_empty() {
            return Ok(());
        }
        let writes: Vec<_> = gone.iter().map(|assignment| Write::Delete { id: assignment.id, etag: None }).collect();
        let ids: Vec<Uuid> = gone.iter().map(|assignment| assignment.id).collect();
        let target = "role assignments of what was deleted".to_owned();
        let deed =
            write::Deed { operation: "role-assignment.delete", registry: None, target, detail: json!({"ids": ids}) };
        self.commit(permit, actor, &writes, deed).await
    }

    async fn subscription_named(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
    ) -> Result<(TenantRow, SubscriptionRow)> {
        let tenant = self.tenant_named(actor, tenant).await?;
        let id = said.parse::<Uuid>().ok();
        let rows = self.store.subscriptions().await?;
        let mut rows = rows.into_iter().filter(|row| row.tenant_id == tenant.id);
        let row = rows.find(|row| row.name.eq_ignore_ascii_case(said) || Some(row.id) == id);
        Ok((tenant, row.ok_or_else(|| Place::missing(&format!("subscription `{}`", shown(said))))?))
    }

    async fn subscription_for(
        &self,
        actor: &Actor,
        action: M,
        tenant: &str,
        said: &str,
    ) -> Result<(Allowed, TenantRow, SubscriptionRow)> {
        let (tenant, row) = self.subscription_named(actor, tenant, said).await?;
        let place = Place { said: format!("subscription `{}`", shown(said)), ..subscription_place(&row) };
        Ok((self.allow(actor, action, &place)?, tenant, row))
    }

    async fn resource_group_for(
        &self,
        actor: &Actor,
        action: M,
        tenant: &str,
        subscription: &str,
        said: &str,
    ) -> Result<(Allowed, TenantRow, ResourceGroupRow)> {
        let (tenant, subscription) = self.subscription_named(actor, tenant, subscription).await?;
        let id = said.parse::<Uuid>().ok();
        let words = format!("resource group `{}`", shown(said));
        let rows = self.store.resource_groups().await?.into_iter();
        let mut rows = rows.filter(|row| row.subscription_id == subscription.id);
        let row = rows.find(|row| row.name.eq_ignore_ascii_case(said) || Some(row.id) == id);
        let row = row.ok_or_else(|| Place::missing(&words))?;
        let place = Place { said: words, ..group_place(&row) };
        Ok((self.allow(actor, action, &place)?, tenant, row))
    }

    fn tenancy_done(&self, outcome: TenancyOutcome, name: &str) -> Result<()> {
        match outcome {
            TenancyOutcome::Done => Ok(()),
            TenancyOutcome::Exists => {
                Err(ControlError::Conflict(format!("`{}` exists already: choose another name", shown(name))))
            }
            TenancyOutcome::NotFound => {
                Err(ControlError::NotFound("it, or what it belongs to, was deleted meanwhile".to_owned()))
            }
            TenancyOutcome::NotEmpty { what } => Err(ControlError::Conflict(format!(
                "`{}` is not empty: the {what} belongs to it; delete that first",
                shown(name)
            ))),
        }
    }

    async fn tenancy_changed(
        &self,
        actor: &Actor,
        operation: &str,
        target: String,
        detail: serde_json::Value,
    ) -> Result<()> {
        self.directory.refresh().await?;
        self.audit(actor, operation, None, Some(target), detail).await
    }
}

fn subscription_place(row: &SubscriptionRow) -> Place {
    Place { scope: AssignmentScope::Subscription { id: row.id }, said: format!("subscription `{}`", row.name) }
}
