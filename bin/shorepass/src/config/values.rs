//! What a setting's text means. Each function answers the value, or what is wrong and how to write it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use shorepass_server::settings::{Database, SigningAlgorithm};
use url::{Host, Url};

use super::finding::Complaint;

type Parsed<T> = Result<T, Complaint>;

/// An address with a port.
pub fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        let example = if let Some(port) = text.strip_prefix(':').filter(|port| port.parse::<u16>().is_ok()) {
            format!("write `0.0.0.0:{port}` for every address of this machine, or `127.0.0.1:{port}`")
        } else if text.parse::<u16>().is_ok() {
            format!("write `127.0.0.1:{text}`")
        } else if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) {
            format!("add a port: `{text}:5000`")
        } else if let Some(port) = text.strip_prefix("localhost:") {
            format!("write `127.0.0.1:{port}` or `[::1]:{port}`")
        } else {
            "write it like `127.0.0.1:5000` or `[::1]:5000`".to_owned()
        };
        Complaint::new(format!("`{text}` is not an address with a port"), example)
    })
}

/// A number and a unit: `ms`, `s`, `m`, `h`, `d`; or `0`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let complaint = || {
        Complaint::new(
            format!("`{text}` is not a duration"),
            "write a number and a unit: `500ms`, `60s`, `15m`, `12h` or `30d`",
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (number, unit) = split_unit(text).ok_or_else(complaint)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(complaint()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(complaint)
}

/// Bytes: a number and `B`, `KiB`, `MiB`, `GiB`, `TiB` (or the decimal `kB`, `MB`, `GB`, `TB`).
pub fn size(text: &str) -> Parsed<u64> {
    let complaint =
        || Complaint::new(format!("`{text}` is not a size"), "write a number and a unit: `256MiB` or `2GiB`");
    let (number, unit) = split_unit(text).ok_or_else(complaint)?;
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(complaint()),
    };
    number.checked_mul(factor).ok_or_else(complaint)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A network: `10.0.0.0/8`, or one address.
pub fn network(text: &str) -> Parsed<IpNet> {
    let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map_err(|_| {
        Complaint::new(
            format!("`{text}` is not a network"),
            "write the proxy's network like `10.0.0.0/8`, or its address",
        )
    })
}

/// The origin clients reach us by: scheme, host and port, and nothing else.
pub fn external_url(text: &str) -> Parsed<Url> {
    let complaint = |message: String| Complaint::new(message, "write it like `https://registry.example.com`");
    let url = http_url(text)?;
    if !matches!(url.path(), "/" | "") || url.query().is_some() || url.fragment().is_some() {
        return Err(complaint(format!("`{url}` has a path; clients look for a registry at the root of a host")));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Complaint::new(
            format!("`{url}` is plain HTTP"),
            "write `https://…`: passwords and tokens travel to it; only loopback hosts may be plain",
        ));
    }
    Ok(url)
}

/// An `http` or `https` URL with a host and no credentials.
pub fn http_url(text: &str) -> Parsed<Url> {
    let remedy = "write it like `https://host:port`";
    let url = Url::parse(text).map_err(|error| Complaint::new(format!("this is not a URL: {error}"), remedy))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Complaint::new("the URL holds a user name or password", remedy));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Complaint::new(format!("`{}:` is neither `http:` nor `https:`", url.scheme()), remedy));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Registry names have at most 50 characters, a name in the DNS 253 (RFC 1035 section 2.3.4).
const LONGEST_DOMAIN: usize = 253 - 51;

/// A DNS name (RFC 1123 section 2.1), folded to lower case.
pub fn domain(text: &str) -> Parsed<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let remedy = "write a name such as `registry.example.com`, without scheme, port or `*.`";
    let complaint = || Complaint::new(format!("`{}` is not a DNS name", text.escape_debug()), remedy);
    if text.parse::<IpAddr>().is_ok() || text.len() > LONGEST_DOMAIN || !text.split('.').all(is_label) {
        return Err(complaint());
    }
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(complaint());
    }
    Ok(text.to_ascii_lowercase())
}

