//! `shorepass sp consent`: another tenant's multi-tenant application may hold roles here, until that is taken back.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{COLUMNS, Name, Target, TenantOption, is_consented};
use crate::commands::whole_list;
use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let another tenant's application be given roles here
    Create(Create),
    /// List the applications of other tenants
    List(TenantOption),
    /// Take it back: the application loses its roles here at once
    Delete(Target),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Application id
    #[arg(long, visible_alias = "id", value_name = "APPID")]
    app_id: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    match command {
        Command::Create(Create { app_id, tenant }) => {
            let body = json!({ "appId": app_id.as_str() });
            context.show(&server.post(&tenant.path("service-principals"), &body).await?, COLUMNS)
        }
        Command::List(tenant) => {
            let Value::Array(mut all) = whole_list(context, &tenant.path("service-principals"), &[]).await? else {
                return Ok(());
            };
            all.retain(is_consented);
            context.show(&Value::Array(all), COLUMNS)
        }
        Command::Delete(target) => {
            if !is_consented(&server.get(&target.path("")).await?) {
                let text = format!("`{}` is this tenant's own application, not another's", target.id.as_str());
                return Err(CliError::new(text).hint("`shorepass sp delete` deletes it").into());
            }
            Ok(server.delete(&target.path("")).await?)
        }
    }
}
