//! `shorepass role`: roles, and who holds them where, with the flags of `az role`.

mod assignment;
mod definition;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
pub struct RoleArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Who holds which role where
    #[command(subcommand)]
    Assignment(assignment::Command),
    /// The roles there are, and those a tenant makes itself
    #[command(subcommand)]
    Definition(definition::Command),
}

pub async fn run(args: RoleArgs, context: &Context) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Assignment(command) => assignment::run(command, context).await?,
        Command::Definition(command) => definition::run(command, context).await?,
    }
    Ok(ExitCode::SUCCESS)
}
