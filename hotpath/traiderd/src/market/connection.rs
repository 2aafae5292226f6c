//! The thread of one connection: opens it within the venue's limits, reads frames into its [`Line`], says what has to be
//! said; opens it again when it is lost, is about to end, or is of no more use.

use super::line::{Line, Setup, Sink};
use super::tape::TapeTx;
use crate::backoff::{self, Backoff};
use crate::clock::stamp_ns;
use crate::inbox::{Body, Gone, Item, Tx};
use crate::telemetry::count;
use domain::Event;
use domain::event::{Channel, Link};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use venues::limit::{Limiter, Priority};
use venues::trades::Trades;
use venues::transport::{Incoming, Socket, TransportError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the stop flag, what is to be said and what is silent are looked at while nothing comes.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// A connection that held for so long starts the series of pauses anew.
const HELD: Duration = Duration::from_secs(30);
/// How the reason begins with which the emulator closes at the end of its source.
const END_OF_SOURCE: &str = "end of ";

/// What the thread needs.
pub struct Reader {
    /// What is opened.
    pub setup: Setup,
    /// Where events go.
    pub tx: Tx,
    /// What is to be said on the open connection.
    pub say: Receiver<String>,
    /// Counts connections from this address; shared with all processes.
    pub connects: Limiter,
    /// What it is to the session.
    pub role: Role,
    /// Where everything is recorded, if it is.
    pub tape: Option<TapeTx>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

/// What a connection is to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of a venue that is watched.
    Watched,
    /// Of the venue that is traded: says when it is up for the first time.
    Traded {
        /// A proper close "end of .." ends the run (and is no loss): the source is not endless.
        ends: bool,
    },
}

/// Why reading one connection ended.
enum End {
    /// The source is finished, or the daemon stops.
    Over,
    /// It broke; connect again.
    Lost(String),
}

impl Reader {
    /// Runs until the daemon stops or the source ends.
    pub fn run(mut self) {
        // `Gone` means that the engine ended first; then there is nothing left to do.
        let _gone: Result<(), Gone> = self.follow();
    }

    fn follow(&mut self) -> Result<(), Gone> {
        let mut backoff = Backoff::default();
        let ids = self.setup.adapter.trade_ids();
        let (mut trades, mut announced) = (Trades::new(ids), self.role == Role::Watched);
        while !self.stop.load(Ordering::Relaxed) {
            let Some(opened) = self.open_in_turn() else { continue };
            match opened {
                Ok(socket) => {
                    let (since, now_ns) = (Instant::now(), stamp_ns());
                    tracing::info!(name = self.setup.name, "connection up");
                    if !announced {
                        announced = true;
                        let venue = self.setup.adapter.venue();
                        self.tx.tell(now_ns, Event::Link(Link { venue, channel: Channel::Market, up: true }))?;
                    }
                    self.record(|tape| tape.connect(&self.setup.connection.url));
                    let mut line = Line::open(self.setup.clone(), trades.clone(), now_ns);
                    let End::Lost(cause) = self.read(socket, &mut line)? else { return Ok(()) };
                    tracing::warn!(name = self.setup.name, cause, "connection lost");
                    self.record(|tape| tape.close(&cause));
                    trades = line.lose(stamp_ns(), &mut self.tx)?;
                    if since.elapsed() > HELD {
                        backoff = Backoff::default();
                    }
                }
                Err(error) => tracing::warn!(name = self.setup.name, %error, "no connection"),
            }
            if !backoff.wait(&self.stop) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens the connection when the venue's limit allows one more; else waits a moment.
    fn open_in_turn(&self) -> Option<Result<Socket, TransportError>> {
        let open = || {
            count(&self.setup.stream.attempts);
            open(&self.setup.connection.url)
        };
        let wait = match self.connects.spend(1, Priority::Cancel, open) {
            Ok(Ok(opened)) => {
                // What was to be said on the one before has no meaning on this one.
                while self.say.try_recv().is_ok() {}
                return Some(opened);
            }
            Ok(Err(wait)) => wait,
            Err(error) => {
                tracing::warn!(name = self.setup.name, %error, "not connecting");
                Duration::from_secs(1)
            }
        };
        backoff::sleep(wait.min(Duration::from_secs(5)), &self.stop);
        None
    }

    fn record(&self, mark: impl FnOnce(&TapeTx)) {
        if let Some(tape) = &self.tape {
            mark(tape);
        }
    }

    /// Reads until the connection or the session ends.
    fn read(&mut self, mut socket: Socket, line: &mut Line) -> Result<End, Gone> {
        loop {
            match socket.read() {
                Ok(Incoming::Text(text)) => {
                    let now_ns = stamp_ns();
                    self.record(|tape| tape.receive(now_ns, &text));
                    line.read(text.as_str(), now_ns);
                    self.setup.stream.decode.record(Duration::from_nanos(stamp_ns().saturating_sub(now_ns)));
                    if let Some(cause) = line.hand_on(now_ns, &mut self.tx)? {
                        return Ok(End::Lost(cause.to_owned()));
                    }
                }
                Ok(Incoming::Control) => line.alive(stamp_ns()),
                Ok(Incoming::Nothing) => {}
                Ok(Incoming::Closed { code: Some(1000), reason })
                    if self.role == (Role::Traded { ends: true }) && reason.starts_with(END_OF_SOURCE) =>
                {
                    let body = Body::SourceEnded(reason);
                    self.tx.push(Item { wall_ns: stamp_ns(), source_ns: None, body })?;
                    return Ok(End::Over);
                }
                Ok(Incoming::Closed { code, reason }) => {
                    let code = code.map_or_else(|| "no code".to_owned(), |c| c.to_string());
                    return Ok(End::Lost(format!("the venue closed it: {code} {reason}")));
                }
                Err(error) => return Ok(End::Lost(error.to_string())),
            }
            if self.stop.load(Ordering::Relaxed) {
                socket.close();
                return Ok(End::Over);
            }
            if let Some(cause) = self.keep(&mut socket, line)? {
                socket.close();
                return Ok(End::Lost(cause));
            }
        }
    }

    /// Lets the line look at the time, and says what is to be said; why the connection is of no more use, if it is not.
    fn keep(&mut self, socket: &mut Socket, line: &mut Line) -> Result<Option<String>, Gone> {
        let now_ns = stamp_ns();
        if let Some(cause) = line.pass(now_ns, &mut self.tx)? {
            return Ok(Some(cause));
        }
        self.say.try_iter().for_each(|text| line.say(text));
        while let Some(text) = line.next_words(now_ns) {
            self.record(|tape| tape.send(&text));
            if let Err(error) = socket.send(text) {
                return Ok(Some(error.to_string()));
            }
        }
        Ok(None)
    }
}

fn open(url: &str) -> Result<Socket, TransportError> {
    let socket = Socket::connect(url, CONNECT_TIMEOUT)?;
    let fail = |e: std::io::Error| TransportError::Connect { url: url.to_owned(), cause: e.to_string() };
    socket.set_read_timeout(Some(READ_TIMEOUT)).map_err(fail)?;
    Ok(socket)
}
