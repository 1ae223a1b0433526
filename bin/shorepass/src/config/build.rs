//! From raw texts to `Settings`: every value is parsed, then values are held against each other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use shorepass_server::settings::{AuditSettings, Blobs, Database, S3Settings, Settings, Tls};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::finding::{Complaint, Finding, Origin};
use super::layers::{Layer, Raw};
use super::schema::{SETTINGS, Setting};
use super::{Effective, Loaded, LogFormat, LogSettings, values};

/// The longest path a Unix socket can have, less the end of the string (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// Reads values out of the merged layers and keeps what is wrong.
struct Reader<'a> {
    layer: &'a Layer,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn raw(&self, key: &str) -> Option<&Raw> {
        self.layer.get(key)
    }

    fn complain(&mut self, key: &str, complaint: Complaint) {
        let origin = self.raw(key).map_or(Origin::Default, |raw| raw.origin.clone());
        let message = format!("`{key}`: {}", complaint.message);
        self.findings.push(Finding { origin, complaint: Complaint { message, ..complaint } });
    }

    /// A setting's value; `Err` when it is wrong, which has then been noted.
    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Result<Option<T>, Noted> {
        let Some(text) = self.raw(key).and_then(|raw| raw.values.first()).cloned() else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|complaint| {
            self.complain(key, complaint);
            Noted
        })
    }

    /// The same for a setting that has a default.
    fn value<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Result<T, Noted> {
        self.optional(key, parse)?.ok_or(Noted)
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Result<Vec<T>, Noted> {
        let texts = self.raw(key).map(|raw| raw.values.clone()).unwrap_or_default();
        let parsed: Vec<Result<T, Complaint>> = texts.iter().map(|text| parse(text)).collect();
        let mut items = Ok(Vec::new());
        for item in parsed {
            match item {
                Ok(item) => {
                    items = items.map(|mut all| {
                        all.push(item);
                        all
                    })
                }
                Err(complaint) => {
                    self.complain(key, complaint);
                    items = Err(Noted);
                }
            }
        }
        items
    }

    /// A value that may be held by a file.
    fn secret(&mut self, key: &str) -> Result<Option<String>, Noted> {
        let Some(raw) = self.raw(key).cloned() else { return Ok(None) };
        let Some(text) = raw.values.into_iter().next() else { return Ok(None) };
        if !raw.in_file {
            return Ok(Some(text));
        }
        match std::fs::read_to_string(&text) {
            Ok(secret) => Ok(Some(secret.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                let message = format!("the file `{text}` cannot be read: {error}");
                self.complain(key, Complaint::new(message, "check the path and its permissions"));
                Err(Noted)
            }
        }
    }
}

/// Something is wrong, and the findings say what.
#[derive(Debug, Clone, Copy)]
struct Noted;

/// `None` when there are findings.
pub fn build(layer: &Layer, mut warnings: Vec<Finding>, findings: &mut Vec<Finding>) -> Option<Loaded> {
    let mut reader = Reader { layer, findings };
    let data = data(&mut reader);
    let listeners = listeners(&mut reader);
    let database = database(&mut reader, &mut warnings);
    let blobs = blobs(&mut reader);
    let limits = limits(&mut reader);
    let signing = reader.value("signing", values::signing);
    let audit = audit(&mut reader);
    let otlp_endpoint = reader.optional("otlp_endpoint", values::http_url);
    let log = log(&mut reader);
    if !findings.is_empty() {
        return None;
    }
    let (listeners, limits) = (listeners.ok()?, limits.ok()?);
    let settings = Settings {
        data: data.ok()?,
        listen: listeners.listen,
        tls: listeners.tls,
        insecure_behind_proxy: listeners.proxies,
        metrics_listen: listeners.metrics,
        external_url: listeners.external_url,
        domain: listeners.domain,
        database: database.ok()?,
        blobs: blobs.ok()?,
        signing: signing.ok()?,
        audit: audit.ok()?,
        otlp_endpoint: otlp_endpoint.ok()?,
        outage_budget: limits.outage_budget,
        drain_timeout: limits.drain_timeout,
        upload_lifetime: limits.upload_lifetime,
    };
    Some(Loaded { settings, log: log.ok()?, effective: effective(layer), warnings })
}

fn path(text: &str) -> Result<PathBuf, Complaint> {
    if text.is_empty() {
        return Err(Complaint::new("the path is empty", "name a file or directory, or remove the setting"));
    }
    std::path::absolute(text)
        .map_err(|error| Complaint::new(format!("`{text}` is not a path: {error}"), "name a file or directory"))
}

fn data(reader: &mut Reader<'_>) -> Result<PathBuf, Noted> {
    reader.value("data", |text| {
        let data = path(text)?;
        let length = data.join("shorepass.sock").as_os_str().len();
        if length > LONGEST_SOCKET_PATH {
            let most = LONGEST_SOCKET_PATH - "/shorepass.sock".len();
            return Err(Complaint::new(
                format!("`{}` is too long for the administration socket in it", data.display()),
                format!("choose a directory whose path has at most {most} bytes"),
            ));
        }
        if data.exists() && !data.is_dir() {
            return Err(Complaint::new(format!("`{}` is not a directory", data.display()), "name a directory"));
        }
        Ok(data)
    })
}

struct Listeners {
    listen: SocketAddr,
    tls: Tls,
    proxies: Vec<IpNet>,
    metrics: Option<SocketAddr>,
    external_url: Option<Url>,
    domain: Option<String>,
}

fn listeners(reader: &mut Reader<'_>) -> Result<Listeners, Noted> {
    let listen = reader.value("listen", values::address);
    let tls = tls(reader);
    let proxies = reader.list("insecure_behind_proxy", values::network);
    let metrics = reader.optional("metrics_listen", values::address);
    let external_url = reader.optional("external_url", values::external_url);
    let domain = reader.optional("domain", values::domain);
    if let (Ok(tls), Ok(proxies)) = (&tls, &proxies) {
        plain_or_tls(reader, tls, proxies, listen.ok(), external_url.as_ref().ok().and_then(Option::as_ref));
    }
    if let (Ok(listen), Ok(Some(metrics))) = (listen, metrics)
        && listen == metrics
        && listen.port() != 0
    {
        let remedy = "give metrics another port, such as `127.0.0.1:9090`";
        reader.complain("metrics_listen", Complaint::new("this is the registry's own address", remedy));
    }
    Ok(Listeners {
        listen: listen?,
        tls: tls?,
        proxies: proxies?,
        metrics: metrics?,
        external_url: external_url?,
        domain: domain?,
    })
}

fn tls(reader: &mut Reader<'_>) -> Result<Tls, Noted> {
    let mode = reader.optional("tls", |text| match text {
        "self-signed" => Ok(true),
        "off" => Ok(false),
        _ => Err(Complaint::new(
            format!("`{text}` is no way to do TLS"),
            "write `self-signed`, or give `tls_cert` and `tls_key`, or `off`",
        )),
    });
    let certificate = reader.optional("tls_cert", readable_pem);
    let key = reader.optional("tls_key", readable_pem);
    let (mode, certificate, key) = (mode?, certificate?, key?);
    match (mode, certificate, key) {
        (None, Some(certificate), Some(key)) => Ok(Tls::Files { certificate, key }),
        (None | Some(false), None, None) => Ok(Tls::Off),
        (Some(true), None, None) => Ok(Tls::SelfSigned),
        (Some(_), ..) => {
            let complaint =
                Complaint::new("this contradicts `tls_cert` and `tls_key`", "remove `tls`, or remove those two");
            reader.complain("tls", complaint);
            Err(Noted)
        }
        (None, certificate, _) => {
            let (given, other) = if certificate.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
            reader.complain(
                given,
                Complaint::new(format!("`{other}` is missing"), format!("give `{other}` too: they go together")),
            );
            Err(Noted)
        }
    }
}

/// A file that can be read and holds PEM; whether it holds the right thing is found when it is loaded.
fn readable_pem(text: &str) -> Result<PathBuf, Complaint> {
    let file = path(text)?;
    let content = std::fs::read(&file).map_err(|error| {
        Complaint::new(format!("`{}` cannot be read: {error}", file.display()), "check the path and its permissions")
    })?;
    if !content.windows(11).any(|window| window == b"-----BEGIN ") {
        let remedy = "convert it, for example with `openssl x509 -inform der -in FILE`";
        return Err(Complaint::new(format!("`{}` is not a PEM file", file.display()), remedy));
    }
    Ok(file)
}

/// The rules of what may be plain HTTP. An address or a URL that could not be read has been noted already.
fn plain_or_tls(
    reader: &mut Reader<'_>,
    tls: &Tls,
    proxies: &[IpNet],
    listen: Option<SocketAddr>,
    external_url: Option<&Url>,
) {
    let plain = *tls == Tls::Off;
    if let Some(listen) = listen
        && plain
        && proxies.is_empty()
        && !listen.ip().is_loopback()
    {
        let message = format!("plain HTTP on `{listen}` would show every password and token to the network");
        let remedy = "add `--tls self-signed`, or `--tls-cert` and `--tls-key`; or `--insecure-behind-proxy CIDR` for a proxy that ends TLS";
        reader.complain("listen", Complaint::new(message, remedy));
    }
    if !plain && !proxies.is_empty() {
        let remedy = "remove it, or remove the `tls` settings";
        reader.complain(
            "insecure_behind_proxy",
            Complaint::new("the listener cannot be plain and speak TLS at once", remedy),
        );
    }
    if !plain && external_url.is_some_and(|url| url.scheme() == "http") {
        let message = "this is plain HTTP, and the listener speaks TLS only";
        reader.complain("external_url", Complaint::new(message, "write `https://…`"));
    }
}

fn database(reader: &mut Reader<'_>, warnings: &mut Vec<Finding>) -> Result<Database, Noted> {
    let Some(text) = reader.secret("database")? else { return Err(Noted) };
    let parsed = values::database(&text).map_err(|complaint| {
        reader.complain("database", complaint);
        Noted
    })?;
    if let Some(Raw { in_file: false, origin: origin @ Origin::Flag(_), .. }) = reader.raw("database")
        && values::holds_password(&text)
    {
        warnings.push(Finding {
            origin: origin.clone(),
            complaint: Complaint::new(
                "the database's password is in this process's arguments, which every user of this machine can read",
                "put the URL into a file and give `--database-file`, or into SHOREPASS_DATABASE",
            ),
        });
    }
    Ok(parsed)
}

fn blobs(reader: &mut Reader<'_>) -> Result<Blobs, Noted> {
    let place = reader.value("blobs", values::blobs);
    let endpoint = reader.optional("s3_endpoint", values::http_url);
    let region = reader.value("s3_region", |text| Ok(text.to_owned()));
    let access_key_id = reader.optional("s3_access_key_id", |text| Ok(text.to_owned()));
    let secret = reader.secret("s3_secret_access_key");
    let (place, endpoint, region) = (place?, endpoint?, region?);
    let (access_key_id, secret) = (access_key_id?, secret?);
    let Some((bucket, prefix)) = place else {
        let useless = ["s3_endpoint", "s3_access_key_id", "s3_secret_access_key"];
        for key in useless.into_iter().filter(|key| reader.layer.contains_key(key)) {
            let complaint =
                Complaint::new("blobs are kept on the local disk", "set `blobs = \"s3://bucket\"`, or remove this");
            reader.complain(key, complaint);
        }
        return Ok(Blobs::Local);
    };
    if access_key_id.is_some() != secret.is_some() {
        let (given, other) = match secret {
            None => ("s3_access_key_id", "s3_secret_access_key_file"),
            Some(_) => ("s3_secret_access_key", "s3_access_key_id"),
        };
        reader.complain(
            given,
            Complaint::new(format!("`{other}` is missing"), format!("give `{other}` too: they go together")),
        );
    }
    let secret_access_key = secret.map(SecretString::from);
    Ok(Blobs::S3(S3Settings { bucket, prefix, endpoint, region, access_key_id, secret_access_key }))
}

struct Limits {
    outage_budget: Duration,
    drain_timeout: Duration,
    upload_lifetime: Duration,
}

fn limits(reader: &mut Reader<'_>) -> Result<Limits, Noted> {
    let outage_budget = reader.value("outage_budget", values::duration);
    let drain_timeout = reader.value("drain_timeout", values::duration);
    let upload_lifetime = reader.value("upload_lifetime", |text| at_least(text, Duration::from_secs(60), "1m"));
    Ok(Limits { outage_budget: outage_budget?, drain_timeout: drain_timeout?, upload_lifetime: upload_lifetime? })
}

fn at_least(text: &str, least: Duration, written: &str) -> Result<Duration, Complaint> {
    let duration = values::duration(text)?;
    if duration < least {
        return Err(Complaint::new(format!("`{text}` is too short"), format!("give at least `{written}`")));
    }
    Ok(duration)
}

fn audit(reader: &mut Reader<'_>) -> Result<AuditSettings, Noted> {
    let lines = reader.optional("audit_file", |text| if text == "-" { Ok(PathBuf::from("-")) } else { path(text) });
    let retention = reader.value("audit_retention", |text| at_least(text, Duration::from_secs(3600), "1h"));
    let max_bytes = reader.value("audit_max_size", |text| match values::size(text)? {
        bytes if bytes < (1 << 20) => Err(Complaint::new(format!("`{text}` is too small"), "give at least `1MiB`")),
        bytes => Ok(bytes),
    });
    Ok(AuditSettings { lines: lines?, retention: retention?, max_bytes: max_bytes? })
}

fn log(reader: &mut Reader<'_>) -> Result<LogSettings, Noted> {
    let level = reader.value("log_level", |text| match EnvFilter::builder().parse(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Complaint::new(
            format!("`{text}` is no log level"),
            "write `error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,shorepass_identity=debug`",
        )),
    });
    let format = reader.value("log_format", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Complaint::new(format!("`{text}` is no log format"), "write `text` or `json`")),
    });
    Ok(LogSettings { level: level?, format: format? })
}

/// What is in effect, without secrets.
fn effective(layer: &Layer) -> Vec<Effective> {
    let show = |setting: &Setting| {
        let raw = layer.get(setting.key)?;
        let joined = raw.values.join(", ");
        let value = match (setting.key, raw.in_file) {
            (_, true) => format!("(in {})", Path::new(&joined).display()),
            ("database", false) => values::redacted_database(&joined),
            (_, false) if setting.is_secret() => "(hidden)".to_owned(),
            (_, false) => joined,
        };
        Some((value, raw.origin.clone()))
    };
    let mut rows = Vec::new();
    for setting in SETTINGS {
        let (value, origin) = show(setting).unwrap_or((String::new(), Origin::Default));
        rows.push(Effective { key: setting.key, value, origin });
    }
    rows
}
