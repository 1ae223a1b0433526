//! `shorepass check-health`: whether this machine can use a registry, in the order and with the codes of
//! what-the-documents-say.md 2f.

mod registry;
mod tools;

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Args;
use shorepass_core::{RepositoryName, SystemClock};
use shorepass_pull::report;

use super::target::{Target, TargetArgs};
use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Args)]
pub struct CheckHealthArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Go on after an error
    #[arg(long)]
    ignore_errors: bool,
    /// Pull an image without asking
    #[arg(short, long)]
    yes: bool,
    /// Also tell what you may do to this repository, and pull its image
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<RepositoryName>,
}

/// What a check found: a line to show, or a fault.
type Finding = Result<String, Fault>;

/// A fault by its documented code.
#[derive(Debug)]
struct Fault {
    code: &'static str,
    text: String,
}

impl Fault {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// How the command ends when it ends early.
type Flow<T = ()> = ControlFlow<anyhow::Result<ExitCode>, T>;

struct Checkup<'a> {
    context: &'a Context,
    args: &'a CheckHealthArgs,
    /// The registry that was named, once it is found.
    target: Option<Target>,
    failed: bool,
}

impl Checkup<'_> {
    fn line(&self, text: &str) -> Flow {
        match self.context.printer.out(text) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    /// The first fault ends it, unless `--ignore-errors`.
    fn fault(&mut self, fault: &Fault) -> Flow {
        self.failed = true;
        self.context.printer.err(&report::occurred(&SystemClock, fault.code, &fault.text));
        if self.args.ignore_errors { ControlFlow::Continue(()) } else { ControlFlow::Break(Ok(ExitCode::FAILURE)) }
    }

    fn record(&mut self, finding: &Finding) -> Flow {
        match finding {
            Ok(text) => self.line(text),
            Err(fault) => self.fault(fault),
        }
    }

    async fn all(&mut self) -> Flow {
        // Found first, because the sample pull wants an image of it; a fault is told in its place, after the tools'.
        let unknown = self.find_target().await.err();
        self.tools().await?;
        match unknown {
            Some(fault) => self.fault(&fault),
            None => self.registry().await,
        }
    }

    async fn find_target(&mut self) -> Result<(), Fault> {
        if self.args.target.is_given() {
            let found = self.args.target.resolve(self.context).await;
            self.target = Some(found.map_err(|error| Fault::new("LOGIN_SERVER_ERROR", format!("{error:#}")))?);
        }
        Ok(())
    }
}

/// Exit code 1 after any fault, also with `--ignore-errors`.
pub async fn run(args: CheckHealthArgs, context: &Context) -> anyhow::Result<ExitCode> {
    if args.repository.is_some() && !args.target.is_given() {
        return Err(CliError::usage("`--repository` needs a registry")
            .hint("name it: `-n NAME`, or its login server")
            .into());
    }
    args.target.warn_of_upper_case(context);
    let mut checkup = Checkup { context, args: &args, target: None, failed: false };
    match checkup.all().await {
        ControlFlow::Break(end) => end,
        ControlFlow::Continue(()) if checkup.failed => Ok(ExitCode::FAILURE),
        ControlFlow::Continue(()) => Ok(ExitCode::SUCCESS),
    }
}
