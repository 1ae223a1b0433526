//! Role assignments: who holds which role where.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use shorepass_access::policy::{Grantee, ManagementAction as M, check_assignment};
use shorepass_access::{Denial, Permit};
use shorepass_core::Timestamp;
use shorepass_core::directory::{AssignmentScope, PrincipalRef, RoleAssignment};
use shorepass_store::resources::{Resource, Write};
use shorepass_store::rows::RegistryRecord;
use uuid::Uuid;

use crate::gate::{Allowed, Place};
use crate::principals::kind_name;
use crate::scopes::{Located, Tenancy, upward};
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRoleAssignment {
    /// Name or id.
    pub role: String,
    /// An object id, a user name, an application id …
    pub assignee: String,
    pub scope: String,
    /// In version 2.0 of the language of conditions.
    pub condition: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleAssignmentPatch {
    /// Null takes the condition away.
    #[serde(deserialize_with = "present")]
    #[schemars(required)]
    pub condition: Option<String>,
}

/// A field that must be there, and may be null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Which assignments to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentFilter {
    /// Everything in the tenant when none is named.
    pub scope: Option<String>,
    pub tenant: Option<String>,
    pub assignee: Option<String>,
    pub role: Option<String>,
    /// Those of the scopes above too.
    pub include_inherited: bool,
    /// Those the assignee has through groups too.
    pub include_groups: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignmentView {
    pub id: Uuid,
    pub scope: String,
    pub role_definition_id: Uuid,
    pub role_definition_name: Option<String>,
    pub principal_id: Uuid,
    pub principal_type: String,
    pub principal_name: Option<String>,
    pub condition: Option<String>,
    pub condition_version: Option<String>,
    pub created_by: String,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    pub etag: String,
}

/// What is granted, or taken.
struct Grant {
    located: Located,
    role: Uuid,
    principal: PrincipalRef,
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`] for a condition or a scope that the role does not take; [`ControlError::NotFound`];
    /// [`ControlError::Forbidden`] for who may not grant this role to this principal there.
    pub async fn create_role_assignment(
        &self,
        actor: &Actor,
        new: NewRoleAssignment,
    ) -> Result<Made<RoleAssignmentView>> {
        let located = self.locate(actor, &new.scope).await?;
        // Whoever may not assign anything there shall not learn who and what exists by trying.
        self.may_ask(actor, &located)?;
        let role = self.role_named(located.tenant, &new.role).await?.role()?;
        let principal = self.principal_named(located.tenant, &new.assignee).await?;
        let grant = Grant { located, role: role.id, principal };
        let permit = self.may_assign(actor, M::RoleAssignmentWrite, &grant)?;
        check_assignment(&role, &grant.located.place.scope, new.condition.as_deref())
            .map_err(|error| ControlError::Invalid(error.to_string()))?;
        let scope = grant.located.place.scope.clone();
        let document = RoleAssignment {
            role: role.id,
            principal,
            scope,
            condition: new.condition,
            created_by: actor.principal().id(),
        };
        if let Some(there) = self.same_assignment(grant.located.tenant, &document).await? {
            return Ok(Made { view: self.show_assignment(&there).await?, new: false });
        }
        let mut assignment = self.fresh(grant.located.tenant, "", document);
        assignment.name = assignment.id.to_string();
        let view = self.show_assignment(&assignment).await?;
        let deed = self.deed("role-assignment.create", &assignment, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&assignment)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// The same role for the same principal at the same scope is one assignment; its condition is changed, not doubled.
    async fn same_assignment(&self, tenant: Uuid, wanted: &RoleAssignment) -> Result<Option<Resource<RoleAssignment>>> {
        let found = self.directory.policy(|state| {
            let mut at = state.assignments_at(&wanted.scope);
            at.find(|a| {
                a.parent == tenant && a.document.role == wanted.role && a.document.principal == wanted.principal
            })
            .map(|assignment| (**assignment).clone())
        })?;
        match found {
            Some(there) if there.document.condition != wanted.condition => Err(ControlError::Conflict(format!(
                "the role is assigned there already, with another condition: `shorepass role assignment update --id {}` changes it",
                there.id
            ))),
            other => Ok(other),
        }
    }

    /// # Errors
    /// The scope's, the tenant's.
    pub async fn role_assignments(
        &self,
        actor: &Actor,
        filter: &AssignmentFilter,
        page: &Page,
    ) -> Result<Listed<RoleAssignmentView>> {
        let tenancy = self.tenancy().await?;
        let (tenant, scopes) = match &filter.scope {
            Some(scope) => {
                let located = self.locate(actor, scope).await?;
                self.allow(actor, M::RoleAssignmentRead, &located.place)?;
                let own = vec![located.place.scope.clone()];
                let record = self.record_of(&located.place.scope)?;
                let scopes = if filter.include_inherited { upward(record.as_deref(), &tenancy, &located) } else { own };
                (located.tenant, Some(scopes))
            }
            None => {
                let said = filter.tenant.as_deref().unwrap_or(crate::CURRENT_TENANT);
                (self.tenant_for(actor, M::RoleAssignmentRead, said).await?.1.id, None)
            }
        };
        let holders = self.holders(tenant, filter).await?;
        let role = match &filter.role {
            Some(role) => Some(self.role_named(tenant, role).await?.role()?.id),
            None => None,
        };
        let keep = |assignment: &Resource<RoleAssignment>| {
            let document = &assignment.document;
            role.is_none_or(|role| role == document.role)
                && holders.as_ref().is_none_or(|holders| holders.contains(&document.principal))
                && assignment.parent == tenant
        };
        let found: Vec<Resource<RoleAssignment>> = match &scopes {
            Some(scopes) => self.directory.policy(|state| {
                let all = scopes.iter().flat_map(|scope| state.assignments_at(scope));
                all.filter(|assignment| keep(assignment)).map(|assignment| (**assignment).clone()).collect()
            })?,
            None => self.all::<RoleAssignment>(tenant, keep).await?,
        };
        let listed = Listed::page(found, page, |assignment| assignment.id.to_string());
        let views = listed.value.iter().map(|assignment| self.view(&tenancy, assignment)).collect::<Result<_>>()?;
        Ok(Listed { value: views, next: listed.next })
    }

    async fn holders(&self, tenant: Uuid, filter: &AssignmentFilter) -> Result<Option<Vec<PrincipalRef>>> {
        use shorepass_core::directory::PrincipalKind::Group;
        let Some(assignee) = &filter.assignee else { return Ok(None) };
        let one = self.principal_named(tenant, assignee).await?;
        let mut all = vec![one];
        if filter.include_groups {
            let groups = self.directory.policy(|state| state.groups_of(one))?;
            all.extend(groups.into_iter().map(|id| PrincipalRef { kind: Group, id }));
        }
        Ok(Some(all))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn role_assignment(&self, actor: &Actor, id: Uuid) -> Result<RoleAssignmentView> {
        let assignment = self.readable(actor, id).await?;
        self.show_assignment(&assignment).await
    }

    /// Changes the condition, and nothing else: whatever else is another assignment.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`], [`ControlError::Forbidden`].
    pub async fn update_role_assignment(
        &self,
        actor: &Actor,
        id: Uuid,
        patch: RoleAssignmentPatch,
        expected: Expected,
    ) -> Result<RoleAssignmentView> {
        let mut assignment = self.readable(actor, id).await?;
        let permit = self.may_assign(actor, M::RoleAssignmentWrite, &grant_of(&assignment))?;
        expected.check(assignment.etag)?;
        let role = self.role_named(assignment.parent, &assignment.document.role.to_string()).await?.role()?;
        check_assignment(&role, &assignment.document.scope, patch.condition.as_deref())
            .map_err(|error| ControlError::Invalid(error.to_string()))?;
        let mut writes = Vec::new();
        if patch.condition.is_some() && assignment.document.condition.is_none() {
            writes.extend(self.keep_an_owner(assignment.parent, &[assignment.id]).await?);
        }
        let before = self.show_assignment(&assignment).await?;
        assignment.document.condition = patch.condition;
        let detail = json!({"before": before, "after": self.show_assignment(&assignment).await?});
        writes.push(self.update(&assignment)?);
        let deed = self.deed("role-assignment.update", &assignment, detail);
        self.commit(&permit, actor, &writes, deed).await?;
        self.role_assignment(actor, id).await
    }

    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Forbidden`]; [`ControlError::Conflict`] for the last owner.
    pub async fn delete_role_assignment(&self, actor: &Actor, id: Uuid, expected: Expected) -> Result<()> {
        let assignment = self.readable(actor, id).await?;
        let permit = self.may_assign(actor, M::RoleAssignmentDelete, &grant_of(&assignment))?;
        expected.check(assignment.etag)?;
        let mut writes: Vec<Write> = self.keep_an_owner(assignment.parent, &[assignment.id]).await?;
        writes.push(write::delete(&assignment));
        let detail = json!({"before": self.show_assignment(&assignment).await?});
        let deed = self.deed("role-assignment.delete", &assignment, detail);
        self.commit(&permit, actor, &writes, deed).await
    }

    /// One that the caller may see; what he may not is not there.
    async fn readable(&self, actor: &Actor, id: Uuid) -> Result<Resource<RoleAssignment>> {
        let missing = || ControlError::NotFound(format!("there is no role assignment `{id}`"));
        let row = self.store.resource(id).await?.filter(|row| row.kind == "role_assignment").ok_or_else(missing)?;
        let assignment = Resource::<RoleAssignment>::read(&row)?;
        match self.allow(actor, M::RoleAssignmentRead, &grant_of(&assignment).located.place) {
            Ok(_) => Ok(assignment),
            Err(ControlError::Forbidden(_) | ControlError::NotFound(_)) => Err(missing()),
            Err(other) => Err(other),
        }
    }

    fn may_ask(&self, actor: &Actor, located: &Located) -> Result<()> {
        self.allow(actor, M::RoleAssignmentRead, &located.place).map(drop)
    }

    fn may_assign(&self, actor: &Actor, action: M, grant: &Grant) -> Result<Allowed> {
        let place = &grant.located.place;
        let grantee = Grantee { role: grant.role, principal: grant.principal };
        let asked: std::result::Result<Permit<_, _>, _> =
            self.authoriser.assign_role(&actor.requester, action, &place.scope, &grantee);
        asked.map_err(|denial| match denial {
            Denial::Forbidden => self.refusal(actor, action, place),
            other => other.into(),
        })
    }

    fn record_of(&self, scope: &AssignmentScope) -> Result<Option<std::sync::Arc<RegistryRecord>>> {
        match scope {
            AssignmentScope::Registry { id } | AssignmentScope::Repository { registry: id, .. } => {
                Ok(self.directory.by_id(*id)?)
            }
            _ => Ok(None),
        }
    }

    async fn show_assignment(&self, assignment: &Resource<RoleAssignment>) -> Result<RoleAssignmentView> {
        self.view(&self.tenancy().await?, assignment)
    }

    fn view(&self, tenancy: &Tenancy, assignment: &Resource<RoleAssignment>) -> Result<RoleAssignmentView> {
        let document = &assignment.document;
        let (role, name) = self.directory.policy(|state| {
            let role = state.role(document.role).map(|role| role.name.clone());
            (role, state.name_of(document.principal).map(str::to_owned))
        })?;
        Ok(RoleAssignmentView {
            id: assignment.id,
            scope: self.scope_text(tenancy, &document.scope)?,
            role_definition_id: document.role,
            role_definition_name: role,
            principal_id: document.principal.id,
            principal_type: kind_name(document.principal.kind).to_owned(),
            principal_name: name,
            condition: document.condition.clone(),
            condition_version: document.condition.as_ref().map(|_| "2.0".to_owned()),
            created_by: document.created_by.clone(),
            creation_date: assignment.created_at,
            etag: assignment.etag.to_string(),
        })
    }

    fn deed<'a>(
        &self,
        operation: &'a str,
        assignment: &Resource<RoleAssignment>,
        detail: serde_json::Value,
    ) -> Deed<'a> {
        Deed { operation, registry: None, target: format!("role_assignment {}", assignment.id), detail }
    }
}

fn grant_of(assignment: &Resource<RoleAssignment>) -> Grant {
    let document = &assignment.document;
    let place = Place { scope: document.scope.clone(), said: "scope of the role assignment".to_owned() };
    Grant { located: Located { place, tenant: assignment.parent }, role: document.role, principal: document.principal }
}
