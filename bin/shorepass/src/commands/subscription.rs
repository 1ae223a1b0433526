//! `shorepass subscription`: what resource groups and registries belong to.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::{Name, NameArgument, TenantOption, Yes};
use super::{delete, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct SubscriptionArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a subscription
    Create(Target),
    /// List the subscriptions of a tenant
    List(TenantOption),
    /// Show a subscription
    Show(Target),
    /// Give a subscription another name
    Update(Update),
    /// Delete a subscription that has no resource groups
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    subscription: NameArgument,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self) -> String {
        self.tenant.path(&format!("subscriptions/{}", self.subscription.segment()))
    }
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// Its new name
    #[arg(long, value_name = "NAME")]
    new_name: Name,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    yes: Yes,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("ID", "/id"),
    Column::new("TENANT", "/tenant"),
    Column::new("CREATED", "/creationDate"),
];

pub async fn run(args: SubscriptionArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    let answer = match args.command {
        Command::Create(new) => {
            let body = json!({ "name": new.subscription.as_str() });
            server.post(&new.tenant.path("subscriptions"), &body).await?
        }
        Command::List(tenant) => whole_list(context, &tenant.path("subscriptions"), &[]).await?,
        Command::Show(target) => server.get(&target.path()).await?,
        Command::Update(Update { target, new_name }) => {
            server.patch(&target.path(), &json!({ "name": new_name.as_str() })).await?
        }
        Command::Delete(Delete { target, yes }) => {
            let question = format!("delete the subscription `{}`?", target.subscription.as_str());
            delete(context, &target.path(), yes.yes, &question).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    context.show(&answer, COLUMNS)?;
    Ok(ExitCode::SUCCESS)
}
