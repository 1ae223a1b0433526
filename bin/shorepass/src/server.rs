//! The server that commands talk to: the one on this machine over its socket, or one elsewhere as whoever has signed in.

use std::path::Path;

use anyhow::Context as _;
use shorepass_core::{SystemClock, SystemRandom};
use shorepass_identity::ClientCertificate;
use shorepass_pull::account::AccountStore;
pub use shorepass_pull::identity::{AccountSession, IdentityError};
pub use shorepass_pull::local::{LocalError, LocalServer};
pub use shorepass_pull::remote::{RemoteError, RemoteServer};
pub use shorepass_pull::{Server, ServerError, ServerUrl};
use shorepass_pull::{identity, paths};

use crate::context::Context;
use crate::error::CliError;

/// Which server is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one whose data directory is on this machine.
    Socket,
    /// The session at this server.
    Session(ServerUrl),
}

impl Choice {
    /// What is named on the command line counts before the environment, and that before who is signed in.
    pub fn of(context: &Context) -> anyhow::Result<Self> {
        if let Some(text) = &context.server_flag {
            return Ok(Self::Session(parse(text)?));
        }
        if context.data_flag.is_some() || context.config.is_some() {
            return Ok(Self::Socket);
        }
        if let Some(text) = context.variable("SHOREPASS_SERVER") {
            return Ok(Self::Session(parse(text)?));
        }
        if context.variable("SHOREPASS_DATA").is_some() {
            return Ok(Self::Socket);
        }
        let Some(file) = paths::accounts_file() else { return Ok(Self::Socket) };
        let active = AccountStore::at(&file).active()?;
        Ok(active.map_or(Self::Socket, |account| Self::Session(account.server)))
    }
}

pub fn parse(text: &str) -> Result<ServerUrl, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("{error}")))
}

/// Where sessions are kept.
pub fn accounts() -> anyhow::Result<AccountStore> {
    let file = paths::accounts_file().context("there is no home directory to keep sessions in; set XDG_CONFIG_HOME")?;
    Ok(AccountStore::at(&file))
}

pub fn session(server: ServerUrl) -> anyhow::Result<AccountSession> {
    Ok(AccountSession::new(accounts()?, server, Box::new(Signer), Box::new(SystemClock)))
}

/// Signs client assertions with the key that lies beside a certificate.
#[derive(Debug)]
pub struct Signer;

impl identity::Assert for Signer {
    fn assertion(&self, file: &Path, client_id: &str, audience: &str) -> Result<String, String> {
        let pem = std::fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
        let certificate = ClientCertificate::from_pem(&pem).map_err(|error| error.to_string())?;
        let signed = certificate.sign_assertion(client_id, audience, &SystemClock, &SystemRandom);
        signed.map_err(|error| error.to_string())
    }
}
