//! `shorepass resource-group`: folders of a subscription, in which registries and identities lie.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::{Name, TenantOption, Yes, segment};
use super::{delete, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct ResourceGroupArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a resource group
    Create(Target),
    /// List the resource groups of a subscription
    List(Place),
    /// Show a resource group
    Show(Target),
    /// Give a resource group another name
    Update(Update),
    /// Delete a resource group in which nothing is left
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Place {
    /// Subscription, by name or id
    #[arg(long, default_value = "default")]
    subscription: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Place {
    fn path(&self, rest: &str) -> String {
        self.tenant.path(&format!("subscriptions/{}/resource-groups{rest}", self.subscription.segment()))
    }
}

#[derive(Debug, Args)]
struct Target {
    /// Resource group
    #[arg(short, long, visible_alias = "resource-group", visible_short_alias = 'g')]
    name: Name,
    #[command(flatten)]
    place: Place,
}

impl Target {
    fn path(&self) -> String {
        self.place.path(&format!("/{}", segment(self.name.as_str())))
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
    Column::new("SUBSCRIPTION", "/subscriptionId"),
    Column::new("CREATED", "/creationDate"),
];

pub async fn run(args: ResourceGroupArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    let answer = match args.command {
        Command::Create(new) => server.post(&new.place.path(""), &json!({ "name": new.name.as_str() })).await?,
        Command::List(place) => whole_list(context, &place.path(""), &[]).await?,
        Command::Show(target) => server.get(&target.path()).await?,
        Command::Update(Update { target, new_name }) => {
            server.patch(&target.path(), &json!({ "name": new_name.as_str() })).await?
        }
        Command::Delete(Delete { target, yes }) => {
            let question = format!("delete the resource group `{}`?", target.name.as_str());
            delete(context, &target.path(), yes.yes, &question).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    context.show(&answer, COLUMNS)?;
    Ok(ExitCode::SUCCESS)
}
