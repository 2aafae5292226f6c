//! What is asked of one venue over HTTP, as a machine: whole books that the engine wants, books that stand in for a stream
//! that is away, the venue's time, and what no stream tells. Questions come out when they are due, answers go in; it does no I/O and asks no clock.

use super::line::Sink;
use super::stream::{SKEW_NS, Stream, VenueClock, skew_ns};
use crate::inbox::Gone;
use crate::telemetry::count;
use domain::event::{BookSnapshot, note};
use domain::instrument::BookFeed;
use domain::{Event, Instrument, InstrumentId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use venues::adapter::{Adapter, Request, Said};
use venues::limit::Priority;
use venues::poll::Poll;
use venues::wire::SymbolTable;

/// Time between two questions for the venue's time, ns.
const TIME_EVERY_NS: u64 = 10_000_000_000;
/// Time to the next question when there was no answer, ns.
const TIME_AGAIN_NS: u64 = 2_000_000_000;
/// A stream that is away for so long is stood in for, and then so often, ns.
const STAND_IN_NS: (u64, u64) = (300_000_000, 1_000_000_000);

/// A question that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A whole book that the engine wants.
    Book(InstrumentId),
    /// A book that stands in for the stream of this number.
    StandIn(usize, InstrumentId),
    /// The venue's time.
    Time,
    /// The poll of this number.
    Poll(usize),
}

impl Question {
    /// How much the answer matters: what stands in and what is polled leaves room for what the engine waits for.
    pub const fn priority(self) -> Priority {
        match self {
            Question::Book(_) | Question::Time => Priority::Ask,
            Question::StandIn(..) | Question::Poll(_) => Priority::Backfill,
        }
    }
}

/// What is to be said on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Number of the connection.
    pub connection: usize,
    /// What.
    pub text: String,
}

/// One connection as it is seen from here.
struct Seen {
    books: Vec<InstrumentId>,
    stream: Arc<Stream>,
    /// Since when it is away, and when it was stood in for last, ns.
    away_ns: Option<u64>,
    stood_in_ns: Option<u64>,
    /// Books whose loss was told to the engine since then.
    told: Vec<InstrumentId>,
}

impl Seen {
    fn is_away(&self) -> bool {
        !self.stream.up.load(Ordering::Relaxed) || self.stream.stalled.load(Ordering::Relaxed)
    }
}

/// The questions of one venue.
pub struct Books {
    adapter: &'static dyn Adapter,
    table: Arc<SymbolTable>,
    clock: Arc<VenueClock>,
    seen: Vec<Seen>,
    due: VecDeque<Question>,
    /// When the time is asked for next, ns; `None` = never, because the source has a time of its own.
    time_due_ns: Option<u64>,
    /// What no stream tells, each with when it is due, ns; none where the source has a time of its own.
    polls: Vec<(Poll, u64)>,
    said: Vec<Said>,
    clock_is_off: bool,
}

impl Books {
    /// The questions of `adapter`'s venue. `asks_time` is false where time is the source's own.
    pub fn new(
        adapter: &'static dyn Adapter,
        table: Arc<SymbolTable>,
        clock: Arc<VenueClock>,
        asks_time: bool,
    ) -> Books {
        let polls = if asks_time { adapter.polls(table.instruments()) } else { Vec::new() };
        let polls = polls.into_iter().map(|poll| (poll, 0)).collect();
        let (seen, due, time_due_ns) = (Vec::new(), VecDeque::new(), asks_time.then_some(0));
        Books { adapter, table, clock, seen, due, time_due_ns, polls, said: Vec::new(), clock_is_off: false }
    }

    /// Adds a connection; its number is how many there were.
    pub fn add(&mut self, books: Vec<InstrumentId>, stream: Arc<Stream>) {
        self.seen.push(Seen { books, stream, away_ns: None, stood_in_ns: None, told: Vec::new() });
    }

    /// The engine wants a book anew: it is asked for, or the venue is told to send it.
    pub fn want(&mut self, id: InstrumentId) -> Vec<Words> {
        let Some(instrument) = self.table.by_id(id) else { return Vec::new() };
        if instrument.book.feed == BookFeed::Asked && !self.due.contains(&Question::Book(id)) {
            self.due.push_back(Question::Book(id));
        }
        let mut words = Vec::new();
        for (connection, seen) in self.seen.iter().enumerate().filter(|(_, seen)| seen.books.contains(&id)) {
            count(&seen.stream.resyncs);
            let texts = self.adapter.renew(instrument);
            words.extend(texts.into_iter().map(|text| Words { connection, text }));
        }
        words
    }

    /// The next question that is due; the answer goes to [`Books::answered`].
    pub fn next(&mut self, now_ns: u64) -> Option<Question> {
        for at in 0..self.seen.len() {
            self.look(at, now_ns);
        }
        if let Some(question) = self.due.pop_front() {
            return Some(question);
        }
        if self.time_due_ns.is_some_and(|at| at <= now_ns) {
            self.time_due_ns = Some(now_ns + TIME_AGAIN_NS);
            return Some(Question::Time);
        }
        let poll = self.polls.iter().position(|(_, at)| *at <= now_ns)?;
        let every = u64::try_from(self.polls[poll].0.every.as_nanos()).unwrap_or(u64::MAX);
        self.polls[poll].1 = now_ns.saturating_add(every);
        Some(Question::Poll(poll))
    }

