//! `shorepass tenant`: directories, each with its own people, applications and subscriptions.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::{Name, NameArgument, Yes};
use super::{delete, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct TenantArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a tenant
    Create(NameArgument),
    /// List the tenants
    List,
    /// Show a tenant
    Show(NameArgument),
    /// Give a tenant another name
    Update(Update),
    /// Delete a tenant that has no subscriptions, with everybody in it
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    tenant: NameArgument,
    /// Its new name
    #[arg(long, value_name = "NAME")]
    new_name: Name,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    tenant: NameArgument,
    #[command(flatten)]
    yes: Yes,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("TENANT ID", "/tenantId"),
    Column::new("ACCOUNT NUMBER", "/accountNumber"),
    Column::new("CREATED", "/creationDate"),
];

const TENANTS: &str = "/api/v1/tenants";

pub async fn run(args: TenantArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    let path = |tenant: &NameArgument| format!("{TENANTS}/{}", tenant.segment());
    let answer = match args.command {
        Command::Create(name) => server.post(TENANTS, &json!({ "name": name.as_str() })).await?,
        Command::List => whole_list(context, TENANTS, &[]).await?,
        Command::Show(tenant) => server.get(&path(&tenant)).await?,
        Command::Update(Update { tenant, new_name }) => {
            server.patch(&path(&tenant), &json!({ "name": new_name.as_str() })).await?
        }
        Command::Delete(Delete { tenant, yes }) => {
            let question = format!("delete the tenant `{}` and everybody in it?", tenant.as_str());
            delete(context, &path(&tenant), yes.yes, &question).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    context.show(&answer, COLUMNS)?;
    Ok(ExitCode::SUCCESS)
}
