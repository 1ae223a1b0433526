//! One line, one span and one observation per request.
//!
//! Nothing a client wrote gets in, except a request id from a trusted proxy: no path (the route's template instead), no
//! query (token endpoints carry secrets there), no header.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use prometheus_client::metrics::counter::Counter;
use shorepass_core::{Clock, Random, new_id};
use tokio::time::Instant;
use tracing::{Span, field};

use crate::metrics::{Metrics, method_word};
use crate::net::{Body, Origin};

/// The header a request id is read from (trusted proxies only) and answered in.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the log shows of a request that ended before it was answered (nginx's word for it).
const CLIENT_CLOSED: u16 = 499;

/// A request's name in logs, audit and answer: a UUIDv7, or what a trusted proxy called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The trusted proxy's, if it is 1 to 64 letters, digits, `.`, `_`, `-`; else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap, origin: &Origin, clock: &dyn Clock, random: &dyn Random) -> Self {
        let sane = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let given = headers.get(REQUEST_ID).filter(|_| origin.proxied).and_then(|id| id.to_str().ok()).filter(sane);
        Self(given.map_or_else(|| new_id(clock, random).to_string().into(), Into::into))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request under way. Dropped before [`Observation::finish`], it is recorded as one whose client went away.
#[derive(Debug)]
pub struct Observation {
    metrics: Arc<Metrics>,
    id: RequestId,
    method: Method,
    route: &'static str,
    status: u16,
    sent: u64,
    began: Instant,
    span: Span,
}

impl Observation {
    #[must_use]
    pub fn begin(metrics: Arc<Metrics>, id: RequestId, method: &Method, origin: &Origin) -> Self {
        metrics.requests_in_flight.inc();
        let span = tracing::info_span!(
            "request",
            request_id = id.as_str(),
            method = method_word(method),
            route = field::Empty,
            status = field::Empty,
            peer = origin.peer.map(field::display),
            socket_uid = match origin.listener {
                crate::net::Listener::Administration { uid, .. } => Some(uid),
                _ => None,
            },
        );
        let began = Instant::now();
        Self { metrics, id, method: method.clone(), route: "unmatched", status: CLIENT_CLOSED, sent: 0, began, span }
    }

    /// The span the request's work runs in.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The route's template, once it is known: `/v2/{name}/manifests/{reference}`.
    pub fn route(&mut self, template: &'static str) {
        self.route = template;
    }

    /// Counts a request body's bytes as they are read.
    pub fn counted<B>(&self, body: B) -> Counted<B> {
        Counted { body, counter: self.metrics.received_bytes.clone() }
    }

    /// Names the request in the answer, and follows the answer to its last byte.
    pub fn finish(mut self, response: Response<Body>) -> Response<Body> {
        self.status = response.status().as_u16();
        let (mut parts, body) = response.into_parts();
        if let Ok(id) = HeaderValue::from_str(self.id.as_str()) {
            parts.headers.insert(REQUEST_ID, id);
        }
        Response::from_parts(parts, Followed { body, observation: self }.boxed_unsync())
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.metrics.requests_in_flight.dec();
        self.metrics.observe_request(self.route, &self.method, self.status, duration);
        self.span.record("route", self.route);
        self.span.record("status", self.status);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(parent: &self.span, sent_bytes = self.sent, duration_ms, "request ended");
    }
}

/// A response body that keeps its request's observation until its end.
struct Followed {
    body: Body,
    observation: Observation,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.observation.sent += bytes;
                this.observation.metrics.sent_bytes.inc_by(bytes);
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(parent: &this.observation.span, %error, "the answer broke off");
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body whose bytes are counted.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    counter: Counter,
}

