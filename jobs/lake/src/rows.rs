//! The datasets: their rows as plain structs, their columns, and the way between the two.
//!
//! Columns are only Int64, Float64, Boolean, Utf8 and Timestamp(us, UTC). Prices and sizes are integers at the
//! partition's scale ([`crate::Manifest::scales`]). Every time stands twice: exact in `*_ns`, and readable in
//! microseconds beside it.

use crate::LakeError;
use crate::columns::{Columns, at, int, ints, micros, options, table, times};
use arrow_array::{Array, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// A row of a dataset with fixed columns.
pub trait Row: Sized {
    /// The dataset.
    const DATASET: &'static str;
    /// Columns that hold money: scaled integers, each with the name of its scale (`price` or `qty`).
    const SCALED: &'static [(&'static str, &'static str)];
    /// The time the row is filed under, ns.
    fn time_ns(&self) -> i64;
    /// The columns.
    fn schema() -> SchemaRef;
    /// Rows to columns.
    fn batch(rows: &[Self]) -> RecordBatch;
    /// Columns to rows.
    ///
    /// # Errors
    /// [`LakeError::Column`] when a column is missing or of another type.
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError>;
}

/// A public trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// The venue's clock when it traded, ns.
    pub ts_venue_ns: i64,
    /// Our clock, ns.
    pub ts_recv_ns: i64,
    /// The venue's id.
    pub trade_id: i64,
    /// Price, scaled.
    pub price: i64,
    /// Size, scaled.
    pub qty: i64,
    /// True when the buyer took.
    pub aggressor_buy: bool,
}

/// Best bid and ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteRow {
    /// The venue's clock, ns, where it states one.
    pub ts_venue_ns: Option<i64>,
    /// Our clock, ns.
    pub ts_recv_ns: i64,
    /// Book change id.
    pub update_id: i64,
    /// Best bid, scaled.
    pub bid_price: i64,
    /// Its size, scaled.
    pub bid_qty: i64,
    /// Best ask, scaled.
    pub ask_price: i64,
    /// Its size, scaled.
    pub ask_qty: i64,
}

/// One changed level of a book. A message without levels is one row without side, so that ids stay contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRow {
    /// The venue's clock, ns, where it states one.
    pub ts_venue_ns: Option<i64>,
    /// Our clock, ns.
    pub ts_recv_ns: i64,
    /// First change id of the message; the snapshot's id for a snapshot.
    pub first_id: i64,
    /// Last change id of the message.
    pub last_id: i64,
    /// True when the row belongs to a whole book, not to a change.
    pub snapshot: bool,
    /// The level: true for bid, price scaled, absolute quantity scaled (0 removes it).
    pub level: Option<(bool, i64, i64)>,
}

/// One minute of trades, by the venue's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleRow {
    /// Start of the minute, ns.
    pub ts_open_ns: i64,
    /// First price, scaled.
    pub open: i64,
    /// Highest.
    pub high: i64,
    /// Lowest.
    pub low: i64,
    /// Last.
    pub close: i64,
    /// Sum of sizes, scaled.
    pub volume: i64,
    /// Number of trades.
    pub trades: i64,
    /// Id of the first trade.
    pub first_trade_id: i64,
    /// Id of the last trade.
    pub last_trade_id: i64,
    /// True when no trade of the minute can be missing.
    pub complete: bool,
}

impl Row for TradeRow {
    const DATASET: &'static str = "trades";
    const SCALED: &'static [(&'static str, &'static str)] = &[("price", "price"), ("qty", "qty")];

