//! Whether the server can do its work, and the service of the metrics listener.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, OPENMETRICS};
use crate::net::{Body, Origin, Service, full};

/// How long a report is good for: any number of probes costs one round trip per dependency and second.
const FRESH: Duration = Duration::from_secs(1);

/// How long a dependency may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a check asks; the error's text goes to the log and to the operator.
type Probe = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The server's checks, their answers kept for a second.
pub struct Health {
    checks: Vec<(&'static str, Probe)>,
    draining: CancellationToken,
    fresh: Duration,
    patience: Duration,
    last: Mutex<Option<(Instant, Arc<[CheckReport]>)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    Error,
}

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    pub name: &'static str,
    pub status: CheckStatus,
    /// Why not; internal text, for operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// All answers.
#[derive(Debug, Clone)]
pub struct HealthReport {
    pub checks: Arc<[CheckReport]>,
    /// The server is on its way out and takes no new connections.
    pub draining: bool,
}

impl HealthReport {
    /// Every dependency answers.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status == CheckStatus::Ok)
    }

    /// Worth sending requests to.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.draining && self.healthy()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Health").field("checks", &names).finish_non_exhaustive()
    }
}

impl Health {
    /// `draining`: of [`crate::net::Net::draining`].
    #[must_use]
    pub fn new(draining: CancellationToken) -> Self {
        Self { checks: Vec::new(), draining, fresh: FRESH, patience: PATIENCE, last: Mutex::new(None) }
    }

    /// Adds a check: `health.check("database", move || { let meta = meta.clone(); async move { meta.ping().await } })`.
    #[must_use]
    pub fn check<P, F, E>(mut self, name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let probe: Probe = Box::new(move || probe().map(|answer| answer.map_err(|error| error.to_string())).boxed());
        self.checks.push((name, probe));
        self
    }

    /// Asks all dependencies at once, or repeats what they said within the last second. Takes two seconds at most.
    pub async fn report(&self) -> HealthReport {
        let mut last = self.last.lock().await;
        let checks = match &*last {
            Some((asked, checks)) if asked.elapsed() < self.fresh => checks.clone(),
            _ => {
                let asked = self.checks.iter().map(|(name, probe)| ask(name, probe, self.patience));
                let fresh: Arc<[CheckReport]> = join_all(asked).await.into();
                *last = Some((Instant::now(), fresh.clone()));
                fresh
            }
        };
        HealthReport { checks, draining: self.draining.is_cancelled() }
    }
}

async fn ask(name: &'static str, probe: &Probe, patience: Duration) -> CheckReport {
    let answer = timeout(patience, probe()).await;
    let detail = match answer {
        Ok(Ok(())) => return CheckReport { name, status: CheckStatus::Ok, detail: None },
        Ok(Err(detail)) => detail,
        Err(_) => format!("no answer within {patience:?}"),
    };
    tracing::warn!(check = name, detail, "a dependency is down");
    CheckReport { name, status: CheckStatus::Error, detail: Some(detail) }
}

/// The metrics listener: `/metrics`, `/healthz` (the process lives), `/readyz` (and can do its work).
#[derive(Debug)]
pub struct Monitoring {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Monitoring {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self { metrics, health }
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain; charset=utf-8";
        let known = matches!(path, "/metrics" | "/healthz" | "/readyz");
        if known && !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n".to_owned());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => {
                for check in &*self.health.report().await.checks {
                    self.metrics.set_dependency(check.name, check.status == CheckStatus::Ok);
                }
                answer(StatusCode::OK, OPENMETRICS, self.metrics.encode())
            }
            "/healthz" => answer(StatusCode::OK, JSON, r#"{"status":"ok"}"#.to_owned()),
            "/readyz" => {
                let report = self.health.report().await;
                let status = if report.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                answer(status, JSON, readiness(&report))
            }
            _ => answer(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /readyz\n".to_owned()),
        }
    }
}

