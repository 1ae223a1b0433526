//! `shorepass sp federated-credential` and `shorepass identity federated-credential`: which outside token signs in as it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{Name, segment};
use super::{changes, given, whole_list};
use crate::context::Context;
use crate::output::Column;

/// What has federated credentials.
pub trait Owner {
    /// The path of their list.
    fn federated_credentials(&self) -> String;
}

#[derive(Debug, Subcommand)]
pub enum FederatedCommand<O: Args> {
    /// Let a token of an issuer sign in
    Create(Create<O>),
    /// List them
    List(O),
    /// Show one
    Show(Trust<O>),
    /// Change what a token must say
    Update(Update<O>),
    /// Delete one; what it signed in ends at once
    Delete(Trust<O>),
}

#[derive(Debug, Args)]
pub struct Trust<O: Args> {
    #[command(flatten)]
    owner: O,
    /// Its own name
    #[arg(short, long, visible_alias = "federated-credential-id")]
    name: Name,
}

impl<O: Args + Owner> Trust<O> {
    fn path(&self) -> String {
        format!("{}/{}", self.owner.federated_credentials(), segment(self.name.as_str()))
    }
}

#[derive(Debug, Args)]
struct Subject {
    /// The token's `sub` claim, exactly
    #[arg(long, value_name = "TEXT", conflicts_with = "subject_pattern")]
    subject: Option<String>,
    /// The same, where `*` stands for any characters but `:` and `/`
    #[arg(long, value_name = "PATTERN")]
    subject_pattern: Option<String>,
}

#[derive(Debug, Args)]
pub struct Create<O: Args> {
    #[command(flatten)]
    target: Trust<O>,
    /// The token's `iss` claim; one of the tenant's trusted issuers (`shorepass federation`)
    #[arg(long, value_name = "URL")]
    issuer: String,
    #[command(flatten)]
    subject: Subject,
    /// What the token's `aud` claim must hold (default: api://AzureADTokenExchange)
    #[arg(long, visible_alias = "audiences", value_name = "TEXT")]
    audience: Option<String>,
}

#[derive(Debug, Args)]
pub struct Update<O: Args> {
    #[command(flatten)]
    target: Trust<O>,
    /// The token's `iss` claim
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    #[command(flatten)]
    subject: Subject,
    /// What the token's `aud` claim must hold
    #[arg(long, visible_alias = "audiences", value_name = "TEXT")]
    audience: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("ISSUER", "/issuer"),
    Column::new("SUBJECT", "/subject"),
    Column::new("PATTERN", "/subjectPattern"),
    Column::new("AUDIENCE", "/audience"),
];

pub async fn run<O: Args + Owner>(command: FederatedCommand<O>, context: &Context) -> anyhow::Result<()> {
    let server = context.server()?;
    match command {
        FederatedCommand::Create(new) => {
            let body = given([
                ("name", Some(json!(new.target.name.as_str()))),
                ("issuer", Some(Value::String(new.issuer))),
                ("subject", new.subject.subject.map(Value::String)),
                ("subjectPattern", new.subject.subject_pattern.map(Value::String)),
                ("audience", new.audience.map(Value::String)),
            ]);
            context.show(&server.post(&new.target.owner.federated_credentials(), &body).await?, COLUMNS)
        }
        FederatedCommand::List(owner) => {
            context.show(&whole_list(context, &owner.federated_credentials(), &[]).await?, COLUMNS)
        }
        FederatedCommand::Show(target) => context.show(&server.get(&target.path()).await?, COLUMNS),
        FederatedCommand::Update(update) => {
            let body = changes(
                [
                    ("issuer", update.issuer.map(Value::String)),
                    ("subject", update.subject.subject.map(Value::String)),
                    ("subjectPattern", update.subject.subject_pattern.map(Value::String)),
                    ("audience", update.audience.map(Value::String)),
                ],
                "`--issuer`, `--subject`, `--subject-pattern` or `--audience`",
            )?;
            context.show(&server.patch(&update.target.path(), &body).await?, COLUMNS)
        }
        FederatedCommand::Delete(target) => Ok(server.delete(&target.path()).await?),
    }
}
