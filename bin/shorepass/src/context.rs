//! What every command is given.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use crate::config::Environment;
use crate::error::CliError;
use crate::output::{self, Column, Format};
use crate::printer::Printer;
use crate::server::{self, Choice, LocalServer, RemoteServer, Server};

#[derive(Debug)]
pub struct Context {
    pub printer: Printer,
    /// `--output`, where it was given.
    pub format: Option<Format>,
    /// `--query`, a JMESPath expression.
    pub query: Option<String>,
    /// The data directory of the server to talk to.
    pub data: PathBuf,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data_flag: Option<PathBuf>,
    /// `--server`.
    pub server_flag: Option<String>,
    pub environment: Environment,
}

impl Context {
    /// The server that is meant.
    pub fn server(&self) -> anyhow::Result<Server> {
        Ok(match Choice::of(self)? {
            Choice::Socket => Server::Local(self.local()),
            Choice::Session(server) => Server::Remote(RemoteServer::new(server::session(server)?)),
        })
    }

    /// The server of the data directory.
    pub fn local(&self) -> LocalServer {
        LocalServer::at(&self.data)
    }

    /// An environment variable that is not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a server elsewhere was named, so that no other is meant.
    pub fn is_server_named(&self) -> bool {
        self.server_flag.is_some() || self.variable("SHOREPASS_SERVER").is_some()
    }

    /// Prints an answer as the user wants it. The columns are those of the table; JSON shows the whole answer.
    pub fn show(&self, value: &Value, columns: &[Column]) -> anyhow::Result<()> {
        let format = self.format.unwrap_or(Format::Table);
        let text = match (format, &self.query) {
            (Format::Table, None) => output::table(value, columns),
            _ => output::render(value, format, self.query.as_deref())?,
        };
        if text.is_empty() {
            return Ok(());
        }
        self.printer.out(&text)
    }

    /// Whether people read the answer, rather than programs.
    pub fn is_for_people(&self) -> bool {
        self.format.unwrap_or(Format::Table) == Format::Table && self.query.is_none()
    }

    /// Has the user confirm what cannot be undone; an error when they do not.
    pub fn confirm(&self, yes: bool, question: &str) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        match self.printer.confirm(question).context("the answer cannot be read")? {
            Some(true) => Ok(()),
            Some(false) => Err(CliError::new("nothing was changed").into()),
            None => Err(CliError::usage(format!(
                "this needs a confirmation, and there is no terminal to ask on: {question}"
            ))
            .hint("add `--yes`")
            .into()),
        }
    }
}
