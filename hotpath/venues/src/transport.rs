//! A blocking WebSocket client with limits on everything: connecting, frame size, what waits to be written. It hides
//! the library behind it, so that another one can take its place.
//!
//! Pings of the other side are answered while reading; the answer leaves with the next call of any kind. With
//! [`Socket::set_nonblocking`] one thread can wait on the socket's descriptor while another one writes under a lock.

use crate::binance::rest::is_loopback;
use std::fmt;
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use thiserror::Error;
use tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error as WsError, Message, Utf8Bytes, WebSocket};

/// Largest frame and message accepted, bytes. Coinbase tells its whole book in one: 5.1 MB of BTC-USD are
/// recorded, and programs with a tighter limit than they knew have failed there. Memory is taken for what comes, not for what
/// could, and given back with the message; a connection holds one at a time.
pub const FRAME_MAX: usize = 100 << 20;
/// Most bytes that may wait to be written before sending fails.
const WRITE_MAX: usize = 1 << 20;
/// Largest number of addresses tried for one name.
const ADDRESSES_MAX: usize = 4;

/// A connection that cannot be made or is no more.
#[derive(Debug, Error)]
pub enum TransportError {
    /// It was not made.
    #[error("could not connect to {url}: {cause}")]
    Connect {
        /// To where.
        url: String,
        /// Why not.
        cause: String,
    },
    /// It broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// A text message, not copied out of the connection's buffer.
#[derive(Clone)]
pub struct Text(Utf8Bytes);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// What reading gave.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Text(Text),
    /// A ping, a pong or a binary frame: the connection is alive.
    Control,
    /// Nothing within the read timeout, or at all if the socket does not block.
    Nothing,
    /// The other side closed the connection properly.
    Closed {
        /// WebSocket close code, 1000 = normal; `None` when it gave none.
        code: Option<u16>,
        /// In words.
        reason: String,
    },
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    ws: WebSocket<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects to a `wss://` address, or a `ws://` one on this machine. `timeout` bounds the TCP connection to each
    /// address and every wait inside the handshakes. Afterwards reading blocks without limit.
    ///
    /// # Errors
    /// [`TransportError::Connect`].
    pub fn connect(url: &str, timeout: Duration) -> Result<Socket, TransportError> {
        let fail = |cause: String| TransportError::Connect { url: url.to_owned(), cause };
        let (tls, host, port) = address(url).map_err(|why| fail(why.to_owned()))?;
        let stream = tcp(host, port, timeout).map_err(&fail)?;
        if tls {
            // Somebody else's earlier choice of provider is as good: only one is linked.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let config = WebSocketConfig::default()
            .max_frame_size(Some(FRAME_MAX))
            .max_message_size(Some(FRAME_MAX))
            .write_buffer_size(4096)
            .max_write_buffer_size(WRITE_MAX);
        let (ws, _response) =
            tungstenite::client_tls_with_config(url, stream, Some(config), None).map_err(|e| fail(e.to_string()))?;
        let socket = Socket { ws };
        socket.set_read_timeout(None).map_err(|e| fail(e.to_string()))?;
        Ok(socket)
    }

    fn tcp(&self) -> &TcpStream {
        match self.ws.get_ref() {
            MaybeTlsStream::Plain(tcp) => tcp,
            MaybeTlsStream::Rustls(tls) => &tls.sock,
            // The enum is open; the features of this build make no other.
            _ => unreachable!("only plain and rustls streams are built"),
        }
    }

    /// How long [`Socket::read`] waits; `None` = for ever.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.tcp().set_read_timeout(timeout)
    }
    /// Whether calls return at once when they would wait.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_nonblocking(&self, on: bool) -> std::io::Result<()> {
        self.tcp().set_nonblocking(on)
    }

    /// The next message or event.
    ///
    /// # Errors
    /// [`TransportError::Lost`]; the socket is of no more use then.
    pub fn read(&mut self) -> Result<Incoming, TransportError> {
        match self.ws.read() {
            Ok(Message::Text(text)) => Ok(Incoming::Text(Text(text))),
            Ok(Message::Close(frame)) => {
                // Sends our half of the goodbye; nothing is lost if that fails.
                drop(self.ws.flush());
                let (code, reason) = match frame {
                    Some(CloseFrame { code, reason }) => (Some(u16::from(code)), reason.as_str().to_owned()),
                    None => (None, String::new()),
                };
                Ok(Incoming::Closed { code, reason })
            }
            Ok(_) => Ok(Incoming::Control),
            Err(WsError::ConnectionClosed) => Ok(Incoming::Closed { code: None, reason: String::new() }),
            Err(e) if would_wait(&e) => Ok(Incoming::Nothing),
            Err(e) => Err(TransportError::Lost(e.to_string())),
        }
    }

    /// Sends a text message. `true` when all of it went to the operating system; `false` when part of it waits for
    /// [`Socket::flush`].
    ///
    /// # Errors
    /// [`TransportError::Lost`].
    pub fn send(&mut self, text: String) -> Result<bool, TransportError> {
        done(self.ws.send(Message::text(text)))
    }

    /// Goes on sending what waits; the result is as for [`Socket::send`].
    ///
    /// # Errors
    /// [`TransportError::Lost`].
    pub fn flush(&mut self) -> Result<bool, TransportError> {
        done(self.ws.flush())
    }

    /// Says goodbye without waiting for the answer.
    pub fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("done") };
        // The connection is dropped right after; whether the other side hears it is no matter.
        drop(self.ws.close(Some(frame)));
        drop(self.ws.flush());
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

