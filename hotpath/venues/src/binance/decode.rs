//! Public Spot messages: from the venue's JSON to domain events. Fields are borrowed from the frame and digits go straight
//! to whole ticks and lots; unknown fields are ignored, unknown messages are named [`Body::Other`] so that the caller
//! can count them, and only what claims to be a known message and is not is an error.
//!
//! Quirks, all from `docs/venues.md`: `bookTicker` has no event name and no time; `m: true` means the buyer was
//! resting, so the seller took; field names differ only by case (`u`/`U`).

use super::{scan, ws};
use crate::wire::{DecodeError, RawLevel, SymbolTable, levels, ms_to_ns, price, public_qty, whole_levels};
use domain::event::{Bar, BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::{Event, Instrument, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a message about a symbol that nobody asked for is counted as.
pub(super) const STRANGER: &str = "unknown symbol";

/// What a frame turned out to be.
#[derive(Debug, PartialEq)]
pub enum Body {
    /// A market event of a known instrument.
    Event(Event),
    /// The trades of one taker at one price as one (`aggTrade`): of use where the trades themselves are not taken.
    Sum(Trade),
    /// A REST snapshot recorded between stream messages; it names no symbol, so the caller hands it to [`snapshot`].
    Snapshot,
    /// Answer to SUBSCRIBE and the like; `Some` is the venue's complaint.
    Reply(Option<String>),
    /// The venue is about to close the connection; open a new one.
    Shutdown,
    /// A message or symbol we have no use for, or do not know: what it is called.
    Other(&'static str),
}

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    // Members of messages that come without an envelope, only to tell them apart.
    #[serde(borrow)]
    pub(super) e: Option<Cow<'a, str>>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
    #[serde(borrow, rename = "B")]
    best_bid_qty: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    code: Option<i64>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
}

/// Reads one frame, with or without the combined-stream envelope.
///
/// # Errors
/// [`DecodeError`] when it is not JSON or a known message has the wrong shape.
pub fn message(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    match scan::spot(text, table) {
        Some(event) => Ok(Body::Event(event)),
        None => parsed(text, table),
    }
}

/// Reads one frame of any form.
pub(super) fn parsed(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    let envelope: Envelope<'_> = parse("market message", text)?;
    match (&envelope.stream, envelope.data) {
        (Some(stream), Some(data)) => combined(stream, data.get(), table),
        _ => raw(&envelope, text, table),
    }
}

fn combined(stream: &str, data: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    let kind = stream.split_once('@').map_or(stream, |(_, kind)| kind);
    match kind {
        "depth" | "depth@100ms" => depth_update(data, table),
        "trade" => trade(data, table),
        "bookTicker" => book_ticker(data, table),
        "aggTrade" => agg_trade(data, table),
        "!serverShutdown" => Ok(Body::Shutdown),
        _ if kind.starts_with("kline_") => kline(data, table),
        _ => Ok(Body::Other(other(kind))),
    }
}

fn raw(envelope: &Envelope<'_>, text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    match envelope.e.as_deref() {
        Some("depthUpdate") => depth_update(text, table),
        Some("trade") => trade(text, table),
        Some("aggTrade") => agg_trade(text, table),
        Some("kline") => kline(text, table),
        None if envelope.best_bid_qty.is_some() => book_ticker(text, table),
        _ => Ok(control(envelope)),
    }
}

/// What is no market data: snapshots that a recorder wrote in between, answers, farewells, and the rest.
pub(super) fn control(envelope: &Envelope<'_>) -> Body {
    match envelope.e.as_deref() {
        Some("serverShutdown") => Body::Shutdown,
        Some(kind) => Body::Other(other(kind)),
        None if envelope.last_update_id.is_some() => Body::Snapshot,
        None if envelope.error.is_some() => Body::Reply(envelope.error.map(|e| e.get().to_owned())),
        None if envelope.code.is_some() => Body::Reply(Some(envelope.msg.as_deref().unwrap_or("").to_owned())),
        None if envelope.id.is_some() || envelope.result.is_some() => Body::Reply(None),
        None => Body::Other("unknown message"),
    }
}

/// The name under which a message that we do not take is counted.
pub(super) fn other(kind: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "avgPrice",
        "blockTrade",
        "contractInfo",
        "miniTicker",
        "referencePrice",
        "rpiDepth",
        "ticker",
        "24hrTicker",
        "24hrMiniTicker",
    ];
    match KNOWN.into_iter().find(|known| kind.split('@').next() == Some(known)) {
        Some(known) => known,
        None if kind.starts_with("depth") => "depth of few levels",
        None => "unknown stream",
    }
}

pub(super) fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|e| DecodeError::shape(what, e, text))
}

#[derive(Deserialize)]
struct DepthUpdate<'a> {
    #[serde(borrow)]
    e: &'a str,
    #[serde(rename = "E")]
    event_ms: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(rename = "U")]
    first_id: u64,
    #[serde(rename = "u")]
    last_id: u64,
    #[serde(borrow)]
    b: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    a: Vec<RawLevel<'a>>,
}

