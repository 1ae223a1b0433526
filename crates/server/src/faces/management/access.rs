//! Who may do what, and why.

use shorepass_control::{CURRENT_TENANT, ExplainQuery, ExplanationView, HoldingView, Listed, WhoAmI, WhoView};

use super::reply::Shown;
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

pub async fn me(call: &Managing, (): ()) -> Answered<Shown<WhoAmI>> {
    Ok(Shown(call.control().who_am_i(&call.actor).await?))
}

fn required(call: &Managing, name: &str) -> Answered<String> {
    let value = call.query.get(name).filter(|value| !value.is_empty());
    value.map(str::to_owned).ok_or_else(|| Problem::bad_request(format!("name the `{name}`")))
}

pub async fn explain(call: &Managing, (): ()) -> Answered<Shown<ExplanationView>> {
    let query = ExplainQuery {
        principal: call.query.get("principal").map(str::to_owned),
        action: required(call, "action")?,
        resource: required(call, "resource")?,
        from: call.read("from", "an IP address")?,
    };
    Ok(Shown(call.control().explain(&call.actor, &query).await?))
}

pub async fn who(call: &Managing, (): ()) -> Answered<Listed<WhoView>> {
    let (resource, action) = (required(call, "resource")?, required(call, "action")?);
    let value = call.control().who_can(&call.actor, &resource, &action).await?;
    Ok(Listed { value, next: None })
}

pub async fn holdings(call: &Managing, (): ()) -> Answered<Listed<HoldingView>> {
    let tenant = call.query.get("tenant").unwrap_or(CURRENT_TENANT);
    let value = call.control().what_can(&call.actor, call.query.get("principal"), tenant).await?;
    Ok(Listed { value, next: None })
}
