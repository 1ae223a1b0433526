//! Audit, health and signing keys.

use std::str::FromStr;

use http::StatusCode;
use serde_json::json;
use shorepass_core::{EventKind, Outcome, Timestamp};
use shorepass_identity::KeyInfo;
use shorepass_store::AuditQuery;

use super::{Managing, Problem, list};
use crate::respond::{self, Answer};

/// Most events in one answer, and how many when nothing is asked.
const MAX_EVENTS: u32 = 10_000;
const EVENTS: u32 = 100;

pub async fn audit(call: &Managing) -> Result<Answer, Problem> {
    let text = |name| call.query.get(name).map(str::to_owned);
    let query = AuditQuery {
        since: read::<Timestamp>(call, "since", "a time such as 2026-11-22T10:00:00Z")?,
        until: read::<Timestamp>(call, "until", "a time such as 2026-11-22T10:00:00Z")?,
        kind: read::<EventKind>(call, "kind", "login, token, pull, push, delete, untag, denied or management")?,
        outcome: match call.query.get("outcome") {
            None => None,
            Some("success") => Some(Outcome::Success),
            Some("failure") => Some(Outcome::Failure),
            Some(_) => return Err(wrong("outcome", "success or failure")),
        },
        registry: text("registry"),
        repository: text("repository"),
        principal: text("principal"),
        after: read(call, "after", "an event's id")?,
        limit: read(call, "limit", "a number")?.unwrap_or(EVENTS).min(MAX_EVENTS),
    };
    let events = call.app.recorder.table().query(&query).await?;
    Ok(list(events.iter().map(|event| json!(event)).collect()))
}

pub async fn health(call: &Managing) -> Result<Answer, Problem> {
    let report = call.app.health.report().await;
    let status = if report.healthy() { "ok" } else { "degraded" };
    Ok(respond::json(
        StatusCode::OK,
        &json!({
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "endpoint": call.app.front.endpoint,
            "caFile": call.app.front.ca_file,
            "checks": &*report.checks,
        }),
    ))
}

pub fn keys(keys: &[KeyInfo]) -> Answer {
    list(keys.iter().map(|key| json!(key)).collect())
}

fn read<T: FromStr>(call: &Managing, name: &str, form: &str) -> Result<Option<T>, Problem> {
    let text = call.query.get(name).filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| wrong(name, form))).transpose()
}

fn wrong(name: &str, form: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("`{name}` must be {form}"))
}