fn depth_update(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "depthUpdate";
    let m: DepthUpdate<'_> = parse(WHAT, text)?;
    if m.e != WHAT {
        return Err(DecodeError::shape(WHAT, format_args!("its type is `{}`", m.e), text));
    }
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    Ok(Body::Event(Event::BookDelta(BookDelta {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(m.event_ms),
        first_id: m.first_id,
        last_id: m.last_id,
        bids: levels(&m.b, i, WHAT)?,
        asks: levels(&m.a, i, WHAT)?,
        checksum: None,
    })))
}

#[derive(Deserialize)]
struct RawTrade<'a> {
    #[serde(borrow)]
    e: &'a str,
    #[serde(borrow)]
    s: Cow<'a, str>,
    t: u64,
    #[serde(borrow)]
    p: &'a str,
    #[serde(borrow)]
    q: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    m: bool,
}

fn trade(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "trade";
    let m: RawTrade<'_> = parse(WHAT, text)?;
    if m.e != WHAT {
        return Err(DecodeError::shape(WHAT, format_args!("its type is `{}`", m.e), text));
    }
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    Ok(Body::Event(Event::Trade(Trade {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(m.trade_ms),
        trade_id: m.t,
        price: price(m.p, i, WHAT)?,
        qty: public_qty(m.q, i, WHAT)?,
        aggressor: if m.m { Side::Sell } else { Side::Buy },
    })))
}

#[derive(Deserialize)]
struct RawAggTrade<'a> {
    #[serde(borrow)]
    e: &'a str,
    #[serde(borrow)]
    s: Cow<'a, str>,
    a: u64,
    #[serde(borrow)]
    p: &'a str,
    #[serde(borrow)]
    q: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    m: bool,
}

/// Reads `aggTrade`, the same on every market.
pub(super) fn agg_trade(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "aggTrade";
    let m: RawAggTrade<'_> = parse(WHAT, text)?;
    if m.e != WHAT {
        return Err(DecodeError::shape(WHAT, format_args!("its type is `{}`", m.e), text));
    }
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    Ok(Body::Sum(Trade {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(m.trade_ms),
        trade_id: m.a,
        price: price(m.p, i, WHAT)?,
        qty: public_qty(m.q, i, WHAT)?,
        aggressor: if m.m { Side::Sell } else { Side::Buy },
    }))
}

#[derive(Deserialize)]
struct RawKline<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    k: Candle<'a>,
}
#[derive(Deserialize)]
struct Candle<'a> {
    t: u64,
    #[serde(borrow)]
    i: Cow<'a, str>,
    #[serde(borrow)]
    o: &'a str,
    #[serde(borrow)]
    h: &'a str,
    #[serde(borrow)]
    l: &'a str,
    #[serde(borrow)]
    c: &'a str,
    #[serde(borrow)]
    v: &'a str,
    x: bool,
}

/// Reads `kline`, the same on every market.
pub(super) fn kline(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "kline";
    let m: RawKline<'_> = parse(WHAT, text)?;
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    let Some(seconds) = ws::seconds(&m.k.i) else { return Ok(Body::Other("bars of odd length")) };
    Ok(Body::Event(Event::Bar(Bar {
        instrument: i.id,
        seconds,
        open_ns: ms_to_ns(m.k.t),
        open: price(m.k.o, i, WHAT)?,
        high: price(m.k.h, i, WHAT)?,
        low: price(m.k.l, i, WHAT)?,
        close: price(m.k.c, i, WHAT)?,
        volume: public_qty(m.k.v, i, WHAT)?,
        last: m.k.x,
    })))
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    u: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    b: &'a str,
    #[serde(borrow, rename = "B")]
    bid_qty: &'a str,
    #[serde(borrow)]
    a: &'a str,
    #[serde(borrow, rename = "A")]
    ask_qty: &'a str,
}

fn book_ticker(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "bookTicker";
    let m: BookTicker<'_> = parse(WHAT, text)?;
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    Ok(Body::Event(Event::Quote(Quote {
        instrument: i.id,
        ts_venue_ns: 0,
        update_id: m.u,
        bid: Level { price: price(m.b, i, WHAT)?, qty: public_qty(m.bid_qty, i, WHAT)? },
        ask: Level { price: price(m.a, i, WHAT)?, qty: public_qty(m.ask_qty, i, WHAT)? },
    })))
}

#[derive(Deserialize)]
struct Depth<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    #[serde(rename = "E")]
    event_ms: Option<u64>,
    #[serde(borrow)]
    bids: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    asks: Vec<RawLevel<'a>>,
}

/// Reads the body of `GET /api/v3/depth` and its like for `instrument`; Spot states no time in it.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn snapshot(text: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
    const WHAT: &str = "depth snapshot";
    let m: Depth<'_> = parse(WHAT, text)?;
    Ok(BookSnapshot {
        instrument: instrument.id,
        ts_venue_ns: m.event_ms.map_or(0, ms_to_ns),
        last_id: m.last_update_id,
        bids: whole_levels(&m.bids, instrument, WHAT)?,
        asks: whole_levels(&m.asks, instrument, WHAT)?,
        checksum: None,
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
