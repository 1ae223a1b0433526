//! What a server is started with. The command line fills this in from file, environment and flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

/// Everything `serve` can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory: SQLite files, blobs, the administration socket, the self-signed certificates. Mode 0700.
    pub data: PathBuf,
    /// Where the registry listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    pub tls: Tls,
    /// Peers from these networks terminate TLS for us: the listener is plain, their forwarded headers are believed, and
    /// nobody else is served.
    pub insecure_behind_proxy: Vec<IpNet>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; plain HTTP, anywhere. `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// How clients reach us: the token realm is made from it.
    pub external_url: Option<Url>,
    /// `<registry>.<domain>` is each registry's login server.
    pub domain: Option<String>,
    pub database: Database,
    pub blobs: Blobs,
    pub signing: SigningAlgorithm,
    pub audit: AuditSettings,
    /// Spans are sent here (OTLP over HTTP, for example `http://127.0.0.1:4318`), when set.
    pub otlp_endpoint: Option<Url>,
    /// How long pulls of known content go on after the last contact with the database; zero: not at all.
    pub outage_budget: Duration,
    /// How long requests under way may take to end after SIGTERM.
    pub drain_timeout: Duration,
    /// How long an upload nobody touches is kept.
    pub upload_lifetime: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP: loopback, or behind a proxy.
    Off,
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    /// A private CA and a leaf, made once, under the data directory.
    SelfSigned,
}

#[derive(Debug, Clone)]
pub enum Database {
    /// Files under the data directory.
    Sqlite,
    /// A `postgres://` URL; it may hold a password.
    Postgres(SecretString),
}

#[derive(Debug, Clone)]
pub enum Blobs {
    /// Files under the data directory.
    Local,
    S3(S3Settings),
}

#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    /// A folder in the bucket; empty for none.
    pub prefix: String,
    /// `None`: AWS's own for the region.
    pub endpoint: Option<Url>,
    pub region: String,
    /// `None`: what the environment of an AWS workload offers.
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
}

/// What our tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    #[default]
    EdDsa,
    Es256,
    Rs256,
}

impl SigningAlgorithm {
    /// The name JWT headers use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// JSON lines go here besides the table: a file, or `-` for standard output.
    pub lines: Option<PathBuf>,
    pub retention: Duration,
    /// Bytes the table may take.
    pub max_bytes: u64,
}
