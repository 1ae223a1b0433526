//! TLS for the public listener: certificates that can be exchanged while it runs, sessions that can be resumed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use shorepass_core::Clock;

use super::error::NetError;
use crate::settings::{Settings, Tls};

/// Where the certificates come from.
#[derive(Debug, Clone)]
struct Source {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate being served, re-read on demand.
#[derive(Debug)]
pub(crate) struct Certificates {
    source: Source,
    /// The private CA's certificate, when we made it.
    ca: Option<PathBuf>,
    own: Option<Own>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// A private CA and leaf of our own making, renewed when they near their end.
#[derive(Debug)]
struct Own {
    dir: PathBuf,
    names: Vec<String>,
}

impl Own {
    fn make(&self, clock: &dyn Clock) -> Result<shorepass_identity::SelfSigned, NetError> {
        let made = shorepass_identity::self_signed(&self.dir, &self.names, clock);
        made.map_err(|error| NetError::SelfSigned(error.to_string()))
    }
}

impl Certificates {
    /// What `settings` say; `None` for plain HTTP.
    pub(crate) fn load(settings: &Settings, clock: &dyn Clock) -> Result<Option<Arc<Self>>, NetError> {
        let (source, ca, own) = match &settings.tls {
            Tls::Off => return Ok(None),
            Tls::Files { certificate, key } => {
                (Source { certificate: certificate.clone(), key: key.clone() }, None, None)
            }
            Tls::SelfSigned => {
                let own = Own { dir: settings.data.join("tls"), names: certificate_names(settings) };
                let made = own.make(clock)?;
                (Source { certificate: made.cert_pem, key: made.key_pem }, Some(made.ca_pem), Some(own))
            }
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = RwLock::new(Arc::new(read(&source, &provider)?));
        Ok(Some(Arc::new(Self { source, ca, own, provider, current })))
    }

    /// Reads the files again, after renewing our own where it is due. On an error the certificate in use stays in use.
    pub(crate) fn reload(&self, clock: &dyn Clock) -> Result<(), NetError> {
        if let Some(own) = &self.own {
            own.make(clock)?;
        }
        let fresh = Arc::new(read(&self.source, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        tracing::info!(certificate = %self.source.certificate.display(), "TLS certificate reloaded");
        Ok(())
    }

    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// TLS 1.2 and 1.3, HTTP/2 preferred, stateless session tickets.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, NetError> {
        let unusable = |error: rustls::Error| NetError::Tls(error.to_string());
        let builder = ServerConfig::builder_with_provider(self.provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(source: &Source, provider: &CryptoProvider) -> Result<CertifiedKey, NetError> {
    let chain = CertificateDer::pem_file_iter(&source.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("certificate", &source.certificate, &error))?;
    if chain.is_empty() {
        let (certificate, reason) = (source.certificate.clone(), "the file holds no certificate".to_owned());
        return Err(NetError::Certificate { certificate, reason });
    }
    let key = PrivateKeyDer::from_pem_file(&source.key).map_err(|error| unreadable("key", &source.key, &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let reason = match error {
            rustls::Error::InconsistentKeys(_) => format!("the key `{}` is not its key", source.key.display()),
            other => other.to_string(),
        };
        NetError::Certificate { certificate: source.certificate.clone(), reason }
    })
}

fn unreadable(what: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> NetError {
    use rustls::pki_types::pem::Error;
    let reason = match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => format!("the file holds no {what} in PEM"),
        // The other variants quote the file's lines, and a key's lines belong in no log.
        _ => "the file is no valid PEM".to_owned(),
    };
    NetError::TlsFile { what, path: path.to_owned(), reason }
}

/// Every name under which clients may reach us: what `hosts.rs` answers to, as far as it is known before the first
/// connection.
fn certificate_names(settings: &Settings) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let listen = settings.listen.ip();
    if !listen.is_unspecified() {
        names.push(listen.to_canonical().to_string());
    }
    if let Some(host) = settings.external_url.as_ref().and_then(url::Url::host) {
        names.push(match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        });
    }
    names.extend(settings.domain.as_ref().map(|domain| format!("*.{}", domain.to_ascii_lowercase())));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
