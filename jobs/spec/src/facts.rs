//! What a journal proves about orders and money, as plain facts. `data` derives them by replay, `ledger` books them,
//! the CLI shows them. Every fact has a key that never changes, so telling it twice changes nothing (I-21, I-22).

use domain::{Decimal, Instrument, Side};
use serde::{Deserialize, Serialize};

/// All facts of one run's journal, up to one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The run.
    pub run_id: String,
    /// Its mode.
    pub mode: String,
    /// Sequence number of the last journal record told.
    pub last_seq: u64,
    /// Instruments seen, newest version each.
    pub instruments: Vec<Instrument>,
    /// Every order wanted, sent or refused, in order of creation.
    pub orders: Vec<OrderFact>,
    /// Every fill, in journal order.
    pub fills: Vec<FillFact>,
    /// Last price per symbol, for marking.
    pub marks: Vec<Mark>,
}

/// The last price a run saw of a symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Venue symbol.
    pub symbol: String,
    /// Mid or last trade, quote per base.
    pub price: Decimal,
    /// Our clock when it was seen, ns: a price says nothing about a day that ended before it.
    pub ts_ns: u64,
}

/// One order as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderFact {
    /// Ours; the key.
    pub order_id: String,
    /// Venue name.
    pub venue: String,
    /// Venue symbol.
    pub symbol: String,
    /// Strategy name.
    pub strategy: String,
    /// Number of the signal it came from.
    pub signal: u64,
    /// Which way.
    pub side: Side,
    /// `limit`, `post_only`.
    pub kind: String,
    /// `gtc`, `ioc`, `fok`.
    pub tif: String,
    /// Limit price.
    pub price: Decimal,
    /// Size in base.
    pub qty: Decimal,
    /// Filled so far, in base.
    pub filled: Decimal,
    /// State name (`domain::OrderState::name`), or `denied` when risk refused it.
    pub state: String,
    /// Why risk refused it, or the venue's reason.
    pub reason: String,
    /// Journal record it was decided at.
    pub created_seq: u64,
    /// Our clock then, ns.
    pub created_ns: u64,
    /// Journal record of its last change.
    pub updated_seq: u64,
    /// Our clock then, ns.
    pub updated_ns: u64,
}

/// One fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FillFact {
    /// Venue name; with symbol and fill id the key.
    pub venue: String,
    /// Venue symbol.
    pub symbol: String,
    /// The venue's fill id.
    pub fill_id: String,
    /// Our order.
    pub order_id: String,
    /// Strategy name.
    pub strategy: String,
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Which way.
    pub side: Side,
    /// Price, quote per base.
    pub price: Decimal,
    /// Size in base.
    pub qty: Decimal,
    /// Fee asset.
    pub fee_asset: String,
    /// Fee amount; negative is a rebate.
    pub fee_amount: Decimal,
    /// True when our order was resting.
    pub maker: bool,
    /// Journal record.
    pub seq: u64,
    /// The venue's clock, ns.
    pub ts_venue_ns: u64,
    /// Our clock, ns.
    pub ts_recv_ns: u64,
}
