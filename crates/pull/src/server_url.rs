//! Where a Shorepass server is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::host::{RegistryHost, Scheme};

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    #[error("a server's address is `https://host` or `https://host:port`, and `{0}` is not")]
    Form(String),
    #[error("`{0}` is not on this machine, and plain HTTP would show credentials to everybody on the way")]
    Plain(String),
}

/// `https://host[:port]`; on this machine `http` too. Two texts for one server are one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl {
    host: RegistryHost,
    scheme: Scheme,
}

impl ServerUrl {
    #[must_use]
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A URL with these segments as its path. `None` when they make none.
    pub(crate) fn with_segments(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.host.url(self.scheme, "/")?;
        url.path_segments_mut().ok()?.clear().extend(segments);
        Some(url)
    }

    /// A URL with this path and query. `None` when they make none, or lead to another server.
    pub(crate) fn with_path(&self, path: &str) -> Option<Url> {
        let url = self.host.url(self.scheme, path)?;
        self.is_origin_of(&url).then_some(url)
    }

    /// Whether the URL is one of this server.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        let own = self.host.url(self.scheme, "/");
        own.is_some_and(|own| own.origin() == url.origin()) && url.username().is_empty() && url.password().is_none()
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    /// Without a scheme `https` is meant.
    fn from_str(input: &str) -> Result<Self, ServerUrlError> {
        let shown = || input.chars().take(80).flat_map(char::escape_default).collect::<String>();
        let refused = || ServerUrlError::Form(shown());
        let text = if input.contains("://") { input.to_owned() } else { format!("https://{input}") };
        let url = Url::parse(&text).map_err(|_| refused())?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(refused()),
        };
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(refused());
        }
        // The parser drops a scheme's own port.
        let authority = url.port().map_or_else(
            || url.host_str().unwrap_or_default().to_owned(),
            |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
        );
        let host: RegistryHost = authority.parse().map_err(|_| refused())?;
        if scheme == Scheme::Http && !host.is_loopback() {
            return Err(ServerUrlError::Plain(shown()));
        }
        Ok(Self { host, scheme })
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = ServerUrlError;

    fn try_from(text: String) -> Result<Self, ServerUrlError> {
        text.parse()
    }
}

impl From<ServerUrl> for String {
    fn from(server: ServerUrl) -> Self {
        server.to_string()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_server_are_one_address() {
        for text in ["https://R.example.com", "r.example.com", "https://r.example.com/", "https://r.example.com:443"] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), "https://r.example.com", "{text}");
        }
        assert_eq!("http://localhost:5000/".parse::<ServerUrl>().unwrap().to_string(), "http://localhost:5000");
        assert_eq!("http://[::1]:5000".parse::<ServerUrl>().unwrap().to_string(), "http://[::1]:5000");
    }

    #[test]
    fn what_would_lead_elsewhere_or_be_overheard_is_refused() {
        for bad in [
            "",
            "https://",
            "ftp://r.example.com",
            "https://u@r.example.com",
            "https://u:p@r.example.com",
            "https://r.example.com/path",
            "https://r.example.com?x",
            "https://r.example.com#x",
            "http://r.example.com",
            "http://localhost.example.com",
        ] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_stays_on_the_server() {
        let server: ServerUrl = "https://r.example.com".parse().unwrap();
        assert_eq!(server.with_path("/api/v1/me?x=1").unwrap().as_str(), "https://r.example.com/api/v1/me?x=1");
        assert!(server.with_path("@evil.example/").is_none());
        assert!(server.with_path(":8443/").is_none());
        assert_eq!(server.with_segments(&["a/b", "c?d"]).unwrap().as_str(), "https://r.example.com/a%2Fb/c%3Fd");
        let other = |text: &str| server.is_origin_of(&Url::parse(text).unwrap());
        assert!(other("https://r.example.com/t/oauth2/v2.0/token"));
        assert!(
            !other("http://r.example.com/")
                && !other("https://r.example.com:444/")
                && !other("https://u@r.example.com/")
        );
    }
}
