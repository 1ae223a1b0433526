use std::time::Duration;

use http::{HeaderValue, Uri};
use proptest::prelude::*;

use super::*;
use crate::settings::{AuditSettings, Blobs, Database, SigningAlgorithm};

fn settings(external: Option<&str>, domain: Option<&str>) -> Settings {
    Settings {
        data: "/nonexistent".into(),
        listen: "127.0.0.1:5000".parse().unwrap(),
        tls: Tls::Off,
        insecure_behind_proxy: Vec::new(),
        metrics_listen: None,
        external_url: external.map(|url| url.parse().unwrap()),
        domain: domain.map(str::to_owned),
        database: Database::Sqlite,
        blobs: Blobs::Local,
        signing: SigningAlgorithm::default(),
        audit: AuditSettings { lines: None, retention: Duration::ZERO, max_bytes: 0 },
        otlp_endpoint: None,
        outage_budget: Duration::ZERO,
        drain_timeout: Duration::ZERO,
        upload_lifetime: Duration::ZERO,
    }
}

fn hosts(external: Option<&str>, domain: Option<&str>) -> Hosts {
    Hosts::new(&settings(external, domain))
}

fn origin(local: &str, secure: bool) -> Origin {
    let peer = "203.0.113.7:40000".parse().unwrap();
    Origin::tcp(Listener::Public, peer, Some(local.parse().unwrap()), secure)
}

fn plain() -> Origin {
    origin("127.0.0.1:5000", false)
}

fn name(text: &str) -> RegistryName {
    text.parse().unwrap()
}

fn default() -> RegistryName {
    name("default")
}

const EXTERNAL: Option<&str> = Some("https://Registry.Example.com:8443/");
const DOMAIN: Option<&str> = Some("cr.Example.com");

#[test]
fn loopback_names_and_our_own_addresses_are_the_default_registry() {
    let hosts = hosts(None, None);
    let ours = [
        "localhost",
        "LOCALHOST:5000",
        "localhost.",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:5000",
        "127.9.9.9:1",
        "[::1]",
        "[::1]:5000",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]:5000",
        "127.0.0.1:65535",
    ];
    for host in ours {
        assert_eq!(hosts.resolve(Some(host), &plain()), HostMatch::Default, "{host}");
    }
    assert_eq!(hosts.resolve(None, &plain()), HostMatch::Default);
    let reached = origin("192.0.2.5:5000", true);
    assert_eq!(hosts.resolve(Some("192.0.2.5:5000"), &reached), HostMatch::Default);
    assert_eq!(hosts.resolve(Some("192.0.2.6:5000"), &reached), HostMatch::Foreign);
    assert_eq!(hosts.resolve(Some("192.0.2.5"), &plain()), HostMatch::Foreign);
    assert_eq!(hosts.resolve(Some("[2001:db8::5]:5000"), &origin("[2001:db8::5]:5000", true)), HostMatch::Default);
    assert_eq!(hosts.resolve(Some("192.0.2.5:5000"), &origin("[::ffff:192.0.2.5]:5000", true)), HostMatch::Default);
}

#[test]
fn every_other_host_is_foreign() {
    let hosts = hosts(EXTERNAL, DOMAIN);
    let foreign = [
        "evil.example",
        "evil.example:5000",
        "",
        ":5000",
        ".",
        "registry.example.com.evil.example",
        "xregistry.example.com",
        "user@localhost",
        "localhost@evil.example",
        "localhost:x",
        "localhost:0",
        "localhost:99999",
        "localhost:+80",
        "localhost:80:80",
        "localhost,evil.example",
        "localhost evil",
        "localhost/",
        "localhost..",
        "foo.localhost",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0.0.0.0",
        "[::]",
        "::1",
        "[::1",
        "[::1]x",
        "[fe80::1%25eth0]",
        "cr.example.com",
        "a.cr.example.com",
        "my-reg.cr.example.com",
        "team.web00.cr.example.com",
        "acmecr.example.com",
        ".cr.example.com",
        "ünicode.cr.example.com",
        "10.0.0.1",
    ];
    for host in foreign {
        assert_eq!(hosts.resolve(Some(host), &plain()), HostMatch::Foreign, "{host}");
    }
}

