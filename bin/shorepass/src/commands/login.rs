//! `shorepass login`: signs docker or podman in to a registry (what-the-documents-say.md 1b).

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use shorepass_core::SystemClock;
use shorepass_pull::config::ClientConfig;
use shorepass_pull::credential::{Credential, IDENTITY_TOKEN};
use shorepass_pull::store::{CredentialStore, Stored};
use shorepass_pull::tool::{Access, Search, Tool, ToolError};
use shorepass_pull::{Scheme, paths, report};

use super::secrets;
use super::target::{Target, TargetArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, Format};

const NON_INTERACTIVE: &str = "Please specify both username and password in non-interactive mode.";

#[derive(Debug, Args)]
pub struct LoginArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Print a token and the login server as JSON; start no program, touch no file
    #[arg(long)]
    expose_token: bool,
    /// User name; without one, you are who you are signed in as (`account login`), or the operator of the server on this machine
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Password (seen by everyone who lists processes: prefer --password-stdin)
    #[arg(short, long, value_name = "VALUE", value_parser = secret, conflicts_with_all = ["password_stdin", "password_file"])]
    password: Option<SecretString>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.to_owned().into())
}

impl LoginArgs {
    fn has_password(&self) -> bool {
        self.password.is_some() || self.password_stdin || self.password_file.is_some()
    }

    /// Combinations that mean nothing, in the words of what-the-documents-say.md 2a.
    fn check(&self) -> Result<(), CliError> {
        if self.expose_token && (self.username.is_some() || self.has_password()) {
            return Err(CliError::usage("`--expose-token` cannot be combined with `--username` or `--password`."));
        }
        if self.has_password() && self.username.is_none() {
            return Err(CliError::usage("Please also specify username if password is specified."));
        }
        Ok(())
    }

    fn read_password(&self) -> anyhow::Result<Option<SecretString>> {
        if self.password_stdin {
            return secrets::from_stdin("password").map(Some);
        }
        if let Some(file) = &self.password_file {
            return secrets::from_file(file, "password").map(Some);
        }
        Ok(self.password.clone())
    }
}

/// Exit code 1 when no docker-like program is there, or it refuses; 2 for arguments that contradict each other.
pub async fn run(args: LoginArgs, context: &Context) -> anyhow::Result<ExitCode> {
    args.check()?;
    args.target.warn_of_upper_case(context);
    if args.expose_token {
        return expose_token(&args, context).await;
    }
    if args.password.is_some() {
        context.printer.warn("a password given with `-p` is seen by everyone who lists processes, and stays in the shell's history; use `--password-stdin`");
    }
    match Tool::find(&Search::from_environment()) {
        Ok(tool) => sign_in(&args, context, &tool).await,
        Err(error) => Ok(no_tool(&args, context, &error)),
    }
}

/// `TOKEN=$(shorepass login --expose-token --output tsv --query accessToken)`.
async fn expose_token(args: &LoginArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let target = args.target.resolve(context).await?;
    let vouched = target.vouch(context).await?.ok_or_else(|| {
        CliError::new(format!(
            "`{}` is served neither by a server that you are signed in to nor by the one on this machine",
            target.host
        ))
        .hint("sign in to its server with `shorepass account login`, or run this where it is served")
    })?;
    let answer = json!({ "accessToken": vouched.refresh_token.expose_secret(), "loginServer": vouched.login_server });
    let format = context.format.unwrap_or(Format::Json);
    context.printer.out(&output::render(&answer, format, context.query.as_deref())?)?;
    Ok(ExitCode::SUCCESS)
}

