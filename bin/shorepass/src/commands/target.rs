//! The registry that `login` and `check-health` are told: by name on this machine, or by login server anywhere.

use std::path::PathBuf;

use clap::Args;
use shorepass_core::RegistryName;
use shorepass_pull::RegistryHost;
use shorepass_pull::local::{LocalError, Minted};
use shorepass_pull::session::registry_of;

use super::DEFAULT_REGISTRY;
use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Login server, as in image names: `localhost:5000`, `team.registry.example.com`
    #[arg(value_name = "SERVER", conflicts_with = "name")]
    server: Option<String>,
    /// Registry of the server on this machine (default: `default`)
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

    /// A name is looked up with the server on this machine. A text with a dot, a colon or a slash, and `localhost`, is
    /// a login server, as in image names.
    pub async fn resolve(&self, context: &Context) -> anyhow::Result<Target> {
        let is_server = |text: &str| text == "localhost" || text.contains(['.', ':', '/']);
        let given = self.server.as_deref().or(self.name.as_deref()).unwrap_or(DEFAULT_REGISTRY);
        if is_server(given) {
            let host: RegistryHost = given.parse().map_err(|error| CliError::usage(format!("{error}")))?;
            return Ok(Target { host, registry: None });
        }
        let name: RegistryName = given.parse().map_err(|error| CliError::usage(format!("{error}")))?;
        let found = context.server().registry(&name).await?;
        let host = found.login_server.parse().map_err(|error| CliError::new(format!("{error}")))?;
        Ok(Target { host, registry: Some(name) })
    }
}

/// The registry that is meant.
#[derive(Debug)]
pub struct Target {
    pub host: RegistryHost,
    /// Its name, where the server on this machine was asked for it by name.
    registry: Option<RegistryName>,
}

impl Target {
    /// Has the server on this machine vouch for its operator. `None`: it does not serve this registry, or is not there
    /// (which only matters to who named a registry of it).
    pub async fn mint(&self, context: &Context) -> Result<Option<Minted>, LocalError> {
        let local = context.server();
        let registry = match &self.registry {
            Some(name) => Some(name.clone()),
            None => registry_of(&local, &self.host).await.or_else(absent)?,
        };
        match registry {
            Some(registry) => local.mint(&registry, Some(&self.host.to_string())).await.map(Some),
            None => Ok(None),
        }
    }

    /// The CA of the server on this machine, when it serves this registry and made its own certificate.
    pub async fn ca(&self, context: &Context) -> Option<PathBuf> {
        let local = context.server();
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
