//! Everything that can wake the engine, as one closed set. Time, timers, operator commands, venue answers: all are
//! events, all are journaled before the engine sees them, and none is changed after it was made.

use crate::{
    Asset, ClientOrderId, Decimal, Instrument, InstrumentId, Lots, RunId, Side, Ticks, Venue, order::ExecEvent,
};
use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// A short piece of text from outside (a venue's reason, an operator's note); longer text is cut.
pub type Note = ArrayString<96>;

/// Cuts `text` to a [`Note`] at a character boundary.
pub fn note(text: &str) -> Note {
    let mut n = Note::new();
    for c in text.chars() {
        if n.try_push(c).is_err() {
            break;
        }
    }
    n
}

/// One input of the engine. The receive time `ts_recv_ns` (our clock, ns since 1970 UTC) and the sequence number
/// stand beside it in the journal. `ts_venue_ns` is the venue's clock; 0 where the venue states none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The daemon started, or started again on the same journal.
    Session(Session),
    /// An instrument's rules, new or changed.
    Instrument(Instrument),
    /// A whole book, as asked for.
    BookSnapshot(BookSnapshot),
    /// A change of a book.
    BookDelta(BookDelta),
    /// Something of a book was lost: it is not to be believed before a new whole one.
    BookGap {
        /// Whose book.
        instrument: InstrumentId,
        /// What is known about it.
        reason: Note,
    },
    /// The snapshot that was asked for did not come.
    SnapshotFailed {
        /// Whose book.
        instrument: InstrumentId,
        /// What the venue or the network said.
        reason: Note,
    },
    /// Best bid and ask.
    Quote(Quote),
    /// A public trade.
    Trade(Trade),
    /// A bar as the venue makes it.
    Bar(Bar),
    /// What a derivative is valued at.
    Mark(Mark),
    /// What holding a perpetual costs.
    Funding(Funding),
    /// How much of a derivative is held.
    OpenInterest(OpenInterest),
    /// Somebody's position was closed by force.
    Liquidation(Liquidation),
    /// What the venue, or one of its markets, lets be done.
    Status(Status),
    /// A connection came up or went down.
    Link(Link),
    /// News of one of our orders.
    Exec(ExecReport),
    /// What the venue says we hold of one asset.
    Balance(Balance),
    /// A command of the operator.
    Operator(OperatorCommand),
    /// Nothing happened for a while; time went on.
    Timer,
}

/// Start of a session on a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The run.
    pub run: RunId,
    /// Tag of the installation; part of every order id.
    pub home: u32,
    /// Leader epoch; part of every order id, one more at every start.
    pub epoch: u32,
    /// The run's only source of randomness.
    pub seed: u64,
}

/// One price level; a quantity of zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Price.
    pub price: Ticks,
    /// Absolute quantity resting there.
    pub qty: Lots,
}

/// A whole book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    /// Whose book.
    pub instrument: InstrumentId,
    /// The venue's clock, ns; 0 if not stated.
    pub ts_venue_ns: u64,
    /// Id of the last change it contains.
    pub last_id: u64,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
    /// The venue's checksum of the book, where it sends one; see [`crate::instrument::Checksum`].
    pub checksum: Option<u32>,
}

/// A change of a book, covering the ids `first_id..=last_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookDelta {
    /// Whose book.
    pub instrument: InstrumentId,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// First change id in it.
    pub first_id: u64,
    /// Last change id in it.
    pub last_id: u64,
    /// Changed bid levels.
    pub bids: Vec<Level>,
    /// Changed ask levels.
    pub asks: Vec<Level>,
    /// The venue's checksum of the book after the change, where it sends one.
    pub checksum: Option<u32>,
}

/// Best bid and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Whose.
    pub instrument: InstrumentId,
    /// The venue's clock, ns; 0 if not stated (Binance Spot states none).
    pub ts_venue_ns: u64,
    /// Book change id it belongs to.
    pub update_id: u64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// A public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Of what.
    pub instrument: InstrumentId,
    /// The venue's clock when it traded, ns.
    pub ts_venue_ns: u64,
    /// The venue's id; counts up by one where the venue says so.
    pub trade_id: u64,
    /// Price.
    pub price: Ticks,
    /// Size.
    pub qty: Lots,
    /// Who took: `Buy` lifted the ask.
    pub aggressor: Side,
}

/// A bar as the venue makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Of what.
    pub instrument: InstrumentId,
    /// Length, seconds.
    pub seconds: u32,
    /// When it began, ns.
    pub open_ns: u64,
    /// First price.
    pub open: Ticks,
    /// Highest price.
    pub high: Ticks,
    /// Lowest price.
    pub low: Ticks,
    /// Last price.
    pub close: Ticks,
    /// Traded size.
    pub volume: Lots,
    /// False while it may still change.
    pub last: bool,
}

/// What a derivative is valued at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which.
    pub instrument: InstrumentId,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// The price that positions are valued at, quote per base.
    pub mark: Option<Decimal>,
    /// The price of what it stands for, over several venues.
    pub index: Option<Decimal>,
}

/// What holding a perpetual costs: longs pay shorts when the rate is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    /// Which.
    pub instrument: InstrumentId,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// Share of the position's value, 0.0001 = 0.01 %.
    pub rate: Decimal,
    /// When it is paid next, ns; 0 if not stated.
    pub next_ns: u64,
}

/// How much of a derivative is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInterest {
    /// Of which.
    pub instrument: InstrumentId,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// In units of size, each position counted once: a venue that counts both sides is halved before it comes here.
    pub size: Decimal,
}

/// Somebody's position was closed by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liquidation {
    /// Of which.
    pub instrument: InstrumentId,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// What was held: `Buy` = a long was closed.
    pub liquidated: Side,
    /// Price as the venue tells it; what it means differs.
    pub price: Ticks,
    /// Size.
    pub qty: Lots,
}

/// What a venue lets be done, the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Everything.
    All,
    /// Resting orders and cancels.
    PostOnly,
    /// Cancels.
    CancelOnly,
    /// Nothing.
    Nothing,
}

/// What a venue, or one of its markets, lets be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which venue.
    pub venue: Venue,
    /// One market of it; `None` = all.
    pub instrument: Option<InstrumentId>,
    /// What is allowed.
    pub allowed: Allowed,
    /// In the venue's own words.
    pub said: Note,
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Public market data.
    Market,
    /// Orders and their news.
    Orders,
}

/// A connection came up or went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// To whom.
    pub venue: Venue,
    /// Carrying what.
    pub channel: Channel,
    /// True when it came up.
    pub up: bool,
}

/// News of one of our orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecReport {
    /// Which order.
    pub id: ClientOrderId,
    /// The venue's clock, ns; 0 if not stated or not the venue's news.
    pub ts_venue_ns: u64,
    /// What happened.
    pub event: ExecEvent,
}

/// What the venue says we hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Where.
    pub venue: Venue,
    /// Of which asset.
    pub asset: Asset,
    /// Free to use.
    pub free: Decimal,
    /// Held by open orders.
    pub locked: Decimal,
}

/// A command of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum OperatorCommand {
    /// No new risk until resumed; durable, because it is in the journal.
    Halt {
        /// Why.
        reason: Note,
    },
    /// Allow new risk again.
    Resume {
        /// Why.
        reason: Note,
    },
    /// Cancel every open order.
    CancelAll,
}
