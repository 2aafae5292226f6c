//! One open connection as a machine: frames and the time go in; events, words to say and the reason to end it come out.
//! It does no I/O and asks no clock, so that the threads and the simulation drive the same code.

use super::stream::{Stream, VenueClock};
use crate::inbox::{Body, Gone, Item, Tx};
use crate::telemetry::{count, get};
use domain::event::{Trade, note};
use domain::{Event, InstrumentId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use venues::adapter::{Adapter, Connection, Discipline, Feed, Said};
use venues::limit::{Leave, Window};
use venues::stall::{Patience, Stall};
use venues::trades::{TradeNews, Trades};
use venues::wire::{SymbolTable, source_time};

/// A connection is given up when it has been silent for so many times what has its books asked for over HTTP, and not
/// before so long.
const GIVEN_UP: (u64, u64) = (5, 10_000_000_000);
/// How often everything but frames is looked at, ns.
const LOOK_NS: u64 = 20_000_000;
/// After so many unreadable frames only every thousandth is logged.
const UNREADABLE_LOGGED: u64 = 10;

/// Where events go.
pub trait Sink {
    /// Takes one.
    ///
    /// # Errors
    /// [`Gone`] when there is nobody to take it any more.
    fn put(&mut self, item: Item) -> Result<(), Gone>;

    /// Takes an event of ours, made at `now_ns`.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn tell(&mut self, now_ns: u64, event: Event) -> Result<(), Gone> {
        self.put(Item { wall_ns: now_ns, source_ns: None, body: Body::Event(event) })
    }
}

impl Sink for Tx {
    fn put(&mut self, item: Item) -> Result<(), Gone> {
        self.push(item)
    }
}

impl Sink for Vec<Item> {
    fn put(&mut self, item: Item) -> Result<(), Gone> {
        self.push(item);
        Ok(())
    }
}

/// What all connections of one reader have in common.
#[derive(Clone)]
pub struct Setup {
    /// The venue's wire.
    pub adapter: &'static dyn Adapter,
    /// Instruments.
    pub table: Arc<SymbolTable>,
    /// What is open.
    pub connection: Connection,
    /// Its name, for people.
    pub name: String,
    /// Counters.
    pub stream: Arc<Stream>,
    /// The venue's clock.
    pub clock: Arc<VenueClock>,
    /// Books are watched for silence. Off where time is the source's own.
    pub watches: bool,
}

/// An open connection.
pub struct Line {
    setup: Setup,
    discipline: Discipline,
    feed: Box<dyn Feed>,
    opened_ns: u64,
    /// Everything that comes, whatever it is.
    all: Stall,
    pinged_ns: u64,
    looked_ns: u64,
    messages: Window,
    /// What waits for leave to be said.
    unsaid: VecDeque<String>,
    books: BTreeMap<InstrumentId, Watch>,
    /// What the newest frame said, and the receive time it states itself.
    said: Vec<Said>,
    trades: Trades,
    source_ns: Option<u64>,
}

/// A book and whether it has gone silent.
struct Watch {
    stall: Stall,
    silent: bool,
}

impl Line {
    /// A connection that was opened at `now_ns`, with what [`Line::lose`] gave of the one before.
    pub fn open(setup: Setup, trades: Trades, now_ns: u64) -> Line {
        let discipline = setup.adapter.discipline();
        let watch = || Watch { stall: Stall::new(now_ns, Patience::BOOK), silent: false };
        setup.stream.up.store(true, Ordering::Relaxed);
        Line {
            feed: setup.adapter.feed(Arc::clone(&setup.table)),
            opened_ns: now_ns,
            all: Stall::new(now_ns, Patience::CONNECTION),
            pinged_ns: now_ns,
            looked_ns: now_ns,
            messages: Window::new(discipline.messages),
            unsaid: setup.connection.first.iter().cloned().collect(),
            books: setup.connection.books.iter().map(|id| (*id, watch())).collect(),
            said: Vec::new(),
            trades,
            source_ns: None,
            discipline,
            setup,
        }
    }

    /// Something came that is no text: the connection lives.
    pub fn alive(&mut self, now_ns: u64) {
        self.all.heard(now_ns);
    }

    /// A text frame came: reads it. What it said is handed on by [`Line::hand_on`].
    pub fn read(&mut self, text: &str, now_ns: u64) {
        self.all.heard(now_ns);
        let stream = &self.setup.stream;
        count(&stream.frames);
        stream.heard_ns.store(now_ns, Ordering::Relaxed);
        if let Err(error) = self.feed.frame(text, &mut self.said) {
            // A lost change shows as a gap in the book's ids, or in its checksum.
            count(&stream.unreadable);
            let n = get(&stream.unreadable);
            if n <= UNREADABLE_LOGGED || n.is_multiple_of(1000) {
                tracing::warn!(name = self.setup.name, n, %error, "unreadable frame");
            }
        }
        self.source_ns = source_time(text);
    }

