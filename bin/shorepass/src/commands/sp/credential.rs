//! `shorepass sp credential`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Life, Name, Target};
use crate::commands::{given, secrets, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new secret, which is shown once, or take a certificate; the others of its kind end
    Reset(Reset),
    /// List secrets and certificates, without what is secret
    List(Target),
    /// Delete a secret or a certificate; what it signed in ends at once
    Delete(Delete),
}

#[derive(Debug, Args)]
pub struct Reset {
    #[command(flatten)]
    target: Target,
    /// Keep the others
    #[arg(long)]
    append: bool,
    #[command(flatten)]
    life: Life,
    /// Certificate in PEM; a private key in the file stays there
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    target: Target,
    /// Which, as `shorepass sp credential list` has it
    #[arg(long, value_name = "ID")]
    key_id: Name,
}

const COLUMNS: &[Column] = &[
    Column::new("KEY ID", "/keyId"),
    Column::new("TYPE", "/type"),
    Column::new("DISPLAY NAME", "/displayName"),
    Column::new("BEGINS WITH", "/hint"),
    Column::new("FROM", "/startDate"),
    Column::new("UNTIL", "/endDate"),
];
const SECRET: &[Column] =
    &[Column::new("APP ID", "/appId"), Column::new("PASSWORD", "/password"), Column::new("TENANT", "/tenant")];

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    match command {
        Command::Reset(reset) => {
            let [years, end] = reset.life.fields();
            let certificate = reset.cert.as_deref().map(secrets::certificate).transpose()?;
            let body = given([
                ("append", reset.append.then_some(Value::Bool(true))),
                ("displayName", reset.display_name.map(Value::String)),
                ("certificate", certificate.map(Value::String)),
                years,
                end,
            ]);
            let made = server.post(&reset.target.path("/credentials"), &body).await?;
            if !made.get("password").is_some_and(Value::is_string) {
                return context.show(&made, COLUMNS);
            }
            // What `az ad sp credential reset` prints.
            let pick = |key: &str| made.get(key).cloned().unwrap_or_default();
            let answer = json!({ "appId": pick("appId"), "password": pick("password"), "tenant": pick("tenant") });
            context.show(&answer, SECRET)?;
            secrets::shown_once(context, "a password");
        }
        Command::List(target) => {
            context.show(&whole_list(context, &target.path("/credentials"), &[]).await?, COLUMNS)?
        }
        Command::Delete(Delete { target, key_id }) => {
            server.delete(&target.path(&format!("/credentials/{}", key_id.segment()))).await?;
        }
    }
    Ok(())
}
