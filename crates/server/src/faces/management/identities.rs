//! Managed identities and their federated credentials.

use shorepass_control::{
    FederatedCredentialPatch, FederatedCredentialView, IdentityPatch, IdentityView, Listed, Made,
    NewFederatedCredential, NewIdentity, Owner,
};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn identity(call: &Managing) -> &str {
    call.parameter("identity")
}

fn owner(call: &Managing) -> Owner<'_> {
    Owner::Identity(identity(call))
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<IdentityView>> {
    Ok(call.control().identities(&call.actor, call.tenant(), &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewIdentity>) -> Answered<Made<IdentityView>> {
    Ok(call.control().create_identity(&call.actor, call.tenant(), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<IdentityView>> {
    Ok(Shown(call.control().identity(&call.actor, call.tenant(), identity(call)).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<IdentityPatch>) -> Answered<Shown<IdentityView>> {
    Ok(Shown(call.control().update_identity(&call.actor, call.tenant(), identity(call), patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_identity(&call.actor, call.tenant(), identity(call), call.expected).await?;
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
