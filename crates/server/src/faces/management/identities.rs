//! Managed identities.

use shorepass_control::{IdentityPatch, IdentityView, Listed, Made, NewIdentity};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn identity(call: &Managing) -> &str {
    call.parameter("identity")
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
