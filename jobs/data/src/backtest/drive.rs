//! The backtest's loop: market events in recorded order, the venue's reports when they would have been seen, timers in
//! between; every input goes into the journal before the engine sees it.

use super::journal::Writer;
use crate::DataError;
use domain::config::EngineConfig;
use domain::event::{BookSnapshot, Channel, ExecReport, Link, Session};
use domain::journal::EffectsMark;
use domain::order::ExecEvent;
use domain::{ClientOrderId, Event, Instrument, InstrumentId, RunId, Side, Venue};
use engine::{Effect, Engine};
use sim::{DelayedVenue, LatencyModel, NewOrder, SimConfig, SimOutput, SimVenue};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use venues::binance::decode::{self, Body};
use venues::capture::Capture;
use venues::wire::SymbolTable;

/// A timer event comes this often, ns of virtual time.
const TIMER_NS: u64 = 100_000_000;
/// How long reports still on their way are waited for after the last message, ns.
const LINGER_NS: u64 = 1_000_000_000;
/// Levels of a book the venue hands out on each side.
const SNAPSHOT_LEVELS: usize = 5000;

/// What the engine hears first.
#[derive(Clone, Debug)]
pub struct Start {
    /// The run.
    pub run: RunId,
    /// Its seed.
    pub seed: u64,
    /// When it begins, ns.
    pub first_ns: u64,
    /// What is traded.
    pub instruments: Vec<Instrument>,
}

/// What the venue still owes us an answer to.
#[derive(Clone, Copy, Debug)]
enum Question {
    Order(ClientOrderId),
    Book(InstrumentId),
}

/// Engine and venue, coupled.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    venue: DelayedVenue,
    latency: LatencyModel,
    /// By time of the answer, then in the order asked.
    questions: BTreeMap<(u64, u64), Question>,
    asked: u64,
    now_ns: u64,
    timer_ns: u64,
    /// Last change id per instrument, to tell whose a recorded snapshot is.
    last_ids: BTreeMap<InstrumentId, u64>,
    /// Books whose recorded snapshot has come: before it the venue knows changes and best prices, not the book.
    whole: BTreeSet<InstrumentId>,
    snapshots_served: u64,
    effects: Vec<Effect>,
}

/// A finished run, its journal not yet closed.
#[derive(Debug)]
pub struct Outcome {
    /// Engine and venue as they ended.
    pub driver: Driver,
    /// The journal.
    pub journal: Writer,
}

impl Driver {
    /// An engine of `config` against a venue of `sim` behind `latency`.
    ///
    /// # Errors
    /// [`DataError::Config`].
    pub fn new(config: &EngineConfig, sim: SimConfig, latency: LatencyModel) -> Result<Driver, DataError> {
        Ok(Driver {
            engine: Engine::new(config)?,
            venue: DelayedVenue::new(SimVenue::new(sim), latency),
            latency,
            questions: BTreeMap::new(),
            asked: 0,
            now_ns: 0,
            timer_ns: 0,
            last_ids: BTreeMap::new(),
            whole: BTreeSet::new(),
            snapshots_served: 0,
            effects: Vec::new(),
        })
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }
    /// Books handed out after the recorded ones.
    pub const fn snapshots_served(&self) -> u64 {
        self.snapshots_served
    }

    /// Runs the whole capture in `path` and journals it for `target`.
    ///
    /// # Errors
    /// [`DataError`] when the capture cannot be read to its end or the journal not written.
    pub fn run(mut self, path: &Path, target: &Path, start: &Start) -> Result<Outcome, DataError> {
        let table = SymbolTable::new(start.instruments.iter().cloned());
        let mut capture = Capture::open(path)?;
        let mut journal = Writer::create(target, start.run)?;
        self.begin(&mut journal, start)?;
        loop {
            let line = capture.lines() + 1;
            let Some((ts_ns, text)) = capture.next_line()? else { break };
            let bad = |e: venues::wire::DecodeError| DataError::Line { line, what: e.to_string() };
            let event = match decode::message(text, &table).map_err(bad)? {
                Body::Event(event) => event,
                Body::Snapshot => match self.whose(text, &table) {
                    Some(i) => Event::BookSnapshot(decode::snapshot(text, i).map_err(bad)?),
                    None => continue,
                },
                Body::Sum(_) | Body::Reply(_) | Body::Shutdown | Body::Other(_) => continue,
            };
            // A recorder's clock that steps back stands still here.
            let ts_ns = ts_ns.max(self.now_ns);
            self.advance(&mut journal, ts_ns)?;
            self.market(&mut journal, ts_ns, &event)?;
        }
        let end = self.now_ns.saturating_add(LINGER_NS);
        self.advance(&mut journal, end)?;
        Ok(Outcome { driver: self, journal })
    }

    fn begin(&mut self, journal: &mut Writer, start: &Start) -> Result<(), DataError> {
        let ts_ns = start.first_ns;
        (self.now_ns, self.timer_ns) = (ts_ns, ts_ns.saturating_add(TIMER_NS));
        let session = Session { run: start.run, home: 0, epoch: 0, seed: start.seed };
        self.feed(journal, ts_ns, &Event::Session(session))?;
        for instrument in &start.instruments {
            let event = Event::Instrument(instrument.clone());
            self.market(journal, ts_ns, &event)?;
        }
        for balance in self.venue.venue().balances() {
            self.feed(journal, ts_ns, &Event::Balance(balance))?;
        }
        for channel in [Channel::Orders, Channel::Market] {
            self.feed(journal, ts_ns, &Event::Link(Link { venue: Venue::BINANCE, channel, up: true }))?;
        }
        Ok(())
    }