impl<B: HttpBody + Unpin> HttpBody for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.counter.inc_by(frame.data_ref().map_or(0, |data| data.remaining() as u64));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::sync::{Mutex, PoisonError};

    use futures::{StreamExt, stream};
    use http::StatusCode;
    use http_body_util::StreamBody;
    use shorepass_core::{SystemClock, SystemRandom};

    use super::*;
    use crate::net::{Listener, full};

    fn origin(proxied: bool) -> Origin {
        let peer: SocketAddr = "203.0.113.7:40000".parse().unwrap();
        Origin { proxied, ..Origin::tcp(Listener::Public, peer, None, true) }
    }

    fn id(given: Option<&[u8]>, origin: &Origin) -> String {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
        }
        RequestId::of(&headers, origin, &SystemClock, &SystemRandom).as_str().to_owned()
    }

    fn is_new(id: &str) -> bool {
        uuid::Uuid::parse_str(id).is_ok_and(|id| id.get_version_num() == 7)
    }

    #[test]
    fn a_request_is_named_by_us_or_by_a_trusted_proxy() {
        assert_eq!(id(Some(b"abc-1.2_Z"), &origin(true)), "abc-1.2_Z");
        assert!(is_new(&id(None, &origin(true))));
        assert!(is_new(&id(Some(b"abc"), &origin(false))));
        for bad in [&b""[..], b"a b", b"a\"b", b"\xff", b"x=1\t", &[b'x'; 65]] {
            assert!(is_new(&id(Some(bad), &origin(true))), "{bad:?}");
        }
        assert_ne!(id(None, &origin(false)), id(None, &origin(false)));
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self) -> Vec<serde_json::Value> {
            let bytes = self.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    fn logged() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn begin(metrics: &Arc<Metrics>) -> Observation {
        let id = RequestId::of(&HeaderMap::new(), &origin(false), &SystemClock, &SystemRandom);
        Observation::begin(metrics.clone(), id, &Method::POST, &origin(false))
    }

    #[tokio::test]
    async fn an_answer_is_followed_to_its_last_byte() {
        let (log, _guard) = logged();
        let metrics = Arc::new(Metrics::new());
        let mut observation = begin(&metrics);
        observation.route("/oauth2/token");
        let id = observation.id().clone();
        let pieces = stream::iter([&b"1234"[..], b"567"]).map(|piece| Ok(Frame::data(Bytes::from_static(piece))));
        let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
        *response.status_mut() = StatusCode::CREATED;
        let response = observation.finish(response);
        assert_eq!(response.headers().get(REQUEST_ID).unwrap(), id.as_str());
        assert_eq!(metrics.requests_in_flight.get(), 1);
        assert_eq!(log.lines().len(), 0);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1234567");
        assert_eq!(metrics.requests_in_flight.get(), 0);
        assert_eq!(metrics.sent_bytes.get(), 7);
        let lines = log.lines();
        let line = lines.first().unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(line.pointer("/fields/sent_bytes").unwrap(), 7);
        assert!(line.pointer("/fields/duration_ms").unwrap().is_u64());
        let span = line.get("span").unwrap();
        let expected = serde_json::json!({
            "name": "request", "request_id": id.as_str(), "method": "POST", "route": "/oauth2/token", "status": 201,
            "peer": "203.0.113.7",
        });
        assert_eq!(*span, expected);
        let counted = r#"http_request_duration_seconds_count{route="/oauth2/token",method="POST",status="2xx"} 1"#;
        assert!(metrics.encode().contains(counted));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_no_success() {
        let (log, _guard) = logged();
        let metrics = Arc::new(Metrics::new());
        drop(begin(&metrics));
        assert_eq!(metrics.requests_in_flight.get(), 0);
        let lines = log.lines();
        assert_eq!(lines.first().unwrap().pointer("/span/status").unwrap(), 499);
        assert_eq!(lines.first().unwrap().pointer("/span/route").unwrap(), "unmatched");
    }

    #[tokio::test]
    async fn request_bodies_are_counted_as_they_are_read() {
        let metrics = Arc::new(Metrics::new());
        let observation = begin(&metrics);
        let body = observation.counted(full("hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        assert_eq!(metrics.received_bytes.get(), 5);
    }
}
