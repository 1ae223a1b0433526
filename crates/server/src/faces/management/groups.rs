//! Groups and their members.

use shorepass_control::{GroupPatch, GroupView, Listed, Made, MemberView, NewGroup, NewMember};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn group(call: &Managing) -> &str {
    call.parameter("group")
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<GroupView>> {
    Ok(call.control().groups(&call.actor, call.tenant(), &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewGroup>) -> Answered<Made<GroupView>> {
    Ok(call.control().create_group(&call.actor, call.tenant(), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<GroupView>> {
    Ok(Shown(call.control().group(&call.actor, call.tenant(), group(call)).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<GroupPatch>) -> Answered<Shown<GroupView>> {
    Ok(Shown(call.control().update_group(&call.actor, call.tenant(), group(call), patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_group(&call.actor, call.tenant(), group(call), call.expected).await?;
    Ok(Gone)
}

pub async fn members(call: &Managing, (): ()) -> Answered<Listed<MemberView>> {
    Ok(call.control().members(&call.actor, call.tenant(), group(call), &call.page()?).await?)
}

pub async fn add(call: &Managing, Json(new): Json<NewMember>) -> Answered<Made<MemberView>> {
    Ok(call.control().add_member(&call.actor, call.tenant(), group(call), new).await?)
}

pub async fn remove(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().remove_member(&call.actor, call.tenant(), group(call), call.parameter("member")).await?;
    Ok(Gone)
}
