//! Connections: not more than the agent can spare file descriptors for, and none that only sits there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections at the same time; further ones wait in the kernel's queue. Systemd grants 1024 descriptors by default, and
/// cameras, receivers and the store need theirs.
pub(super) const MAX: usize = 256;
/// A connection on which nothing moves for this long is closed, or silent clients would use up all of them. Longer than any
/// request takes.
const IDLE: Duration = Duration::from_secs(75);

/// Once the agent stops, a client has this long to take its answer: one that does not read would hold up the stop for ever.
const PARTING: Duration = Duration::from_secs(4);

/// A listener that keeps to all of them.
pub(super) struct Bounded {
    listener: TcpListener,
    free: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, stop: CancellationToken) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(MAX)), stop }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        // The one of axum waits and tries again when descriptors run out.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it small answers wait for the client's next acknowledgement; they still arrive.
        let _ = stream.set_nodelay(true);
        let stop = Box::pin(self.stop.clone().cancelled_owned());
        (Connection { stream, idle: Box::pin(sleep(IDLE)), stop, is_last: false, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Client {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A connection that ends when nothing moves, and soon after the agent has begun to stop.
pub(super) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The agent stops: the time is not prolonged any more.
    is_last: bool,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// What the stream says, unless it has been waiting for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if !self.is_last && self.stop.as_mut().poll(context).is_ready() {
            self.is_last = true;
            self.idle.as_mut().reset(Instant::now() + PARTING);
        }
        if poll.is_ready() {
            if !self.is_last {
                self.idle.as_mut().reset(Instant::now() + IDLE);
            }
            return poll;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, poll)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
