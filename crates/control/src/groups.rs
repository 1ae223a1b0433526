//! Groups, and who is in them; groups can be in groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{Group, Membership, PrincipalKind, PrincipalRef};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::gate::shown;
use crate::principals::kind_name;
use crate::users::ExternalSubject;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewGroup {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// The provider's group whose members these are; the subject is what its groups claim says.
    pub external: Option<ExternalSubject>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupPatch {
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    pub external: Option<ExternalSubject>,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMember {
    /// An object id, a user name, an application id, `group:<name>` …
    pub member: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    /// Came from a provider's claims, and goes with them.
    pub external: bool,
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`]; [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_group(&self, actor: &Actor, tenant: &str, new: NewGroup) -> Result<Made<GroupView>> {
        let (permit, tenant) = self.tenant_for(actor, M::GroupWrite, tenant).await?;
        names::title("group", &new.name)?;
        names::text("the description", &new.description)?;
        let external = match &new.external {
            Some(external) => Some(self.external_identity(tenant.id, external).await?),
            None => None,
        };
        let document = Group { description: new.description, external };
        if let Some(there) = self.named::<Group>(tenant.id, &new.name).await? {
            if there.document == document {
                return Ok(Made { view: self.show_group(&there)?, new: false });
            }
            return Err(ControlError::Conflict(format!("the group `{}` exists already", there.name)));
        }
        let group = self.fresh(tenant.id, new.name, document);
        let view = self.show_group(&group)?;
        let deed = deed("group.create", &group, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&group)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// The tenant's.
    pub async fn groups(&self, actor: &Actor, tenant: &str, page: &Page) -> Result<Listed<GroupView>> {
        let (_, tenant) = self.tenant_for(actor, M::GroupRead, tenant).await?;
        let listed = self.listed::<Group>(tenant.id, page).await?;
        let value = listed.value.iter().map(|group| self.show_group(group)).collect::<Result<_>>()?;
        Ok(Listed { value, next: listed.next })
    }

    /// By name or id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn group(&self, actor: &Actor, tenant: &str, said: &str) -> Result<GroupView> {
        let (_, tenant) = self.tenant_for(actor, M::GroupRead, tenant).await?;
        self.show_group(&self.the_group(tenant.id, said).await?)
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn update_group(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: GroupPatch,
        expected: Expected,
    ) -> Result<GroupView> {
        let (permit, tenant) = self.tenant_for(actor, M::GroupWrite, tenant).await?;
        let mut group = self.the_group(tenant.id, said).await?;
        expected.check(group.etag)?;
        let before = self.show_group(&group)?;
        if let Some(description) = patch.description {
            names::text("the description", &description)?;
            group.document.description = description;
        }
        let detail = json!({"before": before, "after": self.show_group(&group)?});
        let write = [self.update(&group)?];
        self.commit(&permit, actor, &write, deed("group.update", &group, detail)).await?;
        self.show_group(&self.the_group(tenant.id, &group.id.to_string()).await?)
    }

    /// With its members' memberships, its own, and its roles.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for the last owner.
    pub async fn delete_group(&self, actor: &Actor, tenant: &str, said: &str, expected: Expected) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::GroupDelete, tenant).await?;
        let group = self.the_group(tenant.id, said).await?;
        expected.check(group.etag)?;
        let mut writes = self.trail(tenant.id, reference(&group)).await?;
        writes.extend(self.all::<Membership>(group.id, |_| true).await?.iter().map(write::delete));
        writes.push(write::delete(&group));
        let deed = deed("group.delete", &group, json!({"before": self.show_group(&group)?}));
        self.commit(&permit, actor, &writes, deed).await
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Invalid`] for a group that would be in itself, or a group whose members
    /// are a provider's.
    pub async fn add_member(
        &self,
        actor: &Actor,
        tenant: &str,
        group: &str,
        new: NewMember,
    ) -> Result<Made<MemberView>> {
        let (permit, tenant) = self.tenant_for(actor, M::GroupWrite, tenant).await?;
        let group = self.the_group(tenant.id, group).await?;
        let member = self.principal_named(tenant.id, &new.member).await?;
        if let Some(there) = self.named::<Membership>(group.id, &member.id.to_string()).await? {
            return Ok(Made { view: self.show_member(&there)?, new: false });
        }
        if group.document.external.is_some() && member.kind == PrincipalKind::User {
            return Err(ControlError::Invalid(format!(
                "the members of `{}` are the provider's: they come when they sign in",
                group.name
            )));
        }
        self.may_become(actor, tenant.id, reference(&group)).await?;
        let inside = self.directory.policy(|state| state.groups_of(reference(&group)))?;
        if member == reference(&group) || (member.kind == PrincipalKind::Group && inside.contains(&member.id)) {
            return Err(ControlError::Invalid("a group cannot be in itself, also not through others".to_owned()));
        }
        let membership = self.fresh(group.id, member.id.to_string(), Membership { member, external: false });
        let view = self.show_member(&membership)?;
        let deed = deed("group.member.add", &group, json!({"member": view}));
        self.commit(&permit, actor, &[write::create(&membership)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn members(&self, actor: &Actor, tenant: &str, group: &str, page: &Page) -> Result<Listed<MemberView>> {
        let (_, tenant) = self.tenant_for(actor, M::GroupRead, tenant).await?;
        let group = self.the_group(tenant.id, group).await?;
        let listed = self.listed::<Membership>(group.id, page).await?;
        let value = listed.value.iter().map(|member| self.show_member(member)).collect::<Result<_>>()?;
        Ok(Listed { value, next: listed.next })
    }

    /// Felt at once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn remove_member(&self, actor: &Actor, tenant: &str, group: &str, member: &str) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::GroupWrite, tenant).await?;
        let group = self.the_group(tenant.id, group).await?;
        let missing = || ControlError::NotFound(format!("`{}` is not in the group `{}`", shown(member), group.name));
        // Somebody deleted meanwhile is still removed by id.
        let id = match member.parse::<Uuid>() {
            Ok(id) if self.named::<Membership>(group.id, &id.to_string()).await?.is_some() => id,
            _ => self.principal_named(tenant.id, member).await?.id,
        };
        let membership = self.named::<Membership>(group.id, &id.to_string()).await?.ok_or_else(missing)?;
        let deed = deed("group.member.remove", &group, json!({"member": self.show_member(&membership)?}));
        self.commit(&permit, actor, &[write::delete(&membership)], deed).await
    }

    async fn the_group(&self, tenant: Uuid, said: &str) -> Result<Resource<Group>> {
        let group = self.either::<Group>(tenant, said).await?;
        group.ok_or_else(|| ControlError::NotFound(format!("there is no group `{}`", shown(said))))
    }

    fn show_group(&self, group: &Resource<Group>) -> Result<GroupView> {
        Ok(GroupView {
            id: group.id,
            name: group.name.clone(),
            description: group.document.description.clone(),
            external: self.show_external(group.document.external.as_ref())?,
            creation_date: group.created_at,
            updated_at: group.updated_at,
            etag: group.etag.to_string(),
        })
    }

    fn show_member(&self, membership: &Resource<Membership>) -> Result<MemberView> {
        let member = membership.document.member;
        let name = self.directory.policy(|state| state.name_of(member).map(str::to_owned))?;
        Ok(MemberView {
            id: member.id,
            kind: kind_name(member.kind).to_owned(),
            name,
            external: membership.document.external,
        })
    }
}

fn reference(group: &Resource<Group>) -> PrincipalRef {
    PrincipalRef { kind: PrincipalKind::Group, id: group.id }
}

fn deed<'a>(operation: &'a str, group: &Resource<Group>, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("group {}", group.name), detail }
}
