//! `shorepass serve`: runs the server until it is told to stop.

mod welcome;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, Args, FromArgMatches};
use serde_json::json;
use shorepass_server::settings::Settings;
use shorepass_server::{Running, StartError, start};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::{explained, report};
use crate::config::{Origin, Sources, flags};
use crate::context::Context;
use crate::error::CliError;
use crate::telemetry::Telemetry;

/// The server's flags, which are made from the settings' schema.
#[derive(Debug, Clone)]
pub struct ServeArgs(ArgMatches);

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for ServeArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(flags())
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// What a shell reports for a process that was interrupted: 128 and SIGINT's number.
const INTERRUPTED: u8 = 130;

pub async fn run(args: ServeArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let sources = sources(&args, context);
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(findings) => {
            report(&findings, context);
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in &loaded.warnings {
        context.printer.warn(&explained(warning));
    }
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::start(&loaded.log, loaded.settings.otlp_endpoint.as_ref())?;
    let data_given = loaded.effective.iter().any(|row| row.key == "data" && row.origin != Origin::Default);
    let settings = loaded.settings;
    let running = tokio::select! {
        started = start(settings.clone()) => started.map_err(cannot_start)?,
        () = signals.stop() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    announce(&running, &settings, data_given, context)?;
    while signals.next().await == Heard::Reload {
        reload(&sources, &telemetry, &running).await;
    }
    tracing::info!("stopping: requests under way may end");
    let code = tokio::select! {
        () = running.shutdown() => ExitCode::SUCCESS,
        () = signals.stop() => {
            tracing::warn!("stopped before all requests had ended");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    telemetry.end().await;
    Ok(code)
}

fn cannot_start(error: StartError) -> CliError {
    let told = CliError::new(format!("the server cannot start: {error}"));
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn sources<'a>(args: &'a ServeArgs, context: &'a Context) -> Sources<'a> {
    Sources {
        config: context.config.as_deref(),
        data: context.data_flag.as_deref(),
        environment: &context.environment,
        flags: Some(&args.0),
    }
}

/// One line for programs on standard output; for people, on the first start, what to type next.
fn announce(running: &Running, settings: &Settings, data_given: bool, context: &Context) -> anyhow::Result<()> {
    let ready = json!({
        "endpoint": running.endpoint(),
        "address": running.listen_addr().to_string(),
        "metrics": running.metrics_addr().map(|address| address.to_string()),
        "socket": settings.data.join("shorepass.sock"),
        "data": settings.data,
        "caFile": running.ca_file(),
        "pid": std::process::id(),
    });
    context.printer.out(&format!("listening {ready}"))?;
    if running.first_start() {
        let data = data_given.then_some(settings.data.as_path());
        context.printer.err(&welcome::text(&running.endpoint(), running.ca_file().as_deref(), data));
    }
    Ok(())
}

/// SIGHUP. A configuration that is wrong now changes nothing.
async fn reload(sources: &Sources<'_>, telemetry: &Telemetry, running: &Running) {
    match sources.load() {
        Ok(loaded) => match telemetry.set_level(&loaded.log.level) {
            Ok(()) => tracing::info!(log_level = loaded.log.level, "log level read again"),
            Err(error) => tracing::error!("{error:#}"),
        },
        Err(findings) => {
            for finding in findings {
                tracing::error!(remedy = finding.complaint.remedy, "the configuration was not read again: {finding}");
            }
        }
    }
    match running.reload() {
        Ok(()) => tracing::info!("certificates read again"),
        Err(error) => tracing::error!("the old certificates stay in use: {error}"),
    }
}

/// The signals a server heeds.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of any.
    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
        }
    }

    /// Waits for one that says to stop.
    async fn stop(&mut self) {
        while self.next().await == Heard::Reload {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Stop,
    Reload,
}
