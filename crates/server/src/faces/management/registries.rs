//! Registries, their admin accounts, and the operator's own sessions.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shorepass_control::{DEFAULT_REGISTRY, PasswordName, RegistryPatch};
use shorepass_core::RegistryName;
use shorepass_store::rows::{RegistryRecord, Tier};

use super::{Managing, Problem, list as listed};
use crate::hosts::HostMatch;
use crate::respond::{self, Answer};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRegistry {
    name: String,
    sku: Option<Tier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renewal {
    password_name: PasswordName,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionRequest {
    login_server: Option<String>,
}

pub async fn create(call: &Managing, new: NewRegistry) -> Result<Answer, Problem> {
    let name: RegistryName =
        new.name.parse().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("{error}")))?;
    let tier = new.sku.unwrap_or(Tier::Premium);
    let record = call.app.control.create_registry(&call.permit, &call.actor, name, tier).await?;
    Ok(respond::json(StatusCode::CREATED, &view(call, &record)))
}

pub async fn list(call: &Managing) -> Result<Answer, Problem> {
    let records = call.app.control.registries(&call.permit).await?;
    Ok(listed(records.iter().map(|record| view(call, record)).collect()))
}

pub async fn show(call: &Managing, name: &RegistryName) -> Result<Answer, Problem> {
    let record = call.app.control.registry(&call.permit, name).await?;
    Ok(respond::json(StatusCode::OK, &view(call, &record)))
}

pub async fn update(call: &Managing, name: &RegistryName, patch: RegistryPatch) -> Result<Answer, Problem> {
    let record = call.app.control.update_registry(&call.permit, &call.actor, name, patch).await?;
    Ok(respond::json(StatusCode::OK, &view(call, &record)))
}

pub async fn delete(call: &Managing, name: &RegistryName) -> Result<Answer, Problem> {
    call.app.control.delete_registry(&call.permit, &call.actor, name).await?;
    Ok(respond::status(StatusCode::NO_CONTENT))
}

pub async fn check_name(call: &Managing, asked: Name) -> Result<Answer, Problem> {
    let availability = call.app.control.check_name(&call.permit, &asked.name).await?;
    Ok(respond::json(StatusCode::OK, &availability))
}

pub async fn admin(call: &Managing, name: &RegistryName) -> Result<Answer, Problem> {
    let account = call.app.control.admin(&call.permit, name).await?;
    Ok(respond::json(StatusCode::OK, &account))
}

pub async fn admin_switch(call: &Managing, name: &RegistryName, enable: bool) -> Result<Answer, Problem> {
    let control = &call.app.control;
    let account = if enable {
        control.enable_admin(&call.permit, &call.actor, name).await?
    } else {
        control.disable_admin(&call.permit, &call.actor, name).await?
    };
    Ok(respond::json(StatusCode::OK, &account))
}

pub async fn admin_renew(call: &Managing, name: &RegistryName, renewal: Renewal) -> Result<Answer, Problem> {
    let which = renewal.password_name;
    let account = call.app.control.renew_admin(&call.permit, &call.actor, name, which).await?;
    Ok(respond::json(StatusCode::OK, &account))
}

/// A session for the local operator; the login server may be any of the names the registry is reached by.
pub async fn refresh_token(call: &Managing, name: &RegistryName, request: SessionRequest) -> Result<Answer, Problem> {
    let front = &call.app.front;
    let reached = request.login_server.unwrap_or_else(|| front.authority.clone());
    let ours = match front.hosts.resolve(Some(&reached), &front.origin) {
        HostMatch::Registry(named) => named == *name,
        HostMatch::Default => name.as_str() == DEFAULT_REGISTRY || front.has_domain,
        HostMatch::Foreign => false,
    };
    if !ours {
        let problem = Problem::new(StatusCode::BAD_REQUEST, format!("`{reached}` is not a login server of `{name}`"));
        return Err(problem.hint(format!("`shorepass registry show -n {name}` shows its login server")));
    }
    let login_server = front.hosts.login_server(name, &reached, &front.origin);
    let session = call.app.control.operator_session(&call.permit, &call.actor, name, &login_server).await?;
    let base = front.hosts.base(&reached, &front.origin);
    let scheme = base.split_once("://").map_or("https", |(scheme, _)| scheme);
    Ok(respond::json(
        StatusCode::OK,
        &json!({
            "refreshToken": session.refresh_token,
            "loginServer": login_server,
            "expiresIn": session.expires_in,
            "endpoint": format!("{scheme}://{login_server}"),
            "caFile": front.ca_file,
        }),
    ))
}

fn view(call: &Managing, record: &RegistryRecord) -> Value {
    let (registry, front) = (&record.registry, &call.app.front);
    json!({
        "id": registry.id,
        "name": registry.name,
        "loginServer": front.hosts.login_server(&registry.name, &front.authority, &front.origin),
        "sku": registry.tier,
        "adminEnabled": registry.settings.admin_enabled,
        "anonymousPullEnabled": registry.settings.anonymous_pull_enabled,
        "resourceGroup": registry.resource_group_id,
        "creationDate": registry.created_at,
        "updatedAt": registry.updated_at,
        "etag": registry.etag.to_string(),
    })
}
