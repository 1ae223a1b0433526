//! `shorepass account login`: with a browser, on another device, or as an application.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use shorepass_core::{Clock as _, SystemClock};
use shorepass_pull::account::{Account, IdentityToken, Proof};
use shorepass_pull::directory::{ANY_TENANT, DirectoryClient, Tokens, personal_scope_of};
use shorepass_pull::{ServerUrl, identity, jwt};

use super::{COLUMNS, browser, device, view};
use crate::commands::args::Name;
use crate::commands::secrets;
use crate::context::Context;
use crate::error::CliError;
use crate::server::{self, IdentityError, RemoteServer, Server, Signer};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("way").args(["use_device_code", "service_principal", "federated_token", "identity"]))]
#[command(group = ArgGroup::new("secret").args(["password_stdin", "password_file", "certificate"]))]
pub struct LoginArgs {
    /// Server: https://host
    #[arg(value_name = "URL")]
    url: Option<ServerUrl>,
    /// Tenant to sign in to, by name or id (default: your own)
    #[arg(short, long)]
    tenant: Option<Name>,
    /// CA in PEM that the server's certificate is signed by
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Sign in with a browser on another device
    #[arg(long)]
    use_device_code: bool,
    /// Sign in as an application
    #[arg(long, requires = "username", requires = "secret")]
    service_principal: bool,
    /// The application's id; with --federated-token also an identity's client id
    #[arg(short, long, visible_alias = "client-id", value_name = "APPID")]
    username: Option<String>,
    /// Read the application's secret from standard input
    #[arg(long, requires = "service_principal")]
    password_stdin: bool,
    /// Read the application's secret from a file
    #[arg(long, value_name = "FILE", requires = "service_principal")]
    password_file: Option<PathBuf>,
    /// The application's certificate and private key in PEM; the file is read whenever a token is needed
    #[arg(long, value_name = "FILE", requires = "service_principal")]
    certificate: Option<PathBuf>,
    /// Sign in by the token of an outside issuer; the file is read whenever a token is needed
    #[arg(long, value_name = "FILE", requires = "username")]
    federated_token: Option<PathBuf>,
    /// Sign in as the managed identity of this environment
    #[arg(long)]
    identity: bool,
}

impl LoginArgs {
    fn server(&self, context: &Context) -> Result<ServerUrl, CliError> {
        let named = context.server_flag.as_deref().or_else(|| context.variable("SHOREPASS_SERVER"));
        match (&self.url, named) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(text)) => server::parse(text),
            (None, None) => Err(CliError::usage("no server is named")
                .hint("give its address: `shorepass account login https://registry.example.com`")),
        }
    }

    /// What an application proves itself with; `None` for people.
    fn proof(&self) -> anyhow::Result<Option<Proof>> {
        let client_id = self.username.clone();
        if self.identity {
            return Ok(Some(Proof::ManagedIdentity { client_id }));
        }
        let Some(client_id) = client_id else { return Ok(None) };
        if let Some(file) = &self.federated_token {
            return Ok(Some(Proof::FederatedToken { client_id, file: std::path::absolute(file)? }));
        }
        if let Some(file) = &self.certificate {
            return Ok(Some(Proof::Certificate { client_id, file: std::path::absolute(file)? }));
        }
        let secret = match &self.password_file {
            Some(file) => secrets::from_file(file, "password")?,
            None if self.password_stdin => secrets::from_stdin("password")?,
            None => {
                return Err(CliError::usage("`--username` is for applications")
                    .hint("people sign in without it; for an application add `--service-principal`")
                    .into());
            }
        };
        Ok(Some(Proof::ClientSecret { client_id, secret }))
    }
}

pub async fn run(args: &LoginArgs, context: &Context) -> anyhow::Result<()> {
    let server = args.server(context)?;
    let ca_file = args.ca_file.as_ref().map(std::path::absolute).transpose()?;
    let audience = server.to_string();
    let tenant = args.tenant.as_ref().map_or(ANY_TENANT, Name::as_str);
    let mut account = Account {
        server: server.clone(),
        tenant_id: tenant.to_owned(),
        tenant: None,
        name: String::new(),
        proof: Proof::ManagedIdentity { client_id: None },
        ca_file,
        tokens: BTreeMap::new(),
    };
    let token = match args.proof()? {
        Some(proof) => {
            account.proof = proof;
            let _busy = context.printer.busy("signing in");
            let fetched = identity::fetch(&mut account, &audience, &Signer, &SystemClock).await;
            fetched.map_err(|error| tenant_needed(args, error))?
        }
        None => person(args, &mut account, &audience, context).await?,
    };
    let claim = |name: &str| jwt::text(token.token.expose_secret(), name);
    account.tenant_id = claim("tid").unwrap_or(account.tenant_id);
    account.name = claim("upn").or_else(|| claim("preferred_username")).or_else(|| claim("appid")).unwrap_or_default();
    account.tokens.insert(audience, token);
    finish(account, context).await
}

/// Applications, unlike people, are looked for in one tenant only.
fn tenant_needed(args: &LoginArgs, error: IdentityError) -> anyhow::Error {
    match &error {
        IdentityError::Directory(refused) if args.tenant.is_none() && refused.code() == Some("invalid_request") => {
            CliError::new(error.to_string()).hint("name the application's tenant: `--tenant TENANT`").into()
        }
        _ => error.into(),
    }
}

/// Keeps the session, and asks the server who that is.
async fn finish(account: Account, context: &Context) -> anyhow::Result<()> {
    let store = server::accounts()?;
    let before = store.get(&account.server)?;
    store.put(account.clone())?;
    let remote = Server::Remote(RemoteServer::new(server::session(account.server.clone())?));
    let me = match remote.get("/api/v1/me").await {
        Ok(me) => me,
        Err(error) => {
            // A session that manages nothing is none: what was there before is there again.
            match before {
                Some(before) => store.put(before)?,
                None => drop(store.remove(&account.server)?),
            }
            return Err(error.into());
        }
    };
    let text = |key: &str| me.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").filter(|name| !name.is_empty()).unwrap_or(account.name.clone());
    let account = Account { name, tenant: text("tenant"), ..account };
    store.put(account.clone())?;
    context.show(&view(&account, Some(&account.server)), COLUMNS)?;
    if context.server_flag.is_none() && context.variable("SHOREPASS_DATA").is_some() {
        context
            .printer
            .note("commands go on talking to the server of SHOREPASS_DATA, unless `--server` names this one");
    }
    Ok(())
}

/// With a browser here, if there is one; else on another device.
async fn person(
    args: &LoginArgs,
    account: &mut Account,
    audience: &str,
    context: &Context,
) -> anyhow::Result<IdentityToken> {
    let directory = DirectoryClient::discover(&account.server, &account.tenant_id, account.ca_file.as_deref()).await?;
    let scope = personal_scope_of(audience);
    let opener = (!args.use_device_code).then(|| browser::opener(context)).flatten();
    let tokens: Tokens = match opener {
        Some(opener) => browser::sign_in(&directory, &scope, &opener, context).await?,
        None => device::sign_in(&directory, &scope, context).await?,
    };
    let refresh_token = tokens.refresh_token.ok_or_else(|| CliError::new("the server gave no refresh token"))?;
    account.proof = Proof::User { refresh_token };
    let expires_at = SystemClock.now().plus(Duration::from_secs(tokens.expires_in));
    Ok(IdentityToken { token: tokens.access_token, expires_at })
}
