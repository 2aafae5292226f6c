//! What a venue's dialect provides; nothing else about a venue is known outside of its own folder. A [`Dialect`] knows
//! the venue's addresses, markets and limits; a [`Session`] is one connection to it: it answers what the client says and
//! writes what happens on the market in the venue's words.
//!
//! This is the second implementation of every venue, apart from the daemon's adapters on purpose: the two check each
//! other.

pub mod binance;
pub mod binance_futures;
pub mod bybit;
pub mod coinbase;
pub mod kraken;
pub mod market;
pub mod okx;
mod window;
mod words;

pub use market::Offer;

use crate::source::Wire;
use crate::state::{Shared, Symbol};
use crate::traffic::Limits;
use crate::truth::Truth;
use axum::Router;
use axum::extract::ws::Utf8Bytes;
use domain::event::Level;
use domain::{Event, Instrument, InstrumentId};
use std::fmt::Debug;
use std::sync::Arc;

/// One venue's words.
pub trait Dialect: Debug + Send + Sync {
    /// Its name, as on the command line.
    fn name(&self) -> &'static str;
    /// The markets there is a synthetic market for; the first is served unless others are asked for.
    fn markets(&self) -> &'static [Offer];
    /// The trading rules of a market, as this venue has them.
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument>;
    /// Its addresses: WebSocket and REST.
    fn routes(&self) -> Router<Arc<Shared>>;
    /// What it allows its clients.
    fn limits(&self) -> Limits;
    /// The texts of an event that are the same for every connection; none where each session writes its own.
    fn wires(&self, _view: &View<'_>, _event: &Event) -> Vec<Wire> {
        Vec::new()
    }
    /// The id that a book of this symbol has now in the venue's own counting; where it has none, changes so far.
    fn book_id(&self, symbol: &Symbol) -> u64;
    /// True when the venue sends checksums of its books.
    fn has_checksums(&self) -> bool {
        false
    }
}

/// Every dialect.
pub fn dialects() -> &'static [&'static dyn Dialect] {
    &[
        &binance::Binance,
        &binance_futures::USD_M,
        &binance_futures::COIN_M,
        &kraken::Kraken,
        &coinbase::Coinbase,
        &bybit::SPOT,
        &bybit::LINEAR,
        &okx::Okx,
    ]
}

/// The dialect of this name.
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    dialects().iter().copied().find(|d| d.name() == name)
}

/// What a session sees of the market.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Every symbol, by instrument id.
    pub symbols: &'a [Symbol],
    /// The venue's clock, ns.
    pub now_ns: u64,
    /// What the venue's clock is ahead of the market's, ns.
    pub shift_ns: i64,
    /// Market time to put before every message's own members, where it is not the reader's time.
    pub stamp_ns: Option<u64>,
    /// The symbol whose next whole book is to be the one of the start.
    pub stale: Option<usize>,
}

impl<'a> View<'a> {
    /// A moment of the market on the venue's clock, ns.
    pub fn venue_ns(&self, ts_ns: u64) -> u64 {
        ts_ns.saturating_add_signed(self.shift_ns)
    }
    /// The book to show when a whole one is due: the true one, unless a fault says otherwise.
    pub fn whole_book(&self, symbol: usize) -> &'a Truth {
        let s = &self.symbols[symbol];
        if self.stale == Some(symbol) { &s.start } else { &s.truth }
    }
    /// The symbol of this name and its index.
    pub fn find(&self, name: &str) -> Option<(usize, &'a Symbol)> {
        self.symbols.iter().enumerate().find(|(_, s)| s.listed.instrument.symbol.as_str() == name)
    }
    /// A message about `symbol`.
    pub fn frame(&self, kind: Kind, symbol: usize, text: String) -> Frame {
        let text = match (self.stamp_ns, text.strip_prefix('{')) {
            (Some(ts_ns), Some("}")) => format!("{{\"ts_recv_ns\":{ts_ns}}}"),
            (Some(ts_ns), Some(rest)) => format!("{{\"ts_recv_ns\":{ts_ns},{rest}"),
            _ => text,
        };
        Frame { kind, symbol: Some(symbol), text: text.into() }
    }
    /// A message about no symbol.
    pub fn reply(&self, text: impl ToString) -> Frame {
        Frame { symbol: None, ..self.frame(Kind::Other, 0, text.to_string()) }
    }
}

/// Something that happened on the market.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// Market time, ns.
    pub ts_ns: u64,
    /// Of which symbol.
    pub symbol: usize,
    /// What.
    pub event: &'a Event,
    /// Its texts, where they are the same for every connection.
    pub wires: &'a [Wire],
    /// A bid that is not there, above the best ask: to be written into this change of the book.
    pub crossed: Option<Level>,
    /// The checksum is to be wrong.
    pub wrong_checksum: bool,
}

impl News<'_> {
    /// Bids and asks with the false level among them.
    pub fn levels(&self, (mut bids, asks): (Vec<Level>, Vec<Level>)) -> (Vec<Level>, Vec<Level>) {
        bids.extend(self.crossed);
        (bids, asks)
    }
}

/// What a frame is about, for faults that concern one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A change of a book.
    Book,
    /// A whole book.
    Snapshot,
    /// Trades.
    Trade,
    /// Best prices, valuations.
    Quote,
    /// Bars.
    Bar,
    /// Replies, heartbeats.
    Other,
}

/// A text frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// About what.
    pub kind: Kind,
    /// About which symbol.
    pub symbol: Option<usize>,
    /// The text.
    pub text: Utf8Bytes,
}

/// One connection for market data.
pub trait Session: Debug + Send {
    /// What the venue says first.
    fn hello(&mut self, _view: &View<'_>) -> Vec<Frame> {
        Vec::new()
    }
    /// Answers a message.
    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame>;
    /// Writes what happened, if the client asked for it.
    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame>;
    /// A second of wall time has passed.
    fn tick(&mut self, _view: &View<'_>) -> Vec<Frame> {
        Vec::new()
    }
    /// True when the client has asked for anything.
    fn listens(&self) -> bool;
    /// True when the client has asked for changes of this symbol's book.
    fn wants_book(&self, view: &View<'_>, symbol: usize) -> bool;
    /// A message whose value of a closed set nobody has heard of.
    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame;
    /// What the venue says before it closes the connection; `None` when it says nothing.
    fn notice(&mut self, _view: &View<'_>) -> Option<Frame> {
        None
    }
}
