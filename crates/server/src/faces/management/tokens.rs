//! Scope maps, repository tokens and access policies of a registry.

use shorepass_control::{
    AccessPolicyPatch, AccessPolicyView, Listed, Made, NewAccessPolicy, NewScopeMap, NewToken, NewTokenPasswords,
    PolicyCheck, PolicySchema, PolicyText, ScopeMapPatch, ScopeMapView, TokenPasswords, TokenPatch, TokenView,
};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn map(call: &Managing) -> &str {
    call.parameter("scopeMap")
}

pub async fn list_maps(call: &Managing, (): ()) -> Answered<Listed<ScopeMapView>> {
    Ok(call.control().scope_maps(&call.actor, &call.registry()?, &call.page()?).await?)
}

pub async fn create_map(call: &Managing, Json(new): Json<NewScopeMap>) -> Answered<Made<ScopeMapView>> {
    Ok(call.control().create_scope_map(&call.actor, &call.registry()?, new).await?)
}

pub async fn show_map(call: &Managing, (): ()) -> Answered<Shown<ScopeMapView>> {
    Ok(Shown(call.control().scope_map(&call.actor, &call.registry()?, map(call)).await?))
}

pub async fn update_map(call: &Managing, Json(patch): Json<ScopeMapPatch>) -> Answered<Shown<ScopeMapView>> {
    let registry = call.registry()?;
    Ok(Shown(call.control().update_scope_map(&call.actor, &registry, map(call), patch, call.expected).await?))
}

pub async fn delete_map(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_scope_map(&call.actor, &call.registry()?, map(call), call.expected).await?;
    Ok(Gone)
}

fn token(call: &Managing) -> &str {
    call.parameter("token")
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<TokenView>> {
    Ok(call.control().tokens(&call.actor, &call.registry()?, &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewToken>) -> Answered<Made<TokenView>> {
    Ok(call.control().create_token(&call.actor, &call.registry()?, new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<TokenView>> {
    Ok(Shown(call.control().token(&call.actor, &call.registry()?, token(call)).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<TokenPatch>) -> Answered<Shown<TokenView>> {
    let registry = call.registry()?;
    Ok(Shown(call.control().update_token(&call.actor, &registry, token(call), patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_token(&call.actor, &call.registry()?, token(call), call.expected).await?;
    Ok(Gone)
}

pub async fn generate(call: &Managing, Json(new): Json<NewTokenPasswords>) -> Answered<Shown<TokenPasswords>> {
    let registry = call.registry()?;
    Ok(Shown(call.control().generate_token_passwords(&call.actor, &registry, token(call), new).await?))
}

pub async fn delete_password(call: &Managing, (): ()) -> Answered<Gone> {
    let (registry, name) = (call.registry()?, call.parameter("password").parse()?);
    call.control().delete_token_password(&call.actor, &registry, token(call), name).await?;
    Ok(Gone)
}

fn policy(call: &Managing) -> &str {
    call.parameter("policy")
}

pub async fn policy_schema(call: &Managing, (): ()) -> Answered<Shown<PolicySchema>> {
    Ok(Shown(call.control().policy_schema(&call.actor, &call.registry()?).await?))
}

pub async fn check_policy(call: &Managing, Json(asked): Json<PolicyText>) -> Answered<Shown<PolicyCheck>> {
    Ok(Shown(call.control().check_policy(&call.actor, &call.registry()?, &asked.text).await?))
}

pub async fn list_policies(call: &Managing, (): ()) -> Answered<Listed<AccessPolicyView>> {
    Ok(call.control().policies(&call.actor, &call.registry()?, &call.page()?).await?)
}

pub async fn create_policy(call: &Managing, Json(new): Json<NewAccessPolicy>) -> Answered<Made<AccessPolicyView>> {
    Ok(call.control().create_policy(&call.actor, &call.registry()?, new).await?)
}

pub async fn show_policy(call: &Managing, (): ()) -> Answered<Shown<AccessPolicyView>> {
    Ok(Shown(call.control().policy(&call.actor, &call.registry()?, policy(call)).await?))
}

pub async fn update_policy(call: &Managing, Json(patch): Json<AccessPolicyPatch>) -> Answered<Shown<AccessPolicyView>> {
    let registry = call.registry()?;
    Ok(Shown(call.control().update_policy(&call.actor, &registry, policy(call), patch, call.expected).await?))
}

pub async fn delete_policy(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_policy(&call.actor, &call.registry()?, policy(call), call.expected).await?;
    Ok(Gone)
}
