//! Audit, health and signing keys.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shorepass_control::Listed;
use shorepass_core::{EventKind, Outcome, Timestamp};
use shorepass_identity::KeyInfo;
use shorepass_store::AuditQuery;

use super::reply::Shown;
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

/// Most events in one answer, and how many when nothing is asked.
const MAX_EVENTS: u32 = 10_000;
const EVENTS: u32 = 100;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthView {
    /// `ok` or `degraded`.
    status: &'static str,
    version: &'static str,
    endpoint: String,
    ca_file: Option<String>,
    /// For the local operator; nobody else is told of the server's inside.
    checks: Vec<Value>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    kid: String,
    algorithm: String,
    #[schemars(with = "String")]
    created_at: Value,
    #[schemars(with = "String")]
    active_at: Value,
    #[schemars(with = "Option<String>")]
    retired_at: Value,
}

/// Of one registry, for who may read its audit; of the whole server, for the local operator.
pub async fn audit(call: &Managing, (): ()) -> Answered<Listed<Value>> {
    let text = |name| call.query.get(name).map(str::to_owned);
    let query = AuditQuery {
        since: call.read::<Timestamp>("since", "a time such as 2026-11-22T10:00:00Z")?,
        until: call.read::<Timestamp>("until", "a time such as 2026-11-22T10:00:00Z")?,
        kind: call.read::<EventKind>("kind", "login, token, pull, push, delete, untag, denied or management")?,
        outcome: match call.query.get("outcome") {
            None => None,
            Some("success") => Some(Outcome::Success),
            Some("failure") => Some(Outcome::Failure),
            Some(_) => return Err(Problem::bad_request("`outcome` must be success or failure")),
        },
        registry: text("registry"),
        repository: text("repository"),
        principal: text("principal"),
        after: call.read("after", "an event's id")?,
        limit: call.read("limit", "a number")?.unwrap_or(EVENTS).min(MAX_EVENTS),
    };
    call.control().may_read_audit(&call.actor, query.registry.as_deref()).await?;
    let events = call.app.recorder.table().query(&query).await?;
    Ok(Listed { value: events.iter().map(|event| json!(event)).collect(), next: None })
}

pub async fn health(call: &Managing, (): ()) -> Answered<Shown<HealthView>> {
    let (report, front) = (call.app.health.report().await, &call.app.front);
    let operator = call.is_operator();
    Ok(Shown(HealthView {
        status: if report.healthy() { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        endpoint: front.endpoint.clone(),
        ca_file: front.ca_file.as_ref().filter(|_| operator).map(|path| path.display().to_string()),
        checks: report.checks.iter().filter(|_| operator).map(|check| json!(check)).collect(),
    }))
}

pub async fn keys(call: &Managing, (): ()) -> Answered<Listed<KeyView>> {
    Ok(listed(&call.control().signing_keys(&call.actor)?))
}

pub async fn rotate(call: &Managing, (): ()) -> Answered<Listed<KeyView>> {
    Ok(listed(&call.control().rotate_keys(&call.actor).await?))
}

fn listed(keys: &[KeyInfo]) -> Listed<KeyView> {
    let view = |key: &KeyInfo| KeyView {
        kid: key.kid.clone(),
        algorithm: key.algorithm.clone(),
        created_at: json!(key.created_at),
        active_at: json!(key.active_at),
        retired_at: json!(key.retired_at),
    };
    Listed { value: keys.iter().map(view).collect(), next: None }
}
