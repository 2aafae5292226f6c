//! What a venue's module provides, and nothing else about a venue is known outside of it: where it is reached, what to
//! say first, how its frames and replies are read, how often it may be asked, how its connections are kept.
//!
//! An [`Adapter`] decides nothing and does no I/O: it turns questions into [`Request`]s and bytes into events. One
//! [`Feed`] reads one connection; what it has to remember between frames (sequence numbers, absent fields) dies with the
//! connection.
//!
//! **Ids of books.** A venue counts in its own way; what leaves a [`Feed`] is contiguous: a change applies when its
//! `first_id` is at most one more than the book's last id, and is old when its `last_id` is not above it. A feed that
//! notices a loss the ids cannot show (a gap in a connection-wide sequence) says [`Event::BookGap`] for each book it may
//! have hit.

use crate::poll::Poll;
use crate::trades::TradeIds;
use crate::wire::{DecodeError, SymbolTable};
use crate::{binance, bybit, coinbase, kraken, okx};
use domain::event::{Bar, BookSnapshot};
use domain::{Event, Instrument, InstrumentId, Venue};
use std::sync::Arc;
use std::time::Duration;

/// One venue's wire.
pub trait Adapter: Sync {
    /// Its name.
    fn venue(&self) -> Venue;

    /// Where it is reached unless the user says otherwise.
    fn endpoints(&self) -> Endpoints;

    /// How its connections are kept and how often it may be asked.
    fn discipline(&self) -> Discipline;

    /// The connections that bring the market data of `instruments`: books, trades, best prices, bars, and what
    /// derivatives have besides. No more subscriptions on one than the venue allows.
    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection>;

    /// A reader for one new connection.
    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed>;

    /// How the ids go of the trades that a [`Feed`] tells.
    fn trade_ids(&self) -> TradeIds;

    /// Messages that make the venue send the whole book of `instrument` anew on the connection that carries it; empty
    /// where whole books are asked for with [`Adapter::book_request`].
    fn renew(&self, instrument: &Instrument) -> Vec<String>;

    /// The questions whose answers hold the trading rules of `symbols`.
    fn rules_requests(&self, symbols: &[&str]) -> Vec<Request>;

    /// The rules out of the answers, as version 1, with ids in the order of `symbols`.
    ///
    /// # Errors
    /// [`DecodeError`] when a symbol or one of its rules is missing or unreadable.
    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError>;

    /// The question for a whole book, the deepest one that makes sense.
    fn book_request(&self, instrument: &Instrument) -> Request;

    /// The book out of the answer.
    ///
    /// # Errors
    /// [`DecodeError`] when it is something else.
    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError>;

    /// What has to be asked for again and again about `instruments`, because no stream tells it; the ids are those of
    /// `instruments`.
    fn polls(&self, _instruments: &[Instrument]) -> Vec<Poll> {
        Vec::new()
    }

    /// Appends what the answer to `poll` says, in order; `table` knows its instruments.
    ///
    /// # Errors
    /// [`DecodeError`] when it is something else. What was appended before stands.
    fn read_poll(
        &self,
        _poll: &Poll,
        _answer: &str,
        _table: &SymbolTable,
        _out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        Ok(())
    }

    /// The question for the venue's time.
    fn time_request(&self) -> Request;

    /// The venue's time, ns since 1970 UTC, out of the answer.
    ///
    /// # Errors
    /// [`DecodeError`] when it is something else.
    fn read_time(&self, answer: &str) -> Result<u64, DecodeError>;

    /// The question for bars of `seconds` that begin in `from_ns..to_ns`; `None` when the venue has no bars of that
    /// length. It may answer with fewer than asked for.
    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request>;

    /// The bars out of the answer, oldest first. The last may be unfinished; then [`Bar::last`] is false.
    ///
    /// # Errors
    /// [`DecodeError`] when it is something else.
    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError>;

    /// The venue's symbol that a frame or REST address speaks about, for reading recorded files of unknown content. Slow.
    fn symbols_in(&self, text: &str) -> Vec<String>;
}

/// Reads the frames of one connection.
pub trait Feed: Send {
    /// Reads one frame and appends what it says, in order.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not what the venue documents. What was appended before stands, and the frame after it can
    /// be read.
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError>;
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A market event of a known instrument.
    Event(Event),
    /// A REST reply that a recorder wrote in between (recorded files only): a whole book, of the symbol if it names one.
    RecordedBook(Option<String>),
    /// The venue took or refused a subscription; `Some` is its complaint.
    Reply(Option<String>),
    /// The connection lives, nothing else (heartbeat, pong).
    Alive,
    /// The venue is about to close the connection; open a new one.
    Shutdown,
    /// A message, symbol, or value of a closed set that we have no use for or do not know: what it is called. Counted.
    Other(&'static str),
}

/// Bases of a venue's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// REST, without a slash at the end: `https://api.kraken.com`.
    pub rest: String,
    /// Public WebSocket: `wss://ws.kraken.com`.
    pub streams: String,
}

impl Endpoints {
    /// Both behind one HTTP address, as the emulator has them; `http` becomes `ws`, `https` becomes `wss`.
    pub fn at(base: &str) -> Endpoints {
        let base = base.trim_end_matches('/');
        Endpoints { rest: base.to_owned(), streams: base.replacen("http", "ws", 1) }
    }
}

/// A connection to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Where.
    pub url: String,
    /// What to say first, in order, once it is up.
    pub first: Vec<String>,
    /// Whose data it brings.
    pub instruments: Vec<InstrumentId>,
    /// Whose books it brings: those are not to be believed when it is lost.
    pub books: Vec<InstrumentId>,
}

/// A question over HTTP GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query, to be put behind [`Endpoints::rest`].
    pub path: String,
    /// What it costs of the venue's budget for questions.
    pub weight: u32,
}

/// How a venue's connections are kept and how often it may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// What we have to say, how often, for the venue to keep the connection. Pings of the protocol are always answered.
    pub ping: Option<(Duration, String)>,
    /// How long the venue lets a connection live.
    pub lifetime: Option<Duration>,
    /// A connection on which nothing at all came for so long is dead.
    pub silence: Duration,
    /// Messages we may send on one connection, and in what time.
    pub messages: Budget,
    /// Connections we may open from one address, and in what time.
    pub connects: Budget,
    /// Weight of questions from one address, and in what time.
    pub requests: Budget,
}

/// So many in any window of so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

static ADAPTERS: [&dyn Adapter; 8] = [
    &binance::BINANCE,
    &binance::USD_M,
    &binance::COIN_M,
    &kraken::Kraken,
    &coinbase::Coinbase,
    &bybit::SPOT,
    &bybit::LINEAR,
    &okx::Okx,
];

/// Every venue this program speaks to.
pub fn adapters() -> &'static [&'static dyn Adapter] {
    &ADAPTERS
}

/// The adapter of `venue`.
pub fn adapter(venue: Venue) -> Option<&'static dyn Adapter> {
    adapters().iter().copied().find(|a| a.venue() == venue)
}
