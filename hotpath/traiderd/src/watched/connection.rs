//! The thread of one connection: opens it within the venue's limits, says what has to be said, reads frames, hands events
//! to the engine; opens it again when it is lost, is about to end, or has gone silent.

use super::stream::{Stream, VenueClock};
use crate::backoff::{self, Backoff};
use crate::clock::stamp_ns;
use crate::inbox::{Body, Gone, Item, Tx};
use crate::telemetry::{count, get};
use domain::event::note;
use domain::{Event, InstrumentId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use venues::adapter::{Adapter, Connection, Discipline, Feed, Said};
use venues::limit::{Leave, Limiter, Priority, Window};
use venues::stall::Stall;
use venues::transport::{Incoming, Socket, TransportError};
use venues::wire::{SymbolTable, source_time};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the stop flag, what is to be said and what is silent are looked at while nothing comes.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// A book that brings nothing for so long has stalled, however slow it is.
const BOOK_SILENCE_MAX: Duration = Duration::from_secs(60);
/// A connection that held for so long starts the series of pauses anew.
const HELD: Duration = Duration::from_secs(30);
/// After so many unreadable frames only every thousandth is logged.
const UNREADABLE_LOGGED: u64 = 10;

/// What the thread needs.
pub struct Reader {
    /// The venue's wire.
    pub adapter: &'static dyn Adapter,
    /// What to open.
    pub connection: Connection,
    /// Its name, for people.
    pub name: String,
    /// Instruments.
    pub table: Arc<SymbolTable>,
    /// Where events go.
    pub tx: Tx,
    /// What is to be said on the open connection.
    pub say: Receiver<String>,
    /// Counters.
    pub stream: Arc<Stream>,
    /// The venue's clock.
    pub clock: Arc<VenueClock>,
    /// Counts connections from this address; shared with all processes.
    pub connects: Limiter,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

/// One open connection.
struct Session {
    socket: Socket,
    feed: Box<dyn Feed>,
    opened: Instant,
    heard: Instant,
    pinged: Instant,
    messages: Window,
    /// What waits for leave to be said.
    unsaid: VecDeque<String>,
    books: BTreeMap<InstrumentId, Watch>,
}

/// A book and whether it has gone silent.
struct Watch {
    stall: Stall,
    silent: bool,
}

impl Reader {
    /// Runs until the daemon stops.
    pub fn run(mut self) {
        // `Gone` means that the engine ended first; then there is nothing left to do.
        let _gone: Result<(), Gone> = self.follow();
    }

    fn follow(&mut self) -> Result<(), Gone> {
        let discipline = self.adapter.discipline();
        let mut backoff = Backoff::default();
        while !self.stop.load(Ordering::Relaxed) {
            let Some(opened) = self.open_in_turn(&discipline) else { continue };
            match opened {
                Ok(session) => {
                    let since = Instant::now();
                    tracing::info!(name = self.name, "connection up");
                    self.stream.up.store(true, Ordering::Relaxed);
                    let cause = self.read(session, &discipline)?;
                    self.stream.up.store(false, Ordering::Relaxed);
                    let Some(cause) = cause else { return Ok(()) };
                    tracing::warn!(name = self.name, cause, "connection lost");
                    self.lose("connection lost")?;
                    if since.elapsed() > HELD {
                        backoff = Backoff::default();
                    }
                }
                Err(error) => tracing::warn!(name = self.name, %error, "no connection"),
            }
            if !backoff.wait(&self.stop) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens the connection when the venue's limit allows one more; else waits a moment.
    fn open_in_turn(&self, discipline: &Discipline) -> Option<Result<Session, TransportError>> {
        let open = || {
            count(&self.stream.attempts);
            self.open(discipline)
        };
        let wait = match self.connects.spend(1, Priority::Cancel, open) {
            Ok(Ok(opened)) => return Some(opened),
            Ok(Err(wait)) => wait,
            Err(error) => {
                tracing::warn!(name = self.name, %error, "not connecting");
                Duration::from_secs(1)
            }
        };
        backoff::sleep(wait.min(Duration::from_secs(5)), &self.stop);
        None
    }

    fn open(&self, discipline: &Discipline) -> Result<Session, TransportError> {
        let socket = Socket::connect(&self.connection.url, CONNECT_TIMEOUT)?;
        let fail =
            |e: std::io::Error| TransportError::Connect { url: self.connection.url.clone(), cause: e.to_string() };
        socket.set_read_timeout(Some(READ_TIMEOUT)).map_err(fail)?;
        // What was to be said on the one before has no meaning on this one.
        while self.say.try_recv().is_ok() {}
        let now = Instant::now();
        let watch = || Watch { stall: Stall::new(stamp_ns(), BOOK_SILENCE_MAX), silent: false };
        Ok(Session {
            socket,
            feed: self.adapter.feed(Arc::clone(&self.table)),
            opened: now,
            heard: now,
            pinged: now,
            messages: Window::new(discipline.messages),
            unsaid: self.connection.first.iter().cloned().collect(),
            books: self.connection.books.iter().map(|id| (*id, watch())).collect(),
        })
    }

    /// Reads until the daemon stops (`None`) or the connection is of no more use, and says why.
    fn read(&mut self, mut session: Session, discipline: &Discipline) -> Result<Option<String>, Gone> {
        let mut said = Vec::new();
        loop {
            match session.socket.read() {
                Ok(Incoming::Text(text)) => {
                    session.heard = Instant::now();
                    if let Some(cause) = self.frame(text.as_str(), &mut session, &mut said)? {
                        return Ok(Some(cause));
                    }
                }
                Ok(Incoming::Control) => session.heard = Instant::now(),
                Ok(Incoming::Nothing) => {}
                Ok(Incoming::Closed { code, reason }) => {
                    let code = code.map_or_else(|| "no code".to_owned(), |c| c.to_string());
                    return Ok(Some(format!("the venue closed it: {code} {reason}")));
                }
                Err(error) => return Ok(Some(error.to_string())),
            }
            if self.stop.load(Ordering::Relaxed) {
                session.socket.close();
                return Ok(None);
            }
            if let Some(cause) = self.keep(&mut session, discipline) {
                session.socket.close();
                return Ok(Some(cause));
            }
            self.look_for_silence(&mut session)?;
        }
    }

    /// Says what is to be said, and looks at the time; why the connection is of no more use, if it is not.
    fn keep(&self, session: &mut Session, discipline: &Discipline) -> Option<String> {
        let silence = session.heard.elapsed();
        if silence > discipline.silence {
            return Some(format!("nothing came for {} s", silence.as_secs()));
        }
        // A replacement is opened before the venue cuts, in a quiet moment of our own choice.
        if discipline.lifetime.is_some_and(|most| session.opened.elapsed() > most - most / 50) {
            return Some("it is about to reach the venue's longest time".to_owned());
        }
        session.unsaid.extend(self.say.try_iter());
        if let Some((every, ping)) = &discipline.ping
            && session.pinged.elapsed() >= *every
        {
            session.pinged = Instant::now();
            session.unsaid.push_back(ping.clone());
        }
        while let Some(text) = session.unsaid.front() {
            if session.messages.take(stamp_ns(), 1, discipline.messages.most) != Leave::Granted {
                break;
            }
            if let Err(error) = session.socket.send(text.clone()) {
                return Some(error.to_string());
            }
            session.unsaid.pop_front();
        }
        None
    }

    /// Tells the engine of books that have gone silent, once each.
    fn look_for_silence(&mut self, session: &mut Session) -> Result<(), Gone> {
        let now_ns = stamp_ns();
        for (id, watch) in &mut session.books {
            if !watch.silent && watch.stall.is_stalled(now_ns) {
                watch.silent = true;
                let silent_ms = watch.stall.silent_ns(now_ns) / 1_000_000;
                tracing::warn!(name = self.name, instrument = id.0, silent_ms, "a book has gone silent");
                self.tx.event(None, Event::BookGap { instrument: *id, reason: note("it has gone silent") })?;
            }
        }
        self.stream.stalled.store(session.books.values().any(|watch| watch.silent), Ordering::Relaxed);
        Ok(())
    }

    fn frame(&mut self, text: &str, session: &mut Session, said: &mut Vec<Said>) -> Result<Option<String>, Gone> {
        let wall_ns = stamp_ns();
        count(&self.stream.frames);
        self.stream.heard_ns.store(wall_ns, Ordering::Relaxed);
        said.clear();
        if let Err(error) = session.feed.frame(text, said) {
            count(&self.stream.unreadable);
            let n = get(&self.stream.unreadable);
            if n <= UNREADABLE_LOGGED || n.is_multiple_of(1000) {
                tracing::warn!(name = self.name, n, %error, "unreadable frame");
            }
        }
        let source_ns = source_time(text);
        let mut cause = None;
        for one in said.drain(..) {
            match one {
                Said::Event(event) => {
                    self.note(&event, wall_ns, &mut session.books);
                    self.tx.push(Item { wall_ns, source_ns, body: Body::Event(event) })?;
                }
                Said::Reply(Some(complaint)) => {
                    count(&self.stream.complaints);
                    tracing::warn!(name = self.name, complaint, "the venue complains");
                }
                Said::Shutdown => cause = Some("the venue is about to shut it".to_owned()),
                Said::Other(what) => {
                    count(&self.stream.other);
                    tracing::debug!(name = self.name, what, "without use");
                }
                Said::RecordedBook(_) | Said::Reply(None) | Said::Alive => {}
            }
        }
        Ok(cause)
    }

    /// Times and counts what an event tells about its stream.
    fn note(&self, event: &Event, wall_ns: u64, books: &mut BTreeMap<InstrumentId, Watch>) {
        let (book, venue_ns) = match event {
            Event::BookDelta(d) => (Some(d.instrument), d.ts_venue_ns),
            Event::BookSnapshot(s) => (Some(s.instrument), s.ts_venue_ns),
            Event::Trade(t) => (None, t.ts_venue_ns),
            Event::BookGap { .. } => {
                count(&self.stream.gaps);
                (None, 0)
            }
            _ => (None, 0),
        };
        if let Some(watch) = book.and_then(|id| books.get_mut(&id)) {
            watch.stall.heard(wall_ns);
            watch.silent = false;
        }
        if venue_ns > 0
            && let Some(latency) = self.clock.message(venue_ns, wall_ns)
        {
            self.stream.latency.record(Duration::from_nanos(latency));
        }
    }

    /// Tells the engine that the connection's books are not to be believed any more.
    fn lose(&mut self, reason: &str) -> Result<(), Gone> {
        for instrument in self.connection.books.clone() {
            self.tx.event(None, Event::BookGap { instrument, reason: note(reason) })?;
        }
        Ok(())
    }
}