    /// The recorded snapshot names no symbol: it belongs to the book whose changes stand nearest to it.
    fn whose<'a>(&self, text: &str, table: &'a SymbolTable) -> Option<&'a Instrument> {
        let id_of = |i: &Instrument| decode::snapshot(text, i).ok().map(|b| b.last_id);
        let near = |i: &&Instrument| {
            let last = self.last_ids.get(&i.id)?;
            Some(id_of(i)?.abs_diff(*last))
        };
        match table.instruments() {
            [only] => Some(only),
            many => many.iter().filter(|i| near(i).is_some()).min_by_key(|i| near(i)),
        }
    }

    fn market(&mut self, journal: &mut Writer, ts_ns: u64, event: &Event) -> Result<(), DataError> {
        match event {
            Event::BookDelta(delta) => drop(self.last_ids.insert(delta.instrument, delta.last_id)),
            Event::BookSnapshot(snapshot) => drop(self.whole.insert(snapshot.instrument)),
            _ => {}
        }
        self.venue.on_market(ts_ns, event);
        self.feed(journal, ts_ns, event)
    }

    /// Lets time go on to `until_ns`: what is due on the way happens in order of time; at the same instant reports come
    /// before answers, and answers before the timer.
    fn advance(&mut self, journal: &mut Writer, until_ns: u64) -> Result<(), DataError> {
        loop {
            let answer_ns = self.questions.first_key_value().map_or(u64::MAX, |(k, _)| k.0);
            let next_ns = answer_ns.min(self.timer_ns).min(until_ns);
            if let Some((at_ns, report)) = self.venue.poll(next_ns) {
                self.now_ns = self.now_ns.max(at_ns);
                self.report(journal, at_ns, &report)?;
            } else if answer_ns == next_ns && answer_ns <= until_ns {
                self.now_ns = self.now_ns.max(answer_ns);
                self.answer(journal, answer_ns)?;
            } else if self.timer_ns <= until_ns {
                let at_ns = self.timer_ns;
                self.now_ns = self.now_ns.max(at_ns);
                self.timer_ns = at_ns.saturating_add(TIMER_NS);
                self.feed(journal, at_ns, &Event::Timer)?;
            } else {
                self.now_ns = self.now_ns.max(until_ns);
                return Ok(());
            }
        }
    }

    fn report(&mut self, journal: &mut Writer, at_ns: u64, report: &SimOutput) -> Result<(), DataError> {
        self.feed(journal, at_ns, &report.event())
    }

    fn answer(&mut self, journal: &mut Writer, at_ns: u64) -> Result<(), DataError> {
        let Some((_, question)) = self.questions.pop_first() else { return Ok(()) };
        match question {
            Question::Order(id) => {
                let event = match self.venue.venue().order(&id) {
                    Some(order) => ExecEvent::Found { status: order.status.to_domain(), filled: order.filled },
                    None => ExecEvent::NotFound,
                };
                self.feed(journal, at_ns, &Event::Exec(ExecReport { id, ts_venue_ns: at_ns, event }))
            }
            Question::Book(instrument) => {
                // Before the recorded one there is nothing to hand out; it comes by itself.
                let Some(snapshot) = self.book(instrument) else { return Ok(()) };
                self.snapshots_served += 1;
                self.feed(journal, at_ns, &Event::BookSnapshot(snapshot))
            }
        }
    }

    fn book(&self, instrument: InstrumentId) -> Option<BookSnapshot> {
        let book = self.venue.venue().book(instrument).filter(|_| self.whole.contains(&instrument))?;
        Some(BookSnapshot {
            instrument,
            ts_venue_ns: 0,
            last_id: book.last_id(),
            bids: book.levels(Side::Buy, SNAPSHOT_LEVELS),
            asks: book.levels(Side::Sell, SNAPSHOT_LEVELS),
            checksum: None,
        })
    }

    /// One input: journaled, decided on, its effects marked and carried out.
    fn feed(&mut self, journal: &mut Writer, ts_ns: u64, event: &Event) -> Result<(), DataError> {
        let seq = journal.input(ts_ns, event)?;
        let mut effects = std::mem::take(&mut self.effects);
        self.engine.step(ts_ns, event, &mut effects);
        if !effects.is_empty() {
            let count = u32::try_from(effects.len()).unwrap_or(u32::MAX);
            journal.effects(&EffectsMark { input: seq, count, running: self.engine.effects_hash() });
        }
        for effect in effects.drain(..) {
            self.carry_out(ts_ns, &effect);
        }
        self.effects = effects;
        Ok(())
    }

    fn carry_out(&mut self, ts_ns: u64, effect: &Effect) {
        match effect {
            Effect::Send(approved) => self.venue.submit(ts_ns, NewOrder::from(approved.request())),
            Effect::Cancel { id, .. } => self.venue.cancel(ts_ns, *id),
            Effect::Query { id, .. } => self.ask(ts_ns, Question::Order(*id)),
            Effect::RequestSnapshot { instrument } => self.ask(ts_ns, Question::Book(*instrument)),
            Effect::Audit(_) => {}
        }
    }

    fn ask(&mut self, ts_ns: u64, question: Question) {
        let way = self.latency.entry_ns(ts_ns).saturating_add(self.latency.response_ns(ts_ns));
        self.asked += 1;
        self.questions.insert((ts_ns.saturating_add(way), self.asked), question);
    }
}
