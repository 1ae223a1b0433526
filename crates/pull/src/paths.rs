//! Where things lie on this machine.

use std::env;
use std::path::PathBuf;

/// The server's data directory: `$SHOREPASS_DATA`, else the platform's data directory (XDG base directories; on macOS
/// `~/Library/Application Support`). `None` when neither it nor a home directory is known.
#[must_use]
pub fn data_dir() -> Option<PathBuf> {
    if let Some(dir) = directory("SHOREPASS_DATA") {
        return Some(dir);
    }
    if cfg!(target_os = "macos") {
        return Some(directory("HOME")?.join("Library/Application Support/shorepass"));
    }
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(directory("HOME")?.join(".local/share")))?;
    Some(data.join("shorepass"))
}

/// Where `docker-credential-shorepass` keeps its credentials.
#[must_use]
pub fn credentials_file() -> Option<PathBuf> {
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")))?;
    Some(config.join("shorepass/credentials.json"))
}

/// Docker's `config.json`: in `$DOCKER_CONFIG`, else in `~/.docker`.
#[must_use]
pub fn docker_config() -> Option<PathBuf> {
    let dir = directory("DOCKER_CONFIG").or_else(|| Some(directory("HOME")?.join(".docker")))?;
    Some(dir.join("config.json"))
}

/// Podman's `auth.json`: `$REGISTRY_AUTH_FILE`, else in `$XDG_RUNTIME_DIR/containers`, else in `~/.config/containers`
/// (containers-auth.json(5)).
#[must_use]
pub fn podman_auth() -> Option<PathBuf> {
    if let Some(file) = directory("REGISTRY_AUTH_FILE") {
        return Some(file);
    }
    let dir = absolute("XDG_RUNTIME_DIR").or_else(|| Some(directory("HOME")?.join(".config")))?;
    Some(dir.join("containers/auth.json"))
}

fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The XDG specification has relative paths ignored.
fn absolute(variable: &str) -> Option<PathBuf> {
    directory(variable).filter(|path| path.is_absolute())
}
