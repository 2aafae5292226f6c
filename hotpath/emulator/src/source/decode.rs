//! Binance Spot stream messages and depth snapshots as events. Written apart from the daemon's decoder on purpose:
//! the two check each other.

use domain::event::{BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::{Event, Instrument, InstrumentId, Lots, Side, Ticks, num::NumError};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A combined-stream envelope, or a depth snapshot where `stream` is absent.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// `btcusdt@trade`.
    #[serde(borrow)]
    pub stream: Option<&'a str>,
    /// The message inside.
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
}

/// `[price, quantity]`.
pub type Pair<'a> = [&'a str; 2];

/// A depth snapshot.
#[derive(Debug, Deserialize)]
pub struct Depth<'a> {
    /// Id of the last change in it.
    #[serde(rename = "lastUpdateId")]
    pub last_update_id: u64,
    /// Bids, best first.
    #[serde(borrow)]
    pub bids: Vec<Pair<'a>>,
    /// Asks, best first.
    #[serde(borrow)]
    pub asks: Vec<Pair<'a>>,
}

/// A diff of the book.
#[derive(Debug, Deserialize)]
pub struct Diff<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    #[serde(rename = "U")]
    first_id: u64,
    #[serde(rename = "u")]
    last_id: u64,
    /// Present on futures only.
    pu: Option<u64>,
    /// Changed bids.
    #[serde(borrow, rename = "b")]
    pub bids: Vec<Pair<'a>>,
    /// Changed asks.
    #[serde(borrow, rename = "a")]
    pub asks: Vec<Pair<'a>>,
}

impl Diff<'_> {
    /// First change id.
    pub const fn first_id(&self) -> u64 {
        self.first_id
    }
}

/// A public trade.
#[derive(Debug, Deserialize)]
pub struct PublicTrade<'a> {
    #[serde(rename = "t")]
    id: u64,
    /// Price.
    #[serde(rename = "p")]
    pub price: &'a str,
    /// Quantity.
    #[serde(rename = "q")]
    pub qty: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

/// Best bid and ask.
#[derive(Debug, Deserialize)]
pub struct BookTicker<'a> {
    #[serde(rename = "u")]
    update_id: u64,
    /// Best bid price.
    #[serde(rename = "b")]
    pub bid: &'a str,
    /// Best bid quantity.
    #[serde(rename = "B")]
    pub bid_qty: &'a str,
    /// Best ask price.
    #[serde(rename = "a")]
    pub ask: &'a str,
    /// Best ask quantity.
    #[serde(rename = "A")]
    pub ask_qty: &'a str,
}

/// One decoded message, prices still as text.
#[derive(Debug)]
pub enum Body<'a> {
    /// `@depth`, `@depth@100ms`.
    Diff(Diff<'a>),
    /// `@trade`.
    Trade(PublicTrade<'a>),
    /// `@bookTicker`.
    Ticker(BookTicker<'a>),
}

/// Reads the message of one stream.
///
/// # Errors
/// In words: not JSON, a stream that is not served, a futures message.
pub fn body<'a>(stream: &str, data: &'a RawValue) -> Result<Body<'a>, String> {
    let json = data.get();
    let kind = stream.split_once('@').map_or("", |(_, kind)| kind);
    match kind {
        "trade" => serde_json::from_str(json).map(Body::Trade).map_err(|e| e.to_string()),
        "bookTicker" => serde_json::from_str(json).map(Body::Ticker).map_err(|e| e.to_string()),
        _ if kind == "depth" || kind.starts_with("depth@") => {
            let diff: Diff<'_> = serde_json::from_str(json).map_err(|e| e.to_string())?;
            if diff.pu.is_some() {
                return Err("it is a futures message (it has `pu`); only Spot captures can be served".to_owned());
            }
            Ok(Body::Diff(diff))
        }
        _ => Err(format!("stream `{stream}` is none of @depth, @depth@100ms, @trade, @bookTicker")),
    }
}

fn price(instrument: &Instrument, text: &str) -> Result<Ticks, NumError> {
    instrument.tick.count(text).map(Ticks::new)
}

fn qty(instrument: &Instrument, text: &str) -> Result<Lots, NumError> {
    let n = instrument.lot.count(text)?;
    u64::try_from(n).map(Lots::new).map_err(|_| NumError::Syntax(text.to_owned()))
}

fn level(instrument: &Instrument, [p, q]: &Pair<'_>) -> Result<Level, NumError> {
    Ok(Level { price: price(instrument, p)?, qty: qty(instrument, q)? })
}

fn levels(instrument: &Instrument, pairs: &[Pair<'_>]) -> Result<Vec<Level>, NumError> {
    pairs.iter().map(|pair| level(instrument, pair)).collect()
}

const NS_PER_MS: u64 = 1_000_000;

/// The event a message means for `instrument`.
///
/// # Errors
/// When a number is off its step.
pub fn event(instrument: &Instrument, body: &Body<'_>) -> Result<Event, NumError> {
    let id: InstrumentId = instrument.id;
    Ok(match body {
        Body::Diff(d) => Event::BookDelta(BookDelta {
            instrument: id,
            ts_venue_ns: d.event_ms * NS_PER_MS,
            first_id: d.first_id,
            last_id: d.last_id,
            bids: levels(instrument, &d.bids)?,
            asks: levels(instrument, &d.asks)?,
            checksum: None,
        }),
        Body::Trade(t) => Event::Trade(Trade {
            instrument: id,
            ts_venue_ns: t.trade_ms * NS_PER_MS,
            trade_id: t.id,
            price: price(instrument, t.price)?,
            qty: qty(instrument, t.qty)?,
            aggressor: if t.buyer_is_maker { Side::Sell } else { Side::Buy },
        }),
        Body::Ticker(q) => Event::Quote(Quote {
            instrument: id,
            ts_venue_ns: 0,
            update_id: q.update_id,
            bid: level(instrument, &[q.bid, q.bid_qty])?,
            ask: level(instrument, &[q.ask, q.ask_qty])?,
        }),
    })
}

/// The event a snapshot means for `instrument`.
///
/// # Errors
/// When a number is off its step.
pub fn snapshot(instrument: &Instrument, depth: &Depth<'_>) -> Result<BookSnapshot, NumError> {
    Ok(BookSnapshot {
        instrument: instrument.id,
        ts_venue_ns: 0,
        last_id: depth.last_update_id,
        bids: levels(instrument, &depth.bids)?,
        asks: levels(instrument, &depth.asks)?,
        checksum: None,
    })
}
