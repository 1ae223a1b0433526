//! What is counted, for Prometheus. Every handle is cheap to clone and to use: labels are static words, never strings
//! made per request, so that neither memory nor the number of series follows what clients send.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use shorepass_core::Outcome;

/// The media type of [`Metrics::encode`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    grant: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    cache: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DependencyLabels {
    dependency: &'static str,
}

/// Buckets from 1 ms to about 2 minutes: a token takes one, a layer of gigabytes minutes.
#[derive(Debug, Clone, Copy)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0])
    }
}

/// The server's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, Durations>,
    /// Requests begun and not yet answered to the last byte.
    pub requests_in_flight: Gauge,
    /// Bytes of request bodies read.
    pub received_bytes: Counter,
    /// Bytes of response bodies written.
    pub sent_bytes: Counter,
    tokens: Family<TokenLabels, Counter>,
    logins: Family<LoginLabels, Counter>,
    /// Blob uploads: begun, and how they ended.
    pub uploads: Uploads,
    /// Garbage collection.
    pub gc: Collections,
    caches: Family<CacheLabels, Counter>,
    /// Audit events lost because queue or table was full.
    pub audit_dropped: Counter,
    rate_limited: Family<LimitLabels, Counter>,
    dependencies: Family<DependencyLabels, Gauge>,
}

#[derive(Debug, Clone, Default)]
pub struct Uploads {
    pub started: Counter,
    pub finished: Counter,
    pub failed: Counter,
    /// Requests that write to an upload right now.
    pub active: Gauge,
}

#[derive(Debug, Clone, Default)]
pub struct Collections {
    pub runs: Counter,
    pub failed_runs: Counter,
    pub deleted_blobs: Counter,
    pub freed_bytes: Counter,
}

/// One cache's counters.
#[derive(Debug, Clone)]
pub struct CacheCounters {
    pub hits: Counter,
    pub misses: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("shorepass"),
            requests: Family::new_with_constructor(Durations),
            requests_in_flight: Gauge::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            tokens: Family::default(),
            logins: Family::default(),
            uploads: Uploads::default(),
            gc: Collections::default(),
            caches: Family::default(),
            audit_dropped: Counter::default(),
            rate_limited: Family::default(),
            dependencies: Family::default(),
        };
        metrics.register_http();
        metrics.register_rest();
        metrics
    }

    fn register_http(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The server that answers", version);
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to its answer's last byte, by route template, method and class of status",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register("http_requests_in_flight", "Requests under way", self.requests_in_flight.clone());
        registry.register_with_unit(
            "http_received",
            "Read from request bodies",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.register_with_unit("http_sent", "Written to response bodies", Unit::Bytes, self.sent_bytes.clone());
    }

    fn register_rest(&mut self) {
        let (registry, uploads, gc) = (&mut self.registry, &self.uploads, &self.gc);
        registry.register("tokens", "Tokens asked for, by grant and outcome", self.tokens.clone());
        registry.register("logins", "Credentials shown, by kind and outcome", self.logins.clone());
        registry.register("uploads_started", "Blob uploads begun", uploads.started.clone());
        registry.register("uploads_finished", "Blob uploads that became a blob", uploads.finished.clone());
        registry.register("uploads_failed", "Blob uploads that failed or were cancelled", uploads.failed.clone());
        registry.register("uploads_active", "Requests that write to an upload", uploads.active.clone());
        registry.register("gc_runs", "Garbage collections ended", gc.runs.clone());
        registry.register("gc_failed_runs", "Garbage collections that failed", gc.failed_runs.clone());
        registry.register("gc_deleted_blobs", "Blobs removed by garbage collection", gc.deleted_blobs.clone());
        registry.register_with_unit("gc_freed", "Freed by garbage collection", Unit::Bytes, gc.freed_bytes.clone());
        registry.register("cache_requests", "Look-ups, by cache and outcome (hit, miss)", self.caches.clone());
        registry.register("audit_events_dropped", "Audit events lost for want of room", self.audit_dropped.clone());
        registry.register(
            "rate_limited",
            "Requests answered with 429, by the limit they met",
            self.rate_limited.clone(),
        );
        registry.register(
            "dependency_up",
            "1 when the database or the blob store answers, else 0",
            self.dependencies.clone(),
        );
    }

    /// A request that ended. `route` is a template (`/v2/{name}/blobs/{digest}`), never a path.
    pub fn observe_request(&self, route: &'static str, method: &http::Method, status: u16, duration: Duration) {
        let labels = RequestLabels { route, method: method_word(method), status: status_class(status) };
        self.requests.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// A token issued or refused. `grant` is one of a few fixed words.
    pub fn count_token(&self, grant: &'static str, outcome: Outcome) {
        self.tokens.get_or_create(&TokenLabels { grant, outcome: outcome.as_str() }).inc();
    }

    /// A credential of `kind` (`CredentialKind::as_str`) proved or not.
    pub fn count_login(&self, kind: &'static str, outcome: Outcome) {
        self.logins.get_or_create(&LoginLabels { kind, outcome: outcome.as_str() }).inc();
    }

    /// An answer 429, by which limit: `source` or `principal`.
    pub fn count_rate_limited(&self, limit: &'static str) {
        self.rate_limited.get_or_create(&LimitLabels { limit }).inc();
    }

    /// The counters of one cache, to be kept by whoever looks things up in it.
    #[must_use]
    pub fn cache(&self, cache: &'static str) -> CacheCounters {
        let counter = |outcome| self.caches.get_or_create_owned(&CacheLabels { cache, outcome });
        CacheCounters { hits: counter("hit"), misses: counter("miss") }
    }

    /// Whether the database or the blob store answered.
    pub fn set_dependency(&self, dependency: &'static str, up: bool) {
        self.dependencies.get_or_create(&DependencyLabels { dependency }).set(i64::from(up));
    }

    /// Everything, as OpenMetrics text ([`OPENMETRICS`]).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        out
    }
}

