//! `shorepass admin`: a registry's admin account and its two passwords.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{RegistryArgument, secrets};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let the admin account sign in; makes both passwords if there are none
    Enable(RegistryArgument),
    /// Shut the admin account out, from the next request on
    Disable(RegistryArgument),
    /// Show the admin account, without its passwords
    Show(RegistryArgument),
    /// Make one password anew; the other one stays
    Renew(Renew),
}

#[derive(Debug, Args)]
struct Renew {
    #[command(flatten)]
    registry: RegistryArgument,
    /// Which of the two
    #[arg(long, default_value = "password")]
    password_name: PasswordName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PasswordName {
    Password,
    Password2,
}

impl PasswordName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Password2 => "password2",
        }
    }
}

const ACCOUNT: &[Column] = &[
    Column::new("REGISTRY", "/registry"),
    Column::new("USER NAME", "/username"),
    Column::new("ENABLED", "/enabled"),
    Column::new("PASSWORD MADE", "/passwords/0/createdAt"),
    Column::new("PASSWORD2 MADE", "/passwords/1/createdAt"),
];

pub async fn run(args: AdminArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    let path = |registry: &RegistryArgument, action: &str| {
        format!("/api/v1/registries/{}/admin{action}", registry.or_default())
    };
    let account = match &args.command {
        Command::Enable(registry) => server.post(&path(registry, "/enable"), &json!({})).await?,
        Command::Disable(registry) => server.post(&path(registry, "/disable"), &json!({})).await?,
        Command::Show(registry) => server.get(&path(registry, "")).await?,
        Command::Renew(renew) => {
            let body = json!({ "passwordName": renew.password_name.as_str() });
            server.post(&path(&renew.registry, "/renew"), &body).await?
        }
    };
    if !secrets::show_passwords(context, &account, &account)? {
        context.show(&account, ACCOUNT)?;
    }
    Ok(ExitCode::SUCCESS)
}
