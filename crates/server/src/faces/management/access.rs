//! Who may do what, and why.

use schemars::JsonSchema;
use serde::Serialize;
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

/// One that may do something, or one thing that somebody holds.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Entry {
    Who(WhoView),
    Holding(HoldingView),
}

/// Who can do an action at a resource; or, for a principal, all it holds.
pub async fn list(call: &Managing, (): ()) -> Answered<Listed<Entry>> {
    let query = &call.query;
    let value = match (query.get("resource"), query.get("principal")) {
        (Some(resource), None) => {
            let who = call.control().who_can(&call.actor, resource, &required(call, "action")?).await?;
            who.into_iter().map(Entry::Who).collect()
        }
        (None, principal) => {
            let tenant = query.get("tenant").unwrap_or(CURRENT_TENANT);
            let held = call.control().what_can(&call.actor, principal, tenant).await?;
            held.into_iter().map(Entry::Holding).collect()
        }
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request(
                "name a `resource` or a `principal`, and not both: `/access/explain` takes both",
            ));
        }
    };
    Ok(Listed { value, next: None })
}