/// A method in a word; what is not HTTP's own must not become a series of its own.
#[must_use]
pub fn method_word(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::HEAD => "HEAD",
        http::Method::PUT => "PUT",
        http::Method::POST => "POST",
        http::Method::PATCH => "PATCH",
        http::Method::DELETE => "DELETE",
        http::Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_name_unit_and_labels() {
        let metrics = Metrics::new();
        metrics.observe_request("/v2/{name}/blobs/{digest}", &http::Method::GET, 206, Duration::from_millis(30));
        metrics.observe_request("/v2/", &"BREW".parse().unwrap(), 405, Duration::from_millis(1));
        metrics.requests_in_flight.inc();
        metrics.received_bytes.inc_by(7);
        metrics.sent_bytes.inc_by(9);
        metrics.count_token("refresh_token", Outcome::Success);
        metrics.count_login("admin_password", Outcome::Failure);
        metrics.uploads.started.inc();
        metrics.gc.freed_bytes.inc_by(11);
        metrics.cache("decisions").hits.inc();
        metrics.cache("decisions").hits.inc();
        metrics.audit_dropped.inc();
        metrics.count_rate_limited("source");
        metrics.set_dependency("database", true);
        let text = metrics.encode();
        let expected = [
            r#"shorepass_http_request_duration_seconds_count{route="/v2/{name}/blobs/{digest}",method="GET",status="2xx"} 1"#,
            r#"shorepass_http_request_duration_seconds_bucket{le="0.05",route="/v2/{name}/blobs/{digest}",method="GET",status="2xx"} 1"#,
            r#"shorepass_http_request_duration_seconds_count{route="/v2/",method="other",status="4xx"} 1"#,
            "shorepass_http_requests_in_flight 1",
            "shorepass_http_received_bytes_total 7",
            "shorepass_http_sent_bytes_total 9",
            r#"shorepass_tokens_total{grant="refresh_token",outcome="success"} 1"#,
            r#"shorepass_logins_total{kind="admin_password",outcome="failure"} 1"#,
            "shorepass_uploads_started_total 1",
            "shorepass_uploads_finished_total 0",
            "shorepass_uploads_active 0",
            "shorepass_gc_freed_bytes_total 11",
            r#"shorepass_cache_requests_total{cache="decisions",outcome="hit"} 2"#,
            r#"shorepass_cache_requests_total{cache="decisions",outcome="miss"} 0"#,
            "shorepass_audit_events_dropped_total 1",
            r#"shorepass_rate_limited_total{limit="source"} 1"#,
            r#"shorepass_dependency_up{dependency="database"} 1"#,
            "shorepass_build_info{version=",
        ];
        for line in expected {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
