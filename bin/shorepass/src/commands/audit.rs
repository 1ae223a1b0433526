//! `shorepass audit`: what happened, who did it, and how it ended.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use shorepass_core::{Clock, EventKind, SystemClock, Timestamp};

use super::{form_urlencoded, items};
use crate::config::duration;
use crate::context::Context;
use crate::output::{self, Column, Format};

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Search the audit events; newest first
    Query(Query),
    /// Show the latest events, oldest first
    Tail(Tail),
}

#[derive(Debug, Args)]
struct Query {
    /// From then on: a time such as 2026-11-22T10:00:00Z, or how long ago, such as 1h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    filter: Filter,
    /// Show no more than this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Debug, Args)]
struct Tail {
    #[command(flatten)]
    filter: Filter,
    /// Begin with this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Go on as events happen
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Args)]
struct Filter {
    /// login, token, pull, push, delete, untag, denied or management
    #[arg(long)]
    kind: Option<EventKind>,
    /// How it ended
    #[arg(long)]
    outcome: Option<Ended>,
    /// Registry
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    /// Repository
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Who did it
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ended {
    Success,
    Failure,
}

const COLUMNS: &[Column] = &[
    Column::new("TIME", "/time"),
    Column::new("KIND", "/kind"),
    Column::new("OUTCOME", "/outcome"),
    Column::new("PRINCIPAL", "/principal"),
    Column::new("CREDENTIAL", "/credential"),
    Column::new("ORIGIN", "/origin"),
    Column::new("WHERE", "/where"),
    Column::new("WHAT", "/what"),
    Column::new("COUNT", "/count"),
    Column::new("REASON", "/reason"),
];

/// A time, or how long before now.
fn moment(text: &str) -> Result<Timestamp, String> {
    moment_by(&SystemClock, text)
}

fn moment_by(clock: &dyn Clock, text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = duration(text).map_err(|_| {
        format!(
            "`{text}` is neither a time such as `2026-11-22T10:00:00Z` nor how long ago, such as `90m`, `1h` or `7d`"
        )
    })?;
    Ok(clock.now().minus(ago))
}

impl Filter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let outcome = self.outcome.map(|outcome| match outcome {
            Ended::Success => "success".to_owned(),
            Ended::Failure => "failure".to_owned(),
        });
        let all = [
            ("kind", self.kind.map(|kind| kind.as_str().to_owned())),
            ("outcome", outcome),
            ("registry", self.registry.clone()),
            ("repository", self.repository.clone()),
            ("principal", self.principal.clone()),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Events, newest first.
async fn events(
    context: &Context,
    filter: &Filter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: u32,
) -> anyhow::Result<Value> {
    let mut pairs = filter.pairs();
    pairs.extend(since.map(|time| ("since", time.to_string())));
    pairs.extend(until.map(|time| ("until", time.to_string())));
    pairs.push(("limit", limit.to_string()));
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Ok(items(context.server()?.get(&format!("/api/v1/audit?{}", form_urlencoded(&pairs))).await?))
}

pub async fn run(args: AuditArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Query(query) => {
            let found = events(context, &query.filter, query.since, query.until, query.limit).await?;
            let found = if context.is_for_people() { for_people(found) } else { found };
            context.show(&found, COLUMNS)?;
        }
        Command::Tail(tail) => follow(&tail, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds `where` (registry and repository) and `what` (operation and target), which are two fields each.
fn for_people(mut events: Value) -> Value {
    for event in events.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let joined = |first: &str, second: &str, between: &str| {
            let parts: Vec<&str> = [first, second].iter().filter_map(|key| event.get(*key)?.as_str()).collect();
            parts.join(between)
        };
        let (place, what) = (joined("registry", "repository", "/"), joined("operation", "target", " "));
        event.insert("where".to_owned(), Value::String(place));
        event.insert("what".to_owned(), Value::String(what));
    }
    events
}

/// How often the server is asked for what is new.
const POLL: Duration = Duration::from_secs(1);
/// Events are written in batches, so one may appear after a later one: this far back is looked again.
const OVERLAP: Duration = Duration::from_secs(30);
/// How many events one look can find.
const LOOK: u32 = 1000;

async fn follow(tail: &Tail, context: &Context) -> anyhow::Result<()> {
    let mut seen: BTreeSet<(Timestamp, String)> = BTreeSet::new();
    let mut found = events(context, &tail.filter, None, None, tail.limit).await?;
    let mut start = SystemClock.now();
    loop {
        if context.is_for_people() {
            found = for_people(found);
        }
        for event in found.as_array().into_iter().flatten().rev() {
            let (Some(time), Some(id)) = (time_of(event), event.get("id").and_then(Value::as_str)) else { continue };
            if seen.insert((time, id.to_owned())) {
                context.printer.out(&line(event, context)?)?;
            }
        }
        if !tail.follow {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
        start = seen.last().map_or(start, |(time, _)| start.max(*time));
        let since = start.minus(OVERLAP);
        found = events(context, &tail.filter, Some(since), None, LOOK).await?;
        if found.as_array().is_some_and(|all| all.len() >= LOOK as usize) {
            context.printer.warn("too many events at once: some are not shown; `shorepass audit query` has them all");
        }
        seen.retain(|(time, _)| *time >= since);
    }
}

fn time_of(event: &Value) -> Option<Timestamp> {
    event.get("time")?.as_str()?.parse().ok()
}

/// One event on one line, whatever the format: events come one by one.
fn line(event: &Value, context: &Context) -> anyhow::Result<String> {
    if context.query.is_some() || context.format == Some(Format::Tsv) {
        return output::render(event, context.format.unwrap_or(Format::Tsv), context.query.as_deref());
    }
    if context.format == Some(Format::Json) {
        return Ok(serde_json::to_string(event)?);
    }
    let text = |key: &str| match event.get(key).and_then(Value::as_str) {
        None | Some("") => "-".to_owned(),
        Some(text) => output::clean(text),
    };
    let (time, kind, outcome) = (text("time"), text("kind"), text("outcome"));
    let (principal, origin, reason) = (text("principal"), text("origin"), text("reason"));
    let (place, what) = (text("where"), text("what"));
    Ok(format!("{time}  {kind:<10}  {outcome:<7}  {principal} from {origin}  {place}  {what}  {reason}"))
}

#[cfg(test)]
mod tests {
    use shorepass_core::time::TestClock;

    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("2026-11-22T10:00:00Z").unwrap().to_string(), "2026-11-22T10:00:00Z");
        let clock = TestClock::at(Timestamp::from_millis(1_795_311_000_123));
        let hour = clock.now().since(moment_by(&clock, "1h").unwrap());
        assert_eq!(hour, Duration::from_secs(3600));
        assert!(moment("yesterday").is_err());
    }
}
