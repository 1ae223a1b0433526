//! Service principals, their secrets and certificates, and their federated credentials.

use http::StatusCode;
use shorepass_control::{
    CredentialView, FederatedCredentialPatch, FederatedCredentialView, Listed, Made, NewCredential, NewCredentialView,
    NewFederatedCredential, NewServicePrincipal, Owner, ServicePrincipalPatch, ServicePrincipalView,
};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn application(call: &Managing) -> &str {
    call.parameter("servicePrincipal")
}

fn owner(call: &Managing) -> Owner<'_> {
    Owner::ServicePrincipal(application(call))
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<ServicePrincipalView>> {
    let name = call.query.get("displayName");
    Ok(call.control().service_principals(&call.actor, call.tenant(), name, &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewServicePrincipal>) -> Answered<Made<ServicePrincipalView>> {
    Ok(call.control().create_service_principal(&call.actor, call.tenant(), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<ServicePrincipalView>> {
    Ok(Shown(call.control().service_principal(&call.actor, call.tenant(), application(call)).await?))
}

pub async fn update(
    call: &Managing,
    Json(patch): Json<ServicePrincipalPatch>,
) -> Answered<Shown<ServicePrincipalView>> {
    let (control, application) = (call.control(), application(call));
    let updated = control.update_service_principal(&call.actor, call.tenant(), application, patch, call.expected);
    Ok(Shown(updated.await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_service_principal(&call.actor, call.tenant(), application(call), call.expected).await?;
    Ok(Gone)
}

pub async fn credentials(call: &Managing, (): ()) -> Answered<Listed<CredentialView>> {
    Ok(call.control().credentials(&call.actor, call.tenant(), application(call), &call.page()?).await?)
}

pub async fn add_credential(call: &Managing, Json(new): Json<NewCredential>) -> Answered<Made<NewCredentialView>> {
    let view = call.control().add_credential(&call.actor, call.tenant(), application(call), new).await?;
    Ok(Made { view, new: true })
}

pub async fn delete_credential(call: &Managing, (): ()) -> Answered<Gone> {
    let said = call.parameter("credential");
    let key = said.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such credential"))?;
    call.control().delete_credential(&call.actor, call.tenant(), application(call), key).await?;
    Ok(Gone)
}

pub async fn list_trusts(call: &Managing, (): ()) -> Answered<Listed<FederatedCredentialView>> {
    Ok(call.control().federated_credentials(&call.actor, call.tenant(), owner(call), &call.page()?).await?)
}

pub async fn create_trust(
    call: &Managing,
    Json(new): Json<NewFederatedCredential>,
) -> Answered<Made<FederatedCredentialView>> {
    Ok(call.control().create_federated_credential(&call.actor, call.tenant(), owner(call), new).await?)
}

pub async fn show_trust(call: &Managing, (): ()) -> Answered<Shown<FederatedCredentialView>> {
    let name = call.parameter("credential");
    Ok(Shown(call.control().federated_credential(&call.actor, call.tenant(), owner(call), name).await?))
}

pub async fn update_trust(
    call: &Managing,
    Json(patch): Json<FederatedCredentialPatch>,
) -> Answered<Shown<FederatedCredentialView>> {
    let (control, name) = (call.control(), call.parameter("credential"));
    let updated =
        control.update_federated_credential(&call.actor, call.tenant(), owner(call), name, patch, call.expected);
    Ok(Shown(updated.await?))
}

pub async fn delete_trust(call: &Managing, (): ()) -> Answered<Gone> {
    let (control, name) = (call.control(), call.parameter("credential"));
    control.delete_federated_credential(&call.actor, call.tenant(), owner(call), name, call.expected).await?;
    Ok(Gone)
}
