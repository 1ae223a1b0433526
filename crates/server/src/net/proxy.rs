//! What a trusted proxy tells of the client behind it.
//!
//! Only `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-Id` are read, and only from peers inside
//! `insecure_behind_proxy`. RFC 7239's `Forwarded` is ignored on purpose: the proxies in common use write the `X-` headers
//! and hand a client's own `Forwarded` on untouched, so believing both would let every client name its address. For the
//! same reason no header ever names the host (`X-Forwarded-Host`): the token realm is made from configuration.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

use super::origin::Origin;

/// The networks whose forwarded headers are believed.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

/// A trusted proxy wrote something that is no address. Guessing would give the client the proxy's own rights, so the
/// request is refused.
#[derive(Debug, thiserror::Error)]
#[error("the trusted proxy sent an X-Forwarded-For that is no list of addresses")]
pub(crate) struct BadForwarded;

impl TrustedProxies {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.iter().copied().map(canonical).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// The origin of one request on a connection. Without trusted proxies it is the connection's own, whatever the
    /// headers say.
    pub(crate) fn origin(&self, connection: &Origin, headers: &HeaderMap) -> Result<Origin, BadForwarded> {
        match connection.peer {
            Some(proxy) if self.contains(proxy) => {
                let (client, position) = self.client(proxy, headers)?;
                let secure = forwarded_secure(headers, position);
                Ok(Origin { peer: Some(client), secure, proxied: true, ..connection.clone() })
            }
            _ => Ok(connection.clone()),
        }
    }

    /// The nearest address that is no trusted proxy, read from the right, where our own proxies append; and its position
    /// from the right. What stands left of it was written by strangers and is not even parsed. When all are trusted
    /// proxies, the leftmost of them is the client.
    fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> Result<(IpAddr, usize), BadForwarded> {
        let mut client = (proxy, 0);
        for (position, entry) in entries(headers, "x-forwarded-for").enumerate() {
            let address = entry.and_then(parse_address).ok_or(BadForwarded)?;
            client = (address, position);
            if !self.contains(address) {
                break;
            }
        }
        Ok(client)
    }
}

/// A network inside ::ffff:0:0/96 is the IPv4 network it maps.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

/// A list header's entries from the right; several lines are one list (RFC 9110, section 5.3). `None`: not text.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    headers.get_all(name).iter().rev().flat_map(|line| {
        let text = line.to_str().ok();
        let unreadable = text.is_none().then_some(None);
        let entries = text.unwrap_or_default().rsplit(',').map(str::trim).filter(|entry| !entry.is_empty());
        unreadable.into_iter().chain(entries.map(Some))
    })
}

/// `192.0.2.1`, `2001:db8::1`, and with a port as some load balancers write: `192.0.2.1:1234`, `[2001:db8::1]:1234`.
fn parse_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|with| with.ip()))?;
    Some(address.to_canonical())
}

