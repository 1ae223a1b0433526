//! What a request is about: parsed once, from the path decoded once. Every later question (which permission, which
//! handler, which metric) is asked of the route, never of the path again.

use http::Method;
use shorepass_core::{Action, ActionSet, Digest, Reference, RepositoryName, TokenScope};
use uuid::Uuid;

/// A request's path, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, Uuid),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/oauth2/token`
    Token,
    /// `/oauth2/exchange`
    Exchange,
    /// `/oauth2/keys`: the JWKS our tokens are verified with.
    Keys,
    /// `/oauth2/certificates`: the same keys as PEM certificates.
    Certificates,
    /// `/`: a word for people who open the address in a browser.
    Root,
}

/// Why a path is no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    NotFound,
    /// A percent sign without two hexadecimal digits, a control character, or bytes that are not UTF-8.
    Encoding,
    Name(String),
    Digest(String),
    Reference(String),
}

/// What a request has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Anybody may: the token service and what verifies its tokens.
    Nothing,
    /// Any credential that is good.
    SignedIn,
    Catalog,
    /// `action` on the repository; a challenge asks for `scope`, which may be more than this one request needs.
    Repository {
        name: RepositoryName,
        action: Action,
        scope: ActionSet,
    },
}

impl Route {
    /// Parses the path as it came.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn parse(raw_path: &str) -> Result<Self, RouteError> {
        let path = decode(raw_path).ok_or(RouteError::Encoding)?;
        match path.as_str() {
            "/v2" | "/v2/" => Ok(Self::Ping),
            "/v2/_catalog" => Ok(Self::Catalog),
            "/oauth2/token" => Ok(Self::Token),
            "/oauth2/exchange" => Ok(Self::Exchange),
            "/oauth2/keys" => Ok(Self::Keys),
            "/oauth2/certificates" => Ok(Self::Certificates),
            "/" => Ok(Self::Root),
            other => other.strip_prefix("/v2/").ok_or(RouteError::NotFound).and_then(repository_route),
        }
    }

    /// The methods the route answers to.
    #[must_use]
    pub fn methods(&self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        match self {
            Self::Manifest(..) => &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE],
            Self::Blob(..) => &[Method::GET, Method::HEAD, Method::DELETE],
            Self::Uploads(_) => &[Method::POST],
            Self::Upload(..) => &[Method::GET, Method::HEAD, Method::PATCH, Method::PUT, Method::DELETE],
            Self::Token => &[Method::GET, Method::POST],
            Self::Exchange => &[Method::POST],
            _ => READ,
        }
    }

    /// What `method` on this route has to be allowed. `None` when the route does not answer to the method.
    #[must_use]
    pub fn need(&self, method: &Method) -> Option<Need> {
        if !self.methods().contains(method) {
            return None;
        }
        let pull = ActionSet::of(&[Action::ContentRead]);
        let push = ActionSet::of(&[Action::ContentRead, Action::ContentWrite]);
        let on = |name: &RepositoryName, action, scope| Need::Repository { name: name.clone(), action, scope };
        let delete = |name| on(name, Action::ContentDelete, ActionSet::of(&[Action::ContentDelete]));
        Some(match self {
            Self::Token | Self::Exchange | Self::Keys | Self::Certificates | Self::Root => Need::Nothing,
            Self::Ping => Need::SignedIn,
            Self::Catalog => Need::Catalog,
            Self::Tags(name) => {
                on(name, Action::MetadataRead, ActionSet::of(&[Action::ContentRead, Action::MetadataRead]))
            }
            Self::Referrers(name, _) => on(name, Action::ContentRead, pull),
            Self::Manifest(name, _) => match *method {
                Method::PUT => on(name, Action::ContentWrite, push),
                Method::DELETE => delete(name),
                _ => on(name, Action::ContentRead, pull),
            },
            Self::Blob(name, _) if *method == Method::DELETE => delete(name),
            Self::Blob(name, _) => on(name, Action::ContentRead, pull),
            Self::Uploads(name) | Self::Upload(name, _) => on(name, Action::ContentWrite, push),
        })
    }

    /// The route's shape, for metrics and logs: bounded in number, whatever clients ask for.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self {
            Self::Ping => "/v2/",
            Self::Catalog => "/v2/_catalog",
            Self::Tags(_) => "/v2/{name}/tags/list",
            Self::Manifest(..) => "/v2/{name}/manifests/{reference}",
            Self::Blob(..) => "/v2/{name}/blobs/{digest}",
            Self::Uploads(_) => "/v2/{name}/blobs/uploads/",
            Self::Upload(..) => "/v2/{name}/blobs/uploads/{id}",
            Self::Referrers(..) => "/v2/{name}/referrers/{digest}",
            Self::Token => "/oauth2/token",
            Self::Exchange => "/oauth2/exchange",
            Self::Keys => "/oauth2/keys",
            Self::Certificates => "/oauth2/certificates",
            Self::Root => "/",
        }
    }
}

