//! `shorepass registry`: the registries of this server.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{RegistryArgument, changes, given, whole_list};
use crate::context::Context;
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
    /// The identity that belongs to a registry and dies with it
    #[command(subcommand)]
    Identity(Identity),
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

/// How roles count at a registry (what-the-documents-say.md 2b).
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "kebab-case")]
enum RoleAssignmentMode {
    /// Roles at the registry and above
    Rbac,
    /// Roles at repositories too, with conditions; AcrPull, AcrPush and AcrDelete do not count
    RbacAbac,
}

impl RoleAssignmentMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rbac => "rbac",
            Self::RbacAbac => "rbac-abac",
        }
    }
}

/// What a registry can be given when it is made, and later.
#[derive(Debug, Args)]
struct Settings {
    /// Tier
    #[arg(long, ignore_case = true)]
    sku: Option<Sku>,
    /// How roles count here; a change ends every credential issued before it
    #[arg(long)]
    role_assignment_mode: Option<RoleAssignmentMode>,
    /// Whether tokens for management open the registry too
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    authentication_as_arm: Option<bool>,
    /// Whether requests are limited by tier
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    rate_limits: Option<bool>,
}

impl Settings {
    fn fields(&self) -> [(&'static str, Option<Value>); 4] {
        [
            ("sku", self.sku.map(|sku| json!(sku.as_str()))),
            ("roleAssignmentMode", self.role_assignment_mode.map(|mode| json!(mode.as_str()))),
            ("authenticationAsArm", self.authentication_as_arm.map(Value::Bool)),
            ("rateLimits", self.rate_limits.map(Value::Bool)),
        ]
    }
}

#[derive(Debug, Subcommand)]
enum Identity {
    /// Show it
    Show(RegistryArgument),
    /// Give the registry an identity
    Assign(RegistryArgument),
    /// Take it away, with the roles it has
    Remove(RegistryArgument),
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Resource group it lies in, by name or id
    #[arg(short = 'g', long, value_name = "GROUP")]
    resource_group: Option<String>,
    /// Subscription of the resource group, by name or id
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Whether the admin account can sign in
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    admin_enabled: Option<bool>,
    /// Whether everyone may pull without signing in
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    anonymous_pull_enabled: Option<bool>,
    #[command(flatten)]
    settings: Settings,
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
    let server = context.server()?;
    match args.command {
        Command::Create(create) => {
            let [sku, mode, as_arm, limits] = create.settings.fields();
            let body = given([
                ("name", Some(json!(create.registry.required()?))),
                ("resourceGroup", create.resource_group.map(Value::String)),
                ("subscription", create.subscription.map(Value::String)),
                sku,
                mode,
                as_arm,
                limits,
            ]);
            let made = server.post("/api/v1/registries", &body).await?;
            context.show(&made, COLUMNS)?;
        }
        Command::List => context.show(&whole_list(context, "/api/v1/registries", &[]).await?, COLUMNS)?,
        Command::Show(registry) => {
            context.show(&server.get(&format!("/api/v1/registries/{}", registry.or_default())).await?, COLUMNS)?;
        }
        Command::Update(update) => update_registry(&update, context).await?,
        Command::Delete(delete) => delete_registry(&delete, context).await?,
        Command::Identity(command) => identity(&command, context).await?,
        Command::CheckName(check) => return check_name(check, context).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn update_registry(update: &Update, context: &Context) -> anyhow::Result<()> {
    let [sku, mode, as_arm, limits] = update.settings.fields();
    let (admin, anonymous) = (update.admin_enabled, update.anonymous_pull_enabled);
    let fields = [
        ("adminEnabled", admin.map(Value::Bool)),
        ("anonymousPullEnabled", anonymous.map(Value::Bool)),
        sku,
        mode,
        as_arm,
        limits,
    ];
    let body = changes(fields, "what is to change, such as `--sku` or `--admin-enabled`")?;
    let name = update.registry.or_default();
    let changed = context.server()?.patch(&format!("/api/v1/registries/{name}"), &body).await?;
    context.show(&changed, COLUMNS)?;
    if update.admin_enabled == Some(true) {
        context.printer.note(&format!(
            "`shorepass admin renew -n {name} --password-name password` makes a password of the admin account and shows it once"
        ));
    }
    Ok(())
}

/// With `assign` and `remove` as `az acr identity` has them.
async fn identity(command: &Identity, context: &Context) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::new("TYPE", "/type"),
        Column::new("PRINCIPAL ID", "/principalId"),
        Column::new("TENANT ID", "/tenantId"),
    ];
    let (registry, kind) = match command {
        Identity::Show(registry) => (registry, None),
        Identity::Assign(registry) => (registry, Some("SystemAssigned")),
        Identity::Remove(registry) => (registry, Some("None")),
    };
    let path = format!("/api/v1/registries/{}/identity", registry.or_default());
    let answer = match kind {
        None => context.server()?.get(&path).await?,
        Some(kind) => context.server()?.put(&path, &json!({ "type": kind })).await?,
    };
    context.show(&answer, COLUMNS)
}

async fn delete_registry(delete: &Delete, context: &Context) -> anyhow::Result<()> {
    let name = delete.registry.required()?;
    let server = context.server()?;
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
    let answer = context.server()?.post("/api/v1/registries/check-name", &json!({ "name": name })).await?;
    context.show(&answer, ANSWER)?;
    let available = answer.get("nameAvailable").and_then(Value::as_bool).unwrap_or(false);
    Ok(if available { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
