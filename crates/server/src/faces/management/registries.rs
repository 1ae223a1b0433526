//! Registries, their admin accounts and identities, and the operator's own sessions.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shorepass_control::{
    AdminAccount, DEFAULT_REGISTRY, Listed, Located, Made, NameAvailability, NewRegistry, PasswordName,
    RegistryIdentity, RegistryIdentityView, RegistryPatch, RoleAssignmentModeName, TierName,
};
use shorepass_core::Timestamp;
use shorepass_store::rows::{RoleAssignmentMode, Tier};
use uuid::Uuid;

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};
use crate::hosts::HostMatch;

type Answered<T> = Result<T, Problem>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Name {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renewal {
    password_name: PasswordName,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionRequest {
    /// Where the session is for, when the registry has several names.
    login_server: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    refresh_token: String,
    login_server: String,
    /// Seconds.
    expires_in: u64,
    endpoint: String,
    ca_file: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryView {
    id: Uuid,
    name: String,
    login_server: String,
    #[schemars(with = "TierName")]
    sku: Tier,
    admin_enabled: bool,
    anonymous_pull_enabled: bool,
    #[schemars(with = "RoleAssignmentModeName")]
    role_assignment_mode: RoleAssignmentMode,
    authentication_as_arm: bool,
    rate_limits: bool,
    resource_group: String,
    subscription_id: Uuid,
    /// The tenant's GUID.
    tenant_id: Uuid,
    #[schemars(with = "String")]
    creation_date: Timestamp,
    #[schemars(with = "String")]
    updated_at: Timestamp,
    etag: String,
}

pub async fn create(call: &Managing, Json(new): Json<NewRegistry>) -> Answered<Made<RegistryView>> {
    let made = call.control().create_registry(&call.actor, new).await?;
    Ok(Made { view: view(call, &made.view), new: made.new })
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<RegistryView>> {
    let listed = call.control().registries(&call.actor, &call.page()?).await?;
    Ok(Listed { value: listed.value.iter().map(|located| view(call, located)).collect(), next: listed.next })
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<RegistryView>> {
    let located = call.control().registry(&call.actor, &call.registry()?).await?;
    Ok(Shown(view(call, &located)))
}

pub async fn update(call: &Managing, Json(patch): Json<RegistryPatch>) -> Answered<Shown<RegistryView>> {
    let located = call.control().update_registry(&call.actor, &call.registry()?, patch, call.expected).await?;
    Ok(Shown(view(call, &located)))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_registry(&call.actor, &call.registry()?, call.expected).await?;
    Ok(Gone)
}

pub async fn check_name(call: &Managing, Json(asked): Json<Name>) -> Answered<Shown<NameAvailability>> {
    Ok(Shown(call.control().check_name(&call.actor, &asked.name).await?))
}

pub async fn admin(call: &Managing, (): ()) -> Answered<Shown<AdminAccount>> {
    Ok(Shown(call.control().admin(&call.actor, &call.registry()?).await?))
}

pub async fn enable_admin(call: &Managing, (): ()) -> Answered<Shown<AdminAccount>> {
    Ok(Shown(call.control().enable_admin(&call.actor, &call.registry()?).await?))
}

pub async fn disable_admin(call: &Managing, (): ()) -> Answered<Shown<AdminAccount>> {
    Ok(Shown(call.control().disable_admin(&call.actor, &call.registry()?).await?))
}

pub async fn renew_admin(call: &Managing, Json(renewal): Json<Renewal>) -> Answered<Shown<AdminAccount>> {
    Ok(Shown(call.control().renew_admin(&call.actor, &call.registry()?, renewal.password_name).await?))
}

pub async fn identity(call: &Managing, (): ()) -> Answered<Shown<RegistryIdentityView>> {
    Ok(Shown(call.control().registry_identity(&call.actor, &call.registry()?).await?))
}

pub async fn set_identity(
    call: &Managing,
    Json(wanted): Json<RegistryIdentity>,
) -> Answered<Shown<RegistryIdentityView>> {
    Ok(Shown(call.control().set_registry_identity(&call.actor, &call.registry()?, wanted).await?))
}

/// A session for the local operator; the login server may be any of the names the registry is reached by.
pub async fn refresh_token(call: &Managing, Json(request): Json<SessionRequest>) -> Answered<Shown<Session>> {
    let (name, front) = (call.registry()?, &call.app.front);
    let reached = request.login_server.unwrap_or_else(|| front.authority.clone());
    let ours = match front.hosts.resolve(Some(&reached), &front.origin) {
        HostMatch::Registry(named) => named == name,
        HostMatch::Default => name.as_str() == DEFAULT_REGISTRY || front.has_domain,
        HostMatch::Foreign => false,
    };
    if !ours {
        let problem = Problem::new(StatusCode::BAD_REQUEST, format!("`{reached}` is not a login server of `{name}`"));
        return Err(problem.hint(format!("`shorepass registry show -n {name}` shows its login server")));
    }
    let login_server = front.hosts.login_server(&name, &reached, &front.origin);
    let session = call.control().operator_session(&call.actor, &name, &login_server).await?;
    let base = front.hosts.base(&reached, &front.origin);
    let scheme = base.split_once("://").map_or("https", |(scheme, _)| scheme);
    Ok(Shown(Session {
        refresh_token: session.refresh_token,
        expires_in: session.expires_in,
        endpoint: format!("{scheme}://{login_server}"),
        ca_file: front.ca_file.as_ref().map(|path| path.display().to_string()),
        login_server,
    }))
}

fn view(call: &Managing, located: &Located) -> RegistryView {
    let (registry, front) = (&located.record.registry, &call.app.front);
    let settings = &registry.settings;
    RegistryView {
        id: registry.id,
        name: registry.name.to_string(),
        login_server: front.hosts.login_server(&registry.name, &front.authority, &front.origin),
        sku: registry.tier,
        admin_enabled: settings.admin_enabled,
        anonymous_pull_enabled: settings.anonymous_pull_enabled,
        role_assignment_mode: settings.role_assignment_mode,
        authentication_as_arm: settings.authentication_as_arm,
        rate_limits: settings.rate_limits,
        resource_group: located.resource_group.clone(),
        subscription_id: located.record.subscription_id,
        tenant_id: located.tenant_guid,
        creation_date: registry.created_at,
        updated_at: registry.updated_at,
        etag: registry.etag.to_string(),
    }
}
