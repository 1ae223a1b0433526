//! `WWW-Authenticate`, as a registry sends it, and where a credential may go because of it.

use url::Url;

use crate::host::{RegistryHost, is_loopback};

/// What a registry asks for (RFC 9110, section 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Fetch a token at `realm` and come back with it.
    Bearer { realm: Url, service: Option<String>, scope: Option<String> },
    /// User name and password, straight to the registry.
    Basic,
}

/// Why a challenge cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    #[error("the challenge has neither `Bearer` nor `Basic`")]
    Scheme,
    #[error("the challenge is malformed: {0}")]
    Form(&'static str),
    #[error("the registry `{registry}` sends sign-ins to `{realm}`, which is another party's host")]
    Elsewhere { registry: RegistryHost, realm: String },
    #[error("the registry `{registry}` sends sign-ins over plain HTTP to `{realm}`")]
    Plain { registry: RegistryHost, realm: String },
}

impl Challenge {
    /// Reads one header value. A Bearer challenge wins over a Basic one beside it.
    ///
    /// # Errors
    /// Neither is there, or a parameter is not of the form of RFC 9110, section 11.2.
    pub fn parse(header: &str) -> Result<Self, ChallengeError> {
        let mut basic = false;
        for (scheme, parameters) in challenges(header)? {
            if scheme.eq_ignore_ascii_case("bearer") {
                return bearer(parameters);
            }
            basic |= scheme.eq_ignore_ascii_case("basic");
        }
        if basic { Ok(Self::Basic) } else { Err(ChallengeError::Scheme) }
    }
}

type Parameters = Vec<(String, String)>;

fn bearer(parameters: Parameters) -> Result<Challenge, ChallengeError> {
    let (mut realm, mut service, mut scope) = (None, None, None);
    for (name, value) in parameters {
        match name.as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    let realm = realm.ok_or(ChallengeError::Form("it has no realm"))?;
    let realm = Url::parse(&realm).map_err(|_| ChallengeError::Form("its realm is no URL"))?;
    Ok(Challenge::Bearer { realm, service, scope })
}

/// Splits a header into its challenges. A word not followed by `=` begins a challenge; a comma inside quotes is text.
fn challenges(header: &str) -> Result<Vec<(String, Parameters)>, ChallengeError> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (word, after) = token(rest)?;
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
            let (_, parameters) = found.last_mut().ok_or(ChallengeError::Form("it begins with a parameter"))?;
            parameters.push((word.to_ascii_lowercase(), value));
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    Ok(found)
}

fn token(input: &str) -> Result<(&str, &str), ChallengeError> {
    let end = input.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c)));
    match input.split_at(end.unwrap_or(input.len())) {
        ("", _) => Err(ChallengeError::Form("a name is missing")),
        found => Ok(found),
    }
}

