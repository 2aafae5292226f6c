//! A snapshot of the engine for status and the web page: plain data, exact amounts as decimal text. Building it
//! allocates; it is asked for some ten times a second and decides nothing.

mod build;
mod history;

pub use history::{BARS_1M_KEPT, BARS_1S_KEPT, DECISIONS_KEPT, MARKERS_KEPT};
pub(super) use history::{Decisions, History, Marker};

use crate::book::BookState;
use crate::features::FeatureValue;
use crate::risk::{Check, Refusal};
use crate::signals::Intent;
use crate::stats::Stats;
use domain::{ClientOrderId, Decimal, InstrumentId, Side, VenueOrderId};
use serde::Serialize;
use std::collections::BTreeMap;

/// One signal and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// Number of the signal; audit records point at it.
    pub signal: u64,
    /// Which input of the engine it was made on, counted from 1.
    pub input: u64,
    /// Receive time, ns.
    pub ts_recv_ns: u64,
    /// Whose idea.
    pub strategy: String,
    /// Of what.
    pub instrument: InstrumentId,
    /// Venue symbol.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// Entry or exit.
    pub intent: Intent,
    /// Rule that fired, in words.
    pub reason: &'static str,
    /// What it saw.
    pub features: Vec<FeatureValue>,
    /// Order made of it.
    pub order: ClientOrderId,
    /// Limit price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Which limit set the size.
    pub sized_by: &'static str,
    /// True when it was sent.
    pub approved: bool,
    /// Why not, if not.
    pub refusal: Option<Refusal>,
    /// Numbers looked at, each against its limit.
    pub checks: Vec<Check>,
}

/// Everything worth showing.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// Engine time: largest receive time seen, ns.
    pub now_ns: u64,
    /// The run, once a session began.
    pub run: Option<String>,
    /// Leader epoch.
    pub epoch: Option<u32>,
    /// One per instrument.
    pub instruments: Vec<InstrumentView>,
    /// Profit and loss per quote asset, over all instruments.
    pub pnl: BTreeMap<String, Pnl>,
    /// Fees paid per asset, as the venue took them.
    pub fees: BTreeMap<String, Decimal>,
    /// What the venue says we hold, per asset.
    pub balances: BTreeMap<String, BalanceView>,
    /// Open orders, oldest first.
    pub orders: Vec<OrderView>,
    /// The last decisions, newest first.
    pub decisions: Vec<Decision>,
    /// Whether new risk is allowed, and if not why.
    pub safety: Safety,
    /// Counters.
    pub stats: Stats,
    /// Effects so far.
    pub effects_count: u64,
    /// Running hash over them, hex.
    pub effects_hash: String,
}

/// One instrument.
#[derive(Clone, Debug, Serialize)]
pub struct InstrumentView {
    /// Index in the run.
    pub id: InstrumentId,
    /// Venue symbol.
    pub symbol: String,
    /// Venue.
    pub venue: domain::Venue,
    /// It may be traded; else it is only watched.
    pub trade: bool,
    /// What is bought and sold.
    pub base: String,
    /// What it is paid in.
    pub quote: String,
    /// Version of the rules.
    pub version: u32,
    /// Its order book.
    pub book: BookView,
    /// Last public trade.
    pub last_trade: Option<TradeView>,
    /// Closed 1s bars, oldest first.
    pub bars_1s: Vec<BarView>,
    /// Closed 1m bars, oldest first.
    pub bars_1m: Vec<BarView>,
    /// Features now.
    pub features: Vec<FeatureValue>,
    /// What we hold.
    pub position: PositionView,
    /// Profit and loss.
    pub pnl: Pnl,
    /// Our fills, oldest first.
    pub markers: Vec<MarkerView>,
}

/// An order book.
#[derive(Clone, Debug, Serialize)]
pub struct BookView {
    /// Cold, syncing, live, stale.
    pub state: BookState,
    /// Why.
    pub reason: &'static str,
    /// Last applied update id.
    pub last_id: u64,
    /// Time since its last valid change, ms; none before the first.
    pub age_ms: Option<u64>,
    /// Best bids, best first: price and size.
    pub bids: Vec<[Decimal; 2]>,
    /// Best asks, best first: price and size.
    pub asks: Vec<[Decimal; 2]>,
    /// Middle of the best prices.
    pub mid: Option<Decimal>,
    /// Spread over mid, basis points.
    pub spread_bps: Option<f64>,
}

/// A public trade.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TradeView {
    /// Venue clock, ns.
    pub ts_venue_ns: u64,
    /// Price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Who took.
    pub aggressor: Side,
}

/// A closed bar.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BarView {
    /// Start, venue clock, ns.
    pub open_ns: u64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Size traded.
    pub volume: Decimal,
    /// Number of trades.
    pub trades: u32,
}

/// A position.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PositionView {
    /// Sum of fills, in base.
    pub qty: Decimal,
    /// What of it can be sold, in base.
    pub sellable: Decimal,
    /// Average price paid, cut to 8 digits more than the tick; none when flat.
    pub price: Option<Decimal>,
    /// Worth at mid, in quote; none before there was a live book.
    pub value: Option<Decimal>,
}

/// Profit and loss in quote.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Pnl {
    /// From closed holdings, fees aside.
    pub realized: Decimal,
    /// Of what is held, at mid.
    pub unrealized: Decimal,
    /// Fees, valued in quote.
    pub fees: Decimal,
    /// Realised and open, less fees.
    pub net: Decimal,
    /// Net since 00:00 UTC; per quote asset only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_net: Option<Decimal>,
    /// `day_net` from which the daily loss limit counts: 0, or where it stood when the operator last resumed after a
    /// daily-loss halt of this day; per quote asset only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_loss_base: Option<Decimal>,
}

/// A venue balance.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BalanceView {
    /// Free to use.
    pub free: Decimal,
    /// Held by open orders.
    pub locked: Decimal,
}

/// An open order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    /// Ours.
    pub id: ClientOrderId,
    /// The venue's.
    pub venue_id: Option<VenueOrderId>,
    /// Venue symbol.
    pub symbol: String,
    /// Whose idea.
    pub strategy: String,
    /// The signal it came from.
    pub signal: u64,
    /// Where it stands.
    pub state: &'static str,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Filled so far.
    pub filled: Decimal,
    /// Time since it was sent, ms.
    pub age_ms: u64,
}

/// One of our fills.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MarkerView {
    /// Receive time, ns.
    pub ts_recv_ns: u64,
    /// Which order.
    pub order: ClientOrderId,
    /// Which way.
    pub side: Side,
    /// Price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
}

/// Am I safe, and may new risk be taken?
#[derive(Clone, Debug, Serialize)]
pub struct Safety {
    /// Entries are stopped by the operator, a fault or a loss.
    pub halted: bool,
    /// Why.
    pub reason: Option<String>,
    /// True when an entry could be sent now, on one instrument at least.
    pub can_trade: bool,
    /// Everything that stands in the way of something, in words.
    pub reasons: Vec<String>,
}
