//! `shorepass man`: a manual page for each command, into a directory.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory};

use crate::cli::Cli;
use crate::context::Context;

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory to write to; it is made if need be
    directory: PathBuf,
}

pub fn run(args: &ManArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let shown = args.directory.display();
    std::fs::create_dir_all(&args.directory).with_context(|| format!("the directory `{shown}` cannot be made"))?;
    clap_mangen::generate_to(Cli::command(), &args.directory)
        .with_context(|| format!("the pages cannot be written to `{shown}`"))?;
    context.printer.note(&format!("`man -l {shown}/shorepass.1` shows the first of the pages"));
    Ok(ExitCode::SUCCESS)
}
