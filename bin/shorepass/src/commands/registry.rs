//! `shorepass registry`: the registries of this server.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{RegistryArgument, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct RegistryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a registry
    Create(Create),
    /// List the registries
    List,
    /// Show a registry
    Show(RegistryArgument),
    /// Change a registry
    Update(Update),
    /// Delete a registry and all that is in it
    Delete(Delete),
    /// Tell whether a name can be given to a new registry
    CheckName(CheckName),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Sku {
    Basic,
    Standard,
    Premium,
}

impl Sku {
    fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Premium => "Premium",
        }
    }
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Tier
    #[arg(long, ignore_case = true)]
    sku: Option<Sku>,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Tier
    #[arg(long, ignore_case = true)]
    sku: Option<Sku>,
    /// Whether the admin account can sign in
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    admin_enabled: Option<bool>,
    /// Whether everyone may pull without signing in
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    anonymous_pull_enabled: Option<bool>,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct CheckName {
    /// The name
    #[arg(value_name = "NAME", id = "positional_name", required_unless_present = "name")]
    positional: Option<String>,
    /// The same, as an option
    #[arg(short = 'n', long = "name", value_name = "NAME", id = "name", conflicts_with = "positional_name")]
    option: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("LOGIN SERVER", "/loginServer"),
    Column::new("SKU", "/sku"),
    Column::new("ADMIN", "/adminEnabled"),
    Column::new("ANONYMOUS PULL", "/anonymousPullEnabled"),
    Column::new("CREATED", "/creationDate"),
];

pub async fn run(args: RegistryArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server();
    match args.command {
        Command::Create(create) => {
            let mut body = Map::from_iter([("name".to_owned(), json!(create.registry.required()?))]);
            body.extend(create.sku.map(|sku| ("sku".to_owned(), json!(sku.as_str()))));
            let made = server.post("/api/v1/registries", &Value::Object(body)).await?;
            context.show(&made, COLUMNS)?;
        }
        Command::List => context.show(&whole_list(context, "/api/v1/registries", &[]).await?, COLUMNS)?,
        Command::Show(registry) => {
            context.show(&server.get(&format!("/api/v1/registries/{}", registry.or_default())).await?, COLUMNS)?;
        }
        Command::Update(update) => update_registry(&update, context).await?,
        Command::Delete(delete) => delete_registry(&delete, context).await?,
        Command::CheckName(check) => return check_name(check, context).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn update_registry(update: &Update, context: &Context) -> anyhow::Result<()> {
    let changes = [
        ("sku", update.sku.map(|sku| json!(sku.as_str()))),
        ("adminEnabled", update.admin_enabled.map(Value::Bool)),
        ("anonymousPullEnabled", update.anonymous_pull_enabled.map(Value::Bool)),
    ];
    let body: Map<String, Value> =
        changes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    if body.is_empty() {
        return Err(CliError::usage("there is nothing to change")
            .hint("give `--sku`, `--admin-enabled` or `--anonymous-pull-enabled`")
            .into());
    }
    let name = update.registry.or_default();
    let changed = context.server().patch(&format!("/api/v1/registries/{name}"), &Value::Object(body)).await?;
    context.show(&changed, COLUMNS)?;
    if update.admin_enabled == Some(true) {
        context.printer.note(&format!(
            "`shorepass admin renew -n {name} --password-name password` makes a password of the admin account and shows it once"
        ));
    }
    Ok(())
}

async fn delete_registry(delete: &Delete, context: &Context) -> anyhow::Result<()> {
    let name = delete.registry.required()?;
    let server = context.server();
    let path = format!("/api/v1/registries/{name}");
    // A name that is not there is told before the question is asked.
    server.get(&path).await?;
    context.confirm(delete.yes, &format!("delete the registry `{name}` and every image in it?"))?;
    let _busy = context.printer.busy("deleting the registry");
    server.delete(&path).await?;
    Ok(())
}

/// Exit code 1 when the name cannot be had, so that scripts need no parsing.
async fn check_name(check: CheckName, context: &Context) -> anyhow::Result<ExitCode> {
    const ANSWER: &[Column] = &[
        Column::new("AVAILABLE", "/nameAvailable"),
        Column::new("REASON", "/reason"),
        Column::new("MESSAGE", "/message"),
    ];
    let name = check.positional.or(check.option).unwrap_or_default();
    let answer = context.server().post("/api/v1/registries/check-name", &json!({ "name": name })).await?;
    context.show(&answer, ANSWER)?;
    let available = answer.get("nameAvailable").and_then(Value::as_bool).unwrap_or(false);
    Ok(if available { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
