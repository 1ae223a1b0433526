//! `shorepass identity`: managed identities, which have no secret, with the flags of `az identity`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{Name, TenantOption, segment};
use super::federated_credential::{self, FederatedCommand, Owner};
use super::{changes, given, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct IdentityArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an identity
    Create(Create),
    /// List the identities
    List(TenantOption),
    /// Show an identity
    Show(Target),
    /// Enable or disable an identity; effective at once
    Update(Update),
    /// Delete an identity with its roles
    Delete(Target),
    /// Outside issuers whose tokens sign in as it
    #[command(subcommand)]
    FederatedCredential(FederatedCommand<OwnerOption>),
}

#[derive(Debug, Args)]
struct Target {
    /// Identity, by name, object id or client id
    #[arg(short, long, visible_alias = "id")]
    name: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self) -> String {
        self.tenant.path(&format!("identities/{}", segment(self.name.as_str())))
    }
}

/// The identity, where `--name` is the federated credential's.
#[derive(Debug, Args)]
struct OwnerOption {
    /// Identity, by name, object id or client id
    #[arg(long, value_name = "NAME")]
    identity_name: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Owner for OwnerOption {
    fn federated_credentials(&self) -> String {
        self.tenant.path(&format!("identities/{}/federated-credentials", self.identity_name.segment()))
    }
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    target: Target,
    /// Resource group it lies in, by name or id
    #[arg(short = 'g', long, value_name = "NAME")]
    resource_group: Option<String>,
    /// Subscription of the resource group, by name or id
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// Whether it can sign in
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("CLIENT ID", "/clientId"),
    Column::new("PRINCIPAL ID", "/principalId"),
    Column::new("TYPE", "/type"),
    Column::new("RESOURCE GROUP", "/resourceGroup"),
    Column::new("ENABLED", "/enabled"),
];

pub async fn run(args: IdentityArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match args.command {
        Command::Create(new) => {
            let body = given([
                ("name", Some(json!(new.target.name.as_str()))),
                ("resourceGroup", new.resource_group.map(Value::String)),
                ("subscription", new.subscription.map(Value::String)),
            ]);
            context.show(&server.post(&new.target.tenant.path("identities"), &body).await?, COLUMNS)?;
        }
        Command::List(tenant) => context.show(&whole_list(context, &tenant.path("identities"), &[]).await?, COLUMNS)?,
        Command::Show(target) => context.show(&server.get(&target.path()).await?, COLUMNS)?,
        Command::Update(Update { target, enabled }) => {
            let body = changes([("enabled", enabled.map(Value::Bool))], "`--enabled`")?;
            context.show(&server.patch(&target.path(), &body).await?, COLUMNS)?;
        }
        Command::Delete(target) => server.delete(&target.path()).await?,
        Command::FederatedCredential(command) => federated_credential::run(command, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}