    fn time_ns(&self) -> i64 {
        self.ts_venue_ns
    }
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            micros("ts_venue", false),
            micros("ts_recv", false),
            int("ts_venue_ns", false),
            int("ts_recv_ns", false),
            int("trade_id", false),
            int("price", false),
            int("qty", false),
            Field::new("aggressor", DataType::Utf8, false),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        let side = |r: &TradeRow| if r.aggressor_buy { "buy" } else { "sell" };
        table(
            Self::schema(),
            vec![
                times(rows.iter().map(|r| Some(r.ts_venue_ns))),
                times(rows.iter().map(|r| Some(r.ts_recv_ns))),
                ints(rows.iter().map(|r| r.ts_venue_ns)),
                ints(rows.iter().map(|r| r.ts_recv_ns)),
                ints(rows.iter().map(|r| r.trade_id)),
                ints(rows.iter().map(|r| r.price)),
                ints(rows.iter().map(|r| r.qty)),
                Arc::new(StringArray::from_iter_values(rows.iter().map(side))),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (venue, recv, id) = (c.int("ts_venue_ns")?, c.int("ts_recv_ns")?, c.int("trade_id")?);
        let (price, qty, side) = (c.int("price")?, c.int("qty")?, c.get::<StringArray>("aggressor")?);
        let row = |i| TradeRow {
            ts_venue_ns: venue.value(i),
            ts_recv_ns: recv.value(i),
            trade_id: id.value(i),
            price: price.value(i),
            qty: qty.value(i),
            aggressor_buy: side.value(i) == "buy",
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

impl Row for QuoteRow {
    const DATASET: &'static str = "quotes";
    const SCALED: &'static [(&'static str, &'static str)] =
        &[("bid_price", "price"), ("bid_qty", "qty"), ("ask_price", "price"), ("ask_qty", "qty")];

    fn time_ns(&self) -> i64 {
        self.ts_recv_ns
    }
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            micros("ts_venue", true),
            micros("ts_recv", false),
            int("ts_venue_ns", true),
            int("ts_recv_ns", false),
            int("update_id", false),
            int("bid_price", false),
            int("bid_qty", false),
            int("ask_price", false),
            int("ask_qty", false),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        table(
            Self::schema(),
            vec![
                times(rows.iter().map(|r| r.ts_venue_ns)),
                times(rows.iter().map(|r| Some(r.ts_recv_ns))),
                options(rows.iter().map(|r| r.ts_venue_ns)),
                ints(rows.iter().map(|r| r.ts_recv_ns)),
                ints(rows.iter().map(|r| r.update_id)),
                ints(rows.iter().map(|r| r.bid_price)),
                ints(rows.iter().map(|r| r.bid_qty)),
                ints(rows.iter().map(|r| r.ask_price)),
                ints(rows.iter().map(|r| r.ask_qty)),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (venue, recv, id) = (c.int("ts_venue_ns")?, c.int("ts_recv_ns")?, c.int("update_id")?);
        let (bid, bid_qty) = (c.int("bid_price")?, c.int("bid_qty")?);
        let (ask, ask_qty) = (c.int("ask_price")?, c.int("ask_qty")?);
        let row = |i| QuoteRow {
            ts_venue_ns: at(venue, i),
            ts_recv_ns: recv.value(i),
            update_id: id.value(i),
            bid_price: bid.value(i),
            bid_qty: bid_qty.value(i),
            ask_price: ask.value(i),
            ask_qty: ask_qty.value(i),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

impl Row for LevelRow {
    const DATASET: &'static str = "book_deltas";
    const SCALED: &'static [(&'static str, &'static str)] = &[("price", "price"), ("qty", "qty")];

    fn time_ns(&self) -> i64 {
        self.ts_venue_ns.unwrap_or(self.ts_recv_ns)
    }
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            micros("ts_venue", true),
            micros("ts_recv", false),
            int("ts_venue_ns", true),
            int("ts_recv_ns", false),
            int("first_id", false),
            int("last_id", false),
            Field::new("snapshot", DataType::Boolean, false),
            Field::new("side", DataType::Utf8, true),
            int("price", true),
            int("qty", true),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        let side = |r: &LevelRow| r.level.map(|(bid, _, _)| if bid { "bid" } else { "ask" });
        table(
            Self::schema(),
            vec![
                times(rows.iter().map(|r| r.ts_venue_ns)),
                times(rows.iter().map(|r| Some(r.ts_recv_ns))),
                options(rows.iter().map(|r| r.ts_venue_ns)),
                ints(rows.iter().map(|r| r.ts_recv_ns)),
                ints(rows.iter().map(|r| r.first_id)),
                ints(rows.iter().map(|r| r.last_id)),
                Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.snapshot)))),
                Arc::new(StringArray::from_iter(rows.iter().map(side))),
                options(rows.iter().map(|r| r.level.map(|(_, price, _)| price))),
                options(rows.iter().map(|r| r.level.map(|(_, _, qty)| qty))),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (venue, recv) = (c.int("ts_venue_ns")?, c.int("ts_recv_ns")?);
        let (first, last) = (c.int("first_id")?, c.int("last_id")?);
        let (snapshot, side) = (c.get::<BooleanArray>("snapshot")?, c.get::<StringArray>("side")?);
        let (price, qty) = (c.int("price")?, c.int("qty")?);
        let row = |i| LevelRow {
            ts_venue_ns: at(venue, i),
            ts_recv_ns: recv.value(i),
            first_id: first.value(i),
            last_id: last.value(i),
            snapshot: snapshot.value(i),
            level: side.is_valid(i).then(|| (side.value(i) == "bid", price.value(i), qty.value(i))),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

impl Row for CandleRow {
    const DATASET: &'static str = "candles_1m";
    const SCALED: &'static [(&'static str, &'static str)] =
        &[("open", "price"), ("high", "price"), ("low", "price"), ("close", "price"), ("volume", "qty")];

    fn time_ns(&self) -> i64 {
        self.ts_open_ns
    }
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            micros("ts_open", false),
            int("ts_open_ns", false),
            int("open", false),
            int("high", false),
            int("low", false),
            int("close", false),
            int("volume", false),
            int("trades", false),
            int("first_trade_id", false),
            int("last_trade_id", false),
            Field::new("complete", DataType::Boolean, false),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        table(
            Self::schema(),
            vec![
                times(rows.iter().map(|r| Some(r.ts_open_ns))),
                ints(rows.iter().map(|r| r.ts_open_ns)),
                ints(rows.iter().map(|r| r.open)),
                ints(rows.iter().map(|r| r.high)),
                ints(rows.iter().map(|r| r.low)),
                ints(rows.iter().map(|r| r.close)),
                ints(rows.iter().map(|r| r.volume)),
                ints(rows.iter().map(|r| r.trades)),
                ints(rows.iter().map(|r| r.first_trade_id)),
                ints(rows.iter().map(|r| r.last_trade_id)),
                Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.complete)))),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (time, volume, trades) = (c.int("ts_open_ns")?, c.int("volume")?, c.int("trades")?);
        let (open, high, low, close) = (c.int("open")?, c.int("high")?, c.int("low")?, c.int("close")?);
        let (first, last) = (c.int("first_trade_id")?, c.int("last_trade_id")?);
        let complete = c.get::<BooleanArray>("complete")?;
        let row = |i| CandleRow {
            ts_open_ns: time.value(i),
            open: open.value(i),
            high: high.value(i),
            low: low.value(i),
            close: close.value(i),
            volume: volume.value(i),
            trades: trades.value(i),
            first_trade_id: first.value(i),
            last_trade_id: last.value(i),
            complete: complete.value(i),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

/// Features of one instrument, one row per bar; columns differ by build, so they are named here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureTable {
    /// Start of each bar, ns.
    pub ts_open_ns: Vec<i64>,
    /// Name and values of each feature; `None` while it warms up.
    pub columns: Vec<(String, Vec<Option<f64>>)>,
}

impl FeatureTable {
    /// The dataset of features on one-minute bars.
    pub const DATASET: &'static str = "features_1m";

    /// As columns.
    ///
    /// # Errors
    /// [`LakeError::Column`] naming a feature that does not have one value per bar.
    pub fn batch(&self) -> Result<RecordBatch, LakeError> {
        let mut fields = vec![micros("ts_open", false), int("ts_open_ns", false)];
        let mut arrays = vec![times(self.ts_open_ns.iter().map(|&t| Some(t))), ints(self.ts_open_ns.iter().copied())];
        for (name, values) in &self.columns {
            if values.len() != self.ts_open_ns.len() {
                return Err(LakeError::Column { dataset: Self::DATASET.to_owned(), column: name.clone() });
            }
            fields.push(Field::new(name, DataType::Float64, true));
            arrays.push(Arc::new(Float64Array::from_iter(values.iter().copied())));
        }
        Ok(table(Arc::new(Schema::new(fields)), arrays))
    }
}
