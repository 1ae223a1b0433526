//! `shorepass access`: who may do what, and why.

mod policy;

use std::net::IpAddr;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use super::{form_urlencoded, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct AccessArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether somebody may do something, and why; exit code 1 when not
    Explain(Explain),
    /// List what somebody may do, or who may do something
    List(List),
    /// Rules of a registry, written in Cedar, on top of roles and scope maps
    #[command(subcommand)]
    Policy(policy::Command),
}

const PRINCIPAL: &str = "Who: an id, a user name, an application id, or `user:NAME`, `sp:APPID`, `identity:NAME`, `token:REGISTRY/NAME`, `admin:REGISTRY`, `anonymous`";

#[derive(Debug, Args)]
struct Explain {
    #[arg(long, help = format!("{PRINCIPAL} (default: you)"))]
    principal: Option<String>,
    /// What: content/read, content/write, content/delete, metadata/read, metadata/write, catalog/list, or a management action
    #[arg(long)]
    action: String,
    /// Where: /registries/R/repositories/NAME, /registries/R, /subscriptions/S ...
    #[arg(long, visible_alias = "scope", value_name = "SCOPE")]
    resource: String,
    /// From which address
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("about").required(true).args(["principal", "resource"]))]
struct List {
    #[arg(long, help = PRINCIPAL)]
    principal: Option<String>,
    /// Where: /registries/R/repositories/NAME, or /registries/R for catalog/list
    #[arg(long, visible_alias = "scope", value_name = "SCOPE")]
    resource: Option<String>,
    /// What somebody may do there
    #[arg(long, default_value = "content/read", conflicts_with = "principal")]
    action: String,
}

const MATCHED: &[Column] = &[
    Column::new("BY", "/kind"),
    Column::new("NAME", "/name"),
    Column::new("SCOPE", "/scope"),
    Column::new("WHY", "/why"),
];
const HELD: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("SCOPE", "/scope"),
    Column::new("THROUGH GROUP", "/group"),
    Column::new("CONDITION", "/condition"),
    Column::new("ACTIONS", "/actions"),
];
const WHO: &[Column] =
    &[Column::new("PRINCIPAL", "/principal"), Column::new("NAME", "/name"), Column::new("WHY", "/why")];

pub async fn run(args: AccessArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Explain(explain) => return tell(&explain, context).await,
        Command::List(list) => match (&list.principal, &list.resource) {
            (Some(principal), _) => {
                context.show(&whole_list(context, LIST, &[("principal", principal)]).await?, HELD)?;
            }
            (None, resource) => {
                let pairs = [("resource", resource.as_deref().unwrap_or_default()), ("action", list.action.as_str())];
                let who = whole_list(context, LIST, &pairs).await?;
                context.show(&if context.is_for_people() { for_people(who) } else { who }, WHO)?;
            }
        },
        Command::Policy(command) => return policy::run(command, context).await,
    }
    Ok(ExitCode::SUCCESS)
}

const LIST: &str = "/api/v1/access/list";

/// Adds `why`: what the reasons say, as one text.
fn for_people(mut who: Value) -> Value {
    for one in who.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let reasons = one.get("matched").and_then(Value::as_array).into_iter().flatten();
        let why: Vec<&str> = reasons.filter_map(|reason| reason.get("why")?.as_str()).collect();
        let why = why.join("; ");
        one.insert("why".to_owned(), Value::String(why));
    }
    who
}

async fn tell(explain: &Explain, context: &Context) -> anyhow::Result<ExitCode> {
    let from = explain.from.map(|address| address.to_string());
    let mut pairs = vec![("action", explain.action.as_str()), ("resource", explain.resource.as_str())];
    pairs.extend(explain.principal.as_deref().map(|principal| ("principal", principal)));
    pairs.extend(from.as_deref().map(|address| ("from", address)));
    let answer = context.server()?.get(&format!("/api/v1/access/explain?{}", form_urlencoded(&pairs))).await?;
    let allowed = answer.get("allowed").and_then(Value::as_bool).unwrap_or(false);
    if context.is_for_people() {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(crate::output::clean);
        let reason = text("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
        context.printer.out(&format!("{}{reason}", if allowed { "allowed" } else { "denied" }))?;
        context.show(answer.get("matched").unwrap_or(&Value::Null), MATCHED)?;
        if let Some(change) = text("change") {
            context.printer.hint(&change);
        }
    } else {
        context.show(&answer, MATCHED)?;
    }
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
