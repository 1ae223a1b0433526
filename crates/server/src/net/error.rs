//! Why the server cannot listen.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why listeners, certificates or the administration socket could not be set up. [`NetError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("cannot listen on `{address}`: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("plain HTTP is for loopback addresses only, and `{0}` is none")]
    PlainAddress(SocketAddr),
    #[error("a listener with TLS is not behind a proxy that terminates it")]
    TlsBehindProxy,
    #[error("cannot make the data directory `{path}`: {source}")]
    Data { path: PathBuf, source: io::Error },
    #[error("another server already runs on the data directory `{0}`")]
    AlreadyRunning(PathBuf),
    #[error(
        "the administration socket's path `{path}` has {length} bytes, more than the {limit} that a socket's address holds"
    )]
    SocketPath { path: PathBuf, length: usize, limit: usize },
    #[error("`{0}` is in the administration socket's place, and is no socket")]
    NotASocket(PathBuf),
    #[error("cannot make the administration socket `{path}`: {source}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("cannot read the TLS {what} `{path}`: {reason}")]
    TlsFile { what: &'static str, path: PathBuf, reason: String },
    #[error("the TLS certificate `{certificate}` cannot be served: {reason}")]
    Certificate { certificate: PathBuf, reason: String },
    #[error("cannot make the self-signed certificates: {0}")]
    SelfSigned(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl NetError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("choose another address with --listen (port 0 takes a free one), or stop what listens there")
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need a privilege: choose a higher port with --listen")
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                Some("this machine has no such address: choose another with --listen")
            }
            Self::PlainAddress(_) => Some(
                "give --tls-cert and --tls-key, or --tls self-signed; behind a proxy that terminates TLS, --insecure-behind-proxy CIDR",
            ),
            Self::TlsBehindProxy => Some("drop either --insecure-behind-proxy or the --tls options"),
            Self::AlreadyRunning(_) => Some("stop it first, or choose another directory with --data"),
            Self::SocketPath { .. } => Some("choose a shorter data directory with --data"),
            Self::NotASocket(_) => Some("move it away and start again"),
            Self::Certificate { .. } => Some(
                "--tls-cert takes the server's certificate first, then its intermediates, in PEM; --tls-key the unencrypted key that fits it",
            ),
            Self::TlsFile { .. } => Some("both files hold PEM, and the server's user must be able to read them"),
            Self::Listen { .. } | Self::Data { .. } | Self::Socket { .. } | Self::SelfSigned(_) | Self::Tls(_) => None,
        }
    }
}
