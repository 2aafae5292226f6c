//! One WebSocket connection: a writer that drains a bounded queue, keeps the connection alive as Binance does (ping
//! every 20 s, gone after 60 s without a pong) and says goodbye, and a reader that hands on what comes in.

use crate::line::Hand;
use crate::state::{Out, Shared};
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const PING_EVERY: Duration = Duration::from_secs(20);
/// Pings without a pong after which the client is gone.
const PINGS_MISSED_MAX: u32 = 3;
/// How long a client may take to answer our close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What a client sent.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A text frame.
    Text(&'a str),
    /// The answer to a ping.
    Pong(&'a [u8]),
    /// A ping, answered already.
    Ping,
}

/// Serves the connection until either side ends it.
pub async fn run(
    socket: WebSocket,
    rx: mpsc::Receiver<Out>,
    shared: Arc<Shared>,
    hand: Arc<Hand>,
    mut on: impl FnMut(Incoming<'_>) + Send,
) {
    // Dropped when all is said: a server that stops waits for it.
    let _serving = shared.stop.subscribe();
    let (sink, mut stream) = socket.split();
    let answered = Arc::new(AtomicBool::new(true));
    let mut writer = tokio::spawn(write(sink, rx, shared.stop.subscribe(), answered.clone(), hand));
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            _ = &mut writer => {
                // We said goodbye: wait for the answer, not for ever.
                let rest = async { while let Some(Ok(_)) = stream.next().await {} };
                if tokio::time::timeout(CLOSE_WAIT, rest).await.is_err() {
                    tracing::debug!("a client did not answer our close");
                }
                return;
            }
        };
        match message {
            Some(Ok(Message::Text(text))) => on(Incoming::Text(&text)),
            Some(Ok(Message::Pong(payload))) => {
                answered.store(true, Ordering::Relaxed);
                on(Incoming::Pong(&payload));
            }
            Some(Ok(Message::Ping(_))) => on(Incoming::Ping),
            Some(Ok(Message::Binary(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
        }
    }
    writer.abort();
}

/// Ends with the connection closed.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut rx: mpsc::Receiver<Out>,
    mut stop: watch::Receiver<bool>,
    answered: Arc<AtomicBool>,
    hand: Arc<Hand>,
) {
    let mut keep_alive = tokio::time::interval(PING_EVERY);
    keep_alive.tick().await;
    let mut missed = 0;
    let (code, reason) = loop {
        let message = tokio::select! {
            biased;
            _ = stop.changed() => break (1001, "the emulator stops"),
            _ = keep_alive.tick() => {
                missed = if answered.swap(false, Ordering::Relaxed) { 0 } else { missed + 1 };
                if missed >= PINGS_MISSED_MAX {
                    break (1008, "no pong");
                }
                Message::Ping(Bytes::from_static(b"alive"))
            }
            out = rx.recv() => match out {
                Some(Out::Text(text)) => Message::Text(text),
                Some(Out::Ping(payload)) => Message::Ping(payload),
                Some(Out::Raw(bytes)) => {
                    hand.put(&bytes);
                    if sink.flush().await.is_err() {
                        return;
                    }
                    continue;
                }
                Some(Out::Reset(bytes)) => {
                    hand.put(&bytes);
                    hand.reset();
                    if sink.flush().await.is_ok() {
                        tracing::debug!("a connection outlived its reset");
                    }
                    return;
                }
                Some(Out::Close(code, reason)) => break (code, reason),
                None => break (1008, "too slow"),
            },
        };
        if sink.send(message).await.is_err() {
            return;
        }
    };
    let frame = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(frame))).await.is_err() {
        tracing::debug!("a client was gone before our close");
    }
}
