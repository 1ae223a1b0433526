//! Users.

use shorepass_control::{Listed, Made, NewUser, UserPatch, UserView};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

fn user(call: &Managing) -> &str {
    call.parameter("user")
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<UserView>> {
    Ok(call.control().users(&call.actor, call.tenant(), &call.page()?).await?)
}

pub async fn create(call: &Managing, Json(new): Json<NewUser>) -> Answered<Made<UserView>> {
    Ok(call.control().create_user(&call.actor, call.tenant(), new).await?)
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<UserView>> {
    Ok(Shown(call.control().user(&call.actor, call.tenant(), user(call)).await?))
}

pub async fn update(call: &Managing, Json(patch): Json<UserPatch>) -> Answered<Shown<UserView>> {
    Ok(Shown(call.control().update_user(&call.actor, call.tenant(), user(call), patch, call.expected).await?))
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    call.control().delete_user(&call.actor, call.tenant(), user(call), call.expected).await?;
    Ok(Gone)
}

pub async fn invite(call: &Managing, (): ()) -> Answered<Shown<UserView>> {
    Ok(Shown(call.control().invite_user(&call.actor, call.tenant(), user(call)).await?))
}