#[test]
fn a_domain_gives_every_registry_its_host() {
    let hosts = hosts(None, DOMAIN);
    for host in ["acme1.cr.example.com", "ACME1.CR.example.COM", "acme1.cr.example.com.", "acme1.cr.example.com:444"] {
        assert_eq!(hosts.resolve(Some(host), &plain()), HostMatch::Registry(name("acme1")), "{host}");
    }
    assert_eq!(hosts.resolve(Some("localhost:5000"), &plain()), HostMatch::Default);
    // The external URL's host is `default`'s, even where it looks like a registry's.
    let both = super::Hosts::new(&settings(Some("https://registry.example.com"), Some("example.com")));
    assert_eq!(both.resolve(Some("registry.example.com"), &plain()), HostMatch::Default);
    assert_eq!(both.resolve(Some("acme1.example.com"), &plain()), HostMatch::Registry(name("acme1")));
}

#[test]
fn without_configuration_login_server_and_realm_are_what_was_reached() {
    let hosts = hosts(None, None);
    let both = |authority: &str, origin: &Origin| {
        (hosts.login_server(&default(), authority, origin), hosts.realm(authority, origin))
    };
    let expect = |server: &str, realm: &str| (server.to_owned(), realm.to_owned());
    assert_eq!(both("LocalHost:5000", &plain()), expect("localhost:5000", "http://localhost:5000/oauth2/token"));
    assert_eq!(both("localhost.:80", &plain()), expect("localhost", "http://localhost/oauth2/token"));
    assert_eq!(both("localhost:443", &plain()), expect("localhost:443", "http://localhost:443/oauth2/token"));
    assert_eq!(both("[::1]:5000", &plain()), expect("[::1]:5000", "http://[::1]:5000/oauth2/token"));
    let tls = origin("127.0.0.1:443", true);
    assert_eq!(both("127.0.0.1:443", &tls), expect("127.0.0.1", "https://127.0.0.1/oauth2/token"));
    assert_eq!(both("127.0.0.1", &tls), expect("127.0.0.1", "https://127.0.0.1/oauth2/token"));
    // No Host at all: the address that was reached.
    assert_eq!(both("", &plain()), expect("127.0.0.1:5000", "http://127.0.0.1:5000/oauth2/token"));
}

#[test]
fn configuration_overrules_the_host() {
    let hosts = hosts(EXTERNAL, None);
    for host in ["localhost:5000", "registry.example.com:8443", "evil.example"] {
        assert_eq!(hosts.login_server(&default(), host, &plain()), "registry.example.com:8443");
        assert_eq!(hosts.realm(host, &plain()), "https://registry.example.com:8443/oauth2/token");
    }
    let with_path = super::Hosts::new(&settings(Some("https://u:p@example.com:443/a,b/?q=1#f"), None));
    assert_eq!(with_path.realm("localhost", &plain()), "https://example.com/a%2Cb/oauth2/token");
    assert_eq!(with_path.login_server(&default(), "localhost", &plain()), "example.com");
}

#[test]
fn with_a_domain_the_login_server_is_the_registrys_own() {
    let (acme, tls) = (name("acme1"), origin("192.0.2.5:443", true));
    let alone = hosts(None, DOMAIN);
    assert_eq!(alone.login_server(&acme, "acme1.cr.example.com", &tls), "acme1.cr.example.com");
    assert_eq!(alone.login_server(&acme, "acme1.cr.example.com:443", &tls), "acme1.cr.example.com");
    assert_eq!(alone.login_server(&acme, "ACME1.cr.example.com.:8443", &tls), "acme1.cr.example.com:8443");
    assert_eq!(alone.realm("acme1.cr.example.com:8443", &tls), "https://acme1.cr.example.com:8443/oauth2/token");
    assert_eq!(alone.login_server(&default(), "localhost:5000", &plain()), "default.cr.example.com:5000");
    let both = hosts(EXTERNAL, DOMAIN);
    assert_eq!(both.login_server(&acme, "acme1.cr.example.com:1", &tls), "acme1.cr.example.com:8443");
    assert_eq!(both.realm("acme1.cr.example.com:1", &tls), "https://registry.example.com:8443/oauth2/token");
}