fn value_of(input: &str) -> Result<(String, &str), ChallengeError> {
    let Some(quoted) = input.strip_prefix('"') else {
        return token(input).map(|(value, rest)| (value.to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
            _ => value.push(c),
        }
    }
    Err(ChallengeError::Form("a quotation mark is not closed"))
}

/// Whether a credential for `registry` may be sent to `realm` (threats: CVE-2026-33540, a realm on another host is
/// handed stored credentials). Allowed are the registry's own host, a host below it, and the domain it is a label of:
/// never a sibling, for siblings under a shared suffix (`a.example-registry.io`, `b.example-registry.io`) belong to
/// different parties.
///
/// # Errors
/// Another party's host, or plain HTTP to anywhere but this machine.
pub fn check_realm(registry: &RegistryHost, realm: &Url) -> Result<(), ChallengeError> {
    let shown = || format!("{}://{}", realm.scheme(), realm.host_str().unwrap_or_default());
    let local = realm.host().is_some_and(|host| is_loopback(&host));
    let same = match realm.host_str() {
        Some(_) if local => registry.is_loopback(),
        Some(host) => is_same_party(&registry.host(), host),
        None => false,
    };
    let has_user = !realm.username().is_empty() || realm.password().is_some();
    if !same || has_user {
        return Err(ChallengeError::Elsewhere { registry: registry.clone(), realm: shown() });
    }
    if realm.scheme() == "https" || (realm.scheme() == "http" && local) {
        return Ok(());
    }
    Err(ChallengeError::Plain { registry: registry.clone(), realm: shown() })
}

fn is_same_party(registry: &str, realm: &str) -> bool {
    let below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|label| label.ends_with('.'));
    let is_name =
        |host: &str| host.rsplit('.').next().is_some_and(|last| last.parse::<u8>().is_err()) && !host.contains(':');
    if registry == realm {
        return true;
    }
    is_name(registry) && is_name(realm) && (below(realm, registry) || (realm.contains('.') && below(registry, realm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str) -> (String, Option<String>, Option<String>) {
        match Challenge::parse(header).unwrap() {
            Challenge::Bearer { realm, service, scope } => (realm.to_string(), service, scope),
            Challenge::Basic => panic!("basic: {header}"),
        }
    }

    #[test]
    fn spaces_commas_quotes_and_order_do_not_matter() {
        let realm = "https://r.example.com/oauth2/token";
        for header in [
            r#"Bearer realm="https://r.example.com/oauth2/token",service="r.example.com",scope="repository:a:pull,push""#,
            r#"bearer  service="r.example.com" , scope="repository:a:pull,push",  realm="https://r.example.com/oauth2/token""#,
            r#"Basic realm="a, Bearer b", Bearer realm = "https://r.example.com/oauth2/token", error="in\"valid", service=r.example.com,scope="repository:a:pull,push""#,
        ] {
            let (found, service, scope) = parse(header);
            assert_eq!((found.as_str(), service.as_deref()), (realm, Some("r.example.com")), "{header}");
            assert_eq!(scope.as_deref(), Some("repository:a:pull,push"));
        }
        assert_eq!(Challenge::parse(r#"Basic realm="x""#).unwrap(), Challenge::Basic);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in
            ["Bearer", r#"Bearer service="x""#, r#"Bearer realm="https://x"#, r#"Bearer realm="not a url""#, r#"="x""#]
        {
            assert!(matches!(Challenge::parse(bad).unwrap_err(), ChallengeError::Form(_)), "{bad}");
        }
        for none in ["", "Negotiate", "Digest realm=x"] {
            assert_eq!(Challenge::parse(none).unwrap_err(), ChallengeError::Scheme, "{none}");
        }
    }

    #[test]
    fn a_credential_stays_with_its_registry() {
        let check = |registry: &str, realm: &str| check_realm(&registry.parse().unwrap(), &Url::parse(realm).unwrap());
        for (registry, realm) in [
            ("r.example.com", "https://r.example.com/oauth2/token"),
            ("r.example.com:5000", "https://r.example.com:8443/token"),
            ("team.r.example.com", "https://r.example.com/oauth2/token"),
            ("r.example.com", "https://auth.r.example.com/token"),
            ("localhost:5000", "http://127.0.0.1:5000/oauth2/token"),
            ("10.0.0.7:5000", "https://10.0.0.7:5000/oauth2/token"),
        ] {
            assert_eq!(check(registry, realm), Ok(()), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("r.example.com", "https://evil.example.net/token"),
            ("r.example.com", "https://s.example.com/token"),
            ("r.example.com", "https://com/token"),
            ("r.example.com", "https://evilr.example.com/token"),
            ("r.example.com", "https://r.example.com.evil.net/token"),
            ("r.example.com", "https://user:pw@r.example.com/token"),
            ("r.example.com", "http://127.0.0.1/token"),
            ("localhost:5000", "https://example.com/token"),
            ("10.0.0.7", "https://0.7/token"),
        ] {
            assert!(matches!(check(registry, realm), Err(ChallengeError::Elsewhere { .. })), "{registry} {realm}");
        }
        for realm in ["http://r.example.com/token", "ftp://r.example.com/token"] {
            assert!(matches!(check("r.example.com", realm), Err(ChallengeError::Plain { .. })), "{realm}");
        }
    }
}
