//! Registries: create, list, show, update, delete, check a name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::directory::AssignmentScope;
use shorepass_core::{RegistryName, new_id};
use shorepass_store::rows::{RegistryRecord, RegistryRow, RegistrySettings, RoleAssignmentMode, Tier};

use crate::bootstrap::new_registry;
use crate::gate::Place;
use crate::identities::{group_for, group_place};
use crate::write::{Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, DEFAULT_REGISTRY, Result};

/// A registry to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRegistry {
    pub name: String,
    #[schemars(with = "Option<TierName>")]
    pub sku: Option<Tier>,
    /// Name or id; the caller's tenant's first when none is named.
    pub resource_group: Option<String>,
    /// Name or id of the resource group's subscription, where there are several.
    pub subscription: Option<String>,
    pub admin_enabled: Option<bool>,
    pub anonymous_pull_enabled: Option<bool>,
    #[schemars(with = "Option<RoleAssignmentModeName>")]
    pub role_assignment_mode: Option<RoleAssignmentMode>,
    pub authentication_as_arm: Option<bool>,
    pub rate_limits: Option<bool>,
}

/// What of a registry to change; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryPatch {
    #[schemars(with = "Option<TierName>")]
    pub sku: Option<Tier>,
    pub admin_enabled: Option<bool>,
    pub anonymous_pull_enabled: Option<bool>,
    #[schemars(with = "Option<RoleAssignmentModeName>")]
    pub role_assignment_mode: Option<RoleAssignmentMode>,
    /// Whether sign-in takes tokens for the management audience too.
    pub authentication_as_arm: Option<bool>,
    /// Whether the tier's rate limits hold.
    pub rate_limits: Option<bool>,
}

/// [`Tier`] for the API's description.
#[derive(JsonSchema)]
#[schemars(rename = "Tier")]
pub enum TierName {
    Basic,
    Standard,
    Premium,
}

/// [`RoleAssignmentMode`] for the API's description.
#[derive(JsonSchema)]
#[schemars(rename = "RoleAssignmentMode")]
pub enum RoleAssignmentModeName {
    #[schemars(rename = "rbac")]
    Rbac,
    #[schemars(rename = "rbac-abac")]
    RbacAbac,
}

/// Whether a name can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameAvailability {
    pub name_available: bool,
    /// `Invalid` or `AlreadyExists`.
    pub reason: Option<String>,
    pub message: Option<String>,
}

/// A registry, with the names of where it is.
#[derive(Debug, Clone)]
pub struct Located {
    pub record: RegistryRecord,
    pub resource_group: String,
    pub tenant_guid: uuid::Uuid,
}

impl Control {
    /// # Errors
    /// [`ControlError::Conflict`] when the name is taken; [`ControlError::Invalid`] for what the tier does not have.
    pub async fn create_registry(&self, actor: &Actor, new: NewRegistry) -> Result<Made<Located>> {
        let name: RegistryName =
            new.name.parse().map_err(|error: shorepass_core::NameError| ControlError::Invalid(error.to_string()))?;
        let tenant = self.tenant_named(actor, crate::CURRENT_TENANT).await?;
        let tenancy = self.tenancy().await?;
        let group = match (&new.resource_group, &new.subscription) {
            (None, None) if tenant.name == DEFAULT_REGISTRY => match self.store.default_resource_group().await? {
                Some(group) => group,
                None => group_for(&tenancy, tenant.id, None, None)?.clone(),
            },
            (group, subscription) => group_for(&tenancy, tenant.id, subscription.as_deref(), group.as_deref())?.clone(),
        };
        self.allow(actor, M::RegistryWrite, &group_place(&group))?;
        let id = new_id(&*self.clock, &*self.random);
        let mut registry = new_registry(name, group.id, new.sku.unwrap_or(Tier::Premium), id, self.clock.now());
        change(&mut registry, &new.settings(), self.clock.now())?;
        registry.settings.mode_changed_at = None;
        if !self.store.create_registry(&registry).await? {
            return self.same_registry(actor, &registry).await;
        }
        self.changed(actor, "registry.create", &registry.name, json!({"after": summary(&registry)})).await?;
        Ok(Made { view: self.located(self.find(&registry.name).await?).await?, new: true })
    }

    async fn same_registry(&self, actor: &Actor, wanted: &RegistryRow) -> Result<Made<Located>> {
        let conflict = || ControlError::Conflict(format!("the registry `{}` already exists", wanted.name));
        let there = self.find(&wanted.name).await.map_err(|_| conflict())?;
        let place = Place::registry(there.registry.id, &wanted.name);
        let seen = self.allow(actor, M::RegistryRead, &place).is_ok();
        let same = there.registry.tier == wanted.tier
            && there.registry.resource_group_id == wanted.resource_group_id
            && RegistrySettings { mode_changed_at: None, ..there.registry.settings.clone() } == wanted.settings;
        if !seen || !same {
            return Err(conflict());
        }
        Ok(Made { view: self.located(there).await?, new: false })
    }

