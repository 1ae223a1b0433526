//! Where a request came from.

use std::net::{IpAddr, SocketAddr};

/// Which of our listeners a connection reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The registry's own.
    Public,
    /// The Unix socket in the data directory; who is at its other end, by the kernel's word.
    Administration { uid: u32, pid: Option<i32> },
    /// `/metrics`, `/healthz` and `/readyz`.
    Metrics,
}

/// Where a request came from: never from a header that an untrusted peer can set (DESIGN.md, section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, an IPv4-mapped IPv6 address as the IPv4 address it is. `None` on the Unix socket.
    pub peer: Option<IpAddr>,
    /// Our end of the connection. `None` on the Unix socket.
    pub local: Option<SocketAddr>,
    pub listener: Listener,
    /// The client speaks TLS: with us, or with the trusted proxy in front of us, which says so.
    pub secure: bool,
    /// A trusted proxy handed us this request: its `X-Request-Id` may be believed.
    pub proxied: bool,
}

impl Origin {
    /// A connection to the Unix socket by a process of user `uid`.
    #[must_use]
    pub fn administration(uid: u32, pid: Option<i32>) -> Self {
        Self { peer: None, local: None, listener: Listener::Administration { uid, pid }, secure: false, proxied: false }
    }

    /// A TCP connection, before any header was read.
    #[must_use]
    pub fn tcp(listener: Listener, peer: SocketAddr, local: Option<SocketAddr>, secure: bool) -> Self {
        let local = local.map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()));
        Self { peer: Some(peer.ip().to_canonical()), local, listener, secure, proxied: false }
    }
}
