//! `shorepass config check`: everything that is wrong with the configuration, or what is in effect.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::{Finding, Loaded, Sources};
use crate::context::Context;
use crate::output::Column;

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain every error of the configuration, or show what is in effect
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// File to check (default: the one `serve` would read)
    file: Option<PathBuf>,
}

const COLUMNS: &[Column] =
    &[Column::new("SETTING", "/setting"), Column::new("VALUE", "/value"), Column::new("FROM", "/from")];

pub fn run(args: ConfigArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let Command::Check(check) = args.command;
    let sources = Sources {
        config: check.file.as_deref().or(context.config.as_deref()),
        data: context.data_flag.as_deref(),
        environment: &context.environment,
        flags: None,
    };
    let file = sources.file();
    match sources.load() {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                context.printer.warn(&explained(warning));
            }
            context.show(&shown(&loaded), COLUMNS)?;
            match file {
                Some(path) => context.printer.note(&format!("`{}` and the environment are in order", path.display())),
                None => context.printer.note("there is no configuration file; the environment is in order"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(findings) => {
            report(&findings, context);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Shows everything that is wrong, with what to do about each.
pub fn report(findings: &[Finding], context: &Context) {
    for finding in findings {
        context.printer.error(&explained(finding));
    }
    let count = findings.len();
    let errors = if count == 1 { "error" } else { "errors" };
    context.printer.err(&format!("{count} {errors} in the configuration"));
}

/// A finding on one line, its remedy on the next.
pub fn explained(finding: &Finding) -> String {
    format!("{finding}\n  remedy: {}", finding.complaint.remedy)
}

fn shown(loaded: &Loaded) -> Value {
    let rows = loaded.effective.iter().map(|row| {
        let value = if row.value.is_empty() { Value::Null } else { json!(row.value) };
        json!({ "setting": row.key, "value": value, "from": row.origin.to_string() })
    });
    rows.collect()
}
