//! A registry's address: `host[:port]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a registry's address is `host` or `host:port`, and `{0}` is neither")]
pub struct HostError(String);

/// The host and port of a registry, in lower case. Two texts for one server (`https://R/v2/`, `R`) are one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost {
    host: Host,
    port: Option<u16>,
}

impl RegistryHost {
    /// The host alone; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What name resolution takes: an IPv6 address has no brackets there.
    #[must_use]
    pub fn lookup_name(&self) -> String {
        match &self.host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }

    /// Only this machine is reached under this name, so plain HTTP shows a credential to nobody.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// `<scheme>://host[:port]<path>`; `None` when `path` does not make a URL.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Option<Url> {
        Url::parse(&format!("{}://{self}{path}", scheme.as_str())).ok()
    }
}

/// How a registry is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    Https,
    /// Loopback only.
    Http,
}

impl Scheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref().trim_end_matches('.');
            // RFC 6761, section 6.3: `localhost` and every name below it are loopback.
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
    }
}

impl FromStr for RegistryHost {
    type Err = HostError;

    /// A scheme and a path are dropped: docker hands them to credential helpers (`https://R`, `https://R/v1/`).
    fn from_str(input: &str) -> Result<Self, HostError> {
        let refused = || HostError(input.chars().take(80).flat_map(char::escape_default).collect());
        let bare = input.strip_prefix("https://").or_else(|| input.strip_prefix("http://")).unwrap_or(input);
        let authority = bare.split('/').next().unwrap_or_default();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b);
        if authority.is_empty() || authority.starts_with([':', '-']) || !authority.bytes().all(fits) {
            return Err(refused());
        }
        // A scheme without a default port, so that `:443` is kept when somebody writes it.
        let url = Url::parse(&format!("https://{authority}")).map_err(|_| refused())?;
        let host = url.host().ok_or_else(refused)?.to_owned();
        let port = match authority.rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => Some(digits.parse().map_err(|_| refused())?),
            _ => None,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> RegistryHost {
        text.parse().unwrap()
    }

    #[test]
    fn texts_of_one_server_are_one_address() {
        for text in ["Reg.Example.COM:5000", "https://reg.example.com:5000/v2/", "http://reg.example.com:5000"] {
            assert_eq!(host(text).to_string(), "reg.example.com:5000", "{text}");
        }
        assert_eq!(host("reg.example.com:443").to_string(), "reg.example.com:443");
        assert_eq!(host("[::1]:5000").to_string(), "[::1]:5000");
        assert_eq!(host("[::1]:5000").lookup_name(), "::1");
        assert_eq!(host("[::1]").port(), None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "https://",
            ":5000",
            "a b",
            "reg.example.com:",
            "reg.example.com:99999",
            "u:p@h",
            "a?b",
            "héh",
            "--tls-verify",
        ] {
            assert!(bad.parse::<RegistryHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        for yes in
            ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::ffff:127.0.0.1]", "a.localhost"]
        {
            assert!(host(yes).is_loopback(), "{yes}");
        }
        for no in ["localhost.example.com", "notlocalhost", "128.0.0.1", "[::2]", "0.0.0.0"] {
            assert!(!host(no).is_loopback(), "{no}");
        }
    }
}
