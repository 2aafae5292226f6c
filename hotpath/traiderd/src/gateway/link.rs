//! The order thread: makes the order connection, reads answers and news, and says what became of requests when the
//! connection breaks or answers do not come. Nothing it reads is ever dropped.

use super::pending::{Asked, Outcome, Request};
use super::{Conn, Gateway, NS_PER_MS, Shared};
use crate::backoff::Backoff;
use crate::clock::{stamp_ns, wall_ns};
use crate::inbox::{Body, Gone, Item, Tx};
use crate::telemetry::{Telemetry, count};
use domain::event::{Channel, Link};
use domain::{ClientOrderId, Event, Venue};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use venues::binance::encode::Encoder;
use venues::binance::user;
use venues::transport::{Incoming, Socket, Text};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time without a look at deadlines and the stop flag, ms.
const POLL_MS: u16 = 50;
/// A connection on which nothing comes, not even a ping (the venue sends one every 20 s), is dead.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Messages taken in one go while the lock is held.
const BATCH: usize = 64;

/// What the thread needs.
#[derive(Debug)]
pub struct OrderLink {
    shared: Arc<Shared>,
    url: String,
    tx: Tx,
    telemetry: Arc<Telemetry>,
    stop: Arc<AtomicBool>,
    /// Messages that came while the connection was being made.
    early: Vec<(u64, Text)>,
}

/// Why a connection ended, in words; `Err(Gone)` elsewhere means that the engine has ended.
type Lost = String;

impl OrderLink {
    /// The reading side of `gateway`, for the WS API at `url`.
    pub fn new(gateway: &Gateway, url: String, tx: Tx, telemetry: Arc<Telemetry>, stop: Arc<AtomicBool>) -> OrderLink {
        OrderLink { shared: Arc::clone(&gateway.shared), url, tx, telemetry, stop, early: Vec::new() }
    }

    /// Runs until the daemon stops.
    pub fn run(mut self) {
        // `Gone` means that the engine ended first; then there is nobody left to tell.
        let _gone: Result<(), Gone> = self.follow();
        if let Some(mut socket) = self.shared.conn().socket.take() {
            socket.close();
        }
    }

    fn follow(&mut self) -> Result<(), Gone> {
        let mut backoff = Backoff::default();
        while !self.stop.load(Ordering::Relaxed) {
            self.early.clear();
            match self.connect() {
                Ok(fd) => {
                    tracing::info!(url = self.url, "order connection up");
                    let since = Instant::now();
                    self.link(true)?;
                    self.ask_account()?;
                    let Some(cause) = self.pump(&fd)? else { return Ok(()) };
                    self.lose(&cause)?;
                    if since.elapsed() > Duration::from_secs(30) {
                        backoff = Backoff::default();
                    }
                }
                Err(error) => tracing::warn!(error, "no order connection"),
            }
            if !backoff.wait(&self.stop) {
                break;
            }
        }
        Ok(())
    }