    /// Hands on what the frame of `now_ns` said. Why the connection is of no more use, if it says so.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn hand_on(&mut self, now_ns: u64, sink: &mut impl Sink) -> Result<Option<&'static str>, Gone> {
        let source_ns = self.source_ns;
        let mut cause = None;
        let mut said = std::mem::take(&mut self.said);
        for one in said.drain(..) {
            match one {
                Said::Event(Event::Trade(trade)) if self.is_known(&trade) => {}
                Said::Event(event) => {
                    self.note(&event, now_ns, source_ns.is_none());
                    sink.put(Item { wall_ns: now_ns, source_ns, body: Body::Event(event) })?;
                }
                Said::Reply(Some(complaint)) => {
                    count(&self.setup.stream.complaints);
                    tracing::warn!(name = self.setup.name, complaint, "the venue complains");
                }
                Said::Shutdown => cause = Some("the venue is about to shut it"),
                Said::Other(what) => {
                    count(&self.setup.stream.other);
                    tracing::debug!(name = self.setup.name, what, "without use");
                }
                Said::RecordedBook(_) | Said::Reply(None) | Said::Alive => {}
            }
        }
        // Its room is used again.
        self.said = said;
        Ok(cause)
    }

    /// True when the trade was there already: venues tell their last trades again after a reconnect.
    fn is_known(&mut self, trade: &Trade) -> bool {
        let news = self.trades.on(trade);
        if news == (TradeNews::New { missing: 0 }) {
            return false;
        }
        // Rare: the usual trade costs no sum over all instruments.
        let counts = self.trades.counts();
        self.setup.stream.trades_missing.store(counts.missing, Ordering::Relaxed);
        self.setup.stream.trades_repeated.store(counts.repeated, Ordering::Relaxed);
        news == TradeNews::Repeated
    }

    /// Times and counts what an event tells about its stream. A replayed source has a time of its own, which our clock
    /// says nothing about.
    fn note(&mut self, event: &Event, now_ns: u64, in_real_time: bool) {
        let stream = &self.setup.stream;
        let (book, venue_ns) = match event {
            Event::BookDelta(d) => (Some(d.instrument), d.ts_venue_ns),
            Event::BookSnapshot(s) => (Some(s.instrument), s.ts_venue_ns),
            Event::Trade(t) => (None, t.ts_venue_ns),
            Event::BookGap { .. } => {
                count(&stream.gaps);
                (None, 0)
            }
            _ => (None, 0),
        };
        if let Some(id) = book {
            stream.newest(id, venue_ns);
            if let Some(watch) = self.books.get_mut(&id) {
                watch.stall.heard(now_ns);
                watch.silent = false;
            }
        }
        if venue_ns > 0
            && in_real_time
            && let Some(latency) = self.setup.clock.message(venue_ns, now_ns)
        {
            stream.latency.record(Duration::from_nanos(latency));
        }
    }

    /// Time went on: looks for silence of all and of each book, and at the connection's age. Why it is of no more use, if
    /// it is not. Call it after every frame and at least ten times a second.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn pass(&mut self, now_ns: u64, sink: &mut impl Sink) -> Result<Option<String>, Gone> {
        if now_ns.saturating_sub(self.looked_ns) < LOOK_NS {
            return Ok(None);
        }
        self.looked_ns = now_ns;
        let since = |ns: u64| Duration::from_nanos(now_ns.saturating_sub(ns));
        let silence = Duration::from_nanos(self.all.silent_ns(now_ns));
        let given_up = self.all.limit_ns().saturating_mul(GIVEN_UP.0).max(GIVEN_UP.1);
        let given_up = self.discipline.silence.min(Duration::from_nanos(given_up));
        if self.setup.watches && silence > given_up {
            return Ok(Some(format!("nothing came for {} s", silence.as_secs())));
        }
        // Replaced before the venue cuts, in a moment of our own choice.
        if self.discipline.lifetime.is_some_and(|most| since(self.opened_ns) > most - most / 50) {
            return Ok(Some("it is about to reach the venue's longest time".to_owned()));
        }
        if let Some((every, ping)) = &self.discipline.ping
            && since(self.pinged_ns) >= *every
        {
            self.pinged_ns = now_ns;
            self.unsaid.push_back(ping.clone());
        }
        if self.setup.watches {
            self.look_for_silence(now_ns, sink)?;
        }
        Ok(None)
    }

    /// Tells the engine of books that have gone silent, once each.
    fn look_for_silence(&mut self, now_ns: u64, sink: &mut impl Sink) -> Result<(), Gone> {
        for (id, watch) in &mut self.books {
            if !watch.silent && watch.stall.is_stalled(now_ns) {
                watch.silent = true;
                count(&self.setup.stream.silences);
                let silent_ms = watch.stall.silent_ns(now_ns) / 1_000_000;
                tracing::warn!(name = self.setup.name, instrument = id.0, silent_ms, "a book has gone silent");
                sink.tell(now_ns, Event::BookGap { instrument: *id, reason: note("it has gone silent") })?;
            }
        }
        let stalled = self.all.is_stalled(now_ns) || self.books.values().any(|watch| watch.silent);
        self.setup.stream.stalled.store(stalled, Ordering::Relaxed);
        Ok(())
    }

    /// Is to say this when the venue's limit allows it.
    pub fn say(&mut self, text: String) {
        self.unsaid.push_back(text);
    }

    /// What may be said now, taken out; call until there is nothing.
    pub fn next_words(&mut self, now_ns: u64) -> Option<String> {
        if self.unsaid.is_empty() || self.messages.take(now_ns, 1, self.discipline.messages.most) != Leave::Granted {
            return None;
        }
        self.unsaid.pop_front()
    }

    /// It is gone: its books are not to be believed any more. What the next one goes on with.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn lose(self, now_ns: u64, sink: &mut impl Sink) -> Result<Trades, Gone> {
        for instrument in &self.setup.connection.books {
            sink.tell(now_ns, Event::BookGap { instrument: *instrument, reason: note("connection lost") })?;
        }
        Ok(self.trades.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.setup.stream.up.store(false, Ordering::Relaxed);
        self.setup.stream.stalled.store(false, Ordering::Relaxed);
    }
}
