//! A stream that tells when it last moved a byte, and that closes without losing its last words.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long, and for how many bytes, a closed connection goes on reading. A peer still sending (a 10 MB header that was
/// answered with 431, a body that was refused unread) would otherwise get a reset instead of the answer (RFC 9112,
/// section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// What a connection did lately.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    last_moved: AtomicU64,
    requested: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), last_moved: AtomicU64::new(0), requested: AtomicBool::new(false) })
    }

    fn moved(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_moved.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn request_began(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ever carried a request.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Since when no byte went either way.
    pub(crate) fn quiet(&self) -> Duration {
        self.age().saturating_sub(Duration::from_millis(self.last_moved.load(Ordering::Relaxed)))
    }
}

/// The stream, watched.
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, linger: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.moved();
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends our side, then reads on until the peer ends its own, within limits.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            match Pin::new(&mut this.stream).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => this.linger = Some((Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES)),
                other => return other,
            }
        }
        let Some((patience, allowance)) = &mut this.linger else { return Poll::Ready(Ok(())) };
        let mut space = [MaybeUninit::uninit(); 8 * 1024];
        while *allowance > 0 && patience.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::uninit(&mut space);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    *allowance = allowance.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Watched<S> {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(_)) = result {
            self.activity.moved();
        }
        result
    }
}