fn done(result: Result<(), WsError>) -> Result<bool, TransportError> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if would_wait(&e) => Ok(false),
        Err(e) => Err(TransportError::Lost(e.to_string())),
    }
}

fn would_wait(e: &WsError) -> bool {
    // Which of the two a read timeout gives depends on the platform.
    matches!(e, WsError::Io(io) if matches!(io.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted))
}

/// Splits an address into TLS or not, host and port.
fn address(url: &str) -> Result<(bool, &str, u16), &'static str> {
    let (tls, rest) = match url.split_once("://") {
        Some(("wss", rest)) => (true, rest),
        Some(("ws", rest)) if is_loopback(url) => (false, rest),
        Some(("ws", _)) => return Err("plain ws is only for this machine; use wss"),
        _ => return Err("it does not start with wss:// (or ws:// for this machine)"),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or("");
    let default = if tls { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| "its port is not a number")?),
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err("it names no host") } else { Ok((tls, host, port)) }
}

fn tcp(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let deadline = Instant::now() + timeout * u32::try_from(ADDRESSES_MAX).unwrap_or(1);
    let addresses = (host, port).to_socket_addrs().map_err(|e| e.to_string())?;
    let mut last = "its name has no address".to_owned();
    for address in addresses.take(ADDRESSES_MAX) {
        if Instant::now() >= deadline {
            break;
        }
        match TcpStream::connect_timeout(&address, timeout).and_then(|s| prepare(s, timeout)) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

fn prepare(stream: TcpStream, timeout: Duration) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    // A peer that vanished without a word is noticed even when we have nothing to say.
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(1);

    /// Runs `script` as the server of one connection and returns its address.
    fn serve(script: impl FnOnce(WebSocket<TcpStream>) + Send + 'static) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/x", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            script(tungstenite::accept(stream).unwrap());
        });
        (url, server)
    }

    #[test]
    fn messages_go_both_ways_and_a_close_says_why() {
        let (url, server) = serve(|mut ws| {
            assert_eq!(ws.read().unwrap().to_text().unwrap(), "hello");
            ws.send(Message::text("welcome")).unwrap();
            let reason = Utf8Bytes::from_static("end of capture");
            ws.close(Some(CloseFrame { code: CloseCode::Normal, reason })).unwrap();
            assert!(matches!(ws.read(), Ok(Message::Close(_)) | Err(_)));
        });
        let mut socket = Socket::connect(&url, SECOND).unwrap();
        assert!(socket.send("hello".to_owned()).unwrap());
        assert!(matches!(socket.read().unwrap(), Incoming::Text(t) if t.as_str() == "welcome"));
        match socket.read().unwrap() {
            Incoming::Closed { code: Some(1000), reason } => assert_eq!(reason, "end of capture"),
            other => panic!("{other:?}"),
        }
        server.join().unwrap();
    }

    #[test]
    fn pings_are_answered_while_reading_and_silence_is_not_an_end() {
        let (url, server) = serve(|mut ws| {
            ws.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
            match ws.read().unwrap() {
                Message::Pong(payload) => assert_eq!(payload.as_ref(), [1, 2, 3]),
                other => panic!("{other:?}"),
            }
            ws.send(Message::text("on")).unwrap();
            assert!(matches!(ws.read(), Ok(Message::Close(_))));
        });
        let mut socket = Socket::connect(&url, SECOND).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut control = 0;
        loop {
            match socket.read().unwrap() {
                Incoming::Text(_) => break,
                Incoming::Control => control += 1,
                Incoming::Nothing => {}
                Incoming::Closed { .. } => panic!("closed"),
            }
        }
        assert_eq!(control, 1);
        socket.close();
        server.join().unwrap();
    }

    #[test]
    fn a_message_of_tens_of_megabytes_arrives_whole() {
        const LONG: usize = 40 << 20;
        let (url, server) = serve(|mut ws| {
            ws.send(Message::text("x".repeat(LONG))).unwrap();
            ws.send(Message::text("on")).unwrap();
            assert!(ws.read().is_err());
        });
        let mut socket = Socket::connect(&url, SECOND).unwrap();
        assert!(matches!(socket.read().unwrap(), Incoming::Text(t) if t.as_str().len() == LONG));
        assert!(matches!(socket.read().unwrap(), Incoming::Text(t) if t.as_str() == "on"));
        drop(socket);
        server.join().unwrap();
    }

    /// Why a connection is lost on which a server sends the first bytes of a frame, and waits.
    fn lost_on(bytes: Vec<u8>) -> String {
        let (url, server) = serve(move |mut ws| {
            ws.get_mut().write_all(&bytes).unwrap();
            assert!(ws.read().is_err());
        });
        let mut socket = Socket::connect(&url, SECOND).unwrap();
        let TransportError::Lost(why) = socket.read().unwrap_err() else { panic!("it was connected") };
        drop(socket);
        server.join().unwrap();
        why
    }

    #[test]
    fn oversized_frames_and_vanished_peers_are_losses() {
        let head = |kind: u8, length: usize| [vec![kind, 127], (length as u64).to_be_bytes().to_vec()].concat();
        // Refused by its head alone, before any of it is there.
        assert!(lost_on(head(0x81, FRAME_MAX + 1)).contains("too long"));
        // No frame of it is too long, but all together are.
        let half = [head(0x01, FRAME_MAX / 2), vec![b'x'; FRAME_MAX / 2]].concat();
        let rest = [head(0x80, FRAME_MAX / 2 + 1), vec![b'x'; FRAME_MAX / 2 + 1]].concat();
        assert!(lost_on([half, rest].concat()).contains("too long"));

        let (url, server) = serve(drop);
        let mut socket = Socket::connect(&url, SECOND).unwrap();
        server.join().unwrap();
        assert!(matches!(socket.read(), Err(TransportError::Lost(_))));
    }

    #[test]
    fn addresses_are_split_and_plain_sockets_stay_on_this_machine() {
        assert_eq!(address("ws://127.0.0.1:80/ws?x=a:b"), Ok((false, "127.0.0.1", 80)));
        assert_eq!(address("wss://stream.binance.com:9443/ws"), Ok((true, "stream.binance.com", 9443)));
        assert_eq!(address("wss://[::1]/ws"), Ok((true, "::1", 443)));
        for bad in ["ws://example.com/", "http://127.0.0.1", "wss://", "wss://x:y/"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(Socket::connect(&format!("ws://{closed}/"), SECOND), Err(TransportError::Connect { .. })));
    }
}
