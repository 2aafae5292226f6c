//! The thread of one watched venue: learns the rules, opens the connections, and then answers for its books: fetches them where
//! they are asked for, has them sent anew where they are streamed, and stands in over HTTP while a stream is away.

use super::Assigned;
use super::connection::Reader;
use super::stream::{Stream, Streams, VenueClock};
use crate::backoff::Backoff;
use crate::clock::stamp_ns;
use crate::inbox::{Gone, Item, Tx, Waker, ring};
use crate::telemetry::count;
use domain::event::note;
use domain::instrument::BookFeed;
use domain::{Event, Instrument, InstrumentId};
use rtrb::Consumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};
use venues::ask::{AskError, Asker};
use venues::limit::{Limiter, Priority};
use venues::wire::SymbolTable;

/// How long one question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two questions for the venue's time.
const TIME_EVERY: Duration = Duration::from_secs(10);
/// Time to the next question when there was no answer.
const TIME_AGAIN: Duration = Duration::from_secs(2);
/// A stream that is away for so long is stood in for, and so often.
const STAND_IN: Duration = Duration::from_secs(1);
/// Items of one connection's ring.
const RING: usize = 8192;

/// What the thread needs.
pub struct Keeper {
    /// The venue.
    pub venue: Assigned,
    /// Where rules and books over HTTP go.
    pub tx: Tx,
    /// Books that the engine wants anew.
    pub wanted: Receiver<InstrumentId>,
    /// Where the engine is told of new rings.
    pub rings: SyncSender<Consumer<Item>>,
    /// Wakes the engine.
    pub waker: Arc<Waker>,
    /// Counts waits for the engine.
    pub stalls: Arc<AtomicU64>,
    /// The list of streams.
    pub streams: Arc<Streams>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

/// One connection as the keeper knows it.
struct Kept {
    books: Vec<InstrumentId>,
    say: Sender<String>,
    stream: Arc<Stream>,
    /// When it was first seen away, and when it was stood in for last.
    away: Option<Instant>,
    stood_in: Option<Instant>,
}

impl Keeper {
    /// Runs until the daemon stops.
    pub fn run(mut self) {
        let clock = Arc::new(VenueClock::default());
        let base = self.venue.endpoints.rest.clone();
        let name = self.venue.adapter.venue();
        let (scope, budget) = (format!("{name}-ip"), self.venue.adapter.discipline().requests);
        let asker = match Asker::new(&base, ASK_TIMEOUT, &self.venue.budgets, &scope, budget) {
            Ok(asker) => asker,
            Err(error) => return tracing::error!(%name, %error, "this venue is not watched"),
        };
        // `Gone` means that the engine ended first; then there is nothing left to do.
        let _gone: Result<(), Gone> = self.keep(&asker, &clock);
    }

    fn keep(&mut self, asker: &Asker, clock: &Arc<VenueClock>) -> Result<(), Gone> {
        let Some(rules) = self.learn(asker) else { return Ok(()) };
        for instrument in &rules {
            let known = self.venue.symbols.iter().find(|(_, id, _)| *id == instrument.id);
            if known.is_none_or(|(_, _, old)| old.as_ref() != Some(instrument)) {
                self.tx.event(None, Event::Instrument(instrument.clone()))?;
            }
        }
        let table = Arc::new(SymbolTable::new(rules));
        let mut kept = self.connect(&table, clock);
        let mut time_due: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            match self.wanted.recv_timeout(Duration::from_millis(100)) {
                Ok(id) => self.renew(id, &table, asker, &kept)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if time_due.is_none_or(|at| Instant::now() >= at) {
                let wait = if self.ask_time(asker, clock) { TIME_EVERY } else { TIME_AGAIN };
                time_due = Some(Instant::now() + wait);
            }
            for connection in &mut kept {
                self.stand_in(connection, &table, asker)?;
            }
        }
        Ok(())
    }

    /// Asks for the rules until the venue tells them; `None` when the daemon stops first.
    fn learn(&self, asker: &Asker) -> Option<Vec<Instrument>> {
        let adapter = self.venue.adapter;
        let symbols: Vec<&str> = self.venue.symbols.iter().map(|(symbol, _, _)| symbol.as_str()).collect();
        let requests = adapter.rules_requests(&symbols);
        let mut backoff = Backoff::default();
        while !self.stop.load(Ordering::Relaxed) {
            let answers: Result<Vec<String>, AskError> =
                requests.iter().map(|request| asker.ask(request, Priority::Ask)).collect();
            let told = answers.map_err(|e| e.to_string()).and_then(|answers| {
                let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
                adapter.read_rules(&answers, &symbols).map_err(|e| e.to_string())
            });
            match told {
                Ok(rules) => return Some(self.with_ids(rules)),
                Err(error) => tracing::warn!(venue = %adapter.venue(), error, "no trading rules yet"),
            }
            backoff.wait(&self.stop);
        }
        None
    }

    fn with_ids(&self, rules: Vec<Instrument>) -> Vec<Instrument> {
        let numbered = |(mut rule, (_, id, old)): (Instrument, &(String, InstrumentId, Option<Instrument>))| {
            // Nothing is traded here, whatever the venue would allow.
            (rule.id, rule.trade) = (*id, false);
            if let Some(old) = old {
                rule.version = old.version;
                rule.version += u32::from(*old != rule);
            }
            rule
        };
        rules.into_iter().zip(&self.venue.symbols).map(numbered).collect()
    }

