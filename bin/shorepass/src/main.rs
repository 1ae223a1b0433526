//! The Shorepass server and its command line.

mod cli;
mod commands;
mod config;
mod context;
mod error;
mod output;
mod printer;
mod server;
mod telemetry;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use shorepass_pull::directory::DirectoryError;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::printer::Printer;
use crate::server::{IdentityError, LocalError, RemoteError, ServerError};

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
        server_flag: global.server,
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
            Command::Account(args) => commands::account::run(args, context).await,
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
    let (message, hint) = match cli {
        Some(cli) => (format!("{error:#}"), cli.remedy().map(str::to_owned)),
        None if is_not_running(error) => not_running(context),
        None => (format!("{error:#}"), error.chain().find_map(remedy)),
    };
    context.printer.error(&output::clean(&message));
    if let Some(hint) = hint {
        context.printer.hint(&output::clean(&hint));
    }
    ExitCode::from(cli.map_or(1, CliError::code))
}

/// What an error of the client's side says to do next.
fn remedy(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    None.or_else(|| cause.downcast_ref::<ServerError>()?.hint())
        .or_else(|| cause.downcast_ref::<LocalError>()?.hint())
        .or_else(|| cause.downcast_ref::<RemoteError>()?.hint())
        .or_else(|| cause.downcast_ref::<IdentityError>()?.hint())
        .or_else(|| cause.downcast_ref::<DirectoryError>()?.hint())
}

fn is_not_running(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let local = match cause.downcast_ref::<ServerError>() {
            Some(ServerError::Local(local)) => Some(local),
            _ => cause.downcast_ref::<LocalError>(),
        };
        matches!(local, Some(LocalError::NotRunning { .. }))
    })
}

fn not_running(context: &Context) -> (String, Option<String>) {
    let data = context.data.display();
    let message = format!("no server is running for the data directory `{data}`");
    let start = match &context.data_flag {
        Some(_) => format!("shorepass serve --data {data}"),
        None => "shorepass serve".to_owned(),
    };
    let other = "name another directory with `--data` or SHOREPASS_DATA, or sign in to a server elsewhere with `shorepass account login`";
    (message, Some(format!("start it with `{start}`, {other}")))
}
