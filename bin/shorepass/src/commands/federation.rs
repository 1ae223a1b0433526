//! `shorepass federation`: the outside issuers a tenant trusts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::args::{Name, NameArgument, TenantOption};
use super::secrets::SecretInput;
use super::{changes, given, secrets, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct FederationArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trust an issuer's tokens
    Create(Box<Create>),
    /// List the trusted issuers
    List(TenantOption),
    /// Show a trusted issuer
    Show(Target),
    /// Change how an issuer is trusted
    Update(Box<Update>),
    /// Trust an issuer no longer; what its tokens signed in ends at once
    Delete(Target),
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    issuer: NameArgument,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self) -> String {
        self.tenant.path(&format!("issuers/{}", self.issuer.segment()))
    }
}

#[derive(Debug, Args)]
struct Trust {
    /// Where its OpenID configuration is (default: below the issuer)
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    discovery_url: Option<String>,
    /// Its public keys (a JWKS document), for an issuer that cannot be reached
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// CA in PEM that its server's certificate is signed by
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Let people sign in through it: the client id this server has there
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    client_secret: SecretInput,
    /// The claim that lists a person's groups
    #[arg(long, value_name = "CLAIM", requires = "client_id")]
    groups_claim: Option<String>,
}

impl Trust {
    fn sign_in(&self) -> anyhow::Result<Option<Value>> {
        let secret = self.client_secret.read("client secret")?;
        let Some(client_id) = &self.client_id else {
            return match secret {
                Some(_) => Err(CliError::usage("a client secret belongs to a client").hint("add `--client-id`").into()),
                None => Ok(None),
            };
        };
        Ok(Some(given([
            ("clientId", Some(json!(client_id))),
            ("clientSecret", secret.map(|secret| json!(secret.expose_secret()))),
            ("groupsClaim", self.groups_claim.clone().map(Value::String)),
        ])))
    }

    fn fields(&self) -> anyhow::Result<[(&'static str, Option<Value>); 4]> {
        Ok([
            ("discoveryUrl", self.discovery_url.clone().map(Value::String)),
            ("jwks", self.jwks.as_deref().map(read_jwks).transpose()?),
            ("ca", self.ca.as_deref().map(secrets::certificates).transpose()?.map(Value::String)),
            ("signIn", self.sign_in()?),
        ])
    }
}

fn read_jwks(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is not JSON", path.display()))
}

#[derive(Debug, Args)]
struct Create {
    /// What it is called here
    #[arg(short, long)]
    name: Name,
    #[command(flatten)]
    tenant: TenantOption,
    /// The `iss` claim of its tokens
    #[arg(long, value_name = "URL")]
    issuer: String,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    trust: Trust,
    /// Trust the publicly trusted authorities again
    #[arg(long, conflicts_with = "ca")]
    no_ca: bool,
    /// Let nobody sign in through it any longer
    #[arg(long, conflicts_with = "client_id")]
    no_sign_in: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("ISSUER", "/issuer"),
    Column::new("KEYS", "/keys"),
    Column::new("SIGN-IN CLIENT", "/signIn/clientId"),
    Column::new("CREATED", "/creationDate"),
];

pub async fn run(args: FederationArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match args.command {
        Command::Create(new) => {
            let [discovery, jwks, ca, sign_in] = new.trust.fields()?;
            let (name, issuer) = (json!(new.name.as_str()), json!(new.issuer));
            let body = given([("name", Some(name)), ("issuer", Some(issuer)), discovery, jwks, ca, sign_in]);
            context.show(&server.post(&new.tenant.path("issuers"), &body).await?, COLUMNS)?;
        }
        Command::List(tenant) => context.show(&whole_list(context, &tenant.path("issuers"), &[]).await?, COLUMNS)?,
        Command::Show(target) => context.show(&server.get(&target.path()).await?, COLUMNS)?,
        Command::Update(update) => {
            let [discovery, jwks, (ca, new_ca), (sign_in, new_sign_in)] = update.trust.fields()?;
            let new_ca = if update.no_ca { Some(Value::Null) } else { new_ca };
            let new_sign_in = if update.no_sign_in { Some(Value::Null) } else { new_sign_in };
            let fields = [discovery, jwks, (ca, new_ca), (sign_in, new_sign_in)];
            let body = changes(fields, "what is to change, such as `--jwks` or `--client-id`")?;
            context.show(&server.patch(&update.target.path(), &body).await?, COLUMNS)?;
        }
        Command::Delete(target) => server.delete(&target.path()).await?,
    }
    Ok(ExitCode::SUCCESS)
}
