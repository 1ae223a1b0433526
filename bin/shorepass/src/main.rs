//! The Shorepass server and its command line.

mod cli;
mod commands;
mod config;
mod context;
mod error;
mod local;
mod output;
mod printer;
mod telemetry;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::local::LocalError;
use crate::printer::Printer;

fn main() -> ExitCode {
    let environment = config::environment();
    let printer = Printer::new(&environment);
    // `Err` says that a provider is installed already, and there is only this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli { global, command } = Cli::parse();
    let sources = config::Sources {
        config: global.config.as_deref(),
        data: global.data.as_deref(),
        environment: &environment,
        flags: None,
    };
    let context = Context {
        data: sources.data(),
        printer: printer.clone(),
        format: global.output,
        query: global.query,
        config: global.config,
        data_flag: global.data,
        environment,
    };
    match run(command, &context) {
        Ok(code) => code,
        Err(error) => fail(&error, &context),
    }
}

fn run(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => commands::serve::run(args, context).await,
            Command::Login(args) => commands::login::run(args, context).await,
            Command::CheckHealth(args) => commands::check_health::run(args, context).await,
            Command::Registry(args) => commands::registry::run(args, context).await,
            Command::Admin(args) => commands::admin::run(args, context).await,
            Command::Repository(args) => commands::repository::run(args, context).await,
            Command::Token(args) => commands::token::run(args, context).await,
            Command::ScopeMap(args) => commands::scope_map::run(args, context).await,
            Command::User(args) => commands::user::run(args, context).await,
            Command::AdGroup(args) => commands::ad_group::run(args, context).await,
            Command::Sp(args) => commands::sp::run(args, context).await,
            Command::Identity(args) => commands::identity::run(args, context).await,
            Command::Federation(args) => commands::federation::run(args, context).await,
            Command::Role(args) => commands::role::run(args, context).await,
            Command::Access(args) => commands::access::run(args, context).await,
            Command::Tenant(args) => commands::tenant::run(args, context).await,
            Command::Subscription(args) => commands::subscription::run(args, context).await,
            Command::ResourceGroup(args) => commands::resource_group::run(args, context).await,
            Command::Audit(args) => commands::audit::run(args, context).await,
            Command::Health => commands::health::run(context).await,
            Command::Keys(args) => commands::keys::run(args, context).await,
            Command::Config(args) => commands::config::run(args, context),
            Command::Completion(args) => commands::completion::run(&args, context),
            Command::Man(args) => commands::man::run(&args, context),
        }
    })
}

/// Says what went wrong and what to do about it.
fn fail(error: &anyhow::Error, context: &Context) -> ExitCode {
    // `shorepass … | head` is no failure.
    let is_broken_pipe = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref().is_some_and(is_broken_pipe)) {
        return ExitCode::SUCCESS;
    }
    let cli = error.downcast_ref::<CliError>();
    let local = error.chain().find_map(|cause| cause.downcast_ref::<LocalError>());
    let (message, hint) = match (cli, local) {
        (_, Some(LocalError::NotRunning { .. })) => not_running(context),
        (Some(cli), _) => (format!("{error:#}"), cli.remedy().map(str::to_owned)),
        (None, Some(local)) => (format!("{error:#}"), local.hint()),
        (None, None) => (format!("{error:#}"), None),
    };
    context.printer.error(&output::clean(&message));
    if let Some(hint) = hint {
        context.printer.hint(&output::clean(&hint));
    }
    ExitCode::from(cli.map_or(1, CliError::code))
}

fn not_running(context: &Context) -> (String, Option<String>) {
    let data = context.data.display();
    let message = format!("no server is running for the data directory `{data}`");
    let start = match &context.data_flag {
        Some(_) => format!("shorepass serve --data {data}"),
        None => "shorepass serve".to_owned(),
    };
    (message, Some(format!("start it with `{start}`, or name another directory with `--data` or SHOREPASS_DATA")))
}
