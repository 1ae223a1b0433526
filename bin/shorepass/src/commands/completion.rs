//! `shorepass completion`: completions for a shell, to standard output.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Shell to make completions for
    shell: Shell,
}

pub fn run(args: &CompletionArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "shorepass", &mut script);
    context.printer.out(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
