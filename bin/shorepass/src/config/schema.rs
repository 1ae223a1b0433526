//! Every setting of the server, once: the flag, the environment variable, the TOML key, the default and the help text of
//! each are all made from its row here.

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A path; in a file, a relative one is taken from the file's own directory.
    Path,
    /// Several values: an array in TOML, a repeated flag, commas in the environment.
    List,
    /// A value that may be secret. `<key>_file` names a file that holds it.
    Secret {
        /// Whether a flag may hold it: everyone on the machine can read a process's arguments.
        flag: bool,
        /// What the help calls it.
        noun: &'static str,
    },
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The TOML key. The flag is this with dashes, the variable `SHOREPASS_` and this in capitals.
    pub key: &'static str,
    pub kind: Kind,
    /// What the help shows in the value's place.
    pub placeholder: &'static str,
    pub default: Option<&'static str>,
    pub help: &'static str,
    /// The heading it is listed under.
    pub heading: &'static str,
}

impl Setting {
    pub fn variable(&self) -> String {
        format!("SHOREPASS_{}", self.key.to_ascii_uppercase())
    }

    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }
}

/// The row of a key; `None` for a key there is not.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

const LISTENERS: &str = "Listeners";
const STATE: &str = "State";
const TOKENS: &str = "Tokens and limits";
const TELEMETRY: &str = "Audit and telemetry";

/// In the order they are shown in.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "data",
        kind: Kind::Path,
        placeholder: "DIR",
        default: None,
        help: "Data directory: databases, blobs, the administration socket",
        heading: STATE,
    },
    Setting {
        key: "listen",
        kind: Kind::Text,
        placeholder: "ADDR",
        default: Some("127.0.0.1:5000"),
        help: "Address and port to listen on; port 0 takes a free one",
        heading: LISTENERS,
    },
    Setting {
        key: "tls",
        kind: Kind::Text,
        placeholder: "MODE",
        default: None,
        help: "`self-signed` makes a private CA and a certificate under the data directory",
        heading: LISTENERS,
    },
    Setting {
        key: "tls_cert",
        kind: Kind::Path,
        placeholder: "FILE",
        default: None,
        help: "Certificate chain, PEM",
        heading: LISTENERS,
    },
    Setting {
        key: "tls_key",
        kind: Kind::Path,
        placeholder: "FILE",
        default: None,
        help: "Private key of the certificate, PEM",
        heading: LISTENERS,
    },
    Setting {
        key: "insecure_behind_proxy",
        kind: Kind::List,
        placeholder: "CIDR",
        default: None,
        help: "Serve plain HTTP, to proxies in this network only, which end TLS (may be given several times)",
        heading: LISTENERS,
    },
    Setting {
        key: "metrics_listen",
        kind: Kind::Text,
        placeholder: "ADDR",
        default: None,
        help: "Address and port of /metrics, /healthz and /readyz (plain HTTP)",
        heading: LISTENERS,
    },
    Setting {
        key: "external_url",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        help: "How clients reach this server, for example https://registry.example.com",
        heading: LISTENERS,
    },
    Setting {
        key: "domain",
        kind: Kind::Text,
        placeholder: "DOMAIN",
        default: None,
        help: "Serve each registry as <name>.DOMAIN",
        heading: LISTENERS,
    },
    Setting {
        key: "database",
        kind: Kind::Secret { flag: true, noun: "database URL" },
        placeholder: "URL",
        default: Some("sqlite"),
        help: "`sqlite` (in the data directory) or postgres://user@host/name",
        heading: STATE,
    },
    Setting {
        key: "blobs",
        kind: Kind::Text,
        placeholder: "WHERE",
        default: Some("local"),
        help: "`local` (in the data directory) or s3://bucket/prefix",
        heading: STATE,
    },
    Setting {
        key: "s3_endpoint",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        help: "Endpoint of an S3-compatible store (default: AWS)",
        heading: STATE,
    },
    Setting {
        key: "s3_region",
        kind: Kind::Text,
        placeholder: "REGION",
        default: Some("us-east-1"),
        help: "Region of the bucket",
        heading: STATE,
    },
    Setting {
        key: "s3_access_key_id",
        kind: Kind::Text,
        placeholder: "ID",
        default: None,
        help: "Access key id (default: what the AWS environment offers)",
        heading: STATE,
    },
    Setting {
        key: "s3_secret_access_key",
        kind: Kind::Secret { flag: false, noun: "S3 secret access key" },
        placeholder: "KEY",
        default: None,
        help: "Secret access key that belongs to the id",
        heading: STATE,
    },
    Setting {
        key: "signing",
        kind: Kind::Text,
        placeholder: "ALGORITHM",
        default: Some("eddsa"),
        help: "What tokens are signed with: eddsa, es256 or rs256",
        heading: TOKENS,
    },
    Setting {
        key: "outage_budget",
        kind: Kind::Text,
        placeholder: "DURATION",
        default: Some("60s"),
        help: "How long pulls of known content go on without the database; 0 for not at all",
        heading: TOKENS,
    },
    Setting {
        key: "drain_timeout",
        kind: Kind::Text,
        placeholder: "DURATION",
        default: Some("30s"),
        help: "How long requests under way may take to end after SIGTERM",
        heading: TOKENS,
    },
    Setting {
        key: "upload_lifetime",
        kind: Kind::Text,
        placeholder: "DURATION",
        default: Some("7d"),
        help: "How long an upload nobody touches is kept",
        heading: TOKENS,
    },
    Setting {
        key: "audit_file",
        kind: Kind::Path,
        placeholder: "FILE",
        default: None,
        help: "Write audit events as JSON lines to this file too, or to standard output with `-`",
        heading: TELEMETRY,
    },
    Setting {
        key: "audit_retention",
        kind: Kind::Text,
        placeholder: "DURATION",
        default: Some("30d"),
        help: "How long audit events are kept",
        heading: TELEMETRY,
    },
    Setting {
        key: "audit_max_size",
        kind: Kind::Text,
        placeholder: "SIZE",
        default: Some("256MiB"),
        help: "How much room audit events may take",
        heading: TELEMETRY,
    },
    Setting {
        key: "otlp_endpoint",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        help: "Send traces here (OTLP over HTTP, for example http://127.0.0.1:4318)",
        heading: TELEMETRY,
    },
    Setting {
        key: "log_level",
        kind: Kind::Text,
        placeholder: "LEVEL",
        default: Some("info"),
        help: "error, warn, info, debug or trace, or directives such as `info,shorepass_identity=debug`",
        heading: TELEMETRY,
    },
    Setting {
        key: "log_format",
        kind: Kind::Text,
        placeholder: "FORMAT",
        default: Some("text"),
        help: "text or json",
        heading: TELEMETRY,
    },
];
