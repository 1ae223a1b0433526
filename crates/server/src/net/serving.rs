//! The server's listeners: bound, serving, drained.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use shorepass_core::Clock;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

use super::Service;
use super::accept::{Door, Kind, accept};
use super::connection::{Ends, Http, Limits};
use super::error::NetError;
use super::proxy::TrustedProxies;
use super::socket::{self, Place};
use super::tls::Certificates;
use crate::hosts::reachable;
use crate::settings::{Settings, Tls};

/// Connections to the metrics listener, and to the administration socket, at once: apart from the public ones, so that
/// a flood of those locks neither the operator nor the monitoring out.
const OPERATOR_CONNECTIONS: usize = 64;

/// All listeners, bound but not yet accepting.
#[derive(Debug)]
pub struct Net {
    public: TcpListener,
    public_addr: SocketAddr,
    metrics: Option<(TcpListener, SocketAddr)>,
    administration: UnixListener,
    place: Place,
    certificates: Option<(Arc<Certificates>, Arc<ServerConfig>)>,
    trusted: Arc<TrustedProxies>,
    external_url: Option<Url>,
    limits: Limits,
    draining: CancellationToken,
    kill: CancellationToken,
}

impl Net {
    /// Binds the public listener, the metrics listener and the administration socket, and loads the certificates.
    ///
    /// # Errors
    /// When one of them cannot be had, or when `settings` ask for plain HTTP where nothing protects it.
    pub async fn bind(settings: &Settings, clock: &dyn Clock) -> Result<Self, NetError> {
        let connections = connections_for(raise_file_limit());
        Self::bind_with(settings, clock, Limits { connections, ..Limits::default() }).await
    }

    /// [`Net::bind`] with limits of the caller's choice.
    ///
    /// # Errors
    /// As [`Net::bind`].
    pub async fn bind_with(settings: &Settings, clock: &dyn Clock, limits: Limits) -> Result<Self, NetError> {
        check(settings)?;
        let (administration, place) = socket::bind(&settings.data).await?;
        let certificates = match Certificates::load(settings, clock)? {
            Some(certificates) => {
                let config = certificates.server_config()?;
                Some((certificates, config))
            }
            None => None,
        };
        let (public, public_addr) = listen(settings.listen).await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let trusted = Arc::new(TrustedProxies::new(&settings.insecure_behind_proxy));
        let external_url = settings.external_url.clone();
        let kill = CancellationToken::new();
        Ok(Self {
            public,
            public_addr,
            metrics,
            administration,
            place,
            certificates,
            trusted,
            external_url,
            limits,
            // What is cut off also stops.
            draining: kill.child_token(),
            kill,
        })
    }

    /// The public listener's address, with the port it really has.
    #[must_use]
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
    }

    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Where a client on this machine reaches the registry: the external URL, or the listener's own address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        if let Some(url) = &self.external_url {
            return url.as_str().trim_end_matches('/').to_owned();
        }
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reachable(self.public_addr))
    }

    /// The private CA's certificate that clients must trust, when `--tls self-signed` made one.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.certificates.as_ref().and_then(|(certificates, _)| certificates.ca_file().map(PathBuf::from))
    }

    /// Cancelled as soon as the server begins to drain: `/readyz` says so.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Begins to accept. Must be called within a tokio runtime.
    #[must_use]
    pub fn serve(
        self,
        public: Arc<dyn Service>,
        administration: Arc<dyn Service>,
        metrics: Arc<dyn Service>,
    ) -> Serving {
        let kill = self.kill;
        let (requests, monitoring) = (TaskTracker::new(), TaskTracker::new());
        let (certificates, tls) = self.certificates.unzip();
        let door = |kind, service, stop: &CancellationToken, tracker: &TaskTracker, connections| {
            let limits = Limits { connections, ..self.limits.clone() };
            let (http, slots) = (Http::new(&limits), Arc::new(Semaphore::new(connections)));
            let ends = Ends { stop: stop.clone(), kill: kill.clone() };
            Arc::new(Door { kind, service, http, limits, ends, tracker: tracker.clone(), slots })
        };
        let kind = Kind::Public { tls, trusted: self.trusted };
        let public = door(kind, public, &self.draining, &requests, self.limits.connections);
        requests.spawn(accept(self.public, public));
        let kind = Kind::Administration { owner: rustix::process::geteuid().as_raw() };
        let administration = door(kind, administration, &self.draining, &requests, OPERATOR_CONNECTIONS);
        requests.spawn(accept(self.administration, administration));
        if let Some((listener, _)) = self.metrics {
            // It stays open while we drain: that is when somebody asks /readyz.
            let metrics = door(Kind::Metrics, metrics, &kill, &monitoring, OPERATOR_CONNECTIONS);
            monitoring.spawn(accept(listener, metrics));
        }
        let ends = Ends { stop: self.draining, kill: kill.clone() };
        Serving { ends, _guard: kill.drop_guard(), requests, monitoring, certificates, _place: self.place }
    }
}

/// A server that accepts connections. Dropped without [`Serving::drain`], it cuts them.
#[derive(Debug)]
pub struct Serving {
    ends: Ends,
    _guard: DropGuard,
    /// Tasks of the public listener and the administration socket.
    requests: TaskTracker,
    monitoring: TaskTracker,
    certificates: Option<Arc<Certificates>>,
    _place: Place,
}

impl Serving {
    /// Reads the certificate and key files again, for the connections that come; a self-signed certificate near its end is
    /// renewed first.
    ///
    /// # Errors
    /// When they cannot be read or do not fit; the old ones then stay in use.
    pub fn reload_certificates(&self, clock: &dyn Clock) -> Result<(), NetError> {
        self.certificates.as_ref().map_or(Ok(()), |certificates| certificates.reload(clock))
    }

    /// Stops accepting, lets requests under way end for at most `timeout`, then cuts what is left. `/readyz` answers 503
    /// meanwhile.
    pub async fn drain(self, timeout: Duration) {
        self.ends.stop.cancel();
        self.requests.close();
        if tokio::time::timeout(timeout, self.requests.wait()).await.is_err() {
            tracing::warn!(connections = self.requests.len(), "requests did not end in time and are cut");
        }
        self.ends.kill.cancel();
        self.monitoring.close();
        self.requests.wait().await;
        self.monitoring.wait().await;
    }
}

fn check(settings: &Settings) -> Result<(), NetError> {
    let plain = settings.tls == Tls::Off;
    let behind_proxy = !settings.insecure_behind_proxy.is_empty();
    match (plain, behind_proxy) {
        (true, false) if !settings.listen.ip().to_canonical().is_loopback() => {
            Err(NetError::PlainAddress(settings.listen))
        }
        (false, true) => Err(NetError::TlsBehindProxy),
        _ => Ok(()),
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), NetError> {
    let failed = |source| NetError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Every connection takes a file, and every blob under way another: the soft limit many systems start with (1024) is
/// raised to the hard one. Answers the limit in force, `None` for no limit.
fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// A third of the files: a connection needs one, its blob a second, and the rest of the server some.
fn connections_for(files: Option<u64>) -> usize {
    let most = Limits::default().connections;
    files.and_then(|files| usize::try_from(files / 3).ok()).map_or(most, |third| third.clamp(16, most))
}