    /// Those the caller may see.
    ///
    /// # Errors
    /// The store.
    pub async fn registries(&self, actor: &Actor, page: &Page) -> Result<Listed<Located>> {
        let mut records = self.store.registries().await?;
        records.retain(|record| {
            self.allow(actor, M::RegistryRead, &Place::registry(record.registry.id, &record.registry.name)).is_ok()
        });
        let listed = Listed::page(records, page, |record| record.registry.name.to_string());
        let tenancy = self.tenancy().await?;
        Ok(listed.map(|record| locate(record, &tenancy)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn registry(&self, actor: &Actor, name: &RegistryName) -> Result<Located> {
        let (_, record) = self.registry_for(actor, M::RegistryRead, name).await?;
        self.located(record).await
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Invalid`] for what the tier does not have; [`ControlError::Changed`].
    pub async fn update_registry(
        &self,
        actor: &Actor,
        name: &RegistryName,
        patch: RegistryPatch,
        expected: Expected,
    ) -> Result<Located> {
        let (_, record) = self.registry_for(actor, M::RegistryWrite, name).await?;
        let before = record.registry;
        expected.check(before.etag)?;
        let mut after = before.clone();
        change(&mut after, &patch, self.clock.now())?;
        after.updated_at = self.clock.now();
        if !self.store.update_registry(&after).await? {
            return Err(ControlError::Changed);
        }
        let detail = json!({"before": summary(&before), "after": summary(&after)});
        self.changed(actor, "registry.update", name, detail).await?;
        self.located(self.find(name).await?).await
    }

    /// With its tokens, scope maps, policies, roles and identity. What is stored below it is collected later.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_registry(&self, actor: &Actor, name: &RegistryName, expected: Expected) -> Result<()> {
        let (permit, record) = self.registry_for(actor, M::RegistryDelete, name).await?;
        expected.check(record.registry.etag)?;
        let identity = self.system_identity(&record).await?;
        if !self.store.delete_registry(record.registry.id, self.clock.now()).await? {
            return Err(ControlError::Changed);
        }
        self.changed(actor, "registry.delete", name, json!({"before": summary(&record.registry)})).await?;
        if let Some(identity) = identity {
            self.end_identity(&permit, actor, &identity).await?;
        }
        let scope = AssignmentScope::Registry { id: record.registry.id };
        self.clear_assignments(&permit, actor, record.tenant_id, &scope).await
    }

    /// # Errors
    /// The store.
    pub async fn check_name(&self, _actor: &Actor, name: &str) -> Result<NameAvailability> {
        let parsed: RegistryName = match name.parse() {
            Ok(name) => name,
            Err(error) => return Ok(unavailable("Invalid", format!("{error}"))),
        };
        Ok(match self.store.registry(&parsed).await? {
            Some(_) => unavailable("AlreadyExists", format!("the registry `{parsed}` already exists")),
            None => NameAvailability { name_available: true, reason: None, message: None },
        })
    }

    async fn located(&self, record: RegistryRecord) -> Result<Located> {
        Ok(locate(record, &self.tenancy().await?))
    }
}

impl NewRegistry {
    fn settings(&self) -> RegistryPatch {
        RegistryPatch {
            sku: self.sku,
            admin_enabled: self.admin_enabled,
            anonymous_pull_enabled: self.anonymous_pull_enabled,
            role_assignment_mode: self.role_assignment_mode,
            authentication_as_arm: self.authentication_as_arm,
            rate_limits: self.rate_limits,
        }
    }
}

fn locate(record: RegistryRecord, tenancy: &crate::scopes::Tenancy) -> Located {
    let group = tenancy.groups.iter().find(|group| group.id == record.registry.resource_group_id);
    let resource_group =
        group.map_or_else(|| record.registry.resource_group_id.to_string(), |group| group.name.clone());
    let tenant_guid = tenancy.tenant(record.tenant_id).map_or(record.tenant_id, |tenant| tenant.guid);
    Located { record, resource_group, tenant_guid }
}

fn change(registry: &mut RegistryRow, patch: &RegistryPatch, now: shorepass_core::Timestamp) -> Result<()> {
    registry.tier = patch.sku.unwrap_or(registry.tier);
    let settings = &mut registry.settings;
    settings.anonymous_pull_enabled = patch.anonymous_pull_enabled.unwrap_or(settings.anonymous_pull_enabled);
    settings.authentication_as_arm = patch.authentication_as_arm.unwrap_or(settings.authentication_as_arm);
    settings.rate_limits = patch.rate_limits.unwrap_or(settings.rate_limits);
    if settings.anonymous_pull_enabled && registry.tier == Tier::Basic {
        return Err(ControlError::Invalid(
            "anonymous pull needs the Standard or Premium tier: add `--sku Standard`, or turn it off".to_owned(),
        ));
    }
    let mode = patch.role_assignment_mode.unwrap_or(settings.role_assignment_mode);
    if mode != settings.role_assignment_mode {
        // Credentials issued before the switch are refused (what-the-documents-say.md, 2b).
        settings.role_assignment_mode = mode;
        settings.mode_changed_at = Some(now);
    }
    let admin_enabled = patch.admin_enabled.unwrap_or(settings.admin_enabled);
    set_admin(registry, admin_enabled);
    Ok(())
}

/// Switching the admin account off ends every token issued to it, for good: the epoch they carry is over.
pub(crate) fn set_admin(registry: &mut RegistryRow, enabled: bool) {
    if registry.settings.admin_enabled && !enabled {
        registry.admin_epoch += 1;
    }
    registry.settings.admin_enabled = enabled;
}

fn unavailable(reason: &str, message: String) -> NameAvailability {
    NameAvailability { name_available: false, reason: Some(reason.to_owned()), message: Some(message) }
}

fn summary(registry: &RegistryRow) -> Value {
    json!({
        "sku": registry.tier,
        "adminEnabled": registry.settings.admin_enabled,
        "anonymousPullEnabled": registry.settings.anonymous_pull_enabled,
        "roleAssignmentMode": registry.settings.role_assignment_mode,
        "authenticationAsArm": registry.settings.authentication_as_arm,
        "rateLimits": registry.settings.rate_limits,
    })
}
