//! `shorepass health`: whether the server of this data directory is well.

use std::process::ExitCode;

use serde_json::Value;

use crate::context::Context;
use crate::output::Column;

const CHECKS: &[Column] =
    &[Column::new("CHECK", "/name"), Column::new("STATUS", "/status"), Column::new("DETAIL", "/detail")];

/// Exit code 1 when it is degraded; that it cannot be reached is an error, and also 1.
pub async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let health = context.server()?.get("/api/v1/health").await?;
    if context.is_for_people() {
        context.show(health.get("checks").unwrap_or(&Value::Null), CHECKS)?;
    } else {
        context.show(&health, CHECKS)?;
    }
    let text = |key: &str| health.get(key).and_then(Value::as_str).unwrap_or("unknown");
    let summary = format!("shorepass {} at {}", text("version"), text("endpoint"));
    if text("status") == "ok" {
        context.printer.note(&format!("{summary} is well"));
        return Ok(ExitCode::SUCCESS);
    }
    context
        .printer
        .warn(&format!("{summary} is {}: see the checks that are not `ok`, and the server's log", text("status")));
    Ok(ExitCode::FAILURE)
}