async fn sign_in(args: &LoginArgs, context: &Context, tool: &Tool) -> anyhow::Result<ExitCode> {
    let target = args.target.resolve(context).await?;
    let (credential, ca) = match (&args.username, args.read_password()?) {
        (Some(username), Some(password)) => (Credential::new(username, password), target.ca(context).await),
        (None, _) => match target.vouch(context).await? {
            Some(vouched) => (Credential::token(vouched.refresh_token), vouched.ca),
            None => return ask(args, &target, tool),
        },
        (Some(_), None) => return ask(args, &target, tool),
    };
    let registry = target.reach(ca.as_deref()).await?;
    let auth_file = paths::podman_auth().filter(|_| docker_has_identity_token(&target));
    let access = Access { scheme: registry.scheme(), ca, auth_file };
    let podman = tool.is_podman().await;
    let placeholder = access.auth_file.as_deref().filter(|_| podman);
    let placeholder = placeholder.map(|file| Placeholder::put(file, &target, &credential)).transpose()?;
    let said = tool.login(&target.host, &credential, &access).await?;
    if !said.success {
        placeholder.flatten().map(|placeholder| placeholder.take_back(&target)).transpose()?;
    }
    if !said.stderr.trim().is_empty() {
        context.printer.err(said.stderr.trim_end());
    }
    if !said.success {
        let error = CliError::new("Login failed.");
        return Err(match trust_advice(&target, &access, podman).filter(|_| !podman) {
            Some(advice) => error.hint(advice).into(),
            None => error.into(),
        });
    }
    keep_for_helper(&target, &credential)?;
    context.printer.out(said.stdout.trim_end())?;
    if let Some(advice) = trust_advice(&target, &access, podman).filter(|_| podman) {
        context.printer.note(&advice);
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody vouches for the user: at a terminal the program itself asks for name and password; elsewhere nobody can answer.
fn ask(args: &LoginArgs, target: &Target, tool: &Tool) -> anyhow::Result<ExitCode> {
    if !std::io::stdin().is_terminal() {
        let why = format!(
            "Unable to authenticate to '{}': neither a server that you are signed in to nor the one on this machine serves it.",
            target.host
        );
        return Err(CliError::new(format!("{why} {NON_INTERACTIVE}"))
            .hint("sign in to its server with `shorepass account login`, pass `--username USER --password-stdin`, or `--data` with the data directory of the server")
            .into());
    }
    let mut command = std::process::Command::new(tool.path());
    command.arg("login");
    if let Some(username) = &args.username {
        command.arg("--username").arg(username);
    }
    let status = command.arg(target.host.to_string()).status().context("the program cannot be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn docker_has_identity_token(target: &Target) -> bool {
    let mut configs = paths::docker_configs().into_iter().filter_map(|path| ClientConfig::load(&path).ok());
    configs.any(|config| config.credential(&target.host).is_some_and(|kept| kept.username == IDENTITY_TOKEN))
}

/// An entry in podman's own file. Podman 4 looks into docker's file however it is told not to, and refuses to sign in when
/// what it finds is an identity token; what its own file holds is found first.
struct Placeholder(PathBuf);

impl Placeholder {
    /// `None` where podman has an entry already.
    fn put(file: &Path, target: &Target, credential: &Credential) -> anyhow::Result<Option<Self>> {
        let mut config = ClientConfig::load(file)?;
        if config.credential(&target.host).is_some() {
            return Ok(None);
        }
        config.set_credential(&target.host, credential)?;
        config.save()?;
        Ok(Some(Self(file.to_owned())))
    }

    fn take_back(self, target: &Target) -> anyhow::Result<()> {
        let mut config = ClientConfig::load(&self.0)?;
        config.remove_credential(&target.host);
        Ok(config.save()?)
    }
}

/// Where docker keeps this server's credentials with our helper, the helper is given the password too: docker itself
/// hands it nothing but a token that ends after three hours.
fn keep_for_helper(target: &Target, credential: &Credential) -> anyhow::Result<()> {
    let is_ours = |config: Option<PathBuf>| {
        let config = config.and_then(|path| ClientConfig::load(&path).ok());
        config.is_some_and(|config| config.helper(&target.host) == Some("shorepass"))
    };
    if credential.is_token() || !(is_ours(paths::docker_config()) || is_ours(paths::podman_auth())) {
        return Ok(());
    }
    let file = paths::credentials_file().context("there is no home directory to keep the credential in")?;
    CredentialStore::at(&file).put(&target.host, Stored::from(credential))?;
    Ok(())
}

/// How the program is made to trust a server without a publicly trusted certificate.
fn trust_advice(target: &Target, access: &Access, podman: bool) -> Option<String> {
    let (ca, host) = (access.ca.as_ref().map(|ca| ca.display()), &target.host);
    match (access.scheme, ca, podman) {
        (Scheme::Http, _, true) => Some("podman's `push` and `pull` need `--tls-verify=false` as well".to_owned()),
        (Scheme::Https, Some(ca), true) => Some(format!(
            "for podman's `push` and `pull`: install -D -m 644 '{ca}' \"$HOME/.config/containers/certs.d/{host}/ca.crt\""
        )),
        (Scheme::Https, Some(ca), false) => Some(format!(
            "docker trusts the server after: sudo install -D -m 644 '{ca}' '/etc/docker/certs.d/{host}/ca.crt'"
        )),
        _ => None,
    }
}

/// The document's texts (1b, 38) and `az`'s advice.
fn no_tool(args: &LoginArgs, context: &Context, error: &ToolError) -> ExitCode {
    context.printer.warn(&format!(
        "You may want to use 'shorepass login {} --expose-token' to get an access token, which does not require Docker to be installed.",
        args.target.typed()
    ));
    context.printer.err(&report::occurred(&SystemClock, "DOCKER_COMMAND_ERROR", &error.to_string()));
    ExitCode::FAILURE
}
