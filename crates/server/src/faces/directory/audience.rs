//! What a token can be for: managing, one registry, or any registry.

use std::sync::Arc;

use shorepass_control::DEFAULT_REGISTRY;
use shorepass_core::RegistryName;
use shorepass_identity::CONTAINER_REGISTRY_AUDIENCE;
use shorepass_store::rows::RegistryRecord;

use super::asking::Asking;
use super::error::OAuthError;
use crate::hosts::HostMatch;

/// A resource of ours, as it was asked for.
#[derive(Debug, Clone)]
pub enum Audience {
    Management,
    /// What clients of the original ask for, whatever registry they mean (contracts/azure-clients.md 7.2).
    ContainerRegistry,
    Registry {
        record: Arc<RegistryRecord>,
        login_server: String,
    },
}

impl Audience {
    /// The resource that the scopes name: exactly one, as `<resource>/.default`.
    pub fn of_scope(call: &Asking, scope: &str) -> Result<Self, OAuthError> {
        let mut resources: Vec<&str> =
            scope.split_ascii_whitespace().filter_map(|one| one.strip_suffix("/.default")).collect();
        resources.dedup();
        match resources.as_slice() {
            [] => Err(OAuthError::no_resource()),
            [resource] => Self::of(call, resource),
            _ => Err(OAuthError::several_resources()),
        }
    }

    /// The resource of that name. A `/` at the end makes no difference: the management's has one.
    pub fn of(call: &Asking, resource: &str) -> Result<Self, OAuthError> {
        let resource = resource.trim_end_matches('/').to_ascii_lowercase();
        let own = [call.base.as_str(), call.provider().base()];
        if own.iter().any(|base| base.eq_ignore_ascii_case(&resource)) {
            return Ok(Self::Management);
        }
        if resource == CONTAINER_REGISTRY_AUDIENCE {
            return Ok(Self::ContainerRegistry);
        }
        let host = ["https://", "http://"].iter().find_map(|scheme| resource.strip_prefix(scheme)).unwrap_or(&resource);
        registry(call, host)?.ok_or_else(OAuthError::unknown_resource)
    }

    /// The token's `aud`.
    pub fn text<'a>(&'a self, call: &'a Asking) -> &'a str {
        match self {
            Self::Management => call.provider().base(),
            Self::ContainerRegistry => CONTAINER_REGISTRY_AUDIENCE,
            Self::Registry { login_server, .. } => login_server,
        }
    }

    /// Whether a token for this may become one for `other`: that can do no more.
    ///
    /// A token for management opens a registry only as far as that registry lets it in by itself
    /// (`azureADAuthenticationAsArmPolicy`), so never all of them at once.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Management, Self::Management)
            | (Self::ContainerRegistry, Self::ContainerRegistry | Self::Registry { .. }) => true,
            (Self::Management, Self::Registry { record, .. }) => record.registry.settings.authentication_as_arm,
            (Self::Registry { record, .. }, Self::Registry { record: other, .. }) => {
                record.registry.id == other.registry.id
            }
            _ => false,
        }
    }
}

/// The registry whose login server this is.
fn registry(call: &Asking, host: &str) -> Result<Option<Audience>, OAuthError> {
    let hosts = &call.app.front.hosts;
    let name: Option<RegistryName> = match hosts.resolve(Some(host), &call.origin) {
        HostMatch::Registry(name) => Some(name),
        HostMatch::Default => DEFAULT_REGISTRY.parse().ok(),
        HostMatch::Foreign => None,
    };
    let Some(name) = name else { return Ok(None) };
    let login_server = hosts.login_server(&name, call.authority(), &call.origin);
    if login_server != host {
        return Ok(None);
    }
    Ok(call.app.directory.by_name(&name)?.map(|record| Audience::Registry { record, login_server }))
}
