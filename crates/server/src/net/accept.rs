//! Accepting connections, without ever waiting for a peer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::Service;
use super::connection::{Ends, Handler, Http, Limits, Protocol};
use super::io::{Activity, Watched};
use super::origin::{Listener, Origin};
use super::proxy::TrustedProxies;

/// What every connection of one listener needs.
pub(crate) struct Door {
    pub(crate) kind: Kind,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) http: Http,
    pub(crate) limits: Limits,
    pub(crate) ends: Ends,
    pub(crate) tracker: TaskTracker,
    pub(crate) slots: Arc<Semaphore>,
}

/// Who is let in, and how.
pub(crate) enum Kind {
    Public { tls: Option<Arc<ServerConfig>>, trusted: Arc<TrustedProxies> },
    Administration { owner: u32 },
    Metrics,
}

/// A listener's accept call.
pub(crate) trait Accept: Send + Sync + 'static {
    type Stream: Send + 'static;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn serve(door: Arc<Door>, stream: Self::Stream) -> impl Future<Output = ()> + Send;
}

impl Accept for TcpListener {
    type Stream = (TcpStream, SocketAddr);
    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await
    }
    async fn serve(door: Arc<Door>, (stream, peer): Self::Stream) {
        door.tcp(stream, peer).await;
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
    async fn serve(door: Arc<Door>, stream: UnixStream) {
        door.unix(stream).await;
    }
}

/// Accepts until told to stop. Everything that may block on the peer happens in the connection's own task.
pub(crate) async fn accept<L: Accept>(listener: L, door: Arc<Door>) {
    const FIRST_PAUSE: Duration = Duration::from_millis(20);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    let mut pause = FIRST_PAUSE;
    let mut complaint = Complaint::default();
    let stop = door.ends.stop.clone();
    while let Some(slot) = stop.run_until_cancelled(door.slot(&mut complaint)).await.flatten() {
        match stop.run_until_cancelled(listener.next()).await {
            None => return,
            Some(Ok(stream)) => {
                pause = FIRST_PAUSE;
                let door = door.clone();
                let tracker = door.tracker.clone();
                tracker.spawn(async move {
                    L::serve(door, stream).await;
                    drop(slot);
                });
            }
            // The peer is gone before we looked: its business alone.
            Some(Err(error)) if is_peers(&error) => {}
            // Most likely out of file descriptors: accepting again at once would spin.
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A warning that a flood must not turn into a flood of warnings.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn due(&mut self, now: Instant) -> bool {
        const EVERY: Duration = Duration::from_secs(30);
        let due = self.0.is_none_or(|last| now.duration_since(last) >= EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

impl Door {
    /// Room for one more connection. `None`: the listener is closing.
    async fn slot(&self, complaint: &mut Complaint) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        if complaint.due(Instant::now()) {
            tracing::warn!(limit = self.limits.connections, "all connections are taken, further ones wait");
        }
        self.slots.clone().acquire_owned().await.ok()
    }

    async fn tcp(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let local = stream.local_addr().ok();
        match &self.kind {
            Kind::Public { tls: Some(tls), trusted } => {
                let origin = Origin::tcp(Listener::Public, peer, local, true);
                self.secure(stream, origin, tls.clone(), trusted.clone()).await;
            }
            Kind::Public { tls: None, trusted } if !trusted.is_empty() && !trusted.contains(peer.ip()) => {
                tracing::warn!(peer = %peer.ip().to_canonical(), "refused: not one of the networks of --insecure-behind-proxy");
                refuse(stream).await;
            }
            Kind::Public { tls: None, trusted } => {
                self.plain(stream, Origin::tcp(Listener::Public, peer, local, false), trusted.clone()).await;
            }
            Kind::Metrics => {
                self.plain(stream, Origin::tcp(Listener::Metrics, peer, local, false), Arc::default()).await;
            }
            Kind::Administration { .. } => {}
        }
    }

    async fn unix(&self, stream: UnixStream) {
        let Kind::Administration { owner } = self.kind else { return };
        match stream.peer_cred() {
            Ok(peer) if administers(peer.uid(), owner) => {
                self.plain(stream, Origin::administration(peer.uid(), peer.pid()), Arc::default()).await;
            }
            Ok(peer) => {
                tracing::warn!(
                    uid = peer.uid(),
                    pid = peer.pid(),
                    "refused on the administration socket: another user"
                );
                refuse(stream).await;
            }
            Err(error) => {
                tracing::warn!(%error, "refused on the administration socket: the kernel does not say who it is")
            }
        }
    }

    async fn plain<S>(&self, stream: S, origin: Origin, trusted: Arc<TrustedProxies>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let stream = Watched::new(stream, activity.clone());
        let protocol = if matches!(self.kind, Kind::Public { .. }) { Protocol::Either } else { Protocol::Http1 };
        let handler = Handler { service: self.service.clone(), origin, trusted, activity };
        self.http.serve(stream, protocol, Arc::new(handler), &self.ends).await;
    }

    async fn secure(&self, stream: TcpStream, origin: Origin, tls: Arc<ServerConfig>, trusted: Arc<TrustedProxies>) {
        let activity = Activity::new();
        let handshake = TlsAcceptor::from(tls).accept(Watched::new(stream, activity.clone()));
        let handshake = timeout(self.limits.handshake, self.ends.stop.run_until_cancelled(handshake));
        let stream = match handshake.await {
            Ok(Some(Ok(stream))) => stream,
            Ok(Some(Err(error))) => return tracing::debug!(peer = ?origin.peer, %error, "TLS handshake failed"),
            Ok(None) => return,
            Err(_) => return tracing::debug!(peer = ?origin.peer, "TLS handshake took too long"),
        };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
        let handler = Handler { service: self.service.clone(), origin, trusted, activity };
        self.http.serve(stream, protocol, Arc::new(handler), &self.ends).await;
    }
}

/// The server's own user and root, who can become it anyway.
fn administers(uid: u32, owner: u32) -> bool {
    uid == owner || uid == 0
}

/// Answers 403 to whoever may not speak to this listener, whatever it says, and closes.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 46\r\nConnection: close\r\n\r\n\
        this listener does not serve where you are at\n";
    const PATIENCE: Duration = Duration::from_secs(1);
    const MOST_READ: u64 = 64 * 1024;
    let farewell = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        // Read on, or the reset that unread bytes cause overtakes the answer.
        tokio::io::copy(&mut (&mut stream).take(MOST_READ), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(PATIENCE, farewell).await {
        tracing::debug!(%error, "a refused peer went away");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_user_and_root_administer() {
        assert!(administers(1000, 1000));
        assert!(administers(0, 1000));
        assert!(!administers(1001, 1000));
        assert!(!administers(65_534, 0));
    }

    #[test]
    fn a_flood_is_complained_about_twice_a_minute() {
        let (mut complaint, begin) = (Complaint::default(), Instant::now());
        assert!(complaint.due(begin));
        assert!(!complaint.due(begin + Duration::from_secs(29)));
        assert!(complaint.due(begin + Duration::from_secs(31)));
    }
}
