//! The programs on this machine: docker or podman, this one, helm.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use shorepass_pull::client::RegistryClient;
use shorepass_pull::config::ClientConfig;
use shorepass_pull::credential::Credential;
use shorepass_pull::paths;
use shorepass_pull::tool::{Access, Said, Search, Tool, ToolError};

use super::registry::credential_for;
use super::{Checkup, Fault, Finding, Flow};

#[derive(Deserialize)]
struct Catalog {
    repositories: Vec<String>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// An image of the registry under examination, and what it takes to pull it.
struct Sample {
    image: String,
    credential: Credential,
    access: Access,
}

impl Checkup<'_> {
    pub(super) async fn tools(&mut self) -> Flow {
        let search = Search::from_environment();
        match Tool::find(&search) {
            Ok(tool) => self.docker(&tool).await?,
            Err(error) => self.fault(&Fault::new("DOCKER_COMMAND_ERROR", error.to_string()))?,
        }
        self.line(&format!("Shorepass CLI version: {}", env!("CARGO_PKG_VERSION")))?;
        let helm = helm(&search).await;
        self.record(&helm)
    }

    async fn docker(&mut self, tool: &Tool) -> Flow {
        let name = if tool.is_podman().await { "Podman" } else { "Docker" };
        let daemon = daemon(tool, name).await;
        self.record(&daemon)?;
        let version = version(tool, name).await;
        self.record(&version)?;
        let pulled = self.sample_pull(tool, name).await;
        self.record(&pulled)
    }

    /// Pulls an image of the registry that was named: there is no other registry that every machine can reach.
    async fn sample_pull(&self, tool: &Tool, name: &str) -> Finding {
        let skipped = |why: &str| Ok(format!("{name} pull: skipped, {why}"));
        if self.target.is_none() {
            return skipped("no registry is named");
        }
        let Some(sample) = self.sample().await else {
            return skipped("no image that could be pulled was found");
        };
        let question = format!("This will pull the image '{}' with {name}. Proceed?", sample.image);
        let agreed = if self.args.yes { Ok(Some(true)) } else { self.context.printer.confirm(&question) };
        match agreed {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return skipped("as you wished"),
            _ => return skipped("there is no terminal to ask on; add `--yes`"),
        }
        let said = pull(tool, &sample).await;
        match said {
            Ok(said) if said.success => Ok(format!("{name} pull of '{}' : OK", sample.image)),
            Ok(said) => Err(Fault::new("DOCKER_PULL_ERROR", reason(&said))),
            Err(error) => Err(Fault::new("DOCKER_PULL_ERROR", error.to_string())),
        }
    }

    /// Whatever stands in the way of finding one is told by the checks of the registry, later.
    async fn sample(&self) -> Option<Sample> {
        let target = self.target.as_ref()?;
        let (credential, ca) = credential_for(target, self.context).await.ok()??;
        let registry = RegistryClient::reach(&target.host, ca.as_deref()).await.ok()?;
        let repository = match &self.args.repository {
            Some(repository) => repository.to_string(),
            None => {
                let token = registry.access_token(&credential, "registry:catalog:*").await.ok()?;
                let catalog: Catalog = registry.get("/v2/_catalog?n=1", &token).await.ok()?;
                catalog.repositories.into_iter().next()?
            }
        };
        let token =
            registry.access_token(&credential, &format!("repository:{repository}:pull,metadata_read")).await.ok()?;
        let tags: Tags = registry.get(&format!("/v2/{repository}/tags/list?n=1"), &token).await.ok()?;
        let tag = tags.tags?.into_iter().next()?;
        let image = format!("{}/{repository}:{tag}", target.host);
        Some(Sample { image, credential, access: Access { scheme: registry.scheme(), ca, auth_file: None } })
    }
}

async fn daemon(tool: &Tool, name: &str) -> Finding {
    match tool.run(&["ps"], None).await {
        Ok(said) if said.success => Ok(format!("{name} daemon status: available")),
        Ok(said) => {
            Err(Fault::new("DOCKER_DAEMON_ERROR", format!("{name} daemon status: not available\n{}", reason(&said))))
        }
        Err(error) => Err(Fault::new("DOCKER_COMMAND_ERROR", error.to_string())),
    }
}

async fn version(tool: &Tool, name: &str) -> Finding {
    match tool.run(&["--version"], None).await {
        Ok(said) if said.success => Ok(format!("{name} version: {}", said.stdout.trim())),
        Ok(said) => {
            Err(Fault::new("DOCKER_VERSION_ERROR", format!("Unable to retrieve {name} version\n{}", reason(&said))))
        }
        Err(error) => Err(Fault::new("DOCKER_VERSION_ERROR", error.to_string())),
    }
}

async fn helm(search: &Search) -> Finding {
    let missing = |error: ToolError| {
        let text = match error {
            ToolError::Missing => "Please verify if Helm is installed.".to_owned(),
            other => other.to_string(),
        };
        Fault::new("HELM_COMMAND_ERROR", text)
    };
    let helm = Tool::named("helm", search).map_err(missing)?;
    match helm.run(&["version", "--short"], None).await.map_err(missing)? {
        said if said.success => Ok(format!("Helm version: {}", said.stdout.trim())),
        said => Err(Fault::new("HELM_VERSION_ERROR", format!("Unable to retrieve Helm version\n{}", reason(&said)))),
    }
}

/// A program that is signed in pulls as it is. Another is lent the credential for this one run, in a private file: never
/// as an argument.
async fn pull(tool: &Tool, sample: &Sample) -> Result<Said, ToolError> {
    let trust = tool.trust(&sample.access).await?;
    let mut arguments: Vec<OsString> = vec!["pull".into()];
    arguments.extend(trust.arguments());
    arguments.push(sample.image.clone().into());
    let lent = lend(sample);
    match &lent {
        Some(dir) => {
            let file = dir.path().join("config.json");
            let environment: [(&str, &Path); 2] = [("DOCKER_CONFIG", dir.path()), ("REGISTRY_AUTH_FILE", &file)];
            tool.run_with(&arguments, &environment, None).await
        }
        None => tool.run(&arguments, None).await,
    }
}

fn lend(sample: &Sample) -> Option<tempfile::TempDir> {
    let server = sample.image.split('/').next()?.parse().ok()?;
    let mut own = [paths::docker_config(), paths::podman_auth()].into_iter().flatten();
    let knows = |config: ClientConfig| config.helper(&server).is_some() || config.credential(&server).is_some();
    if own.any(|path| ClientConfig::load(&path).is_ok_and(knows)) {
        return None;
    }
    let dir = tempfile::Builder::new().prefix("shorepass-").tempdir().ok()?;
    let mut config = ClientConfig::load(&dir.path().join("config.json")).ok()?;
    config.set_credential(&server, &sample.credential).ok()?;
    config.save().ok()?;
    Some(dir)
}

/// What a program said about its failure.
fn reason(said: &Said) -> String {
    let text = if said.stderr.trim().is_empty() { &said.stdout } else { &said.stderr };
    text.trim().to_owned()
}
