//! Everything the engine can ask the outside world to do, as one closed set, and the audit records that say why.
//!
//! Effects are hashed in order into the run's effects hash; the journal keeps the running hash, so a replay proves
//! itself record by record.

pub use crate::features::FeatureValue;

use crate::risk;
use domain::ExecEvent;
use domain::event::{Allowed, Note};
use domain::order::Fill;
use domain::{
    ClientOrderId, InstrumentId, Lots, OrderRequest, OrderState, Position, Side, StrategyId, TickLots, Ticks, Venue,
};
use serde::Serialize;

/// One thing to do or to note.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Send this order. Only risk can make the value inside.
    Send(risk::Approved),
    /// Cancel this order.
    Cancel {
        /// Which.
        id: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
    },
    /// Ask the venue what became of this order: its fills first, then its status.
    Query {
        /// Which.
        id: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
    },
    /// Fetch a snapshot of this book.
    RequestSnapshot {
        /// Whose.
        instrument: InstrumentId,
    },
    /// Note this.
    Audit(AuditRecord),
}

/// What was decided or found, and from what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum AuditRecord {
    /// A book changed its state.
    Book {
        /// Whose.
        instrument: InstrumentId,
        /// `cold`, `syncing`, `live`, `stale`.
        state: &'static str,
        /// Why.
        reason: &'static str,
        /// Last applied update id.
        last_id: u64,
    },
    /// A bar closed.
    Bar {
        /// Of what.
        instrument: InstrumentId,
        /// Length, seconds.
        seconds: u32,
        /// Start, venue clock, ns.
        open_ns: u64,
        /// First, highest, lowest, last price.
        ohlc: [Ticks; 4],
        /// Volume.
        volume: Lots,
        /// Number of trades.
        trades: u32,
    },
    /// A strategy wants something.
    Signal {
        /// Counts up in the run, from 1; orders point at it.
        signal: u64,
        /// Whose opinion.
        strategy: StrategyId,
        /// Of what.
        instrument: InstrumentId,
        /// Which way.
        side: Side,
        /// `enter` or `exit`.
        intent: &'static str,
        /// Rule that fired, in words.
        reason: &'static str,
        /// What it saw.
        features: Vec<FeatureValue>,
        /// Update id of the book it saw.
        book_id: u64,
        /// Best bid and ask it saw.
        top: Option<[Ticks; 2]>,
    },
    /// Risk's answer to an order.
    Verdict {
        /// The signal it came from.
        signal: u64,
        /// The order as wanted.
        request: OrderRequest,
        /// `None` = approved.
        refusal: Option<risk::Refusal>,
        /// Numbers looked at, each against its limit.
        checks: Vec<risk::Check>,
        /// Which limit set the size.
        sized_by: &'static str,
    },
    /// An order moved.
    Order {
        /// Which.
        id: ClientOrderId,
        /// From.
        from: OrderState,
        /// To.
        to: OrderState,
        /// By which news.
        news: &'static str,
        /// The venue's or the network's words; empty if none.
        note: Note,
        /// What did not fit, if anything.
        error: Option<String>,
    },
    /// One of our orders traded.
    Fill {
        /// Which.
        id: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
        /// Which way.
        side: Side,
        /// The fill.
        fill: Fill,
        /// Holding after it.
        position: Position,
        /// Profit this fill realised, before its fee (average cost), in tick·lots.
        realized: TickLots,
    },
    /// News of an order this run does not know; nothing could be booked.
    Stranger {
        /// The order it names.
        id: ClientOrderId,
        /// The news.
        news: ExecEvent,
    },
    /// A venue, or one of its markets, takes more or fewer kinds of orders than before.
    Venue {
        /// Which venue.
        venue: Venue,
        /// Which market of it; `None` = all.
        instrument: Option<InstrumentId>,
        /// What it takes.
        allowed: Allowed,
        /// In its own words.
        said: Note,
    },
    /// Entries stopped or allowed again.
    Halt {
        /// True = stopped.
        halted: bool,
        /// By what.
        reason: Note,
    },
}
