//! Which registry a host means, what its login server is called, and where its tokens come from.
//!
//! A `Host` header is the client's word. It chooses among names that are ours already; nothing that is not ours is ever
//! echoed into a realm or a login server (the "realm from Host" row of the threats: whoever names the realm collects the
//! passwords).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, Uri, header};
use shorepass_core::RegistryName;
use url::Url;

use crate::net::{Listener, Origin};
use crate::settings::{Settings, Tls};

/// Whom a host means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMatch {
    /// `<name>.<domain>`. Whether there is a registry of that name is not known here.
    Registry(RegistryName),
    /// The external URL's host, a loopback name, or an address of ours: the registry `default`.
    Default,
    /// Not ours: 421.
    Foreign,
}

/// A request that names more than one host, or none that can be read: 400 (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's Host header must appear once and hold a host")]
pub struct BadHost;

/// The names this server answers to.
#[derive(Debug, Clone)]
pub struct Hosts {
    external: Option<External>,
    domain: Option<String>,
    listen: SocketAddr,
    tls: bool,
}

#[derive(Debug, Clone)]
struct External {
    /// Without a slash at the end.
    base: String,
    host: Host,
    /// Where it is not the scheme's default.
    port: Option<u16>,
}

/// A host in one spelling: lower case, no dot at the end, IPv4-mapped addresses as IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// A host that is ours, and the port it was reached by.
#[derive(Debug)]
struct Reached {
    host: Host,
    port: Option<u16>,
}

impl Hosts {
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let domain = settings.domain.as_ref().map(|domain| domain.trim_matches('.').to_ascii_lowercase());
        Self {
            external: settings.external_url.as_ref().and_then(External::new),
            domain: domain.filter(|domain| !domain.is_empty()),
            listen: settings.listen,
            tls: settings.tls != Tls::Off,
        }
    }

    /// The same for the address the listener really got (`--listen 127.0.0.1:0`).
    #[must_use]
    pub fn bound_to(mut self, public_addr: SocketAddr) -> Self {
        self.listen = public_addr;
        self
    }

    /// The authority under which a client on this machine reaches us, where no request tells one: over the
    /// administration socket. It always resolves to `default`.
    #[must_use]
    pub fn own_authority(&self) -> String {
        if let Some(external) = &self.external {
            return with_port(&external.host.to_string(), external.port);
        }
        let address = reachable(self.listen);
        with_port(&Host::Address(address.ip().to_canonical()).to_string(), Some(address.port()))
    }

    /// Whom `authority` (of [`authority_of`]) means. Without one, as HTTP/1.0 allows: `default`.
    #[must_use]
    pub fn resolve(&self, authority: Option<&str>, origin: &Origin) -> HostMatch {
        let Some(authority) = authority else { return HostMatch::Default };
        parse(authority).map_or(HostMatch::Foreign, |(host, _)| self.meaning(&host, origin))
    }

    fn meaning(&self, host: &Host, origin: &Origin) -> HostMatch {
        if self.external.as_ref().is_some_and(|external| external.host == *host) {
            return HostMatch::Default;
        }
        match host {
            Host::Name(name) => {
                let registry = self.domain.as_ref().and_then(|domain| registry_label(name, domain));
                match registry {
                    Some(registry) => HostMatch::Registry(registry),
                    None if name == "localhost" => HostMatch::Default,
                    None => HostMatch::Foreign,
                }
            }
            Host::Address(address) => {
                let ours = [Some(self.listen), origin.local].into_iter().flatten().map(|ours| ours.ip().to_canonical());
                let is_ours =
                    address.is_loopback() || (!address.is_unspecified() && ours.into_iter().any(|a| a == *address));
                if is_ours { HostMatch::Default } else { HostMatch::Foreign }
            }
        }
    }

    /// A registry's login server: what `service` and `aud` say. With a domain `<name>.<domain>` and the external URL's
    /// port, or else the one it was reached by; without a domain the external URL's authority, or else what it was
    /// reached by.
    #[must_use]
    pub fn login_server(&self, registry: &RegistryName, authority_as_reached: &str, origin: &Origin) -> String {
        let reached = || self.reached(authority_as_reached, origin);
        let secure = self.secure(origin);
        match (&self.domain, &self.external) {
            (Some(domain), Some(external)) => with_port(&format!("{registry}.{domain}"), external.port),
            (Some(domain), None) => with_port(&format!("{registry}.{domain}"), unusual(reached().port, secure)),
            (None, Some(external)) => with_port(&external.host.to_string(), external.port),
            (None, None) => {
                let Reached { host, port } = reached();
                with_port(&host.to_string(), unusual(port, secure))
            }
        }
    }

    /// The token endpoint's URL: of the external URL where one is configured, or else of the connection's own scheme and
    /// host.
    #[must_use]
    pub fn realm(&self, authority_as_reached: &str, origin: &Origin) -> String {
        format!("{}/oauth2/token", self.base(authority_as_reached, origin))
    }

    /// Scheme and authority (and the external URL's path, if it has one) of this server, without a slash at the end.
    #[must_use]
    pub fn base(&self, authority_as_reached: &str, origin: &Origin) -> String {
        if let Some(external) = &self.external {
            return external.base.clone();
        }
        let secure = self.secure(origin);
        let Reached { host, port } = self.reached(authority_as_reached, origin);
        let scheme = if secure { "https" } else { "http" };
        format!("{scheme}://{}", with_port(&host.to_string(), unusual(port, secure)))
    }

    /// What the client typed, if it is ours; else the address it reached.
    fn reached(&self, authority: &str, origin: &Origin) -> Reached {
        let typed = parse(authority).filter(|(host, _)| self.meaning(host, origin) != HostMatch::Foreign);
        let (host, port) = typed.unwrap_or_else(|| {
            let address = reachable(origin.local.unwrap_or(self.listen));
            (Host::Address(address.ip().to_canonical()), Some(address.port()))
        });
        Reached { host, port }
    }

    /// Over the administration socket the question is how the public listener is reached.
    fn secure(&self, origin: &Origin) -> bool {
        match origin.listener {
            Listener::Administration { .. } => self.tls,
            Listener::Public | Listener::Metrics => origin.secure,
        }
    }
}

