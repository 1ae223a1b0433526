//! Trusted issuers.

use shorepass_control::{IssuerPatch, IssuerView, Listed, Made, NewIssuer};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn issuer(call: &Managing) -> &str {
    call.parameter("issuer")
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<IssuerView>> {
    Ok(call.control().issuers(&call.actor, call.tenant(), &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewIssuer>) -> Answered<Made<IssuerView>> {
    Ok(call.control().create_issuer(&call.actor, call.tenant(), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<IssuerView>> {
    Ok(Shown(call.control().issuer(&call.actor, call.tenant(), issuer(call)).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<IssuerPatch>) -> Answered<Shown<IssuerView>> {
    Ok(Shown(call.control().update_issuer(&call.actor, call.tenant(), issuer(call), patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_issuer(&call.actor, call.tenant(), issuer(call), call.expected).await?;
    Ok(Gone)
}