    fn link(&mut self, up: bool) -> Result<(), Gone> {
        self.telemetry.orders_up.store(up, Ordering::Relaxed);
        self.tx.event(None, Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Orders, up }))
    }

    /// Connects, logs on if the keys can, and subscribes to news of our orders. From then on requests can be sent.
    fn connect(&mut self) -> Result<OwnedFd, Lost> {
        let mut socket = Socket::connect(&self.url, CONNECT_TIMEOUT).map_err(|e| e.to_string())?;
        let io = |e: std::io::Error| e.to_string();
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(io)?;
        let (keys, now_ms) = (self.shared.keys.clone(), wall_ns() / NS_PER_MS);
        if keys.can_log_on() {
            let number = self.shared.conn().next_number();
            self.expect(&mut socket, number, Encoder::log_on(&keys, number, now_ms))?;
        }
        let number = self.shared.conn().next_number();
        let subscribe = self.shared.encoder.subscribe(number, now_ms);
        self.expect(&mut socket, number, subscribe)?;
        socket.set_nonblocking(true).map_err(io)?;
        let fd = socket.as_fd().try_clone_to_owned().map_err(io)?;
        let mut conn = self.shared.conn();
        conn.unflushed = false;
        conn.socket = Some(socket);
        Ok(fd)
    }

    /// Sends a request and waits for its good answer; what else comes meanwhile is kept.
    fn expect(&mut self, socket: &mut Socket, number: u64, text: String) -> Result<(), Lost> {
        socket.send(text).map_err(|e| e.to_string())?;
        let end = Instant::now() + CONNECT_TIMEOUT;
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            match socket.read().map_err(|e| e.to_string())? {
                Incoming::Text(text) => match user::message(text.as_str(), &self.shared.table) {
                    Ok(user::Message { body: user::Body::Reply(reply), .. }) if reply.id == Some(number) => {
                        return if reply.is_ok() { Ok(()) } else { Err(format!("refused: {}", reply.complaint())) };
                    }
                    Ok(_) | Err(_) => self.early.push((stamp_ns(), text)),
                },
                Incoming::Closed { reason, .. } => return Err(format!("the venue closed it: {reason}")),
                Incoming::Control | Incoming::Nothing => {}
            }
        }
        Err("the venue did not answer the log-on".to_owned())
    }

    fn ask_account(&mut self) -> Result<(), Gone> {
        let Some(i) = self.shared.table.instruments().first() else { return Ok(()) };
        self.send(Request { id: ClientOrderId::default(), instrument: i.id, asked: Asked::Account })
    }

    fn send(&mut self, request: Request) -> Result<(), Gone> {
        let refused = self.shared.conn().request(&self.shared, request);
        refused.map_or(Ok(()), |event| self.tx.event(None, event))
    }

    /// Reads until the connection is lost; `None` when the daemon stops.
    fn pump(&mut self, fd: &OwnedFd) -> Result<Option<Lost>, Gone> {
        let mut heard = Instant::now();
        let mut texts = std::mem::take(&mut self.early);
        // Bytes may wait inside the socket, where the descriptor does not show them.
        let mut more = true;
        while !self.stop.load(Ordering::Relaxed) {
            let mut wanted = PollFlags::POLLIN;
            if self.shared.conn().unflushed {
                wanted |= PollFlags::POLLOUT;
            }
            // An interrupted wait is as good as a short one.
            let wait = PollTimeout::from(if more { 0 } else { POLL_MS });
            nix::poll::poll(&mut [PollFd::new(fd.as_fd(), wanted)], wait).unwrap_or(0);
            let lost = take_in(&mut self.shared.conn(), &mut texts, &mut heard);
            more = texts.len() >= BATCH;
            for (ts_ns, text) in texts.drain(..) {
                if let Some(cause) = self.message(ts_ns, text.as_str())? {
                    return Ok(Some(cause));
                }
            }
            if lost.is_some() {
                return Ok(lost);
            }
            let late = self.shared.conn().pending.expired(Instant::now());
            for event in late.iter().filter_map(|r| r.unanswered("no answer within 5 s")) {
                self.tx.event(None, event)?;
            }
            if heard.elapsed() > SILENCE_MAX {
                return Ok(Some("nothing came for 90 s".to_owned()));
            }
        }
        Ok(None)
    }

    fn message(&mut self, wall_ns: u64, text: &str) -> Result<Option<Lost>, Gone> {
        let shared = Arc::clone(&self.shared);
        let message = match user::message(text, &shared.table) {
            Ok(message) => message,
            Err(error) => {
                count(&self.telemetry.replies_unreadable);
                tracing::warn!(%error, "unreadable message on the order connection");
                // An answer's request runs into the deadline and becomes unknown. Anything else may have been a fill or
                // an end: as after a lost connection, every open order is asked about.
                if !user::is_reply(text) {
                    self.link(false)?;
                    self.link(true)?;
                }
                return Ok(None);
            }
        };
        let source_ns = message.ts_recv_ns;
        let events = match message.body {
            user::Body::Reply(reply) => return self.reply(wall_ns, source_ns, &reply),
            user::Body::Exec(report) => {
                self.shared.conn().remember(&report);
                vec![Event::Exec(report)]
            }
            user::Body::Balances(all) => all.into_iter().map(Event::Balance).collect(),
            user::Body::External(_) => {
                count(&self.telemetry.external_orders);
                Vec::new()
            }
            user::Body::Terminated => return Ok(Some("the venue ended the subscription".to_owned())),
            user::Body::Shutdown => return Ok(Some("the venue is about to shut this connection".to_owned())),
            user::Body::Other => Vec::new(),
        };
        self.deliver(wall_ns, source_ns, events)?;
        Ok(None)
    }

    fn reply(&mut self, wall_ns: u64, source_ns: Option<u64>, reply: &user::Reply<'_>) -> Result<Option<Lost>, Gone> {
        let Some(number) = reply.id else { return Ok(Some(format!("the venue refuses us: {}", reply.complaint()))) };
        // An answer to a request that already counts as unanswered comes too late to be of use: the engine asks.
        let Some(request) = self.shared.conn().pending.take(number) else { return Ok(None) };
        let Some(i) = self.shared.table.by_id(request.instrument) else { return Ok(None) };
        let Outcome { events, next } = request.answered(reply, i);
        // Fills in the answer to a question may have been told before.
        if let (Asked::Place(_), Some(Event::Exec(report))) = (&request.asked, events.first()) {
            self.shared.conn().remember(report);
        }
        self.deliver(wall_ns, source_ns, events)?;
        if let Some(next) = next {
            self.send(next)?;
        }
        Ok(None)
    }

    fn deliver(&mut self, wall_ns: u64, source_ns: Option<u64>, events: Vec<Event>) -> Result<(), Gone> {
        for event in events {
            self.tx.push(Item { wall_ns, source_ns, body: Body::Event(event) })?;
        }
        Ok(())
    }

    /// Says that the connection is down, and that of everything on its way nobody knows what became.
    fn lose(&mut self, cause: &str) -> Result<(), Gone> {
        tracing::warn!(cause, "order connection lost");
        let unanswered = {
            let mut conn = self.shared.conn();
            conn.socket = None;
            conn.pending.drain()
        };
        self.link(false)?;
        for event in unanswered.iter().filter_map(|r| r.unanswered("the order connection was lost")) {
            self.tx.event(None, event)?;
        }
        Ok(())
    }
}

/// Takes what has come, and writes what waits. Holds the lock, so it neither decodes nor blocks.
fn take_in(conn: &mut Conn, texts: &mut Vec<(u64, Text)>, heard: &mut Instant) -> Option<Lost> {
    let Some(socket) = &mut conn.socket else { return Some("it is gone".to_owned()) };
    if conn.unflushed {
        match socket.flush() {
            Ok(done) => conn.unflushed = !done,
            Err(e) => return Some(e.to_string()),
        }
    }
    while texts.len() < BATCH {
        match socket.read() {
            Ok(Incoming::Text(text)) => texts.push((stamp_ns(), text)),
            Ok(Incoming::Control) => {}
            Ok(Incoming::Nothing) => return None,
            Ok(Incoming::Closed { reason, .. }) => return Some(format!("the venue closed it: {reason}")),
            Err(e) => return Some(e.to_string()),
        }
        *heard = Instant::now();
    }
    None
}

#[cfg(test)]
#[path = "link_tests.rs"]
pub(super) mod tests;
