//! `shorepass scope-map`: a registry's named sets of repositories and actions, with the flags of `az acr scope-map`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{Grant, GrantOption, Grants, Name, RegistryOption, Yes};
use super::{changes, delete, given, whole_list};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct ScopeMapArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a scope map
    Create(Create),
    /// List the scope maps, those of the system first
    List(RegistryOption),
    /// Show a scope map
    Show(Target),
    /// Add and remove repositories and actions; effective at once for every token that has the map
    Update(Update),
    /// Delete a scope map that no token has
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Target {
    /// Scope map
    #[arg(short, long)]
    name: Name,
    #[command(flatten)]
    registry: RegistryOption,
}

impl Target {
    fn path(&self) -> String {
        self.registry.path(&format!("scope-maps/{}", self.name.segment()))
    }
}

#[derive(Debug, Clone)]
struct Repository;

impl GrantOption for Repository {
    const NAME: &'static str = "repository";
    const HELP: &'static str = "A repository, or all below it (team/*), and what may be done there: content/read, content/write, content/delete, metadata/read, metadata/write";
    const REQUIRED: bool = true;
}

#[derive(Debug, Clone)]
struct Add;

impl GrantOption for Add {
    const NAME: &'static str = "add-repository";
    const HELP: &'static str = "A repository and actions to add";
    const REQUIRED: bool = false;
}

#[derive(Debug, Clone)]
struct Remove;

impl GrantOption for Remove {
    const NAME: &'static str = "remove-repository";
    const HELP: &'static str = "A repository and actions to take away";
    const REQUIRED: bool = false;
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    repositories: Grants<Repository>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Args)]
struct Update {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    add: Grants<Add>,
    #[command(flatten)]
    remove: Grants<Remove>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    yes: Yes,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("TYPE", "/type"),
    Column::new("CREATED", "/creationDate"),
    Column::new("DESCRIPTION", "/description"),
];
const ONE: &[Column] =
    &[Column::new("NAME", "/name"), Column::new("TYPE", "/type"), Column::new("ACTIONS", "/actions")];

pub async fn run(args: ScopeMapArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(create) => {
            let body = given([
                ("name", Some(json!(create.target.name.as_str()))),
                ("actions", Some(json!(stored(&create.repositories.all)))),
                ("description", create.description.map(Value::String)),
            ]);
            let made = context.server()?.post(&create.target.registry.path("scope-maps"), &body).await?;
            context.show(&made, ONE)?;
        }
        Command::List(registry) => {
            context.show(&whole_list(context, &registry.path("scope-maps"), &[]).await?, COLUMNS)?;
        }
        Command::Show(target) => context.show(&context.server()?.get(&target.path()).await?, ONE)?,
        Command::Update(update) => change(&update, context).await?,
        Command::Delete(Delete { target, yes }) => {
            let question = format!("delete the scope map `{}`?", target.name.as_str());
            delete(context, &target.path(), yes.yes, &question).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn stored(grants: &[Grant]) -> BTreeSet<String> {
    grants.iter().flat_map(Grant::stored).collect()
}

/// How often a map is read again that somebody else has changed meanwhile.
const ATTEMPTS: usize = 3;

/// The whole set of actions is sent, so it must not have changed since it was read.
async fn change(update: &Update, context: &Context) -> anyhow::Result<()> {
    let (add, remove) = (stored(&update.add.all), stored(&update.remove.all));
    let (server, path) = (context.server()?, update.target.path());
    let mut attempt = 1;
    loop {
        let map = server.get(&path).await?;
        let actions = (!add.is_empty() || !remove.is_empty()).then(|| actions(&map, &add, &remove)).transpose()?;
        let body = changes(
            [("actions", actions), ("description", update.description.clone().map(Value::String))],
            "`--add-repository`, `--remove-repository` or `--description`",
        )?;
        let etag = map.get("etag").and_then(Value::as_str);
        match server.patch_if(&path, &body, etag).await {
            Err(error) if error.status() == Some(412) && attempt < ATTEMPTS => attempt += 1,
            changed => return context.show(&changed?, ONE),
        }
    }
}

/// The map's actions after the change. What is taken away must be there: a slip of the pen would otherwise leave a right
/// in place that its owner believes gone.
fn actions(map: &Value, add: &BTreeSet<String>, remove: &BTreeSet<String>) -> Result<Value, CliError> {
    let now = map.get("actions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut actions: BTreeSet<String> = now.map(str::to_owned).collect();
    if let Some(absent) = remove.iter().find(|action| !actions.contains(*action)) {
        return Err(CliError::new(format!("the scope map does not have `{absent}`"))
            .hint("see what it has with `shorepass scope-map show`"));
    }
    actions.retain(|action| !remove.contains(action));
    actions.extend(add.iter().cloned());
    Ok(json!(actions))
}