/// `sqlite`, or a `postgres://` URL. Never shows the text: it may hold a password.
pub fn database(text: &str) -> Parsed<Database> {
    let remedy = "write `sqlite`, or `postgres://user@host:5432/name`";
    if text == "sqlite" {
        return Ok(Database::Sqlite);
    }
    let url =
        Url::parse(text).map_err(|error| Complaint::new(format!("this is not a database URL: {error}"), remedy))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(Complaint::new(format!("`{}:` is not a database Shorepass knows", url.scheme()), remedy));
    }
    Ok(Database::Postgres(SecretString::from(text.to_owned())))
}

/// A database URL as it may be shown: without password and parameters.
pub fn redacted_database(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.to_owned();
    };
    let hidden = url.password().is_some() || url.query().is_some();
    url.set_query(None);
    if url.set_password(None).is_err() {
        return "(hidden)".to_owned();
    }
    if hidden { format!("{url} (password and parameters hidden)") } else { url.to_string() }
}

/// Whether a database URL shows a password to whoever reads it.
pub fn holds_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password"))
}

/// Where blobs are kept: `None` for the local disk, or bucket and prefix.
pub fn blobs(text: &str) -> Parsed<Option<(String, String)>> {
    if text == "local" {
        return Ok(None);
    }
    let place = text.strip_prefix("s3://").filter(|place| !place.is_empty() && !place.starts_with('/'));
    let Some(place) = place else {
        return Err(Complaint::new(
            format!("`{text}` is no place for blobs"),
            "write `local`, or `s3://bucket/prefix`",
        ));
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    Ok(Some((bucket.to_owned(), prefix.trim_matches('/').to_owned())))
}

pub fn signing(text: &str) -> Parsed<SigningAlgorithm> {
    match text.to_ascii_lowercase().as_str() {
        "eddsa" => Ok(SigningAlgorithm::EdDsa),
        "es256" => Ok(SigningAlgorithm::Es256),
        "rs256" => Ok(SigningAlgorithm::Rs256),
        _ => Err(Complaint::new(
            format!("`{text}` is no signing algorithm"),
            "write `eddsa`, or `es256` or `rs256` when other registries must verify our tokens",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_unit() {
        assert_eq!(duration("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        assert_eq!(size("256MiB").unwrap(), 256 << 20);
        for bad in ["60", "", "s", "-1s", "1.5h", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["256", "MiB", "1XB", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_without_its_port_is_answered_with_the_whole_one() {
        assert_eq!(address("5001").unwrap_err().remedy, "write `127.0.0.1:5001`");
        assert_eq!(address("10.0.0.1").unwrap_err().remedy, "add a port: `10.0.0.1:5000`");
        assert!(address(":5000").unwrap_err().remedy.contains("0.0.0.0:5000"));
        assert!(address("localhost:5000").unwrap_err().remedy.contains("127.0.0.1:5000"));
    }

    #[test]
    fn an_external_url_is_https_or_loopback_and_an_origin() {
        for good in
            ["https://r.example.com", "https://r.example.com:8443/", "http://localhost:5000", "http://[::1]:5000"]
        {
            assert!(external_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://r.example.com",
            "https://r.example.com/v2",
            "https://u:p@r.example.com",
            "r.example.com",
            "ftp://x",
        ] {
            assert!(external_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_a_dns_name() {
        assert_eq!(domain("Registry.Example.com").unwrap(), "registry.example.com");
        for bad in ["", "*.example.com", "https://x", "a..b", "-a.com", "10.0.0.1", "::1", "a:5000", &"a.".repeat(120)]
        {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_complaint_shows_no_password() {
        let complaint = database("mysql://u:hunter2@h/d").unwrap_err();
        assert!(!format!("{complaint:?}").contains("hunter2"));
        let shown = redacted_database("postgres://u:hunter2@h/d?password=hunter3");
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.starts_with("postgres://u@h/d"), "{shown}");
    }

    #[test]
    fn blobs_are_local_or_in_a_bucket() {
        assert_eq!(blobs("local").unwrap(), None);
        assert_eq!(blobs("s3://b/a/c/").unwrap(), Some(("b".to_owned(), "a/c".to_owned())));
        assert_eq!(blobs("s3://b").unwrap(), Some(("b".to_owned(), String::new())));
        for bad in ["", "s3://", "s3:///x", "gs://b"] {
            assert!(blobs(bad).is_err(), "{bad}");
        }
    }
}
