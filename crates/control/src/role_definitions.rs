//! Roles: the built-in ones, and a tenant's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::{ManagementAction as M, Role, built_in_role, built_in_roles};
use shorepass_core::directory::{RoleAssignment, RoleDefinition};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::gate::shown;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

/// Roles of its own that a tenant can have (Azure's number).
const MOST: i64 = 5000;

/// Actions are named one by one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRoleDefinition {
    pub role_name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub actions: Vec<String>,
    #[serde(default)]
    pub data_actions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleDefinitionPatch {
    pub description: Option<String>,
    pub actions: Option<Vec<String>>,
    pub data_actions: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum RoleType {
    BuiltInRole,
    CustomRole,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleDefinitionView {
    pub id: Uuid,
    pub role_name: String,
    #[serde(rename = "type")]
    pub kind: RoleType,
    pub description: String,
    pub actions: Vec<String>,
    pub not_actions: Vec<String>,
    pub data_actions: Vec<String>,
    /// None for built-in roles, which never change.
    pub etag: Option<String>,
}

impl RoleDefinitionView {
    fn built_in(role: &Role) -> Self {
        Self {
            id: role.id,
            role_name: role.name.clone(),
            kind: RoleType::BuiltInRole,
            description: role.description.clone(),
            actions: role.actions.clone(),
            not_actions: role.not_actions.clone(),
            data_actions: role.data_actions.clone(),
            etag: None,
        }
    }

    fn custom(role: &Resource<RoleDefinition>) -> Self {
        Self {
            id: role.id,
            role_name: role.name.clone(),
            kind: RoleType::CustomRole,
            description: role.document.description.clone(),
            actions: role.document.actions.clone(),
            not_actions: Vec::new(),
            data_actions: role.document.data_actions.clone(),
            etag: Some(role.etag.to_string()),
        }
    }
}

/// A role that can be assigned in a tenant.
pub(crate) enum Known {
    BuiltIn(&'static Role),
    Custom(Resource<RoleDefinition>),
}

impl Known {
    pub fn role(&self) -> Result<Role> {
        match self {
            Self::BuiltIn(role) => Ok((*role).clone()),
            Self::Custom(row) => Role::custom(row.id, &row.name, &row.document)
                .map_err(|error| ControlError::Conflict(format!("the role `{}` grants nothing: {error}", row.name))),
        }
    }

    fn view(&self) -> RoleDefinitionView {
        match self {
            Self::BuiltIn(role) => RoleDefinitionView::built_in(role),
            Self::Custom(row) => RoleDefinitionView::custom(row),
        }
    }
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`] for a wildcard or an unknown action; [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_role_definition(
        &self,
        actor: &Actor,
        tenant: &str,
        new: NewRoleDefinition,
    ) -> Result<Made<RoleDefinitionView>> {
        let (permit, tenant) = self.tenant_for(actor, M::RoleDefinitionWrite, tenant).await?;
        names::title("role", &new.role_name)?;
        let document =
            RoleDefinition { description: new.description, actions: new.actions, data_actions: new.data_actions };
        check(&document)?;
        if built_in_named(&new.role_name).is_some() {
            return Err(ControlError::Conflict(format!("`{}` is a built-in role: choose another name", new.role_name)));
        }
        if let Some(there) = self.named::<RoleDefinition>(tenant.id, &new.role_name).await? {
            if there.document == document {
                return Ok(Made { view: RoleDefinitionView::custom(&there), new: false });
            }
            return Err(ControlError::Conflict(format!(
                "the role `{}` exists already: `shorepass role definition update` changes it",
                there.name
            )));
        }
        if self.store.count_resources("role_definition", tenant.id).await? >= MOST {
            return Err(ControlError::Conflict(format!("a tenant has at most {MOST} roles of its own: delete some")));
        }
        let role = self.fresh(tenant.id, new.role_name, document);
        let view = RoleDefinitionView::custom(&role);
        let deed = deed("role-definition.create", &role.name, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&role)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// Built-in roles and the tenant's own, by name.
    ///
    /// # Errors
    /// The tenant's.
    pub async fn role_definitions(
        &self,
        actor: &Actor,
        tenant: &str,
        name: Option<&str>,
        custom_only: bool,
        page: &Page,
    ) -> Result<Listed<RoleDefinitionView>> {
        let (_, tenant) = self.tenant_for(actor, M::RoleDefinitionRead, tenant).await?;
        let custom = self.all::<RoleDefinition>(tenant.id, |_| true).await?;
        let built_in = built_in_roles().iter().filter(|_| !custom_only).map(RoleDefinitionView::built_in);
        let mut all: Vec<_> = built_in.chain(custom.iter().map(RoleDefinitionView::custom)).collect();
        all.retain(|role| name.is_none_or(|name| role.role_name.eq_ignore_ascii_case(name)));
        Ok(Listed::page(all, page, |role| role.role_name.to_ascii_lowercase()))
    }

    /// By name or id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn role_definition(&self, actor: &Actor, tenant: &str, said: &str) -> Result<RoleDefinitionView> {
        let (_, tenant) = self.tenant_for(actor, M::RoleDefinitionRead, tenant).await?;
        Ok(self.role_named(tenant.id, said).await?.view())
    }

    /// Felt at once by everybody who holds it.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`]; [`ControlError::Conflict`] for a built-in role.
    pub async fn update_role_definition(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: RoleDefinitionPatch,
        expected: Expected,
    ) -> Result<RoleDefinitionView> {
        let (permit, tenant) = self.tenant_for(actor, M::RoleDefinitionWrite, tenant).await?;
        let mut role = self.changeable_role(tenant.id, said, expected).await?;
        let before = RoleDefinitionView::custom(&role);
        let document = &mut role.document;
        document.description = patch.description.unwrap_or_else(|| document.description.clone());
        document.actions = patch.actions.unwrap_or_else(|| document.actions.clone());
        document.data_actions = patch.data_actions.unwrap_or_else(|| document.data_actions.clone());
        check(document)?;
        let detail = json!({"before": before, "after": RoleDefinitionView::custom(&role)});
        let write = [self.update(&role)?];
        self.commit(&permit, actor, &write, deed("role-definition.update", &role.name, detail)).await?;
        Ok(self.role_named(tenant.id, &role.id.to_string()).await?.view())
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for a built-in role, or one that is assigned.
    pub async fn delete_role_definition(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        expected: Expected,
    ) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::RoleDefinitionDelete, tenant).await?;
        let role = self.changeable_role(tenant.id, said, expected).await?;
        let users = self.all::<RoleAssignment>(tenant.id, |assignment| assignment.document.role == role.id).await?;
        if !users.is_empty() {
            return Err(ControlError::Conflict(format!(
                "the role `{}` is assigned {} times: `shorepass role assignment delete` takes it away",
                role.name,
                users.len()
            )));
        }
        let deed = deed("role-definition.delete", &role.name, json!({"before": RoleDefinitionView::custom(&role)}));
        self.commit(&permit, actor, &[write::delete(&role)], deed).await
    }

    pub(crate) async fn role_named(&self, tenant: Uuid, said: &str) -> Result<Known> {
        let built_in = said.parse().map_or_else(|_| built_in_named(said), built_in_role);
        if let Some(role) = built_in {
            return Ok(Known::BuiltIn(role));
        }
        let custom = self.either::<RoleDefinition>(tenant, said).await?;
        let missing = || ControlError::NotFound(format!("there is no role `{}`", shown(said)));
        custom.map(Known::Custom).ok_or_else(missing)
    }

    async fn changeable_role(&self, tenant: Uuid, said: &str, expected: Expected) -> Result<Resource<RoleDefinition>> {
        match self.role_named(tenant, said).await? {
            Known::Custom(role) => {
                expected.check(role.etag)?;
                Ok(role)
            }
            Known::BuiltIn(role) => {
                Err(ControlError::Conflict(format!("`{}` is a built-in role, and never changes", role.name)))
            }
        }
    }
}

fn built_in_named(name: &str) -> Option<&'static Role> {
    built_in_roles().iter().find(|role| role.name.eq_ignore_ascii_case(name))
}

fn check(definition: &RoleDefinition) -> Result<()> {
    names::text("the description", &definition.description)?;
    let role = Role::custom(Uuid::nil(), "", definition);
    role.map(drop).map_err(|error| ControlError::Invalid(error.to_string()))
}

fn deed<'a>(operation: &'a str, name: &str, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("role {name}"), detail }
}