impl Need {
    /// The scope a challenge asks for; none where a challenge has none (`/v2/` itself: some clients split the header at
    /// every comma, contracts/azure-clients.md 7.1).
    #[must_use]
    pub fn scope(&self) -> Option<TokenScope> {
        match self {
            Self::Nothing | Self::SignedIn => None,
            Self::Catalog => Some(TokenScope::Catalog),
            Self::Repository { name, scope, .. } => {
                Some(TokenScope::Repository { name: name.clone(), actions: *scope })
            }
        }
    }
}

/// A path under `/v2/`: read from its end, for a repository's name may hold any of the words.
fn repository_route(rest: &str) -> Result<Route, RouteError> {
    let segments: Vec<&str> = rest.split('/').collect();
    match segments.as_slice() {
        [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
        [name @ .., "manifests", reference] => {
            let reference: Reference = match reference.parse() {
                Ok(reference) => reference,
                Err(shorepass_core::ReferenceError::Digest(error)) => {
                    return Err(RouteError::Digest(error.to_string()));
                }
                Err(error) => return Err(RouteError::Reference(error.to_string())),
            };
            Ok(Route::Manifest(repository(name)?, reference))
        }
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => Ok(Route::Uploads(repository(name)?)),
        // An id that is none of ours is an unknown upload, not another kind of path.
        [name @ .., "blobs", "uploads", id] => Ok(Route::Upload(repository(name)?, id.parse().unwrap_or(Uuid::nil()))),
        [name @ .., "blobs", digest] => Ok(Route::Blob(repository(name)?, parse_digest(digest)?)),
        [name @ .., "referrers", digest] => Ok(Route::Referrers(repository(name)?, parse_digest(digest)?)),
        _ => Err(RouteError::NotFound),
    }
}

fn repository(segments: &[&str]) -> Result<RepositoryName, RouteError> {
    segments.join("/").parse().map_err(|error: shorepass_core::NameError| RouteError::Name(error.to_string()))
}

fn parse_digest(text: &str) -> Result<Digest, RouteError> {
    text.parse().map_err(|error: shorepass_core::DigestError| RouteError::Digest(error.to_string()))
}

/// Percent-decodes once; what decodes to another `%` stays one. `None` for a malformed encoding, control characters and
/// bytes that are not UTF-8.
pub(crate) fn decode(raw: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        };
        if byte.is_ascii_control() {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn words_of_the_protocol_may_be_names() {
        let tag = |text: &str| Reference::Tag(text.parse().unwrap());
        for (path, route) in [
            ("/v2/tags/tags/list", Route::Tags(name("tags"))),
            ("/v2/a/manifests/tags/list", Route::Tags(name("a/manifests"))),
            ("/v2/a/tags/manifests/list", Route::Manifest(name("a/tags"), tag("list"))),
            ("/v2/blobs/uploads/manifests/x", Route::Manifest(name("blobs/uploads"), tag("x"))),
            ("/v2/a/blobs/uploads/", Route::Uploads(name("a"))),
            ("/v2/a/blobs/uploads", Route::Uploads(name("a"))),
            ("/v2/team%2Fapp/tags/list", Route::Tags(name("team/app"))),
            ("/v2/t%65am/tags/list", Route::Tags(name("team"))),
        ] {
            assert_eq!(Route::parse(path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn tricks_with_the_path_lead_nowhere() {
        for path in [
            "/v2/a%252Fb/tags/list",
            "/v2/a//tags/list",
            "/v2//tags/list",
            "/v2/a/../b/tags/list",
            "/v2/%2e%2e/tags/list",
            "/v2/A/tags/list",
            "/v2/a./tags/list",
            "/v2/a%00/tags/list",
            "/v2/a%zz/tags/list",
            "/v2/a%f/tags/list",
            "/v2/%ff/tags/list",
            "//v2/",
            "/V2/",
            "/v2/_catalog/",
            "/v2/tags/list",
            "/v2/manifests/x",
            "/v2/a/blobs/sha256:zz",
            "/v2/a/manifests/sha256:zz",
            "/v2/a/manifests/-x",
            "/etc/passwd",
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn every_route_that_is_not_open_needs_something() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for path in [
            "/v2/".to_owned(),
            "/v2/_catalog".to_owned(),
            "/v2/a/tags/list".to_owned(),
            format!("/v2/a/manifests/{digest}"),
            format!("/v2/a/blobs/{digest}"),
            format!("/v2/a/referrers/{digest}"),
            "/v2/a/blobs/uploads/".to_owned(),
            format!("/v2/a/blobs/uploads/{}", Uuid::nil()),
        ] {
            let route = Route::parse(&path).unwrap();
            for method in route.methods() {
                assert_ne!(route.need(method).unwrap(), Need::Nothing, "{method} {path}");
            }
            assert_eq!(route.need(&Method::TRACE), None);
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "\\PC{0,200}") {
            let _ = Route::parse(&path);
        }

        #[test]
        fn what_parses_names_a_valid_repository(path in "/v2/[a-zA-Z0-9_./%-]{0,60}/(tags/list|manifests/x|blobs/uploads/)") {
            if let Ok(Route::Tags(n) | Route::Manifest(n, _) | Route::Uploads(n)) = Route::parse(&path) {
                prop_assert!(n.as_str().parse::<RepositoryName>().is_ok());
            }
        }
    }
}