impl External {
    fn new(url: &Url) -> Option<Self> {
        let host = match url.host()? {
            url::Host::Domain(name) => Host::Name(name.trim_end_matches('.').to_ascii_lowercase()),
            url::Host::Ipv4(address) => Host::Address(address.into()),
            url::Host::Ipv6(address) => Host::Address(IpAddr::V6(address).to_canonical()),
        };
        let port = url.port();
        // No comma may enter a challenge: az splits it there (contracts/azure-clients.md, 7.1).
        let path = url.path().trim_end_matches('/').replace(',', "%2C");
        let base = format!("{}://{}{path}", url.scheme(), with_port(&host.to_string(), port));
        Some(Self { base, host, port })
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// The authority a request was sent to: that of its target (HTTP/2, or an absolute one; RFC 9112, section 3.2.2), else
/// its `Host`. `None` when it has neither.
///
/// # Errors
/// When there are several hosts, or one that is no text.
pub fn authority_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, BadHost> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = lines.next().map(|line| line.to_str().map_err(|_| BadHost)).transpose()?;
    if lines.next().is_some() {
        return Err(BadHost);
    }
    match (uri.authority(), line) {
        (Some(authority), _) => Ok(Some(authority.as_str())),
        (None, Some("")) => Err(BadHost),
        (None, line) => Ok(line),
    }
}

/// `host[:port]`. `None` for anything else: user information, a port that is none, an empty host.
fn parse(authority: &str) -> Option<(Host, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = literal.parse().ok()?;
        let port = if rest.is_empty() { None } else { parse_port(rest.strip_prefix(':')?)? };
        return Some((Host::Address(IpAddr::V6(address).to_canonical()), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, None),
    };
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some((Host::Address(address.into()), port));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    fits.then(|| (Host::Name(name.to_ascii_lowercase()), port))
}

/// A port; empty is none given (RFC 3986, section 3.2.3).
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let port = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten()?;
    (port != 0).then_some(Some(port))
}

/// The name in `<name>.<domain>`.
fn registry_label(host: &str, domain: &str) -> Option<RegistryName> {
    host.strip_suffix(domain)?.strip_suffix('.')?.parse().ok()
}

/// The port, unless it is the scheme's own.
fn unusual(port: Option<u16>, secure: bool) -> Option<u16> {
    let usual = if secure { 443 } else { 80 };
    port.filter(|port| *port != usual)
}

fn with_port(host: &str, port: Option<u16>) -> String {
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An address a client on this machine can connect to: every-address becomes loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;
