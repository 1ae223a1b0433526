use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use shorepass_core::SystemClock;
use shorepass_server::health::{Health, Monitoring};
use shorepass_server::metrics::Metrics;
use shorepass_server::net::{Body, Limits, Listener, Net, NetError, Origin, Service, Serving, full};
use shorepass_server::settings::{AuditSettings, Blobs, Database, Settings, SigningAlgorithm, Tls};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Answers by path: `/origin` tells the origin, `/panic` panics, `/big` never ends, `/hold` waits for [`Stage::release`].
#[derive(Default)]
pub struct Stage {
    pub calls: AtomicUsize,
    entered: Waiter,
    release: Waiter,
}

struct Waiter(Semaphore);

impl Default for Waiter {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Waiter {
    async fn wait(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Stage {
    /// Until a request to `/hold` is being handled.
    pub async fn entered(&self) {
        self.entered.wait().await;
    }

    pub fn release(&self) {
        self.release.0.add_permits(1);
    }

    async fn answer(&self, request: Request<Incoming>, origin: Origin) -> Response<Body> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match request.uri().path() {
            "/panic" => panic!("on purpose"),
            "/hold" => {
                self.entered.0.add_permits(1);
                self.release.wait().await;
                Response::new(full("held"))
            }
            "/big" => {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                let pieces = stream::repeat(piece).map(|piece| Ok(Frame::data(piece)));
                Response::new(StreamBody::new(pieces).boxed_unsync())
            }
            "/origin" => Response::new(full(tell(&origin))),
            _ => Response::builder().status(StatusCode::NOT_FOUND).body(full("")).unwrap(),
        }
    }
}

/// An origin in a line that tests compare; the local port is told apart.
fn tell(origin: &Origin) -> String {
    let listener = match origin.listener {
        Listener::Public => "public".to_owned(),
        Listener::Administration { uid, pid } => format!("administration:{uid}:{}", pid.unwrap_or_default()),
        Listener::Metrics => "metrics".to_owned(),
    };
    let peer = origin.peer.map(|peer| peer.to_string()).unwrap_or_default();
    let local = origin.local.map(|local| local.ip().to_string()).unwrap_or_default();
    format!("{listener} peer={peer} local={local} secure={} proxied={}", origin.secure, origin.proxied)
}

impl Service for Stage {
    fn call(self: Arc<Self>, request: Request<Incoming>, origin: Origin) -> BoxFuture<'static, Response<Body>> {
        async move { self.answer(request, origin).await }.boxed()
    }
}

/// A server for one test.
pub struct Server {
    pub addr: SocketAddr,
    pub metrics: SocketAddr,
    pub endpoint: String,
    pub ca_file: Option<std::path::PathBuf>,
    pub stage: Arc<Stage>,
    pub serving: Serving,
    pub data: TempDir,
}

pub fn settings(data: &Path) -> Settings {
    Settings {
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Tls::Off,
        insecure_behind_proxy: Vec::new(),
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        external_url: None,
        domain: None,
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

pub async fn bind(settings: &Settings) -> Result<Net, NetError> {
    Net::bind(settings, &SystemClock).await
}

pub async fn start(limits: Limits, adapt: impl FnOnce(&mut Settings)) -> Server {
    let data = TempDir::new().unwrap();
    let mut settings = settings(data.path());
    adapt(&mut settings);
    let net = Net::bind_with(&settings, &SystemClock, limits).await.unwrap();
    let (addr, metrics) = (net.public_addr(), net.metrics_addr().unwrap());
    let (endpoint, ca_file) = (net.endpoint(), net.ca_file());
    let stage = Arc::new(Stage::default());
    let health = Arc::new(Health::new(net.draining()));
    let monitoring = Arc::new(Monitoring::new(Arc::new(Metrics::new()), health));
    let serving = net.serve(stage.clone(), stage.clone(), monitoring);
    Server { addr, metrics, endpoint, ca_file, stage, serving, data }
}

pub async fn start_plain() -> Server {
    start(Limits::default(), |_| ()).await
}

impl Server {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub fn calls(&self) -> usize {
        self.stage.calls.load(Ordering::SeqCst)
    }
}

/// Sends bytes, then reads until the server closes. The write may fail midway: the server need not read it all.
pub async fn exchange(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &[u8]) -> String {
    let _ = stream.write_all(request).await;
    read_to_end(stream).await
}

/// What the server still says before it closes. Fails when it does not close in good time.
pub async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let outcome = read.expect("the server closes the connection");
    assert!(outcome.is_ok() || !answer.is_empty(), "no answer: {outcome:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A GET with further header lines on a connection of its own: status and body.
pub async fn get(addr: SocketAddr, path: &str, lines: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    get_on(&mut stream, path, lines).await
}

pub async fn get_on(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    path: &str,
    lines: &str,
) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
    split(&exchange(stream, request.as_bytes()).await)
}

pub fn split(answer: &str) -> (u16, String) {
    let status = answer.get(9..12).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap_or_else(|| panic!("no status: {answer:?}")), body.unwrap_or_default())
}
