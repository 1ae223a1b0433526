//! `shorepass access policy`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::commands::args::{Name, RegistryOption, Yes};
use crate::commands::{changes, delete, given, whole_list};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store a policy; one that is not valid is refused
    Create(Create),
    /// List the policies
    List(RegistryOption),
    /// Show a policy
    Show(Target),
    /// Change a policy
    Update(Update),
    /// Delete a policy
    Delete(Delete),
    /// Say whether a policy could be stored; exit code 1 when not
    Check(Check),
    /// Print the Cedar schema: what policies can speak of
    Schema(RegistryOption),
}

#[derive(Debug, Args)]
pub struct Target {
    /// Policy
    #[arg(short, long)]
    name: Name,
    #[command(flatten)]
    registry: RegistryOption,
}

impl Target {
    fn path(&self) -> String {
        self.registry.path(&format!("policies/{}", self.name.segment()))
    }
}

#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    target: Target,
    /// File with one Cedar policy
    #[arg(short, long)]
    file: PathBuf,
    /// Whether it counts
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
}

#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    target: Target,
    /// File with one Cedar policy
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Whether it counts
    #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
    enabled: Option<bool>,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    yes: Yes,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    registry: RegistryOption,
    /// File with one Cedar policy
    #[arg(short, long)]
    file: PathBuf,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("ENABLED", "/enabled"),
    Column::new("CREATED", "/creationDate"),
    Column::new("UPDATED", "/updatedAt"),
];
const CHECKED: &[Column] = &[Column::new("VALID", "/valid"), Column::new("MESSAGE", "/message")];

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    match command {
        Command::Create(new) => {
            let body = given([
                ("name", Some(json!(new.target.name.as_str()))),
                ("text", Some(Value::String(read(&new.file)?))),
                ("enabled", new.enabled.map(Value::Bool)),
            ]);
            context.show(&server.post(&new.target.registry.path("policies"), &body).await?, COLUMNS)?;
        }
        Command::List(registry) => {
            context.show(&whole_list(context, &registry.path("policies"), &[]).await?, COLUMNS)?;
        }
        Command::Show(target) => {
            let policy = server.get(&target.path()).await?;
            context.show(&policy, COLUMNS)?;
            if let Some(text) = policy.get("text").and_then(Value::as_str).filter(|_| context.is_for_people()) {
                context.printer.out("")?;
                for line in text.trim_end().lines() {
                    context.printer.out(&crate::output::clean(&line.replace('\t', "    ")))?;
                }
            }
        }
        Command::Update(update) => {
            let text = update.file.as_deref().map(read).transpose()?;
            let fields = [("text", text.map(Value::String)), ("enabled", update.enabled.map(Value::Bool))];
            let body = changes(fields, "`--file` or `--enabled`")?;
            context.show(&server.patch(&update.target.path(), &body).await?, COLUMNS)?;
        }
        Command::Delete(Delete { target, yes }) => {
            let question = format!("delete the policy `{}`?", target.name.as_str());
            delete(context, &target.path(), yes.yes, &question).await?;
        }
        Command::Check(check) => {
            let answer =
                server.post(&check.registry.path("policies/_check"), &json!({ "text": read(&check.file)? })).await?;
            context.show(&answer, CHECKED)?;
            let valid = answer.get("valid").and_then(Value::as_bool).unwrap_or(false);
            return Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Schema(registry) => {
            let answer = server.get(&registry.path("policies/_schema")).await?;
            match answer.get("schema").and_then(Value::as_str).filter(|_| context.is_for_people()) {
                Some(schema) => context.printer.out(schema.trim_end())?,
                None => context.show(&answer, &[])?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
