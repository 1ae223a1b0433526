//! The registry that `login` and `check-health` are told: by name at the server that is meant, or by login server anywhere.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::SecretString;
use shorepass_core::RegistryName;
use shorepass_pull::RegistryHost;
use shorepass_pull::client::{ClientError, RegistryClient};
use shorepass_pull::session::registry_of;

use super::DEFAULT_REGISTRY;
use crate::context::Context;
use crate::error::CliError;
use crate::server::{self, Choice, LocalError, ServerUrl};

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Login server, as in image names: `localhost:5000`, `team.registry.example.com`
    #[arg(value_name = "SERVER", id = "login_server", conflicts_with = "name")]
    server: Option<String>,
    /// Registry of the server on this machine, or of the one you are signed in to (default: `default`)
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
}

impl TargetArgs {
    pub fn is_given(&self) -> bool {
        self.server.is_some() || self.name.is_some()
    }

    /// As the user would type it again.
    pub fn typed(&self) -> String {
        match (&self.server, &self.name) {
            (Some(server), _) => server.clone(),
            (None, name) => format!("-n {}", name.as_deref().unwrap_or(DEFAULT_REGISTRY)),
        }
    }

    /// `az`'s warning: image names are lower case, and docker finds no credential under another spelling.
    pub fn warn_of_upper_case(&self, context: &Context) {
        let given = self.server.as_ref().or(self.name.as_ref());
        if given.is_some_and(|text| text.bytes().any(|b| b.is_ascii_uppercase())) {
            context.printer.warn(
                "Uppercase characters are detected in the registry name. When using its server url in docker commands, to avoid authentication errors, use all lowercase.",
            );
        }
    }

    /// A name is looked up with the server that is meant. A text with a dot, a colon or a slash, and `localhost`, is a
    /// login server, as in image names.
    pub async fn resolve(&self, context: &Context) -> anyhow::Result<Target> {
        let is_server = |text: &str| text == "localhost" || text.contains(['.', ':', '/']);
        let given = self.server.as_deref().or(self.name.as_deref()).unwrap_or(DEFAULT_REGISTRY);
        if is_server(given) {
            let host: RegistryHost = given.parse().map_err(|error| CliError::usage(format!("{error}")))?;
            return Ok(Target { host, registry: None });
        }
        let name: RegistryName = given.parse().map_err(|error| CliError::usage(format!("{error}")))?;
        let found = context.server()?.registry(&name).await?;
        let host = found.login_server.parse().map_err(|error| CliError::new(format!("{error}")))?;
        Ok(Target { host, registry: Some(name) })
    }
}

/// The registry that is meant.
#[derive(Debug)]
pub struct Target {
    pub host: RegistryHost,
    /// Its name, where a server was asked for it by name.
    registry: Option<RegistryName>,
}

/// A refresh token of a registry for whoever runs the command.
#[derive(Debug)]
pub struct Vouched {
    pub refresh_token: SecretString,
    pub login_server: String,
    /// The CA of a server that has its own.
    pub ca: Option<PathBuf>,
}

impl Target {
    /// Signs in as whoever has signed in to the server of this registry, or else as the operator of the server on this
    /// machine. `None`: neither of them serves it.
    pub async fn vouch(&self, context: &Context) -> anyhow::Result<Option<Vouched>> {
        if let Choice::Session(server) = Choice::of(context)? {
            let vouched = self.by_session(server).await?;
            if vouched.is_some() || context.is_server_named() {
                return Ok(vouched);
            }
        }
        Ok(self.by_operator(context).await?)
    }

    /// What was looked up at the server elsewhere is not served by the one here.
    async fn by_operator(&self, context: &Context) -> Result<Option<Vouched>, LocalError> {
        let local = context.local();
        let registry = match &self.registry {
            Some(name) => Some(name.clone()),
            None => registry_of(&local, &self.host).await.or_else(absent)?,
        };
        let Some(registry) = registry else { return Ok(None) };
        let minted = local.mint(&registry, Some(&self.host.to_string())).await?;
        Ok(Some(Vouched { refresh_token: minted.refresh_token, login_server: minted.login_server, ca: minted.ca_file }))
    }

    /// The token that is asked for is for this registry alone: a server that is not of the session's gets none, and none
    /// that another could use.
    async fn by_session(&self, server: ServerUrl) -> anyhow::Result<Option<Vouched>> {
        let session = server::session(server)?;
        let token = match session.token(&format!("https://{}", self.host)).await {
            Err(error) if error.is_unknown_resource() => return Ok(None),
            token => token?,
        };
        let account = session.account()?;
        let registry = self.reach(account.ca_file.as_deref()).await?;
        let exchanged = registry.exchange(&account.tenant_id, &token).await;
        let refresh_token = exchanged.map_err(|error| match error.status() {
            Some(401 | 403) => CliError::new(format!("`{}` may not use the registry `{}`", account.name, self.host))
                .hint("ask its owner for a role, such as AcrPull; `shorepass access explain` says what is missing"),
            _ => CliError::new(error.to_string()),
        })?;
        Ok(Some(Vouched { refresh_token, login_server: self.host.to_string(), ca: account.ca_file }))
    }

    /// The registry must answer before anybody is given a credential for it.
    pub async fn reach(&self, ca: Option<&Path>) -> anyhow::Result<RegistryClient> {
        let registry = RegistryClient::reach(&self.host, ca).await.map_err(|error| match &error {
            ClientError::Certificate { .. } => CliError::new(error.to_string())
                .hint("if the server made its own certificate, have SSL_CERT_FILE name its CA for this command"),
            _ => CliError::new(error.to_string()),
        })?;
        if registry.status() == 403 {
            return Err(CliError::new(self.no_access()).into());
        }
        Ok(registry)
    }

    /// The CA of the server on this machine, when it serves this registry and made its own certificate; or the one of the
    /// session that is used.
    pub async fn ca(&self, context: &Context) -> Option<PathBuf> {
        if let Ok(Choice::Session(server)) = Choice::of(context) {
            let account = server::session(server).ok()?.account().ok();
            if let Some(ca) = account.and_then(|account| account.ca_file) {
                return Some(ca);
            }
        }
        let local = context.local();
        if self.registry.is_none() && registry_of(&local, &self.host).await.ok().flatten().is_none() {
            return None;
        }
        local.endpoint().await.ok()?.ca_file
    }

    /// What a 403 on `/v2/` means (contracts/azure-clients.md 7.7).
    pub fn no_access(&self) -> String {
        let name = self.registry.as_ref().map_or(DEFAULT_REGISTRY, RegistryName::as_str);
        format!(
            "Looks like you don't have access to registry '{}'. To see configured firewall rules, run 'shorepass registry show --query networkRuleSet --name {name}'.",
            self.host
        )
    }
}

fn absent(error: LocalError) -> Result<Option<RegistryName>, LocalError> {
    match error {
        LocalError::NotRunning { .. } | LocalError::Denied { .. } => Ok(None),
        other => Err(other),
    }
}