impl Service for Monitoring {
    fn call(self: Arc<Self>, request: Request<Incoming>, _: Origin) -> BoxFuture<'static, Response<Body>> {
        async move { self.answer(request.method(), request.uri().path()).await }.boxed()
    }
}

/// The report without the details: this listener may be open to more than operators.
fn readiness(report: &HealthReport) -> String {
    let checks: Vec<_> =
        report.checks.iter().map(|check| serde_json::json!({"name": check.name, "status": check.status})).collect();
    let status = match (report.draining, report.ready()) {
        (true, _) => "draining",
        (false, true) => "ok",
        (false, false) => "error",
    };
    serde_json::json!({"status": status, "checks": checks}).to_string()
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &str) -> Value {
        serde_json::from_str(body).unwrap()
    }

    async fn get(monitoring: &Monitoring, path: &str) -> (StatusCode, String) {
        let response = monitoring.answer(&Method::GET, path).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_broken_database_is_seen_and_told_without_its_text() {
        let broken = Arc::new(AtomicBool::new(false));
        let flag = broken.clone();
        let health = Health::new(CancellationToken::new()).check("database", move || {
            let broken = flag.load(Ordering::SeqCst);
            async move { if broken { Err("connection to 10.1.2.3 refused") } else { Ok(()) } }
        });
        let health = Arc::new(Health { fresh: Duration::ZERO, ..health });
        let monitoring = Monitoring::new(Arc::new(Metrics::new()), health.clone());
        let (status, body) = get(&monitoring, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(read(&body), json!({"checks": [{"name": "database", "status": "ok"}], "status": "ok"}));
        broken.store(true, Ordering::SeqCst);
        let (status, body) = get(&monitoring, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(read(&body), json!({"checks": [{"name": "database", "status": "error"}], "status": "error"}));
        let detail = health.report().await.checks.first().unwrap().detail.clone();
        assert_eq!(detail.as_deref(), Some("connection to 10.1.2.3 refused"));
        assert_eq!(get(&monitoring, "/healthz").await.0, StatusCode::OK);
        let (_, metrics) = get(&monitoring, "/metrics").await;
        assert!(metrics.contains(r#"shorepass_dependency_up{dependency="database"} 0"#), "{metrics}");
    }

    #[tokio::test]
    async fn a_dependency_that_hangs_is_down() {
        let health = Health::new(CancellationToken::new())
            .check("blobs", || async { Ok::<(), String>(()) })
            .check("database", std::future::pending::<Result<(), String>>);
        let report = Health { patience: Duration::from_millis(20), ..health }.report().await;
        assert!(!report.ready());
        let states: Vec<_> = report.checks.iter().map(|check| (check.name, check.status)).collect();
        assert_eq!(states, [("blobs", CheckStatus::Ok), ("database", CheckStatus::Error)]);
    }

    #[tokio::test]
    async fn many_probes_cost_one_round_trip() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let health = Arc::new(Health::new(CancellationToken::new()).check("database", move || {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Ok::<(), String>(()) }
        }));
        join_all((0..50).map(|_| health.report())).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_draining_server_is_healthy_and_not_ready() {
        let draining = CancellationToken::new();
        let health = Arc::new(Health::new(draining.clone()));
        let monitoring = Monitoring::new(Arc::new(Metrics::new()), health);
        assert_eq!(get(&monitoring, "/readyz").await.0, StatusCode::OK);
        draining.cancel();
        let (status, body) = get(&monitoring, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(read(&body), json!({"checks": [], "status": "draining"}));
        assert_eq!(get(&monitoring, "/healthz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn there_is_nothing_else() {
        let monitoring = Monitoring::new(Arc::new(Metrics::new()), Arc::new(Health::new(CancellationToken::new())));
        assert_eq!(get(&monitoring, "/v2/").await.0, StatusCode::NOT_FOUND);
        assert_eq!(monitoring.answer(&Method::POST, "/metrics").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
