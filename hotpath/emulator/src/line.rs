//! The TCP side of a connection, with a hand on it: bytes can be put between frames, swallowed, left unread, and the
//! connection can be reset, none of which a WebSocket library would do.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What may be done to a connection from outside.
#[derive(Debug, Default)]
pub struct Hand {
    raw: Mutex<Vec<u8>>,
    mute: AtomicBool,
    deaf: AtomicBool,
    reset: AtomicBool,
    /// The reset has been done.
    gone: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Hand {
    /// Sends these bytes as they are at the next flush.
    pub fn put(&self, bytes: &[u8]) {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
    /// Half-open from now on: what is written vanishes, nothing is read, nothing is closed.
    pub fn half_open(&self) {
        self.mute.store(true, Ordering::Relaxed);
        self.set_deaf(true);
    }
    /// Leaves what the client sends unread, or reads it again.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Relaxed);
        self.wake_reader();
    }
    fn wake_reader(&self) {
        if let Some(waker) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
    /// Resets the connection once what was put is out.
    pub fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

/// What carries the bytes.
#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

/// An accepted connection.
#[derive(Debug)]
pub struct Line {
    wire: Wire,
    hand: Arc<Hand>,
}

/// The hand on the connection that a request came over.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<Hand>);

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Peer {
        Peer(stream.io().hand.clone())
    }
}

/// Accepts connections.
#[derive(Debug)]
pub enum Gate {
    /// Of other processes.
    Tcp(TcpListener),
    /// Of this one, without the operating system.
    Memory(mpsc::Receiver<DuplexStream>),
}

impl Listener for Gate {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let listener = match self {
            Gate::Tcp(listener) => listener,
            Gate::Memory(dialled) => match dialled.recv().await {
                Some(end) => return (Line { wire: Wire::Memory(end), hand: Arc::default() }, NOWHERE),
                // Nobody can dial any more; the server is stopped from elsewhere.
                None => std::future::pending().await,
            },
        };
        loop {
            match TcpListener::accept(listener).await {
                Ok((tcp, addr)) => {
                    if let Err(error) = tcp.set_nodelay(true) {
                        tracing::debug!("no TCP_NODELAY: {error}");
                    }
                    return (Line { wire: Wire::Tcp(tcp), hand: Arc::default() }, addr);
                }
                // Out of file descriptors, most likely: others will be closed.
                Err(error) => {
                    tracing::warn!("could not accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Gate::Tcp(listener) => TcpListener::local_addr(listener),
            Gate::Memory(_) => Ok(NOWHERE),
        }
    }
}

/// The address of what has none.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Wire {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Wire::Memory(end) => Pin::new(end).poll_read(cx, buf),
        }
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Wire::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Wire::Memory(end) => Pin::new(end).poll_write(cx, buf),
        }
    }
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Wire::Memory(end) => Pin::new(end).poll_flush(cx),
        }
    }
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Wire::Memory(end) => Pin::new(end).poll_shutdown(cx),
        }
    }
}

impl Line {
    /// Writes what was put in by hand; then the reset, if one was asked for.
    fn poll_hand(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut raw = self.hand.raw.lock().unwrap_or_else(PoisonError::into_inner);
        while !raw.is_empty() {
            match self.wire.poll_write(cx, &raw) {
                Poll::Ready(Ok(n)) => drop(raw.drain(..n)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        drop(raw);
        if self.hand.reset.load(Ordering::Relaxed) {
            if let Wire::Tcp(tcp) = &self.wire {
                // Without lingering, closing sends RST and not FIN.
                tcp.set_zero_linger()?;
            }
            self.hand.gone.store(true, Ordering::Relaxed);
            self.hand.wake_reader();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        *self.hand.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.hand.gone.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.hand.deaf.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        self.wire.poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.hand.mute.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(buf.len()));
        }
        self.wire.poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_hand(cx) {
            Poll::Ready(Ok(())) => self.wire.poll_flush(cx),
            other => other,
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_shutdown(cx)
    }
}
