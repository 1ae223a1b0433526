//! Federated credentials, of applications and of managed identities.

use shorepass_control::{
    FederatedCredentialPatch, FederatedCredentialView, Listed, Made, NewFederatedCredential, Owner,
};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

/// Whose they are: the path says which kind it names.
fn owner(call: &Managing) -> Owner<'_> {
    if call.route.template().contains("{identity}") {
        Owner::Identity(call.parameter("identity"))
    } else {
        Owner::ServicePrincipal(call.parameter("servicePrincipal"))
    }
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<FederatedCredentialView>> {
    Ok(call.control().federated_credentials(&call.actor, call.tenant(), owner(call), &call.page()?).await?)
}

pub async fn create(
    call: &Managing,
    Json(new): Json<NewFederatedCredential>,
) -> Answered<Made<FederatedCredentialView>> {
    Ok(call.control().create_federated_credential(&call.actor, call.tenant(), owner(call), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<FederatedCredentialView>> {
    let name = call.parameter("credential");
    Ok(Shown(call.control().federated_credential(&call.actor, call.tenant(), owner(call), name).await?))
}

pub async fn update(
    call: &Managing,
    Json(patch): Json<FederatedCredentialPatch>,
) -> Answered<Shown<FederatedCredentialView>> {
    let (control, name) = (call.control(), call.parameter("credential"));
    let updated =
        control.update_federated_credential(&call.actor, call.tenant(), owner(call), name, patch, call.expected);
    Ok(Shown(updated.await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    let (control, name) = (call.control(), call.parameter("credential"));
    control.delete_federated_credential(&call.actor, call.tenant(), owner(call), name, call.expected).await?;
    Ok(Gone)
}
