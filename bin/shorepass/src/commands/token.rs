//! `shorepass token`: repository tokens and their two passwords, with the flags of `az acr token`.

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use shorepass_core::Timestamp;

use super::args::{Grant, GrantOption, Grants, Name, RegistryOption, Yes};
use super::{changes, delete, given, secrets, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token and show its passwords once
    Create(Create),
    /// List the tokens of a registry
    List(RegistryOption),
    /// Show a token, without its passwords
    Show(Target),
    /// Enable or disable a token, or give it another scope map; effective at once
    Update(Update),
    /// Delete a token; what it signed in ends at once
    Delete(Delete),
    /// A token's passwords
    #[command(subcommand)]
    Credential(Credential),
}

#[derive(Debug, Subcommand)]
enum Credential {
    /// Make a password anew and show it once (both, if none is named)
    Generate(Generate),
    /// Delete passwords
    Delete(DeletePasswords),
}

#[derive(Debug, Args)]
struct Target {
    /// Token
    #[arg(short, long)]
    name: Name,
    #[command(flatten)]
    registry: RegistryOption,
}

impl Target {
    fn path(&self, rest: &str) -> String {
        self.registry.path(&format!("tokens/{}{rest}", self.name.segment()))
    }
}

#[derive(Debug, Clone)]
struct Repository;

impl GrantOption for Repository {
    const NAME: &'static str = "repository";
    const HELP: &'static str = "A repository, or all below it (team/*), and what may be done there: content/read, content/write, content/delete, metadata/read, metadata/write";
    const REQUIRED: bool = false;
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Enabled,
    Disabled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Args)]
struct Expiry {
    /// When passwords end: a time such as 2026-11-22T10:00:00Z (default: never)
    #[arg(long, value_name = "TIME", conflicts_with = "expiration_in_days")]
    expiration: Option<Timestamp>,
    /// The same, in days from now
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    expiration_in_days: Option<u32>,
}