    /// While a stream is away, its books come over HTTP.
    fn look(&mut self, at: usize, now_ns: u64) {
        let seen = &mut self.seen[at];
        if !seen.is_away() {
            (seen.away_ns, seen.stood_in_ns) = (None, None);
            seen.told.clear();
            return;
        }
        let away_ns = now_ns.saturating_sub(*seen.away_ns.get_or_insert(now_ns));
        let due = seen.stood_in_ns.is_none_or(|last| now_ns.saturating_sub(last) >= STAND_IN_NS.1);
        if away_ns < STAND_IN_NS.0 || !due {
            return;
        }
        seen.stood_in_ns = Some(now_ns);
        for id in &seen.books {
            let question = Question::StandIn(at, *id);
            if !self.due.contains(&question) {
                self.due.push_back(question);
            }
        }
    }

    /// The question in the venue's words; `None` when it asks about nothing we know.
    pub fn request(&self, question: Question) -> Option<Request> {
        match question {
            Question::Book(id) | Question::StandIn(_, id) => Some(self.adapter.book_request(self.table.by_id(id)?)),
            Question::Time => Some(self.adapter.time_request()),
            Question::Poll(at) => Some(self.polls.get(at)?.0.request.clone()),
        }
    }

    /// The answer to a question that was asked at `asked_ns` and answered at `now_ns`, or why there is none.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn answered(
        &mut self,
        question: Question,
        (asked_ns, now_ns): (u64, u64),
        answer: Result<&str, String>,
        sink: &mut impl Sink,
    ) -> Result<(), Gone> {
        match question {
            Question::Time => {
                let told = answer.and_then(|text| self.adapter.read_time(text).map_err(|e| e.to_string()));
                match told {
                    Ok(venue_ns) => {
                        self.clock.answer(asked_ns, now_ns, venue_ns);
                        self.watch_clock();
                        self.time_due_ns = Some(now_ns + TIME_EVERY_NS);
                    }
                    Err(error) => tracing::debug!(venue = %self.adapter.venue(), error, "no time"),
                }
                Ok(())
            }
            Question::Poll(at) => self.polled(at, now_ns, answer, sink),
            Question::Book(id) => {
                let event = match self.read(id, answer) {
                    Ok(book) => Event::BookSnapshot(book),
                    Err(reason) => Event::SnapshotFailed { instrument: id, reason: note(&reason) },
                };
                sink.tell(now_ns, event)
            }
            Question::StandIn(at, id) => match self.read(id, answer) {
                Ok(book) => self.stand_in(at, book, now_ns, sink),
                Err(_) => Ok(()),
            },
        }
    }

    /// Says when the venue's clock begins to be off, and when it no longer is.
    fn watch_clock(&mut self) {
        let Some(offset) = self.clock.told().0 else { return };
        let is_off = skew_ns(offset) > SKEW_NS;
        if is_off != self.clock_is_off {
            self.clock_is_off = is_off;
            let (venue, ms) = (self.adapter.venue(), offset.ns / 1_000_000);
            if is_off {
                tracing::warn!(%venue, ms, "the venue's clock and ours are apart");
            } else {
                tracing::info!(%venue, ms, "the venue's clock and ours agree again");
            }
        }
    }

    fn polled(
        &mut self,
        at: usize,
        now_ns: u64,
        answer: Result<&str, String>,
        sink: &mut impl Sink,
    ) -> Result<(), Gone> {
        let Some((poll, _)) = self.polls.get(at) else { return Ok(()) };
        let read = |text: &str| {
            self.adapter.read_poll(poll, text, &self.table, &mut self.said).map_err(|error| error.to_string())
        };
        if let Err(error) = answer.and_then(read) {
            tracing::debug!(venue = %self.adapter.venue(), what = ?poll.what, error, "no answer to a poll");
        }
        for said in self.said.drain(..) {
            if let Said::Event(event) = said {
                sink.tell(now_ns, event)?;
            }
        }
        Ok(())
    }

    fn read(&self, id: InstrumentId, answer: Result<&str, String>) -> Result<BookSnapshot, String> {
        let instrument: &Instrument = self.table.by_id(id).ok_or("this instrument is not known here")?;
        let told = answer.and_then(|text| self.adapter.read_book(text, instrument).map_err(|e| e.to_string()));
        if let Err(error) = &told {
            tracing::warn!(symbol = %instrument.symbol, error, "no whole book");
        }
        told
    }

    /// The freshest source wins: what is older than the stream's last word, or comes when the stream is back, is dropped
    /// and counted.
    fn stand_in(&mut self, at: usize, mut book: BookSnapshot, now_ns: u64, sink: &mut impl Sink) -> Result<(), Gone> {
        let Some(seen) = self.seen.get_mut(at) else { return Ok(()) };
        let lags = book.ts_venue_ns > 0 && book.ts_venue_ns < seen.stream.newest_ns(book.instrument);
        if !seen.is_away() || lags {
            count(&seen.stream.late);
            return Ok(());
        }
        let pushed = self.table.by_id(book.instrument).is_some_and(|i| i.book.feed == BookFeed::Pushed);
        if pushed {
            // Of no place in the stream, so that the first message after the stream is back shows as a gap and has the
            // book sent anew.
            (book.last_id, book.checksum) = (0, None);
        }
        count(&seen.stream.stand_ins);
        if !seen.told.contains(&book.instrument) {
            // What the stream brought is not to be believed any more, though nobody may have noticed yet.
            seen.told.push(book.instrument);
            sink.tell(now_ns, Event::BookGap { instrument: book.instrument, reason: note("its stream is silent") })?;
        }
        sink.tell(now_ns, Event::BookSnapshot(book))
    }
}
