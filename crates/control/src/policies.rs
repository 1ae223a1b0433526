//! Access policies: what operators write in Cedar on top of roles and scope maps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::{MAX_POLICIES, ManagementAction as M, check_policy};
use shorepass_core::directory::AccessPolicy;
use shorepass_core::{RegistryName, Timestamp};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::gate::shown;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccessPolicy {
    pub name: String,
    /// One Cedar policy.
    pub text: String,
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessPolicyPatch {
    pub text: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicyView {
    pub id: Uuid,
    pub name: String,
    pub registry: String,
    pub text: String,
    pub enabled: bool,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyText {
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyCheck {
    pub valid: bool,
    /// What is wrong with it.
    pub message: Option<String>,
}

/// What policies may speak of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySchema {
    /// In Cedar's own form.
    pub schema: String,
}

impl AccessPolicyView {
    fn of(policy: &Resource<AccessPolicy>, registry: &RegistryName) -> Self {
        Self {
            id: policy.id,
            name: policy.name.clone(),
            registry: registry.to_string(),
            text: policy.document.text.clone(),
            enabled: policy.document.enabled,
            creation_date: policy.created_at,
            updated_at: policy.updated_at,
            etag: policy.etag.to_string(),
        }
    }
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`] for a text that is not one policy of the schema; [`ControlError::Conflict`].
    pub async fn create_policy(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        new: NewAccessPolicy,
    ) -> Result<Made<AccessPolicyView>> {
        let (permit, record) = self.registry_for(actor, M::AccessPolicyWrite, registry).await?;
        names::object("policy", &new.name)?;
        let document = AccessPolicy { text: new.text, enabled: new.enabled.unwrap_or(true) };
        check(&document.text)?;
        if let Some(there) = self.named::<AccessPolicy>(record.registry.id, &new.name).await? {
            if there.document == document {
                return Ok(Made { view: AccessPolicyView::of(&there, registry), new: false });
            }
            return Err(ControlError::Conflict(format!("the policy `{}` exists already", there.name)));
        }
        let most = i64::try_from(MAX_POLICIES).unwrap_or(i64::MAX);
        if self.store.count_resources("access_policy", record.registry.id).await? >= most {
            return Err(ControlError::Conflict(format!("a registry has at most {MAX_POLICIES} policies: delete one")));
        }
        let policy = self.fresh(record.registry.id, new.name, document);
        let view = AccessPolicyView::of(&policy, registry);
        let deed = deed("policy.create", registry, &policy.name, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&policy)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// The registry's.
    pub async fn policies(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        page: &Page,
    ) -> Result<Listed<AccessPolicyView>> {
        let (_, record) = self.registry_for(actor, M::AccessPolicyRead, registry).await?;
        let listed = self.listed::<AccessPolicy>(record.registry.id, page).await?;
        Ok(listed.map(|policy| AccessPolicyView::of(&policy, registry)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn policy(&self, actor: &Actor, registry: &RegistryName, name: &str) -> Result<AccessPolicyView> {
        let (_, record) = self.registry_for(actor, M::AccessPolicyRead, registry).await?;
        Ok(AccessPolicyView::of(&self.the_policy(record.registry.id, name).await?, registry))
    }

    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`].
    pub async fn update_policy(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        patch: AccessPolicyPatch,
        expected: Expected,
    ) -> Result<AccessPolicyView> {
        let (permit, record) = self.registry_for(actor, M::AccessPolicyWrite, registry).await?;
        let mut policy = self.the_policy(record.registry.id, name).await?;
        expected.check(policy.etag)?;
        let before = AccessPolicyView::of(&policy, registry);
        if let Some(text) = patch.text {
            check(&text)?;
            policy.document.text = text;
        }
        policy.document.enabled = patch.enabled.unwrap_or(policy.document.enabled);
        let detail = json!({"before": before, "after": AccessPolicyView::of(&policy, registry)});
        let write = [self.update(&policy)?];
        self.commit(&permit, actor, &write, deed("policy.update", registry, &policy.name, detail)).await?;
        Ok(AccessPolicyView::of(&self.the_policy(record.registry.id, name).await?, registry))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_policy(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        expected: Expected,
    ) -> Result<()> {
        let (permit, record) = self.registry_for(actor, M::AccessPolicyDelete, registry).await?;
        let policy = self.the_policy(record.registry.id, name).await?;
        expected.check(policy.etag)?;
        let detail = json!({"before": AccessPolicyView::of(&policy, registry)});
        let deed = deed("policy.delete", registry, &policy.name, detail);
        self.commit(&permit, actor, &[write::delete(&policy)], deed).await
    }

    /// # Errors
    /// The registry's.
    pub async fn check_policy(&self, actor: &Actor, registry: &RegistryName, text: &str) -> Result<PolicyCheck> {
        self.registry_for(actor, M::AccessPolicyRead, registry).await?;
        let message = check_policy(text).err().map(|error| error.to_string());
        Ok(PolicyCheck { valid: message.is_none(), message })
    }

    /// # Errors
    /// The registry's.
    pub async fn policy_schema(&self, actor: &Actor, registry: &RegistryName) -> Result<PolicySchema> {
        self.registry_for(actor, M::AccessPolicyRead, registry).await?;
        Ok(PolicySchema { schema: shorepass_access::policy::schema().to_owned() })
    }

    async fn the_policy(&self, registry: Uuid, said: &str) -> Result<Resource<AccessPolicy>> {
        let policy = self.either::<AccessPolicy>(registry, said).await?;
        policy.ok_or_else(|| ControlError::NotFound(format!("there is no policy `{}`", shown(said))))
    }
}

fn check(text: &str) -> Result<()> {
    check_policy(text).map_err(|error| ControlError::Invalid(error.to_string()))
}

fn deed<'a>(operation: &'a str, registry: &'a RegistryName, name: &str, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: Some(registry), target: format!("policy {name}"), detail }
}
