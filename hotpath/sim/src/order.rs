//! Orders as the simulated venue knows them, its refusals and what it reports.

use crate::queue::QueuePosition;
use domain::event::{Balance, ExecReport};
use domain::order::TimeInForce;
use domain::order::{OrderKind, VenueOrderStatus};
use domain::{ClientOrderId, Decimal, Event, InstrumentId, Lots, OrderRequest, Side, TickLots, Ticks};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How an order may trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimKind {
    /// At the limit or better.
    Limit,
    /// At the limit, only as a maker.
    PostOnly,
    /// At any price, at once; the price of the order is ignored.
    Market,
}

/// An order on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The client's id, unique among open orders.
    pub id: ClientOrderId,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// How it may trade.
    pub kind: SimKind,
    /// How long it may live; ignored for market orders.
    pub tif: TimeInForce,
    /// Limit price.
    pub price: Ticks,
    /// Size.
    pub qty: Lots,
}

impl From<&OrderRequest> for NewOrder {
    fn from(r: &OrderRequest) -> Self {
        let kind = match r.kind {
            OrderKind::Limit => SimKind::Limit,
            OrderKind::PostOnly => SimKind::PostOnly,
        };
        NewOrder { id: r.id, instrument: r.instrument, side: r.side, kind, tif: r.tif, price: r.price, qty: r.qty }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimStatus {
    /// Taken, nothing traded yet.
    New,
    /// Part of it traded.
    PartiallyFilled,
    /// All of it traded.
    Filled,
    /// Cancelled with what was left.
    Cancelled,
    /// Expired with what was left.
    Expired,
    /// Expired because it would have traded with another order of ours.
    ExpiredInMatch,
}

impl SimStatus {
    /// True until the order has ended.
    pub const fn is_open(self) -> bool {
        matches!(self, SimStatus::New | SimStatus::PartiallyFilled)
    }
    /// The same in the engine's words.
    pub const fn to_domain(self) -> VenueOrderStatus {
        match self {
            SimStatus::New | SimStatus::PartiallyFilled => VenueOrderStatus::Open,
            SimStatus::Filled => VenueOrderStatus::Filled,
            SimStatus::Cancelled => VenueOrderStatus::Cancelled,
            SimStatus::Expired | SimStatus::ExpiredInMatch => VenueOrderStatus::Expired,
        }
    }
}

/// An order at the venue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimOrder {
    /// The venue's id; counts up from 1.
    pub venue_id: u64,
    /// As it came in.
    pub request: NewOrder,
    /// Filled so far.
    pub filled: Lots,
    /// Value filled so far.
    pub value_filled: TickLots,
    /// Where it stands.
    pub status: SimStatus,
    /// When it arrived, ns.
    pub created_ns: u64,
    /// When it last changed, ns.
    pub updated_ns: u64,
    /// Held for it: quote for buys, base for sells.
    pub locked: Decimal,
    /// Its place in the queue.
    pub queue: QueuePosition,
}

impl SimOrder {
    /// What may still trade; what is left of a closed order is given up and still counted here.
    pub const fn leaves(&self) -> Lots {
        self.request.qty.saturating_sub(self.filled)
    }
}

/// One of our trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnTrade {
    /// The venue's id; counts up from 1 over all instruments.
    pub trade_id: u64,
    /// Of which order (venue's id).
    pub venue_id: u64,
    /// Of which order (client's id).
    pub id: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// Price.
    pub price: Ticks,
    /// Size.
    pub qty: Lots,
    /// Fee, in the quote asset.
    pub fee: Decimal,
    /// True when our order was resting.
    pub maker: bool,
    /// When, ns.
    pub ts_ns: u64,
}

/// Why the venue refused. The text is Binance's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    /// No such instrument.
    #[error("Invalid symbol.")]
    UnknownInstrument,
    /// Price not positive.
    #[error("Filter failure: PRICE_FILTER")]
    PriceFilter,
    /// Size too small or too large.
    #[error("Filter failure: LOT_SIZE")]
    LotSize,
    /// Value too small.
    #[error("Filter failure: NOTIONAL")]
    Notional,
    /// Too many open orders.
    #[error("Filter failure: MAX_NUM_ORDERS")]
    MaxOrders,
    /// A post-only order would trade at once.
    #[error("Order would immediately match and take.")]
    WouldTake,
    /// Not enough free balance.
    #[error("Account has insufficient balance for requested action.")]
    InsufficientBalance,
    /// Client id in use by an open order.
    #[error("Duplicate order sent.")]
    DuplicateOrder,
    /// Cancel of an order that is not open.
    #[error("Unknown order sent.")]
    UnknownOrder,
}

impl Reject {
    /// Binance's error code.
    pub const fn code(self) -> i32 {
        match self {
            Reject::UnknownInstrument => -1121,
            Reject::PriceFilter | Reject::LotSize | Reject::Notional | Reject::MaxOrders => -1013,
            Reject::WouldTake | Reject::InsufficientBalance | Reject::DuplicateOrder => -2010,
            Reject::UnknownOrder => -2011,
        }
    }
}

/// What the venue reports.
#[derive(Clone, Debug, PartialEq)]
pub enum SimOutput {
    /// News of an order the venue knows, and the order right after it.
    Exec {
        /// In the engine's words.
        report: ExecReport,
        /// The order after the news.
        order: SimOrder,
    },
    /// The venue refused a new order or a cancel.
    Refused {
        /// In the engine's words.
        report: ExecReport,
        /// Why.
        reason: Reject,
    },
    /// A balance changed; the new amounts.
    Balance(Balance),
}

impl SimOutput {
    /// The event the engine sees.
    pub fn event(&self) -> Event {
        match self {
            SimOutput::Exec { report, .. } | SimOutput::Refused { report, .. } => Event::Exec(report.clone()),
            SimOutput::Balance(balance) => Event::Balance(*balance),
        }
    }
}
