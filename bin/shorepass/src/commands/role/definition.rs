//! `shorepass role definition`.

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::commands::args::{NameArgument, TenantOption};
use crate::commands::{changes, given, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the roles
    List(List),
    /// Show a role with all it allows
    Show(Target),
    /// Make a role
    Create(Create),
    /// Change a role; effective at once for everybody who has it
    Update(Update),
    /// Delete a role that nobody has
    Delete(Target),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    tenant: TenantOption,
    /// Only the role of this name
    #[arg(short, long)]
    name: Option<String>,
    /// Only those the tenant has made itself
    #[arg(long)]
    custom_role_only: bool,
}

#[derive(Debug, Args)]
pub struct Target {
    #[command(flatten)]
    role: NameArgument,
    #[command(flatten)]
    tenant: TenantOption,
}

impl Target {
    fn path(&self) -> String {
        self.tenant.path(&format!("role-definitions/{}", self.role.segment()))
    }
}

#[derive(Debug, Args)]
struct Allowed {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Management actions, one by one: Microsoft.ContainerRegistry/registries/read ...
    #[arg(long, value_name = "ACTION", num_args = 1..)]
    actions: Option<Vec<String>>,
    /// Data actions, one by one: Microsoft.ContainerRegistry/registries/repositories/content/read ...
    #[arg(long, value_name = "ACTION", num_args = 1..)]
    data_actions: Option<Vec<String>>,
}

impl Allowed {
    fn fields(self) -> [(&'static str, Option<Value>); 3] {
        [
            ("description", self.description.map(Value::String)),
            ("actions", self.actions.map(|actions| json!(actions))),
            ("dataActions", self.data_actions.map(|actions| json!(actions))),
        ]
    }
}

#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    tenant: TenantOption,
    /// The role's name
    #[arg(short, long, required_unless_present = "role_definition")]
    name: Option<String>,
    #[command(flatten)]
    allowed: Allowed,
    /// All of it as JSON, or `@FILE`, as `az` has it: {"Name": ..., "Description": ..., "Actions": [...], "DataActions": [...]}
    #[arg(long, value_name = "JSON", conflicts_with_all = ["name", "description", "actions", "data_actions"])]
    role_definition: Option<String>,
}

#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    allowed: Allowed,
}

/// A role as `az role definition create` takes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AzRole {
    #[serde(alias = "name", alias = "roleName")]
    name: String,
    #[serde(default, alias = "description")]
    description: Option<String>,
    #[serde(default, alias = "actions")]
    actions: Vec<String>,
    #[serde(default, alias = "notActions")]
    not_actions: Vec<String>,
    #[serde(default, alias = "dataActions")]
    data_actions: Vec<String>,
    #[serde(default, alias = "notDataActions")]
    not_data_actions: Vec<String>,
    #[serde(default, alias = "assignableScopes")]
    assignable_scopes: Vec<String>,
    #[serde(default, alias = "isCustom")]
    #[serde(rename = "IsCustom")]
    _is_custom: Option<bool>,
}

const COLUMNS: &[Column] =
    &[Column::new("NAME", "/roleName"), Column::new("TYPE", "/type"), Column::new("DESCRIPTION", "/description")];
const ONE: &[Column] = &[
    Column::new("NAME", "/roleName"),
    Column::new("TYPE", "/type"),
    Column::new("ACTIONS", "/actions"),
    Column::new("NOT ACTIONS", "/notActions"),
    Column::new("DATA ACTIONS", "/dataActions"),
];

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    match command {
        Command::List(List { tenant, name, custom_role_only }) => {
            let name = name.as_deref().map(|name| ("name", name));
            let pairs: Vec<_> = name.into_iter().chain(custom_role_only.then_some(("customOnly", "true"))).collect();
            context.show(&whole_list(context, &tenant.path("role-definitions"), &pairs).await?, COLUMNS)
        }
        Command::Show(target) => context.show(&server.get(&target.path()).await?, ONE),
        Command::Create(new) => {
            let path = new.tenant.path("role-definitions");
            context.show(&server.post(&path, &new_role(new, context)?).await?, ONE)
        }
        Command::Update(Update { target, allowed }) => {
            let body = changes(allowed.fields(), "`--description`, `--actions` or `--data-actions`")?;
            context.show(&server.patch(&target.path(), &body).await?, ONE)
        }
        Command::Delete(target) => Ok(server.delete(&target.path()).await?),
    }
}

fn new_role(new: Create, context: &Context) -> anyhow::Result<Value> {
    let Some(text) = new.role_definition else {
        let [description, actions, data_actions] = new.allowed.fields();
        return Ok(given([("roleName", new.name.map(Value::String)), description, actions, data_actions]));
    };
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(Path::new(file)).with_context(|| format!("`{file}` cannot be read"))?,
        None => text,
    };
    let role: AzRole = serde_json::from_str(&text)
        .map_err(|error| CliError::usage(format!("`--role-definition` is not a role: {error}")))?;
    if !role.not_actions.is_empty() || !role.not_data_actions.is_empty() {
        return Err(CliError::usage("a role of one's own names what it allows, and has no NotActions")
            .hint("name the single actions it allows")
            .into());
    }
    if !role.assignable_scopes.is_empty() {
        context.printer.note("AssignableScopes is left out: a role can be assigned everywhere in its tenant");
    }
    Ok(given([
        ("roleName", Some(json!(role.name))),
        ("description", role.description.map(Value::String)),
        ("actions", Some(json!(role.actions))),
        ("dataActions", Some(json!(role.data_actions))),
    ]))
}
