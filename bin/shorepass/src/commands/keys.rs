//! `shorepass keys`: the keys tokens are signed with.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::items;
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the keys
    List,
    /// Make a new key; tokens of the old one stay valid until they expire
    Rotate,
}

const COLUMNS: &[Column] = &[
    Column::new("KEY", "/kid"),
    Column::new("ALGORITHM", "/algorithm"),
    Column::new("CREATED", "/createdAt"),
    Column::new("SIGNS FROM", "/activeAt"),
    Column::new("RETIRED", "/retiredAt"),
];

pub async fn run(args: KeysArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let server = context.server()?;
    let answer = match args.command {
        Command::List => server.get("/api/v1/keys").await?,
        Command::Rotate => server.post("/api/v1/keys/rotate", &json!({})).await?,
    };
    context.show(&items(answer), COLUMNS)?;
    Ok(ExitCode::SUCCESS)
}
