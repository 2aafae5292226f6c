//! Both kinds of connection to an emulator in this process: a WebSocket, by the library that the daemon uses, and one
//! question over HTTP. Everything happens in simulated time.

use emulator::Dialer;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};
use venues::transport::FRAME_MAX;

/// What the library reads from and writes to.
#[derive(Default)]
struct Pipe {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.incoming.read(room)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What reading gave.
pub enum Got {
    Text(String),
    Control,
    /// Nothing more for now.
    Nothing,
    /// The connection is of no more use, and why.
    Ended(String),
}

/// An open WebSocket.
pub struct Client {
    ws: WebSocket<Pipe>,
    end: DuplexStream,
    room: Vec<u8>,
}

impl Client {
    /// Opens one, or says why not.
    pub async fn open(dialer: &Dialer, url: &str) -> Result<Client, String> {
        let mut end = dialer.dial().await;
        let mut room = vec![0; 1 << 16];
        let config = WebSocketConfig::default().max_frame_size(Some(FRAME_MAX)).max_message_size(Some(FRAME_MAX));
        let mut shaken = tungstenite::client::client_with_config(url, Pipe::default(), Some(config));
        loop {
            match shaken {
                Ok((ws, _)) => {
                    let mut client = Client { ws, end, room };
                    client.write().await?;
                    return Ok(client);
                }
                Err(HandshakeError::Failure(error)) => return Err(error.to_string()),
                Err(HandshakeError::Interrupted(mut middle)) => {
                    let pipe = middle.get_mut().get_mut();
                    pump(&mut end, pipe, &mut room).await?;
                    shaken = middle.handshake();
                }
            }
        }
    }

    /// What came, without waiting; call until there is nothing.
    pub fn next(&mut self) -> Got {
        match self.ws.read() {
            Ok(Message::Text(text)) => Got::Text(text.as_str().to_owned()),
            Ok(Message::Close(frame)) => Got::Ended(format!("closed: {frame:?}")),
            Ok(_) => Got::Control,
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Got::Nothing,
            Err(error) => Got::Ended(error.to_string()),
        }
    }

    /// Waits for bytes.
    pub async fn arrive(&mut self) -> Result<(), String> {
        let n = self.end.read(&mut self.room).await.map_err(|e| e.to_string())?;
        let pipe = self.ws.get_mut();
        pipe.ended = n == 0;
        pipe.incoming.extend(&self.room[..n]);
        Ok(())
    }

    /// Says a text.
    pub fn say(&mut self, text: String) -> Result<(), String> {
        self.ws.send(Message::text(text)).map_err(|e| e.to_string())
    }

    /// Sends what waits: words, answers to pings.
    pub async fn write(&mut self) -> Result<(), String> {
        // The answer to a ping is made by the next call of any kind.
        match self.ws.flush() {
            Ok(()) => {}
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.to_string()),
        }
        let bytes = std::mem::take(&mut self.ws.get_mut().outgoing);
        self.end.write_all(&bytes).await.map_err(|e| e.to_string())
    }
}

async fn pump(end: &mut DuplexStream, pipe: &mut Pipe, room: &mut [u8]) -> Result<(), String> {
    let bytes = std::mem::take(&mut pipe.outgoing);
    end.write_all(&bytes).await.map_err(|e| e.to_string())?;
    let n = end.read(room).await.map_err(|e| e.to_string())?;
    pipe.ended = n == 0;
    pipe.incoming.extend(&room[..n]);
    Ok(())
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub retry_after_s: Option<u64>,
    pub body: String,
}

/// Asks one question; `post` is the body of a POST.
pub async fn ask(dialer: &Dialer, path: &str, post: Option<&str>) -> Result<Answer, String> {
    let mut end = dialer.dial().await;
    let (method, body) = post.map_or(("GET", ""), |body| ("POST", body));
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\nContent-Length: {}", body.len());
    end.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    end.read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    let retry = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("retry-after:")?.trim().parse().ok());
    Ok(Answer { status, retry_after_s: retry, body: body.to_owned() })
}