/// Whether the client at `position` (from the right) spoke TLS with the proxy next to it. A list shorter than that comes
/// from proxies that overwrite instead of append: then the nearest one's word counts.
fn forwarded_secure(headers: &HeaderMap, position: usize) -> bool {
    let schemes: Vec<_> = entries(headers, "x-forwarded-proto").take(position + 1).collect();
    let scheme = schemes.get(position).or(schemes.first()).copied().flatten();
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::net::origin::Listener;

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn connection(peer: &str) -> Origin {
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        Origin::tcp(Listener::Public, peer, Some("10.0.0.9:5000".parse().unwrap()), false)
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn peer(proxy: &str, lines: &[(&'static str, &str)]) -> String {
        let origin = trusted().origin(&connection(proxy), &headers(lines)).unwrap();
        assert!(origin.proxied);
        origin.peer.unwrap().to_string()
    }

    const XFF: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn an_untrusted_peer_is_who_it_is_whatever_it_says() {
        let spoof = headers(&[
            (XFF, "10.1.1.1"),
            (XFF, "127.0.0.1"),
            (PROTO, "https"),
            ("forwarded", "for=10.1.1.1;proto=https;host=evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-real-ip", "10.1.1.1"),
            ("true-client-ip", "10.1.1.1"),
        ]);
        for stranger in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::7", "127.0.0.1"] {
            let connection = connection(stranger);
            assert_eq!(trusted().origin(&connection, &spoof).unwrap(), connection);
            assert_eq!(TrustedProxies::default().origin(&connection, &spoof).unwrap(), connection);
        }
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_proxy() {
        assert_eq!(peer("10.0.0.1", &[(XFF, "203.0.113.7")]), "203.0.113.7");
        assert_eq!(peer("10.0.0.1", &[(XFF, "203.0.113.7, 10.0.0.2,10.0.0.3")]), "203.0.113.7");
        // A client that writes its own header ends up left of what the proxy appends.
        assert_eq!(peer("10.0.0.1", &[(XFF, "192.0.2.66, 203.0.113.7")]), "203.0.113.7");
        assert_eq!(peer("10.0.0.1", &[(XFF, "10.9.9.9, 203.0.113.7, 10.0.0.2")]), "203.0.113.7");
        assert_eq!(peer("10.0.0.1", &[(XFF, "not an address, 203.0.113.7")]), "203.0.113.7");
        // Several lines are one list, in order.
        assert_eq!(peer("10.0.0.1", &[(XFF, "192.0.2.66"), (XFF, "203.0.113.7")]), "203.0.113.7");
        assert_eq!(peer("10.0.0.1", &[(XFF, "192.0.2.66, 203.0.113.7"), (XFF, "10.0.0.2")]), "203.0.113.7");
        assert_eq!(peer("10.0.0.1", &[(XFF, "203.0.113.7"), (XFF, ""), (XFF, " , ")]), "203.0.113.7");
    }

    #[test]
    fn forms_of_an_address() {
        assert_eq!(peer("::ffff:10.0.0.1", &[(XFF, "::ffff:203.0.113.7")]), "203.0.113.7");
        assert_eq!(peer("fd00::1", &[(XFF, "203.0.113.7:5123")]), "203.0.113.7");
        assert_eq!(peer("fd00::1", &[(XFF, "[2001:db8::7]:5123")]), "2001:db8::7");
        assert_eq!(peer("fd00::1", &[(XFF, "[2001:db8::7]")]), "2001:db8::7");
        // A mapped address cannot smuggle a proxy past the list either.
        assert_eq!(peer("fd00::1", &[(XFF, "203.0.113.7, ::ffff:10.0.0.2")]), "203.0.113.7");
    }

    #[test]
    fn networks_written_as_mapped_addresses_match() {
        let trusted = TrustedProxies::new(&["::ffff:10.0.0.0/104".parse().unwrap()]);
        assert!(trusted.contains("10.200.0.1".parse().unwrap()));
        assert!(trusted.contains("::ffff:10.200.0.1".parse().unwrap()));
        assert!(!trusted.contains("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn without_the_header_the_proxy_itself_is_the_client() {
        assert_eq!(peer("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(peer("10.0.0.1", &[("forwarded", "for=203.0.113.7"), ("x-real-ip", "203.0.113.7")]), "10.0.0.1");
        assert_eq!(peer("10.0.0.1", &[(XFF, "10.0.0.3, 10.0.0.2")]), "10.0.0.3");
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_guessed() {
        for bad in
            ["unknown", "_hidden", "localhost", "10.0.0", "203.0.113.7, unknown", "203.0.113.7, unknown, 10.0.0.2"]
        {
            assert!(trusted().origin(&connection("10.0.0.1"), &headers(&[(XFF, bad)])).is_err(), "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.append(XFF, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(trusted().origin(&connection("10.0.0.1"), &headers).is_err());
    }

    #[test]
    fn the_scheme_is_the_one_the_client_used() {
        let secure =
            |lines: &[(&'static str, &str)]| trusted().origin(&connection("10.0.0.1"), &headers(lines)).unwrap().secure;
        assert!(secure(&[(XFF, "203.0.113.7"), (PROTO, "https")]));
        assert!(secure(&[(XFF, "203.0.113.7"), (PROTO, "HTTPS")]));
        assert!(!secure(&[(XFF, "203.0.113.7"), (PROTO, "http")]));
        assert!(!secure(&[(XFF, "203.0.113.7")]));
        // Appended lists: the entry beside the client's own address counts, not what the client wrote left of it.
        assert!(secure(&[(XFF, "203.0.113.7, 10.0.0.2"), (PROTO, "https, http")]));
        assert!(!secure(&[(XFF, "203.0.113.7"), (PROTO, "https, http")]));
        assert!(!secure(&[(XFF, "203.0.113.7"), (PROTO, "https"), (PROTO, "http")]));
        // A proxy that overwrites leaves one entry.
        assert!(secure(&[(XFF, "203.0.113.7, 10.0.0.2"), (PROTO, "https")]));
        assert!(!secure(&[("forwarded", "proto=https"), ("x-forwarded-ssl", "on")]));
    }

    proptest! {
        /// Whatever a client writes before the proxy appends the client's address, the client stays the client.
        #[test]
        fn no_prefix_moves_the_client(spoof in "[ -~]{0,80}") {
            let value = format!("{spoof}, 203.0.113.7");
            prop_assert_eq!(peer("10.0.0.1", &[(XFF, &value)]), "203.0.113.7");
        }
    }
}
