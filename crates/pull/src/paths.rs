//! Where things lie on this machine.

use std::env;
use std::path::PathBuf;

/// The server's data directory: `$SHOREPASS_DATA`, else the platform's data directory (XDG base directories; on macOS
/// `~/Library/Application Support`), else, for a service without a home, `/var/lib/shorepass`.
#[must_use]
pub fn data_dir() -> PathBuf {
    if let Some(dir) = directory("SHOREPASS_DATA") {
        return dir;
    }
    let home = directory("HOME");
    let data = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        absolute("XDG_DATA_HOME").or_else(|| Some(home?.join(".local/share")))
    };
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("shorepass")
}

/// Where `docker-credential-shorepass` keeps its credentials.
#[must_use]
pub fn credentials_file() -> Option<PathBuf> {
    Some(config_dir()?.join("credentials.json"))
}

/// Where `shorepass account` keeps its sessions.
#[must_use]
pub fn accounts_file() -> Option<PathBuf> {
    Some(config_dir()?.join("accounts.json"))
}

fn config_dir() -> Option<PathBuf> {
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")))?;
    Some(config.join("shorepass"))
}

/// Docker's `config.json`: in `$DOCKER_CONFIG`, else in `~/.docker`.
#[must_use]
pub fn docker_config() -> Option<PathBuf> {
    let dir = directory("DOCKER_CONFIG").or_else(|| Some(directory("HOME")?.join(".docker")))?;
    Some(dir.join("config.json"))
}

/// Podman's `auth.json`: `$REGISTRY_AUTH_FILE`, else in `$XDG_RUNTIME_DIR/containers`, else in `/run/containers/<uid>`, or
/// outside Linux in `~/.config/containers` (containers-auth.json(5)).
#[must_use]
pub fn podman_auth() -> Option<PathBuf> {
    if let Some(file) = directory("REGISTRY_AUTH_FILE") {
        return Some(file);
    }
    let dir = if !cfg!(target_os = "linux") {
        directory("HOME")?.join(".config/containers")
    } else if let Some(runtime) = absolute("XDG_RUNTIME_DIR") {
        runtime.join("containers")
    } else {
        PathBuf::from(format!("/run/containers/{}", rustix::process::getuid().as_raw()))
    };
    Some(dir.join("auth.json"))
}

/// Every file in which podman may find a credential that docker wrote.
#[must_use]
pub fn docker_configs() -> Vec<PathBuf> {
    let home = directory("HOME").map(|home| home.join(".docker/config.json"));
    docker_config().into_iter().chain(home).collect()
}

fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The XDG specification has relative paths ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    directory(variable).filter(|path| path.is_absolute())
}
