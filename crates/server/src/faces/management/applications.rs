//! Service principals, their secrets and certificates.

use http::StatusCode;
use shorepass_control::{
    CredentialView, Listed, Made, NewCredential, NewCredentialView, NewServicePrincipal, ServicePrincipalPatch,
    ServicePrincipalView,
};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn application(call: &Managing) -> &str {
    call.parameter("servicePrincipal")
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
