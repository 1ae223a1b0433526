//! `shorepass account`: sessions at servers elsewhere.

mod browser;
mod device;
mod login;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shorepass_pull::ServerUrl;
use shorepass_pull::account::Account;

use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::server::{self, Choice};

#[derive(Debug, Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign in to a server; commands then do what they do there, as you
    Login(Box<login::LoginArgs>),
    /// Forget a session
    Logout(Logout),
    /// Show the session that is used
    Show,
    /// List the sessions
    List,
    /// Use another session from now on
    Set(Which),
    /// Print a token for other programs that talk to the server
    GetAccessToken(GetAccessToken),
}

#[derive(Debug, Args)]
struct Which {
    /// Server, as in `shorepass account list`
    #[arg(value_name = "URL")]
    url: ServerUrl,
}

#[derive(Debug, Args)]
struct Logout {
    /// Server (default: the session that is used)
    #[arg(value_name = "URL", conflicts_with = "all")]
    url: Option<ServerUrl>,
    /// Forget every session
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct GetAccessToken {
    /// What the token is for: a registry's login server (default: the server's management)
    #[arg(long, value_name = "AUDIENCE")]
    resource: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column::new("SERVER", "/server"),
    Column::new("NAME", "/name"),
    Column::new("TYPE", "/type"),
    Column::new("TENANT", "/tenant"),
    Column::new("USED", "/used"),
];
const TOKEN: &[Column] = &[Column::new("ACCESS TOKEN", "/accessToken"), Column::new("EXPIRES", "/expiresOn")];

pub async fn run(args: AccountArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Login(args) => login::run(&args, context).await?,
        Command::Logout(logout) => forget(&logout, context)?,
        Command::Show => {
            let account = server::session(used(context)?)?.account()?;
            context.show(&view(&account, Some(&account.server)), COLUMNS)?;
        }
        Command::List => {
            let used = used(context).ok();
            let all = server::accounts()?.list()?;
            context.show(&all.iter().map(|account| view(account, used.as_ref())).collect(), COLUMNS)?;
        }
        Command::Set(Which { url }) => {
            if !server::accounts()?.activate(&url)? {
                return Err(not_signed_in(&url).into());
            }
        }
        Command::GetAccessToken(wanted) => show_token(&wanted, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is shown of a session: nothing that is secret.
fn view(account: &Account, used: Option<&ServerUrl>) -> Value {
    json!({
        "server": account.server, "name": account.name, "type": account.proof.kind(),
        "tenant": account.tenant.as_deref().unwrap_or(&account.tenant_id), "tenantId": account.tenant_id,
        "caFile": account.ca_file, "used": used == Some(&account.server),
    })
}

/// The server of the session that commands use.
fn used(context: &Context) -> anyhow::Result<ServerUrl> {
    match Choice::of(context)? {
        Choice::Session(server) => Ok(server),
        Choice::Socket => Err(CliError::new("no session is used: commands talk to the server on this machine")
            .hint("sign in with `shorepass account login https://SERVER`, or name a session's server with `--server`")
            .into()),
    }
}

fn not_signed_in(url: &ServerUrl) -> CliError {
    CliError::new(format!("you are not signed in to `{url}`")).hint("`shorepass account list` shows where you are")
}

/// The server is not told: the tokens end by themselves, and whoever has the file has them.
fn forget(logout: &Logout, context: &Context) -> anyhow::Result<()> {
    let store = server::accounts()?;
    if logout.all {
        for account in store.list()? {
            store.remove(&account.server)?;
        }
        return Ok(());
    }
    let url = match &logout.url {
        Some(url) => url.clone(),
        None => used(context)?,
    };
    if store.remove(&url)? { Ok(()) } else { Err(not_signed_in(&url).into()) }
}

/// As `az account get-access-token` prints it.
async fn show_token(wanted: &GetAccessToken, context: &Context) -> anyhow::Result<()> {
    use secrecy::ExposeSecret as _;
    let session = server::session(used(context)?)?;
    let audience = wanted.resource.clone().unwrap_or_else(|| session.server().to_string());
    let token = session.token(&audience).await?;
    let account = session.account()?;
    let expires = account.tokens.get(&audience).map(|kept| kept.expires_at.to_string());
    let answer = json!({
        "accessToken": token.expose_secret(), "expiresOn": expires, "tenant": account.tenant_id, "tokenType": "Bearer",
    });
    context.show(&answer, TOKEN)
}
