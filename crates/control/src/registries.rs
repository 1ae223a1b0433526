//! Registries: create, list, show, update, delete, check a name.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shorepass_access::{Manage, Permit, ServerSubject};
use shorepass_core::{RegistryName, new_id};
use shorepass_store::rows::{RegistryRecord, RegistryRow, Tier};

use crate::bootstrap::new_registry;
use crate::{Actor, Control, ControlError, Result};

/// What of a registry to change; what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryPatch {
    pub sku: Option<Tier>,
    pub admin_enabled: Option<bool>,
    pub anonymous_pull_enabled: Option<bool>,
}

/// Whether a name can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameAvailability {
    pub name_available: bool,
    /// `Invalid` or `AlreadyExists`.
    pub reason: Option<&'static str>,
    pub message: Option<String>,
}

impl Control {
    /// # Errors
    /// [`ControlError::Conflict`] when the name is taken.
    pub async fn create_registry(
        &self,
        _permit: &Permit<Manage, ServerSubject>,
        actor: &Actor,
        name: RegistryName,
        tier: Tier,
    ) -> Result<RegistryRecord> {
        let group = self.store.default_resource_group().await?;
        let group = group.ok_or_else(|| ControlError::NotFound("the server has no resource group".to_owned()))?;
        let id = new_id(&*self.clock, &*self.random);
        let registry = new_registry(name, group.id, tier, id, self.clock.now());
        if !self.store.create_registry(&registry).await? {
            return Err(ControlError::Conflict(format!("the registry `{}` already exists", registry.name)));
        }
        self.changed(actor, "registry.create", &registry.name, json!({"after": summary(&registry)})).await?;
        self.find(&registry.name).await
    }

    /// # Errors
    /// The store.
    pub async fn registries(&self, _permit: &Permit<Manage, ServerSubject>) -> Result<Vec<RegistryRecord>> {
        Ok(self.store.registries().await?)
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn registry(
        &self,
        _permit: &Permit<Manage, ServerSubject>,
        name: &RegistryName,
    ) -> Result<RegistryRecord> {
        self.find(name).await
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Invalid`] for what the tier does not have; [`ControlError::Changed`].
    pub async fn update_registry(
        &self,
        _permit: &Permit<Manage, ServerSubject>,
        actor: &Actor,
        name: &RegistryName,
        patch: RegistryPatch,
    ) -> Result<RegistryRecord> {
        let before = self.find(name).await?.registry;
        let mut after = before.clone();
        after.tier = patch.sku.unwrap_or(before.tier);
        after.settings.anonymous_pull_enabled =
            patch.anonymous_pull_enabled.unwrap_or(before.settings.anonymous_pull_enabled);
        if after.settings.anonymous_pull_enabled && after.tier == Tier::Basic {
            return Err(ControlError::Invalid(
                "anonymous pull needs the Standard or Premium tier: add `--sku Standard`, or turn it off".to_owned(),
            ));
        }
        set_admin(&mut after, patch.admin_enabled.unwrap_or(before.settings.admin_enabled));
        after.updated_at = self.clock.now();
        if !self.store.update_registry(&after).await? {
            return Err(ControlError::Changed);
        }
        let detail = json!({"before": summary(&before), "after": summary(&after)});
        self.changed(actor, "registry.update", name, detail).await?;
        self.find(name).await
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_registry(
        &self,
        _permit: &Permit<Manage, ServerSubject>,
        actor: &Actor,
        name: &RegistryName,
    ) -> Result<()> {
        let record = self.find(name).await?;
        if !self.store.delete_registry(record.registry.id, self.clock.now()).await? {
            return Err(ControlError::Changed);
        }
        self.changed(actor, "registry.delete", name, json!({"before": summary(&record.registry)})).await
    }

    /// # Errors
    /// The store.
    pub async fn check_name(&self, _permit: &Permit<Manage, ServerSubject>, name: &str) -> Result<NameAvailability> {
        let parsed: RegistryName = match name.parse() {
            Ok(name) => name,
            Err(error) => return Ok(unavailable("Invalid", error.to_string())),
        };
        Ok(match self.store.registry(&parsed).await? {
            Some(_) => unavailable("AlreadyExists", format!("the registry `{parsed}` already exists")),
            None => NameAvailability { name_available: true, reason: None, message: None },
        })
    }
}

/// Switching the admin account off ends every token issued to it, for good: the epoch they carry is over.
pub(crate) fn set_admin(registry: &mut RegistryRow, enabled: bool) {
    if registry.settings.admin_enabled && !enabled {
        registry.admin_epoch += 1;
    }
    registry.settings.admin_enabled = enabled;
}

fn unavailable(reason: &'static str, message: String) -> NameAvailability {
    NameAvailability { name_available: false, reason: Some(reason), message: Some(message) }
}

fn summary(registry: &RegistryRow) -> Value {
    json!({
        "sku": registry.tier,
        "adminEnabled": registry.settings.admin_enabled,
        "anonymousPullEnabled": registry.settings.anonymous_pull_enabled,
    })
}
