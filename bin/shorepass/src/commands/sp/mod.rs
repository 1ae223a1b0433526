//! `shorepass sp`: applications that sign in, with the flags of `az ad sp`.

mod consent;
mod credential;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shorepass_core::Timestamp;

use super::args::{Name, TenantOption, moment};
use super::federated_credential::{self, FederatedCommand, Owner};
use super::{changes, given, secrets, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct SpArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an application with a secret, which is shown once; give it a role, if one is named
    #[command(visible_alias = "create-for-rbac")]
    Create(Create),
    /// List the service principals
    List(List),
    /// Show a service principal
    Show(Target),
    /// Change a service principal; disabling one ends what it signed in at once
    Update(Update),
    /// Delete a service principal with its credentials and roles
    Delete(Target),
    /// Its secrets and certificates
    #[command(subcommand)]
    Credential(credential::Command),
    /// Outside issuers whose tokens sign in as it, without a secret
    #[command(subcommand)]
    FederatedCredential(FederatedCommand<Target>),
    /// Applications of other tenants that may be given roles in this one
    #[command(subcommand)]
    Consent(consent::Command),
}

/// A service principal: its application id, as in user names, or its object id.
#[derive(Debug, Args)]
struct Target {
    /// Application id or object id
    #[arg(long, visible_alias = "app-id", value_name = "APPID")]
    id: Name,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self, rest: &str) -> String {
        self.tenant.path(&format!("service-principals/{}{rest}", self.id.segment()))
    }
}

impl Owner for Target {
    fn federated_credentials(&self) -> String {
        self.path("/federated-credentials")
    }
}

/// How long a credential is good.
#[derive(Debug, Args)]
struct Life {
    /// Years it is good (default: 1)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99), conflicts_with = "end_date")]
    years: Option<u32>,
    /// When it ends: a day such as 2026-11-22, or a time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end_date: Option<Timestamp>,
}

impl Life {
    fn fields(&self) -> [(&'static str, Option<Value>); 2] {
        [("years", self.years.map(Value::from)), ("endDate", self.end_date.map(|end| json!(end.to_string())))]
    }
}

#[derive(Debug, Args)]
struct Create {
    /// What people call it
    #[arg(short, long, visible_alias = "display-name")]
    name: String,
    #[command(flatten)]
    tenant: TenantOption,
    #[command(flatten)]
    life: Life,
    /// Certificate in PEM to sign in with, instead of a secret; a private key in the file stays there
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Role to give it
    #[arg(long, requires = "scope")]
    role: Option<String>,
    /// Where it has the role: /registries/NAME, /subscriptions/NAME/resourceGroups/NAME ...
    #[arg(long, visible_alias = "scopes", requires = "role", num_args = 1..)]
    scope: Vec<String>,
    /// Let other tenants consent to it
    #[arg(long)]
    multi_tenant: bool,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    tenant: TenantOption,
    /// Only those whose display name begins so
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// All there are, which is what is listed anyway
    #[arg(long, hide = true)]
    all: bool,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Whether it can sign in
    #[arg(long, alias = "account-enabled", value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
    /// Whether other tenants may consent to it
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    multi_tenant: Option<bool>,
}

const COLUMNS: &[Column] = &[
    Column::new("DISPLAY NAME", "/displayName"),
    Column::new("APP ID", "/appId"),
    Column::new("ID", "/id"),
    Column::new("ENABLED", "/enabled"),
    Column::new("MULTI-TENANT", "/multiTenant"),
    Column::new("BY CONSENT", "/consented"),
];
const SIGN_IN: &[Column] = &[
    Column::new("APP ID", "/appId"),
    Column::new("DISPLAY NAME", "/displayName"),
    Column::new("PASSWORD", "/password"),
    Column::new("TENANT", "/tenant"),
];

pub async fn run(args: SpArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match args.command {
        Command::Create(new) => create(&new, context).await?,
        Command::List(List { tenant, display_name, all: _ }) => {
            let filter: Vec<_> = display_name.as_deref().map(|text| ("displayName", text)).into_iter().collect();
            context.show(&whole_list(context, &tenant.path("service-principals"), &filter).await?, COLUMNS)?;
        }
        Command::Show(target) => context.show(&server.get(&target.path("")).await?, COLUMNS)?,
        Command::Update(update) => {
            let body = changes(
                [
                    ("displayName", update.display_name.map(Value::String)),
                    ("enabled", update.enabled.map(Value::Bool)),
                    ("multiTenant", update.multi_tenant.map(Value::Bool)),
                ],
                "`--display-name`, `--enabled` or `--multi-tenant`",
            )?;
            context.show(&server.patch(&update.target.path(""), &body).await?, COLUMNS)?;
        }
        Command::Delete(target) => server.delete(&target.path("")).await?,
        Command::Credential(command) => credential::run(command, context).await?,
        Command::FederatedCredential(command) => federated_credential::run(command, context).await?,
        Command::Consent(command) => consent::run(command, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What `az ad sp create-for-rbac` prints. The secret is shown before anything else is tried: nothing else has it.
async fn create(new: &Create, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    let certificate = new.cert.as_deref().map(secrets::certificate).transpose()?;
    let [years, end] = new.life.fields();
    let body = match &certificate {
        Some(_) => given([
            ("displayName", Some(json!(new.name))),
            ("multiTenant", new.multi_tenant.then_some(Value::Bool(true))),
            ("createPassword", Some(Value::Bool(false))),
        ]),
        None => given([
            ("displayName", Some(json!(new.name))),
            ("multiTenant", new.multi_tenant.then_some(Value::Bool(true))),
            years.clone(),
            end.clone(),
        ]),
    };
    let made = server.post(&new.tenant.path("service-principals"), &body).await?;
    let app_id = made.get("appId").and_then(Value::as_str).unwrap_or_default();
    let password = made.pointer("/credential/password").cloned().unwrap_or(Value::Null);
    let answer = json!({
        "appId": app_id, "displayName": made.get("displayName"), "password": password,
        "tenant": made.get("homeTenantId"),
    });
    context.show(&answer, SIGN_IN)?;
    if password.is_string() {
        secrets::shown_once(context, "a password");
    } else if certificate.is_none() {
        context.printer.note("it was there already; `shorepass sp credential reset` makes a new password");
    }
    if let Some(certificate) = certificate {
        let path = new.tenant.path(&format!("service-principals/{app_id}/credentials"));
        let body =
            given([("certificate", Some(Value::String(certificate))), ("append", Some(Value::Bool(true))), years, end]);
        server.post(&path, &body).await.map_err(|error| unfinished(app_id, "its certificate", &error))?;
    }
    for scope in &new.scope {
        let body = json!({ "role": new.role, "assignee": format!("sp:{app_id}"), "scope": scope });
        let assigned = server.post("/api/v1/role-assignments", &body).await;
        assigned.map_err(|error| unfinished(app_id, &format!("its role at `{scope}`"), &error))?;
    }
    Ok(())
}

fn unfinished(app_id: &str, what: &str, error: &dyn std::fmt::Display) -> CliError {
    CliError::new(format!("the service principal `{app_id}` was created, but not {what}: {error}")).hint(
        "add what is missing with `shorepass role assignment create` or `shorepass sp credential reset`, or delete it",
    )
}

/// Only for what is another tenant's.
fn is_consented(principal: &Value) -> bool {
    principal.get("consented").and_then(Value::as_bool).unwrap_or(false)
}
