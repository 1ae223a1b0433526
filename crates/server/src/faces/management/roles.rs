//! Roles and role assignments.

use http::StatusCode;
use shorepass_control::{
    AssignmentFilter, Listed, Made, NewRoleAssignment, NewRoleDefinition, RoleAssignmentPatch, RoleAssignmentView,
    RoleDefinitionPatch, RoleDefinitionView,
};
use uuid::Uuid;

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn role(call: &Managing) -> &str {
    call.parameter("role")
}

pub async fn list_definitions(call: &Managing, (): ()) -> Answered<Listed<RoleDefinitionView>> {
    let (name, custom) = (call.query.get("name"), call.flag("customOnly")?);
    Ok(call.control().role_definitions(&call.actor, call.tenant(), name, custom, &call.page()?).await?)
}

pub async fn create_definition(
    call: &Managing,
    Json(new): Json<NewRoleDefinition>,
) -> Answered<Made<RoleDefinitionView>> {
    Ok(call.control().create_role_definition(&call.actor, call.tenant(), new).await?)
}

pub async fn show_definition(call: &Managing, (): ()) -> Answered<Shown<RoleDefinitionView>> {
    Ok(Shown(call.control().role_definition(&call.actor, call.tenant(), role(call)).await?))
}

pub async fn update_definition(
    call: &Managing,
    Json(patch): Json<RoleDefinitionPatch>,
) -> Answered<Shown<RoleDefinitionView>> {
    let updated = call.control().update_role_definition(&call.actor, call.tenant(), role(call), patch, call.expected);
    Ok(Shown(updated.await?))
}

pub async fn delete_definition(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_role_definition(&call.actor, call.tenant(), role(call), call.expected).await?;
    Ok(Gone)
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<RoleAssignmentView>> {
    let text = |name| call.query.get(name).map(str::to_owned);
    let filter = AssignmentFilter {
        scope: text("scope"),
        tenant: text("tenant"),
        assignee: text("assignee"),
        role: text("role"),
        include_inherited: call.flag("includeInherited")?,
        include_groups: call.flag("includeGroups")?,
    };
    if filter.scope.is_some() && filter.tenant.is_some() {
        return Err(Problem::bad_request("name a `scope` or a `tenant`, and not both"));
    }
    Ok(call.control().role_assignments(&call.actor, &filter, &call.page()?).await?)
}

fn assignment(call: &Managing) -> Answered<Uuid> {
    let said = call.parameter("assignment");
    said.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "a role assignment is named by its id"))
}

pub async fn create(call: &Managing, Json(new): Json<NewRoleAssignment>) -> Answered<Made<RoleAssignmentView>> {
    Ok(call.control().create_role_assignment(&call.actor, new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<RoleAssignmentView>> {
    Ok(Shown(call.control().role_assignment(&call.actor, assignment(call)?).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<RoleAssignmentPatch>) -> Answered<Shown<RoleAssignmentView>> {
    Ok(Shown(call.control().update_role_assignment(&call.actor, assignment(call)?, patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_role_assignment(&call.actor, assignment(call)?, call.expected).await?;
    Ok(Gone)
}
