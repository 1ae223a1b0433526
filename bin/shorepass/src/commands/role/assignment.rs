//! `shorepass role assignment`.

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::commands::args::{Name, segment};
use crate::commands::{given, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give somebody a role
    Create(Create),
    /// List who holds which role where
    List(List),
    /// Show a role assignment
    Show(One),
    /// Change the condition of a role assignment
    Update(Update),
    /// Take a role from somebody; effective at once
    Delete(Delete),
}

/// Version 1.0 is for roles without conditions only.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ConditionVersion {
    #[value(name = "2.0")]
    Two,
}

#[derive(Debug, Args)]
struct Condition {
    /// Condition, or `@FILE`: @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team/' ...
    #[arg(long, value_name = "TEXT")]
    condition: Option<String>,
    /// Version of the language of conditions
    #[arg(long, requires = "condition")]
    condition_version: Option<ConditionVersion>,
}

impl Condition {
    fn text(&self) -> anyhow::Result<Option<String>> {
        self.condition.as_deref().map(text_or_file).transpose()
    }
}

/// As `az` has it: `@FILE` is what is in the file. A condition's own `@Request[` is none.
fn text_or_file(text: &str) -> anyhow::Result<String> {
    match text.strip_prefix('@').filter(|rest| !rest.contains('[')) {
        Some(file) => {
            let read = std::fs::read_to_string(Path::new(file)).with_context(|| format!("`{file}` cannot be read"))?;
            Ok(read.trim().to_owned())
        }
        None => Ok(text.to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct Create {
    /// Who: an id, a user name, an application id, or `user:NAME`, `group:NAME`, `sp:APPID`, `identity:NAME`
    #[arg(long, visible_alias = "assignee-object-id", value_name = "PRINCIPAL")]
    assignee: String,
    /// Required by `az` beside an object id; found out here
    #[arg(long, hide = true)]
    assignee_principal_type: Option<String>,
    /// Role, by name or id
    #[arg(long)]
    role: String,
    /// Where: /tenants/T, /subscriptions/S, /subscriptions/S/resourceGroups/G, /registries/R, /registries/R/repositories/NAME
    #[arg(long)]
    scope: String,
    #[command(flatten)]
    condition: Condition,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only what this one holds
    #[arg(long, value_name = "PRINCIPAL")]
    assignee: Option<String>,
    /// Only this role, by name or id
    #[arg(long)]
    role: Option<String>,
    /// Only what is assigned there
    #[arg(long)]
    scope: Option<String>,
    /// What holds there by being assigned further up, too
    #[arg(long, requires = "scope")]
    include_inherited: bool,
}

impl Filter {
    fn pairs(&self, include_groups: bool) -> Vec<(&'static str, &str)> {
        let texts = [("assignee", &self.assignee), ("role", &self.role), ("scope", &self.scope)];
        let flags = [("includeInherited", self.include_inherited), ("includeGroups", include_groups)];
        let texts = texts.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        texts.chain(flags.into_iter().filter(|(_, given)| *given).map(|(key, _)| (key, "true"))).collect()
    }
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    /// What the assignee holds through groups, too
    #[arg(long, requires = "assignee")]
    include_groups: bool,
    /// Tenant, where no scope is given
    #[arg(long, conflicts_with = "scope")]
    tenant: Option<String>,
    /// Everywhere, which is meant without a scope anyway
    #[arg(long, hide = true, conflicts_with = "scope")]
    all: bool,
}

#[derive(Debug, Args)]
pub struct One {
    /// Id of the role assignment
    #[arg(value_name = "ID")]
    id: Name,
}

impl One {
    fn path(&self) -> String {
        format!("{ASSIGNMENTS}/{}", self.id.segment())
    }
}

#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    condition: Condition,
    /// Take the condition away: the role then holds for everything there
    #[arg(long, conflicts_with = "condition", required_unless_present = "condition")]
    no_condition: bool,
}

#[derive(Debug, Args)]
pub struct Delete {
    /// Ids of role assignments
    #[arg(long, num_args = 1.., value_name = "ID", conflicts_with_all = ["assignee", "role", "scope"])]
    ids: Vec<Name>,
    #[command(flatten)]
    filter: Filter,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

const ASSIGNMENTS: &str = "/api/v1/role-assignments";

const COLUMNS: &[Column] = &[
    Column::new("PRINCIPAL", "/principalName"),
    Column::new("TYPE", "/principalType"),
    Column::new("ROLE", "/roleDefinitionName"),
    Column::new("SCOPE", "/scope"),
    Column::new("CONDITION", "/condition"),
    Column::new("ID", "/id"),
];

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    match command {
        Command::Create(new) => {
            let body = given([
                ("role", Some(json!(new.role))),
                ("assignee", Some(json!(new.assignee))),
                ("scope", Some(json!(new.scope))),
                ("condition", new.condition.text()?.map(Value::String)),
            ]);
            context.show(&server.post(ASSIGNMENTS, &body).await?, COLUMNS)
        }
        Command::List(list) => {
            let tenant = list.tenant.as_deref().map(|tenant| ("tenant", tenant));
            let pairs: Vec<_> = list.filter.pairs(list.include_groups).into_iter().chain(tenant).collect();
            context.show(&whole_list(context, ASSIGNMENTS, &pairs).await?, COLUMNS)
        }
        Command::Show(one) => context.show(&server.get(&one.path()).await?, COLUMNS),
        Command::Update(Update { one, condition, no_condition: _ }) => {
            context.show(&server.patch(&one.path(), &json!({ "condition": condition.text()? })).await?, COLUMNS)
        }
        Command::Delete(delete) => remove(&delete, context).await,
    }
}

/// By ids, or everything that fits. As with `az`, that nothing fits is an error; several are asked about first.
async fn remove(delete: &Delete, context: &Context) -> anyhow::Result<()> {
    let mut ids: Vec<String> = delete.ids.iter().map(|id| id.as_str().to_owned()).collect();
    if ids.is_empty() {
        let filter = delete.filter.pairs(false);
        if filter.is_empty() {
            return Err(CliError::usage("nothing says which role assignments")
                .hint("give `--ids`, or any of `--assignee`, `--role` and `--scope`")
                .into());
        }
        let found = whole_list(context, ASSIGNMENTS, &filter).await?;
        let found = found.as_array().into_iter().flatten();
        ids = found.filter_map(|one| Some(one.get("id")?.as_str()?.to_owned())).collect();
        match ids.len() {
            0 => return Err(CliError::new("No matched assignments were found to delete").into()),
            1 => {}
            several => context.confirm(delete.yes, &format!("delete {several} role assignments?"))?,
        }
    }
    for id in ids {
        context.server()?.delete(&format!("{ASSIGNMENTS}/{}", segment(&id))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conditions_own_at_sign_is_no_file() {
        let condition = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEquals 'a'";
        assert_eq!(text_or_file(condition).unwrap(), condition);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{condition}\n")).unwrap();
        assert_eq!(text_or_file(&format!("@{}", file.path().display())).unwrap(), condition);
        assert!(text_or_file("@/nowhere").is_err());
    }
}