    /// Starts a thread for each connection.
    fn connect(&self, table: &Arc<SymbolTable>, clock: &Arc<VenueClock>) -> Vec<Kept> {
        let adapter = self.venue.adapter;
        let discipline = adapter.discipline();
        let mut kept = Vec::new();
        for (n, connection) in adapter.connections(&self.venue.endpoints, table.instruments()).into_iter().enumerate() {
            let name = format!("{}.{}", adapter.venue(), n + 1);
            let scope = format!("{}-connects", adapter.venue());
            let connects = match Limiter::open(&self.venue.budgets, &scope, discipline.connects) {
                Ok(connects) => connects,
                Err(error) => {
                    tracing::error!(name, %error, "not connecting");
                    continue;
                }
            };
            let (tx, rx) = ring(RING, &self.waker, &self.stalls);
            if self.rings.send(rx).is_err() {
                break;
            }
            let (say, to_say) = mpsc::channel();
            let stream = Arc::new(Stream::default());
            self.streams.add(adapter.venue().to_string(), name.clone(), Arc::clone(&stream), Arc::clone(clock));
            let books = connection.books.clone();
            let reader = Reader {
                adapter,
                connection,
                name: name.clone(),
                table: Arc::clone(table),
                tx,
                say: to_say,
                stream: Arc::clone(&stream),
                clock: Arc::clone(clock),
                connects,
                stop: Arc::clone(&self.stop),
            };
            // Not waited for at the end: it looks at the stop flag every 100 ms.
            if let Err(error) = std::thread::Builder::new().name(name.clone()).spawn(move || reader.run()) {
                tracing::error!(name, %error, "could not start the thread");
            }
            kept.push(Kept { books, say, stream, away: None, stood_in: None });
        }
        kept
    }

    /// Has a book sent or fetches it.
    fn renew(&mut self, id: InstrumentId, table: &SymbolTable, asker: &Asker, kept: &[Kept]) -> Result<(), Gone> {
        let Some(instrument) = table.by_id(id) else { return Ok(()) };
        for connection in kept.iter().filter(|c| c.books.contains(&id)) {
            count(&connection.stream.resyncs);
            for message in self.venue.adapter.renew(instrument) {
                // A thread that is gone hears nothing, and nothing is lost by that.
                drop(connection.say.send(message));
            }
        }
        if instrument.book.feed == BookFeed::Asked {
            let event = match self.fetch(instrument, asker) {
                Ok(book) => Event::BookSnapshot(book),
                Err(reason) => Event::SnapshotFailed { instrument: id, reason: note(&reason) },
            };
            self.tx.event(None, event)?;
        }
        Ok(())
    }

    fn fetch(&self, instrument: &Instrument, asker: &Asker) -> Result<domain::event::BookSnapshot, String> {
        let adapter = self.venue.adapter;
        let answer = asker.ask(&adapter.book_request(instrument), Priority::Ask).map_err(|e| e.to_string())?;
        adapter.read_book(&answer, instrument).map_err(|e| e.to_string())
    }

    /// While a connection that pushes its books is away, they come over HTTP. Such a book says that it is of no place in the
    /// stream, so that the first message after the stream is back shows as a gap and has the book sent anew.
    fn stand_in(&mut self, connection: &mut Kept, table: &SymbolTable, asker: &Asker) -> Result<(), Gone> {
        let stream = Arc::clone(&connection.stream);
        let is_away = || !stream.up.load(Ordering::Relaxed) || stream.stalled.load(Ordering::Relaxed);
        if !is_away() {
            (connection.away, connection.stood_in) = (None, None);
            return Ok(());
        }
        let now = Instant::now();
        let away = *connection.away.get_or_insert(now);
        let due = connection.stood_in.is_none_or(|at| now.duration_since(at) >= STAND_IN);
        if now.duration_since(away) < STAND_IN || !due {
            return Ok(());
        }
        connection.stood_in = Some(now);
        for id in connection.books.clone() {
            let Some(instrument) = table.by_id(id).filter(|i| i.book.feed == BookFeed::Pushed) else { continue };
            let Ok(mut book) = self.fetch(instrument, asker) else { continue };
            if !is_away() {
                count(&stream.late);
                continue;
            }
            (book.last_id, book.checksum) = (0, None);
            count(&stream.stand_ins);
            self.tx.event(None, Event::BookSnapshot(book))?;
        }
        Ok(())
    }

    /// True when the venue told its time.
    fn ask_time(&self, asker: &Asker, clock: &VenueClock) -> bool {
        let adapter = self.venue.adapter;
        // Both ends by the clock that message times are compared with.
        let sent_ns = stamp_ns();
        let told = asker.ask(&adapter.time_request(), Priority::Ask).map_err(|e| e.to_string());
        let recv_ns = stamp_ns();
        match told.and_then(|answer| adapter.read_time(&answer).map_err(|e| e.to_string())) {
            Ok(venue_ns) => {
                clock.answer(sent_ns, recv_ns, venue_ns);
                true
            }
            Err(error) => {
                tracing::debug!(venue = %adapter.venue(), error, "no time");
                false
            }
        }
    }
}
