//! One connection: HTTP on a stream, with a limit on everything a peer can make us wait for.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::io::Activity;
use super::origin::Origin;
use super::proxy::TrustedProxies;
use super::{Body, Service};

/// What a peer may cost. The defaults are what production uses; tests shorten the times.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections to the public listener at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a request's head, and between two requests of an HTTP/1.1 connection.
    pub header_read: Duration,
    /// For the first request of a connection.
    pub first_request: Duration,
    /// Without a byte in either direction for so long, a connection ends after the request under way.
    pub idle: Duration,
    /// Without a byte in either direction for so long, a connection is cut even in the middle of a request.
    pub stall: Duration,
    /// A request's head, in bytes: 431 beyond it.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            handshake: Duration::from_secs(10),
            // Longer than the 60 s after which proxies in common use drop an idle connection: the proxy must be the one
            // that closes, or it sends a request into a connection that we are closing.
            header_read: Duration::from_secs(120),
            first_request: Duration::from_secs(30),
            idle: Duration::from_secs(150),
            stall: Duration::from_secs(300),
            header_bytes: 64 * 1024,
        }
    }
}

/// How long a connection that never carried a request is waited for when the server stops: its first request may be
/// under way.
const STOPPING_GRACE: Duration = Duration::from_millis(500);

/// Which protocols a connection may speak.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// HTTP/1.1, or HTTP/2 with prior knowledge.
    Either,
}

/// HTTP as all listeners speak it.
pub(crate) struct Http {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    either: auto::Builder<TokioExecutor>,
    limits: Limits,
}

impl Http {
    pub(crate) fn new(limits: &Limits) -> Self {
        let either = builder(limits);
        Self { http1: either.clone().http1_only(), http2: either.clone().http2_only(), either, limits: limits.clone() }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve<S>(&self, stream: S, protocol: Protocol, handler: Arc<Handler>, ends: &Ends)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = handler.activity.clone();
        let service = service_fn(move |request| handler.clone().answer(request));
        let serving = self.builder(protocol).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(serving);
        let mut watch = interval((self.limits.first_request / 4).min(Duration::from_secs(5)));
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ending, mut stopping) = (false, false);
        let mut grace = pin!(sleep(Duration::MAX));
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "connection ended");
                    }
                    return;
                }
                () = ends.kill.cancelled() => return,
                () = ends.stop.cancelled(), if !stopping => {
                    stopping = true;
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                    grace.set(sleep(STOPPING_GRACE));
                }
                () = grace.as_mut(), if stopping && !activity.requested() => return,
                _ = watch.tick() => match self.verdict(&activity) {
                    Verdict::Idle if !ending => {
                        ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Live | Verdict::Idle => {}
                    Verdict::Dead => return,
                },
            }
        }
    }

    fn builder(&self, protocol: Protocol) -> &auto::Builder<TokioExecutor> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
            Protocol::Either => &self.either,
        }
    }

    fn verdict(&self, activity: &Activity) -> Verdict {
        let quiet = activity.quiet();
        if quiet >= self.limits.stall || (!activity.requested() && activity.age() >= self.limits.first_request) {
            Verdict::Dead
        } else if quiet >= self.limits.idle {
            Verdict::Idle
        } else {
            Verdict::Live
        }
    }
}

enum Verdict {
    Live,
    Idle,
    Dead,
}

/// How a connection is ended from outside.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// After the request under way.
    pub(crate) stop: CancellationToken,
    /// At once.
    pub(crate) kill: CancellationToken,
}

/// Memory per connection is bounded here: one head, one HTTP/2 window of uploads, one send buffer per stream.
fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    const STREAM_WINDOW: u32 = 256 * 1024;
    const CONNECTION_WINDOW: u32 = 1024 * 1024;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(limits.header_read).max_buf_size(limits.header_bytes);
    let mut http2 = builder.http2();
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(128)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(256 * 1024);
    builder
}

/// Hands one connection's requests to the service, each with its origin.
pub(crate) struct Handler {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) origin: Origin,
    pub(crate) trusted: Arc<TrustedProxies>,
    pub(crate) activity: Arc<Activity>,
}

impl Handler {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.activity.request_began();
        let origin = match self.trusted.origin(&self.origin, request.headers()) {
            Ok(origin) => origin,
            Err(error) => {
                tracing::warn!(proxy = ?self.origin.peer, "refused: {error}");
                return Ok(problem(StatusCode::BAD_REQUEST, &error.to_string()));
            }
        };
        // A bug in one request must not take the other streams of its connection with it.
        let answer = AssertUnwindSafe(self.service.clone().call(request, origin)).catch_unwind().await;
        Ok(answer.unwrap_or_else(|_| {
            tracing::error!("a request's handler panicked");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why")
        }))
    }
}

/// An RFC 9457 problem: what is answered before a face is known.
fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A body that is all there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