impl Expiry {
    fn fields(&self) -> [(&'static str, Option<Value>); 2] {
        [
            ("expiry", self.expiration.map(|time| json!(time.to_string()))),
            ("expirationInDays", self.expiration_in_days.map(Value::from)),
        ]
    }

    fn is_given(&self) -> bool {
        self.expiration.is_some() || self.expiration_in_days.is_some()
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rights").required(true).args(["repository", "scope_map"]))]
struct Create {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    repositories: Grants<Repository>,
    /// Scope map that says what may be done
    #[arg(long, value_name = "NAME")]
    scope_map: Option<Name>,
    /// Whether it can be used
    #[arg(long)]
    status: Option<Status>,
    /// Make no passwords
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false", hide_default_value = true, action = clap::ArgAction::Set)]
    no_passwords: bool,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// Whether it can be used
    #[arg(long)]
    status: Option<Status>,
    /// Scope map that says what may be done
    #[arg(long, value_name = "NAME")]
    scope_map: Option<Name>,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    yes: Yes,
}

#[derive(Debug, Args)]
struct Which {
    /// The first password
    #[arg(long)]
    password1: bool,
    /// The second password
    #[arg(long)]
    password2: bool,
}

#[derive(Debug, Args)]
struct Generate {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Debug, Args)]
struct DeletePasswords {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    yes: Yes,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("SCOPE MAP", "/scopeMap"),
    Column::new("STATUS", "/status"),
    Column::new("PASSWORD1", "/password1"),
    Column::new("PASSWORD2", "/password2"),
    Column::new("CREATED", "/creationDate"),
];

pub async fn run(args: TokenArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(create) => create_token(create, context).await?,
        Command::List(registry) => show(context, whole_list(context, &registry.path("tokens"), &[]).await?)?,
        Command::Show(target) => show(context, context.server()?.get(&target.path("")).await?)?,
        Command::Update(update) => {
            let body = changes(
                [
                    ("status", update.status.map(|status| json!(status.as_str()))),
                    ("scopeMap", update.scope_map.map(|map| json!(map.as_str()))),
                ],
                "`--status` or `--scope-map`",
            )?;
            show(context, context.server()?.patch(&update.target.path(""), &body).await?)?;
        }
        Command::Delete(Delete { target, yes }) => {
            let question = format!("delete the token `{}`?", target.name.as_str());
            delete(context, &target.path(""), yes.yes, &question).await?;
        }
        Command::Credential(Credential::Generate(generate)) => make_passwords(&generate, context).await?,
        Command::Credential(Credential::Delete(delete)) => delete_passwords(&delete, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create_token(create: Create, context: &Context) -> anyhow::Result<()> {
    if create.no_passwords && create.expiry.is_given() {
        return Err(CliError::usage("without passwords there is nothing that could expire")
            .hint("leave out `--no-passwords` or the expiration")
            .into());
    }
    let [expiry, days] = create.expiry.fields();
    let repositories: Vec<Value> = create.repositories.all.iter().map(Grant::body).collect();
    let body = given([
        ("name", Some(json!(create.target.name.as_str()))),
        ("repositories", (!repositories.is_empty()).then_some(Value::Array(repositories))),
        ("scopeMap", create.scope_map.as_ref().map(|map| json!(map.as_str()))),
        ("status", create.status.map(|status| json!(status.as_str()))),
        ("passwords", create.no_passwords.then_some(Value::Bool(false))),
        expiry,
        days,
    ]);
    let made = context.server()?.post(&create.target.registry.path("tokens"), &body).await?;
    let credentials = made.get("credentials").cloned().unwrap_or_default();
    if secrets::show_passwords(context, &made, &credentials)? {
        return Ok(());
    }
    show(context, made)
}

async fn make_passwords(generate: &Generate, context: &Context) -> anyhow::Result<()> {
    // Both is what the server makes when none is named.
    let name = match (generate.which.password1, generate.which.password2) {
        (true, false) => Some("password1"),
        (false, true) => Some("password2"),
        _ => None,
    };
    let [expiry, days] = generate.expiry.fields();
    let body = given([("name", name.map(|name| json!(name))), expiry, days]);
    let made = context.server()?.post(&generate.target.path("/passwords"), &body).await?;
    if !secrets::show_passwords(context, &made, &made)? {
        context.show(&made, secrets::PASSWORDS)?;
    }
    Ok(())
}

async fn delete_passwords(delete: &DeletePasswords, context: &Context) -> anyhow::Result<()> {
    let which = [("password1", delete.which.password1), ("password2", delete.which.password2)];
    let names: Vec<&str> = which.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Err(CliError::usage("no password is named").hint("give `--password1`, `--password2` or both").into());
    }
    let question = format!("delete {} of the token `{}`?", names.join(" and "), delete.target.name.as_str());
    let server = context.server()?;
    server.get(&delete.target.path("")).await?;
    context.confirm(delete.yes.yes, &question)?;
    for name in names {
        server.delete(&delete.target.path(&format!("/passwords/{name}"))).await?;
    }
    Ok(())
}

fn show(context: &Context, tokens: Value) -> anyhow::Result<()> {
    let tokens = if context.is_for_people() { for_people(tokens) } else { tokens };
    context.show(&tokens, COLUMNS)
}

/// Adds a field for each password that is there: when it ends.
fn for_people(mut tokens: Value) -> Value {
    let all = match &mut tokens {
        Value::Array(all) => all.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for token in all {
        let passwords = token.pointer("/credentials/passwords").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(token) = token.as_object_mut() else { continue };
        for password in &passwords {
            let Some(name @ ("password1" | "password2")) = password.get("name").and_then(Value::as_str) else {
                continue;
            };
            let ends = password.get("expiry").and_then(Value::as_str);
            let text = ends.map_or_else(|| "does not expire".to_owned(), |time| format!("until {time}"));
            token.insert(name.to_owned(), Value::String(text));
        }
    }
    tokens
}
