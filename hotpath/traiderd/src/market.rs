//! The market data thread: connects, reads frames, decodes them, hands events to the engine; connects again when the
//! connection is lost, and says both in [`Link`] events.

use crate::backoff::Backoff;
use crate::clock::stamp_ns;
use crate::inbox::{Body, Gone, Item, Tx};
use crate::telemetry::{Telemetry, count, get};
use crate::watched::stream::{Stream, VenueClock};
use domain::event::{Channel, Link};
use domain::{Event, Venue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use venues::binance::decode;
use venues::transport::{Incoming, Socket, TransportError};
use venues::wire::SymbolTable;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the stop flag is looked at while nothing comes.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// A connection on which nothing comes, not even a ping (the venue sends one every 20 s), is dead.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// After so many unreadable frames only every thousandth is logged.
const UNREADABLE_LOGGED: u64 = 10;
/// How the reason begins with which the emulator closes at the end of its source.
const END_OF_SOURCE: &str = "end of ";

/// What the thread needs.
#[derive(Debug)]
pub struct Market {
    /// Address of the combined stream.
    pub url: String,
    /// Instruments by symbol.
    pub table: Arc<SymbolTable>,
    /// Where events go.
    pub tx: Tx,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// Counters of the connection.
    pub stream: Arc<Stream>,
    /// The venue's clock.
    pub venue_clock: Arc<VenueClock>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
    /// A proper close "end of .." ends the run (and is no loss): the source is not endless.
    pub ends: bool,
}

/// Why reading one connection ended.
enum End {
    /// The source is finished, or the daemon stops.
    Over,
    /// It broke; connect again.
    Lost(String),
}

impl Market {
    /// Runs until the daemon stops or the source ends.
    pub fn run(mut self) {
        // `Gone` means that the engine ended first; then there is nothing left to do.
        let _gone: Result<(), Gone> = self.follow();
    }

    fn follow(&mut self) -> Result<(), Gone> {
        let mut backoff = Backoff::default();
        while !self.stop.load(Ordering::Relaxed) {
            count(&self.stream.attempts);
            match connect(&self.url) {
                Ok(socket) => {
                    tracing::info!(url = self.url, "market connection up");
                    self.link(true)?;
                    let since = Instant::now();
                    let end = self.read(socket)?;
                    let End::Lost(cause) = end else { return Ok(()) };
                    tracing::warn!(cause, "market connection lost");
                    self.link(false)?;
                    // A connection that held for a while starts the series anew.
                    if since.elapsed() > Duration::from_secs(30) {
                        backoff = Backoff::default();
                    }
                }
                Err(e) => tracing::warn!(error = %e, "no market connection"),
            }
            if !backoff.wait(&self.stop) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn link(&mut self, up: bool) -> Result<(), Gone> {
        self.telemetry.market_up.store(up, Ordering::Relaxed);
        self.stream.up.store(up, Ordering::Relaxed);
        self.tx.event(None, Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Market, up }))
    }

    fn read(&mut self, mut socket: Socket) -> Result<End, Gone> {
        let mut heard = Instant::now();
        loop {
            match socket.read() {
                Ok(Incoming::Text(text)) => {
                    let now = stamp_ns();
                    heard = Instant::now();
                    count(&self.telemetry.frames);
                    count(&self.stream.frames);
                    self.stream.heard_ns.store(now, Ordering::Relaxed);
                    if let Some(end) = self.frame(text.as_str(), now, heard)? {
                        return Ok(end);
                    }
                }
                Ok(Incoming::Control) => heard = Instant::now(),
                Ok(Incoming::Nothing) if heard.elapsed() > SILENCE_MAX => {
                    return Ok(End::Lost("nothing came for 90 s".to_owned()));
                }
                Ok(Incoming::Nothing) => {}
                Ok(Incoming::Closed { code: Some(1000), reason }) if self.ends && reason.starts_with(END_OF_SOURCE) => {
                    self.telemetry.market_up.store(false, Ordering::Relaxed);
                    self.tx.push(Item { wall_ns: stamp_ns(), source_ns: None, body: Body::SourceEnded(reason) })?;
                    return Ok(End::Over);
                }
                Ok(Incoming::Closed { code, reason }) => {
                    let code = code.map_or_else(|| "no code".to_owned(), |c| c.to_string());
                    return Ok(End::Lost(format!("the venue closed it: {code} {reason}")));
                }
                Err(e) => return Ok(End::Lost(e.to_string())),
            }
            if self.stop.load(Ordering::Relaxed) {
                socket.close();
                return Ok(End::Over);
            }
        }
    }

    fn frame(&mut self, text: &str, wall_ns: u64, start: Instant) -> Result<Option<End>, Gone> {
        let decoded = decode::message(text, &self.table);
        self.telemetry.decode.record(start.elapsed());
        match decoded {
            Ok(decode::Message { ts_recv_ns, body: decode::Body::Event(event) }) => {
                // A replayed source has a time of its own, which our clock says nothing about.
                if ts_recv_ns.is_none() {
                    self.time(&event, wall_ns);
                }
                self.tx.push(Item { wall_ns, source_ns: ts_recv_ns, body: Body::Event(event) })?;
            }
            Ok(decode::Message { body: decode::Body::Shutdown, .. }) => {
                return Ok(Some(End::Lost("the venue is about to shut this connection".to_owned())));
            }
            Ok(decode::Message { body: decode::Body::Reply(Some(complaint)), .. }) => {
                tracing::warn!(complaint, "the venue complains about a subscription");
            }
            Ok(_) => {
                count(&self.telemetry.frames_other);
                count(&self.stream.other);
            }
            // A lost change shows as a gap in the book's ids, which makes the engine ask for a snapshot.
            Err(error) => {
                count(&self.telemetry.frames_unreadable);
                count(&self.stream.unreadable);
                let n = get(&self.telemetry.frames_unreadable);
                if n <= UNREADABLE_LOGGED || n.is_multiple_of(1000) {
                    tracing::warn!(n, %error, "unreadable market frame");
                }
            }
        }
        Ok(None)
    }
}

impl Market {
    /// How long a message was under way, by the venue's clock.
    fn time(&self, event: &Event, wall_ns: u64) {
        let venue_ns = match event {
            Event::BookDelta(delta) => delta.ts_venue_ns,
            Event::Trade(trade) => trade.ts_venue_ns,
            _ => 0,
        };
        if venue_ns > 0
            && let Some(latency) = self.venue_clock.message(venue_ns, wall_ns)
        {
            self.stream.latency.record(Duration::from_nanos(latency));
        }
    }
}

fn connect(url: &str) -> Result<Socket, TransportError> {
    let socket = Socket::connect(url, CONNECT_TIMEOUT)?;
    let fail = |e: std::io::Error| TransportError::Connect { url: url.to_owned(), cause: e.to_string() };
    socket.set_read_timeout(Some(READ_TIMEOUT)).map_err(fail)?;
    Ok(socket)
}
