//! The admin account: one per registry, off by default, with two passwords that are renewed one at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::{RegistryName, Timestamp, new_id};
use shorepass_identity::new_password;
use shorepass_store::rows::{AdminPasswordRow, RegistryRecord};

use crate::gate::Place;
use crate::registries::set_admin;
use crate::{Actor, Control, ControlError, Result};

/// Which of the two, in the words of `az acr credential renew`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PasswordName {
    Password,
    Password2,
}

impl PasswordName {
    const BOTH: [Self; 2] = [Self::Password, Self::Password2];

    fn slot(self) -> i16 {
        match self {
            Self::Password => 1,
            Self::Password2 => 2,
        }
    }
}

/// The account as the operator sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminAccount {
    #[schemars(with = "String")]
    pub registry: RegistryName,
    /// Equal to the registry's name.
    #[schemars(with = "String")]
    pub username: RegistryName,
    pub enabled: bool,
    pub passwords: Vec<AdminPassword>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminPassword {
    pub name: PasswordName,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Control {
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn admin(&self, actor: &Actor, name: &RegistryName) -> Result<AdminAccount> {
        Ok(account(&self.registry_for(actor, M::RegistryRead, name).await?.1, &[]))
    }

    /// Enables the account. Passwords that do not exist yet are made, and shown this once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Changed`].
    pub async fn enable_admin(&self, actor: &Actor, name: &RegistryName) -> Result<AdminAccount> {
        let (_, record) = self.registry_for(actor, M::RegistryWrite, name).await?;
        self.allow(actor, M::RegistryRegenerateCredential, &Place::registry(record.registry.id, name))?;
        // Switched on first: were it refused after the passwords were made, nobody would ever see them.
        self.switch_admin(actor, &record, true).await?;
        let mut made = Vec::new();
        for which in PasswordName::BOTH {
            if !record.admin_passwords.iter().any(|row| row.slot == which.slot()) {
                made.push((which, self.make_password(&record, which).await?));
            }
        }
        self.directory.refresh().await?;
        Ok(account(&self.find(name).await?, &made))
    }

    /// Disables the account, for tokens already issued too. The passwords stay for when it is enabled again.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Changed`].
    pub async fn disable_admin(&self, actor: &Actor, name: &RegistryName) -> Result<AdminAccount> {
        let (_, record) = self.registry_for(actor, M::RegistryWrite, name).await?;
        self.switch_admin(actor, &record, false).await?;
        Ok(account(&self.find(name).await?, &[]))
    }

    /// Replaces one password and leaves the other. The old one, and tokens that began with it, end at once.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] while the account is disabled.
    pub async fn renew_admin(&self, actor: &Actor, name: &RegistryName, which: PasswordName) -> Result<AdminAccount> {
        let (_, record) = self.registry_for(actor, M::RegistryRegenerateCredential, name).await?;
        if !record.registry.settings.admin_enabled {
            return Err(ControlError::Conflict(format!(
                "Run 'shorepass registry update -n {name} --admin-enabled true' to enable admin first."
            )));
        }
        let value = self.make_password(&record, which).await?;
        self.changed(actor, "admin.renew", name, json!({"password": which})).await?;
        Ok(account(&self.find(name).await?, &[(which, value)]))
    }

    async fn switch_admin(&self, actor: &Actor, record: &RegistryRecord, enabled: bool) -> Result<()> {
        let mut registry = record.registry.clone();
        set_admin(&mut registry, enabled);
        registry.updated_at = self.clock.now();
        if !self.store.update_registry(&registry).await? {
            return Err(ControlError::Changed);
        }
        let operation = if enabled { "admin.enable" } else { "admin.disable" };
        let detail = json!({"before": {"adminEnabled": record.registry.settings.admin_enabled},
                            "after": {"adminEnabled": enabled}});
        self.changed(actor, operation, &registry.name, detail).await
    }

    async fn make_password(&self, record: &RegistryRecord, which: PasswordName) -> Result<String> {
        let value = new_password(&*self.random);
        let row = AdminPasswordRow {
            id: new_id(&*self.clock, &*self.random),
            registry_id: record.registry.id,
            slot: which.slot(),
            hash: self.secrets.hash(&value).to_vec(),
            created_at: self.clock.now(),
        };
        self.store.put_admin_password(&row).await?;
        Ok(value)
    }
}

fn account(record: &RegistryRecord, made: &[(PasswordName, String)]) -> AdminAccount {
    let passwords = PasswordName::BOTH.into_iter().filter_map(|name| {
        let row = record.admin_passwords.iter().find(|row| row.slot == name.slot())?;
        let value = made.iter().find(|(which, _)| *which == name).map(|(_, value)| value.clone());
        Some(AdminPassword { name, created_at: row.created_at, value })
    });
    AdminAccount {
        registry: record.registry.name.clone(),
        username: record.registry.name.clone(),
        enabled: record.registry.settings.admin_enabled,
        passwords: passwords.collect(),
    }
}