#[test]
fn over_the_administration_socket_the_listener_counts() {
    let admin = Origin::administration(0, None);
    let mut settings = settings(None, None);
    settings.listen = "0.0.0.0:0".parse().unwrap();
    settings.tls = Tls::SelfSigned;
    let hosts = Hosts::new(&settings).bound_to("0.0.0.0:443".parse().unwrap());
    assert_eq!(hosts.login_server(&default(), "localhost", &admin), "localhost");
    assert_eq!(hosts.login_server(&default(), "", &admin), "127.0.0.1");
    assert_eq!(hosts.base("", &admin), "https://127.0.0.1");
    let hosts = hosts.bound_to("[::]:5443".parse().unwrap());
    assert_eq!(hosts.login_server(&default(), "", &admin), "[::1]:5443");
}

#[test]
fn our_own_authority_is_ours() {
    let bound = |address: &str| hosts(None, None).bound_to(address.parse().unwrap());
    let cases = [
        (bound("0.0.0.0:5000"), "127.0.0.1:5000"),
        (bound("[::]:5000"), "[::1]:5000"),
        (bound("192.0.2.5:443"), "192.0.2.5:443"),
        (hosts(EXTERNAL, DOMAIN), "registry.example.com:8443"),
        (hosts(Some("https://example.com/with/path"), None), "example.com"),
    ];
    for (hosts, expected) in cases {
        assert_eq!(hosts.own_authority(), expected);
        assert_eq!(hosts.resolve(Some(expected), &Origin::administration(0, None)), HostMatch::Default);
    }
}

#[test]
fn a_request_names_its_host_once() {
    let path = Uri::from_static("/v2/");
    let mut headers = HeaderMap::new();
    assert_eq!(authority_of(&path, &headers), Ok(None));
    headers.append(header::HOST, HeaderValue::from_static("localhost:5000"));
    assert_eq!(authority_of(&path, &headers), Ok(Some("localhost:5000")));
    // The target's authority wins: it is what the client connected for.
    let absolute = Uri::from_static("http://127.0.0.1:5000/v2/");
    assert_eq!(authority_of(&absolute, &headers), Ok(Some("127.0.0.1:5000")));
    headers.append(header::HOST, HeaderValue::from_static("evil.example"));
    assert_eq!(authority_of(&path, &headers), Err(BadHost));
    for bad in [&b""[..], b"\xff"] {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_bytes(bad).unwrap());
        assert_eq!(authority_of(&path, &headers), Err(BadHost));
    }
}

proptest! {
    /// Whatever Host a client sends, realm and login server name one of ours, and the challenge stays parseable.
    #[test]
    fn nothing_foreign_reaches_a_challenge(authority in "[ -~]{0,40}|(localhost|127.0.0.1|evil)[@:.,/\"]?[a-z0-9.:@]{0,12}") {
        let hosts = hosts(None, DOMAIN);
        let realm = hosts.realm(&authority, &plain());
        let url: Url = realm.parse().unwrap();
        let host = url.host_str().unwrap();
        let ours = host == "localhost" || host.ends_with(".cr.example.com") || host.starts_with("127.") || host == "[::1]";
        prop_assert!(ours, "{authority:?} -> {realm}");
        prop_assert_eq!(url.path(), "/oauth2/token");
        prop_assert!(url.username().is_empty() && url.query().is_none());
        prop_assert!(!realm.contains([',', '"', ' ']));
        let server = hosts.login_server(&default(), &authority, &plain());
        prop_assert!(server.starts_with("default.cr.example.com"), "{}", server);
    }
}
