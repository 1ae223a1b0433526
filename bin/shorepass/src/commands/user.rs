//! `shorepass user`: the people of a tenant.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{ExternalOption, Name, NameArgument, TenantOption};
use super::{changes, given, secrets, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a user, and show once the link by which they choose a password
    Create(Create),
    /// List the users
    List(List),
    /// Show a user
    Show(Target),
    /// Change a user; disabling one ends all their sessions at once
    Update(Update),
    /// Delete a user; whoever gets the name later inherits nothing
    Delete(Target),
    /// Make a new invitation and show its link once; the old one ends
    Invite(Target),
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    user: NameArgument,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self, rest: &str) -> String {
        self.tenant.path(&format!("users/{}{rest}", self.user.segment()))
    }
}

#[derive(Debug, Args)]
struct Create {
    /// User name, such as alice or alice@example.com
    #[arg(short, long, alias = "user-principal-name")]
    name: Name,
    #[command(flatten)]
    tenant: TenantOption,
    /// What people call them
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Whether they can sign in
    #[arg(long, alias = "account-enabled", value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
    #[command(flatten)]
    external: ExternalOption,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    tenant: TenantOption,
    /// Only those whose display name begins so
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// What people call them
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Whether they can sign in
    #[arg(long, alias = "account-enabled", value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
}

const COLUMNS: &[Column] = &[
    Column::new("USER NAME", "/userName"),
    Column::new("DISPLAY NAME", "/displayName"),
    Column::new("ID", "/id"),
    Column::new("ENABLED", "/enabled"),
    Column::new("STATE", "/state"),
    Column::new("CREATED", "/creationDate"),
];
const INVITATION: &[Column] = &[
    Column::new("USER NAME", "/userName"),
    Column::new("INVITATION", "/invitation/link"),
    Column::new("EXPIRES", "/invitation/expiresAt"),
];

pub async fn run(args: UserArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match args.command {
        Command::Create(create) => {
            let body = given([
                ("userName", Some(json!(create.name.as_str()))),
                ("displayName", create.display_name.map(Value::String)),
                ("enabled", create.enabled.map(Value::Bool)),
                ("external", create.external.body()),
            ]);
            show_invited(context, &server.post(&create.tenant.path("users"), &body).await?)?;
        }
        Command::List(List { tenant, display_name }) => {
            let mut users = whole_list(context, &tenant.path("users"), &[]).await?;
            if let (Some(wanted), Value::Array(all)) = (&display_name, &mut users) {
                all.retain(|user| begins_with(user, wanted));
            }
            context.show(&users, COLUMNS)?;
        }
        Command::Show(target) => context.show(&server.get(&target.path("")).await?, COLUMNS)?,
        Command::Update(Update { target, display_name, enabled }) => {
            let body = changes(
                [("displayName", display_name.map(Value::String)), ("enabled", enabled.map(Value::Bool))],
                "`--display-name` or `--enabled`",
            )?;
            context.show(&server.patch(&target.path(""), &body).await?, COLUMNS)?;
        }
        Command::Delete(target) => server.delete(&target.path("")).await?,
        Command::Invite(target) => {
            let mut answer = server.post(&target.path("/invitation"), &json!({})).await?;
            if context.is_for_people()
                && let Some(answer) = answer.as_object_mut()
            {
                answer.insert("userName".to_owned(), json!(target.user.as_str()));
            }
            show_invited(context, &answer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn begins_with(user: &Value, wanted: &str) -> bool {
    let name = user.get("displayName").and_then(Value::as_str).unwrap_or_default();
    name.to_lowercase().starts_with(&wanted.to_lowercase())
}

/// A user of an outside provider is not invited.
fn show_invited(context: &Context, user: &Value) -> anyhow::Result<()> {
    if !user.get("invitation").is_some_and(Value::is_object) {
        return context.show(user, COLUMNS);
    }
    context.show(user, INVITATION)?;
    secrets::shown_once(context, "an invitation");
    Ok(())
}
