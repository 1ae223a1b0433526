//! The connection floor: listeners, TLS, the origin of every request, and an orderly end.
//!
//! A peer can make this floor wait only in its own connection's task, and there only within [`Limits`].

mod accept;
mod connection;
mod error;
mod io;
mod origin;
mod proxy;
mod serving;
mod socket;
mod tls;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;

pub use connection::{Limits, full};
pub use error::NetError;
pub use origin::{Listener, Origin};
pub use serving::{Net, Serving};
pub use socket::SOCKET_NAME;

/// A response's body.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What answers a listener's requests.
pub trait Service: Send + Sync + 'static {
    fn call(
        self: Arc<Self>,
        request: http::Request<hyper::body::Incoming>,
        origin: Origin,
    ) -> BoxFuture<'static, http::Response<Body>>;
}
