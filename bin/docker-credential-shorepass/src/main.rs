//! Docker credential helper for Shorepass registries.
//!
//! Docker, podman, skopeo and buildah ask it for credentials by the protocol of docker-credential-helpers: the verb is
//! the argument, JSON goes in and out, an error is a line on standard output and exit code 1. What it hands out is a
//! refresh token with time left, so that a session does not end in the middle of work (issue 2, section 3).

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use shorepass_core::SystemClock;
use shorepass_pull::config::ClientConfig;
use shorepass_pull::local::LocalServer;
use shorepass_pull::session::Session;
use shorepass_pull::store::{CredentialStore, Stored};
use shorepass_pull::{Credential, RegistryHost, paths};

/// Docker compares with this text: it means that nobody signed in, which is no failure.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Input longer than this is no credential.
const MAX_INPUT: u64 = 256 * 1024;

const USAGE: &str = "usage: docker-credential-shorepass get|store|erase|list|version
       docker-credential-shorepass configure SERVER

Docker runs the first form: have `credHelpers` in docker's config.json name `shorepass` for a server.
The second form does just that.";

#[derive(Deserialize)]
struct Store {
    #[serde(rename = "ServerURL")]
    server: String,
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: SecretString,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (text, code) = match run(&arguments) {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => (format!("{error:#}\n"), ExitCode::FAILURE),
    };
    // Docker reads errors, too, from standard output.
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    match arguments {
        ["get"] => get(&server(&input()?)?),
        ["store"] => store(&input()?),
        ["erase"] => credentials()?.erase(&server(&input()?)?).map(|()| String::new()).map_err(Into::into),
        ["list"] => Ok(serde_json::to_string(&credentials()?.list()?)? + "\n"),
        ["version" | "--version"] => {
            Ok(concat!("docker-credential-shorepass v", env!("CARGO_PKG_VERSION"), "\n").to_owned())
        }
        ["configure", name] => configure(&server(name)?),
        ["help" | "--help" | "-h"] => Ok(format!("{USAGE}\n")),
        _ => bail!("{USAGE}"),
    }
}

fn get(server: &RegistryHost) -> anyhow::Result<String> {
    let store = credentials()?;
    let local = LocalServer::at(&paths::data_dir());
    let session = Session { store: &store, local: Some(&local), clock: &SystemClock };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Some(credential) = runtime.block_on(session.credential(server))? else {
        bail!(NOT_FOUND);
    };
    let answer =
        json!({ "ServerURL": server.to_string(), "Username": credential.username, "Secret": credential.expose() });
    Ok(format!("{answer}\n"))
}

fn store(input: &str) -> anyhow::Result<String> {
    // What cannot be parsed may hold a secret: serde's message, which may quote it, is not shown.
    let Ok(new) = serde_json::from_str::<Store>(input) else {
        bail!("standard input is not {{\"ServerURL\", \"Username\", \"Secret\"}}");
    };
    if new.username.is_empty() {
        bail!("no credentials username");
    }
    let credential = Credential::new(new.username, new.secret);
    credentials()?.put(&server(&new.server)?, Stored::from(&credential))?;
    Ok(String::new())
}

/// Has docker ask this helper for `server`'s credentials.
fn configure(server: &RegistryHost) -> anyhow::Result<String> {
    let path = paths::docker_config().context("there is no home directory; set DOCKER_CONFIG")?;
    let mut config = ClientConfig::load(&path)?;
    config.set_helper(server, "shorepass")?;
    config.save()?;
    Ok(format!("{} asks docker-credential-shorepass for {server}\n", path.display()))
}

fn server(text: &str) -> anyhow::Result<RegistryHost> {
    match text.trim() {
        "" => bail!("no credentials server URL"),
        text => Ok(text.parse()?),
    }
}

fn input() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    read.context("standard input cannot be read")?;
    Ok(text)
}

fn credentials() -> anyhow::Result<CredentialStore> {
    let path = paths::credentials_file().context("there is no home directory; set XDG_CONFIG_HOME")?;
    Ok(CredentialStore::at(&path))
}
