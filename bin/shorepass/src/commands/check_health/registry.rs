//! The registry: its name, its challenge, its tokens.

use std::path::PathBuf;

use shorepass_core::SystemClock;
use shorepass_pull::challenge::{Challenge, ChallengeError};
use shorepass_pull::client::{ClientError, RegistryClient};
use shorepass_pull::config::ClientConfig;
use shorepass_pull::credential::Credential;
use shorepass_pull::session::Session;
use shorepass_pull::store::CredentialStore;
use shorepass_pull::{jwt, paths};

use super::{Checkup, Fault, Finding, Flow};
use crate::commands::target::Target;
use crate::context::Context;
use secrecy::ExposeSecret as _;

/// What `check-health` asks for on a repository (contracts/azure-clients.md 7.3).
const ACTIONS: &str = "pull,push,metadata_write,metadata_read,delete";

impl Checkup<'_> {
    pub(super) async fn registry(&mut self) -> Flow {
        let Some(target) = self.target.take() else {
            return Flow::Continue(());
        };
        let found = lookup(&target).await;
        self.record(&found)?;
        let (credential, ca) = match credential_for(&target, self.context).await {
            Ok(Some((credential, ca))) => (Ok(credential), ca),
            Ok(None) => (Err(nobody(&target)), None),
            Err(fault) => (Err(fault), None),
        };
        let registry = match challenge(&target, ca).await {
            Ok((registry, line)) => {
                self.line(&line)?;
                registry
            }
            Err(fault) => return self.fault(&fault),
        };
        match credential {
            Ok(credential) => self.tokens(&target, &registry, credential).await,
            Err(fault) => self.fault(&fault),
        }
    }

    async fn tokens(&mut self, target: &Target, registry: &RegistryClient, credential: Credential) -> Flow {
        let host = &target.host;
        let refresh = match registry.refresh_token(&credential).await {
            Ok(Some(token)) => {
                self.line(&format!("Fetch refresh token for registry '{host}' : OK"))?;
                Credential::token(token)
            }
            Ok(None) => {
                let text = format!("Registry '{host}' issued no refresh token.");
                self.fault(&Fault::new("CONNECTIVITY_REFRESH_TOKEN_ERROR", text))?;
                credential
            }
            Err(error) => return self.fault(&denied(target, "CONNECTIVITY_REFRESH_TOKEN_ERROR", &error)),
        };
        let scope = match &self.args.repository {
            Some(repository) => format!("repository:{repository}:{ACTIONS}"),
            None => "registry:catalog:*".to_owned(),
        };
        let access = match registry.access_token(&refresh, &scope).await {
            Ok(token) => token,
            Err(error) => return self.fault(&denied(target, "CONNECTIVITY_ACCESS_TOKEN_ERROR", &error)),
        };
        self.line(&format!("Fetch access token for registry '{host}' : OK"))?;
        if let Some(repository) = &self.args.repository {
            let actions = jwt::actions(access.expose_secret());
            let actions = if actions.is_empty() { "none".to_owned() } else { actions.join(", ") };
            self.line(&format!("Permissions on repository '{repository}': {actions}"))?;
        }
        Flow::Continue(())
    }
}

async fn lookup(target: &Target) -> Finding {
    let host = &target.host;
    let found = tokio::net::lookup_host((host.lookup_name(), host.port().unwrap_or(443))).await;
    match found.ok().and_then(|mut addresses| addresses.next()) {
        Some(address) => Ok(format!("DNS lookup to {host} at IP {} : OK", address.ip())),
        None => Err(Fault::new(
            "CONNECTIVITY_DNS_ERROR",
            format!(
                "Failed to reach DNS for registry '{host}'. Please verify that the registry exists and that your network resolves its name."
            ),
        )),
    }
}

async fn challenge(target: &Target, ca: Option<PathBuf>) -> Result<(RegistryClient, String), Fault> {
    let host = &target.host;
    let registry = RegistryClient::reach(host, ca.as_deref()).await.map_err(|error| match &error {
        ClientError::Certificate { .. } => Fault::new("CONNECTIVITY_SSL_ERROR", error.to_string()),
        _ => Fault::new("CONNECTIVITY_CHALLENGE_ERROR", error.to_string()),
    })?;
    match registry.status() {
        403 => return Err(Fault::new("CONNECTIVITY_FORBIDDEN_ERROR", target.no_access())),
        429 => return Err(too_many(target)),
        _ => {}
    }
    match registry.challenge() {
        Ok(Challenge::Bearer { .. }) => {
            let line = format!("Challenge endpoint {}://{host}/v2/ : OK", registry.scheme().as_str());
            Ok((registry, line))
        }
        Ok(Challenge::Basic) | Err(ClientError::Challenge(ChallengeError::Scheme)) => {
            Err(Fault::new("CONNECTIVITY_AAD_LOGIN_ERROR", format!("Registry '{host}' does not support AAD login.")))
        }
        Err(ClientError::Challenge(error)) => Err(Fault::new("CONNECTIVITY_WWW_AUTHENTICATE_ERROR", error.to_string())),
        Err(_) => {
            Err(Fault::new("CONNECTIVITY_CHALLENGE_ERROR", format!("Registry '{host}' did not issue a challenge.")))
        }
    }
}

fn denied(target: &Target, code: &'static str, error: &ClientError) -> Fault {
    let host = &target.host;
    match (error, error.status()) {
        (_, Some(429)) => too_many(target),
        (_, Some(status)) => Fault::new(
            code,
            format!(
                "Access to registry '{host}' was denied. Response code: {status}. Please try running 'shorepass login' again to refresh permissions."
            ),
        ),
        (ClientError::Challenge(error), _) => Fault::new("CONNECTIVITY_WWW_AUTHENTICATE_ERROR", error.to_string()),
        _ => Fault::new(code, error.to_string()),
    }
}

fn too_many(target: &Target) -> Fault {
    let text = format!("Registry '{}' asks for fewer requests. Please try again in a while.", target.host);
    Fault::new("CONNECTIVITY_TOOMANYREQUESTS_ERROR", text)
}

fn nobody(target: &Target) -> Fault {
    let host = &target.host;
    let text = format!("Nobody is signed in to registry '{host}'. Please run 'shorepass login {host}' first.");
    Fault::new("CONNECTIVITY_REFRESH_TOKEN_ERROR", text)
}

/// What there is to sign in with: the session or the server on this machine, what our credential helper keeps, what docker or podman
/// keeps. With it, the CA of a local server that made its own certificate.
pub(super) async fn credential_for(
    target: &Target,
    context: &Context,
) -> Result<Option<(Credential, Option<PathBuf>)>, Fault> {
    let fault = |text: String| Fault::new("CONNECTIVITY_REFRESH_TOKEN_ERROR", text);
    if let Some(vouched) = target.vouch(context).await.map_err(|error| fault(format!("{error:#}")))? {
        return Ok(Some((Credential::token(vouched.refresh_token), vouched.ca)));
    }
    if let Some(file) = paths::credentials_file() {
        let store = CredentialStore::at(&file);
        let session = Session { store: &store, local: None, clock: &SystemClock };
        let kept = session.credential(&target.host).await.map_err(|error| fault(error.to_string()))?;
        if let Some(credential) = kept {
            return Ok(Some((credential, None)));
        }
    }
    let files = [paths::docker_config(), paths::podman_auth()].into_iter().flatten();
    let mut configs = files.filter_map(|path| ClientConfig::load(&path).ok());
    Ok(configs.find_map(|config| config.credential(&target.host)).map(|credential| (credential, None)))
}
