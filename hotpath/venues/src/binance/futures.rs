//! Public messages of the futures markets, USD-M and COIN-M. What differs from Spot:
//!
//! - a depth change names the last id of the change before it (`pu`), and ids in between belong to other symbols: a change
//!   covers all from `pu + 1` on, which makes ids contiguous;
//! - best prices carry a type and times;
//! - besides there are mark prices with funding rates, and liquidations. Of these only the latest of a symbol in a second
//!   is sent, so their sum is too small; `S: SELL` closes a long.
//!
//! Sizes on COIN-M count contracts.

use super::decode::{self, Body, STRANGER, agg_trade, control, kline, other, parse};
use crate::wire::{DecodeError, RawLevel, SymbolTable, levels, ms_to_ns, price, public_qty};
use domain::event::{BookDelta, Funding, Level, Liquidation, Mark, OpenInterest, Quote, Trade};
use domain::{Decimal, Event, Instrument, Side};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads one frame, with or without the combined-stream envelope, and appends what it says; one message may say two things.
///
/// # Errors
/// [`DecodeError`] when it is not JSON or a known message has the wrong shape.
pub fn message(text: &str, table: &SymbolTable, out: &mut Vec<Body>) -> Result<(), DecodeError> {
    let envelope: decode::Envelope<'_> = parse("market message", text)?;
    let (kind, data) = match (&envelope.stream, envelope.data) {
        // In a combined stream only its name tells a change of the book from a book of few levels.
        (Some(stream), Some(data)) => (kind_of(stream), data.get()),
        _ => (envelope.e.as_deref().unwrap_or_default(), text),
    };
    let body = match kind {
        "depthUpdate" => depth_update(data, table)?,
        "trade" => trade(data, table)?,
        "aggTrade" => agg_trade(data, table)?,
        "bookTicker" => book_ticker(data, table)?,
        "kline" => kline(data, table)?,
        "markPriceUpdate" => return mark_price(data, table, out),
        "forceOrder" => force_order(data, table)?,
        "serverShutdown" => Body::Shutdown,
        _ if envelope.data.is_some() => Body::Other(other(kind)),
        _ => control(&envelope),
    };
    out.push(body);
    Ok(())
}

/// The type of the messages of a stream, or what follows the symbol where we take none of it.
pub(super) fn kind_of(stream: &str) -> &str {
    let kind = stream.split_once('@').map_or(stream, |(_, kind)| kind);
    match kind.split_once('@').map_or(kind, |(name, _)| name) {
        "depth" => "depthUpdate",
        "markPrice" => "markPriceUpdate",
        "arr" if stream.starts_with("!forceOrder") => "forceOrder",
        "!serverShutdown" => "serverShutdown",
        name if name.starts_with("kline_") => "kline",
        "kline" | "depthUpdate" | "markPriceUpdate" => "",
        name => name,
    }
}

#[derive(Deserialize)]
struct DepthUpdate<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(rename = "u")]
    last_id: u64,
    #[serde(rename = "pu")]
    before_id: u64,
    #[serde(borrow)]
    b: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    a: Vec<RawLevel<'a>>,
}

fn depth_update(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "depthUpdate";
    let m: DepthUpdate<'_> = parse(WHAT, text)?;
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    Ok(Body::Event(Event::BookDelta(BookDelta {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(m.event_ms),
        first_id: m.before_id.saturating_add(1),
        last_id: m.last_id,
        bids: levels(&m.b, i, WHAT)?,
        asks: levels(&m.a, i, WHAT)?,
        checksum: None,
    })))
}

#[derive(Deserialize)]
struct RawTrade<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    t: u64,
    #[serde(borrow)]
    p: &'a str,
    #[serde(borrow)]
    q: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    #[serde(borrow, rename = "X")]
    kind: Option<Cow<'a, str>>,
    m: bool,
}

fn trade(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "trade";
    let m: RawTrade<'_> = parse(WHAT, text)?;
    let Some(i) = table.get(&m.s) else { return Ok(Body::Other(STRANGER)) };
    // The insurance fund and auto-deleveraging change hands beside the book.
    if m.kind.is_some_and(|kind| kind != "MARKET") {
        return Ok(Body::Other("trade beside the book"));
    }
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
struct BookTicker<'a> {
    u: u64,
    #[serde(rename = "E")]
    event_ms: u64,
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
        ts_venue_ns: ms_to_ns(m.event_ms),
        update_id: m.u,
        bid: Level { price: price(m.b, i, WHAT)?, qty: public_qty(m.bid_qty, i, WHAT)? },
        ask: Level { price: price(m.a, i, WHAT)?, qty: public_qty(m.ask_qty, i, WHAT)? },
    })))
}

#[derive(Deserialize)]
struct MarkPrice<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    p: Decimal,
    i: Option<Decimal>,
    /// Empty for contracts with a delivery date.
    #[serde(borrow)]
    r: Option<Cow<'a, str>>,
    #[serde(rename = "T")]
    next_ms: Option<u64>,
}

fn mark_price(text: &str, table: &SymbolTable, out: &mut Vec<Body>) -> Result<(), DecodeError> {
    const WHAT: &str = "markPriceUpdate";
    let m: MarkPrice<'_> = parse(WHAT, text)?;
    let Some(i) = table.get(&m.s) else {
        out.push(Body::Other(STRANGER));
        return Ok(());
    };
    let ts_venue_ns = ms_to_ns(m.event_ms);
    out.push(Body::Event(Event::Mark(Mark { instrument: i.id, ts_venue_ns, mark: Some(m.p), index: m.i })));
    if let Some(rate) = m.r.filter(|rate| !rate.is_empty()) {
        let rate = Decimal::parse(&rate).map_err(DecodeError::number(WHAT, &i.symbol, "funding rate"))?;
        let next_ns = ms_to_ns(m.next_ms.unwrap_or(0));
        out.push(Body::Event(Event::Funding(Funding { instrument: i.id, ts_venue_ns, rate, next_ns })));
    }
    Ok(())
}

#[derive(Deserialize)]
struct ForceOrder<'a> {
    #[serde(borrow)]
    o: Forced<'a>,
}
#[derive(Deserialize)]
struct Forced<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow, rename = "S")]
    side: Cow<'a, str>,
    #[serde(borrow)]
    q: &'a str,
    #[serde(borrow)]
    p: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
}

fn force_order(text: &str, table: &SymbolTable) -> Result<Body, DecodeError> {
    const WHAT: &str = "forceOrder";
    let ForceOrder { o } = parse(WHAT, text)?;
    let Some(i) = table.get(&o.s) else { return Ok(Body::Other(STRANGER)) };
    let liquidated = match o.side.as_ref() {
        "SELL" => Side::Buy,
        "BUY" => Side::Sell,
        _ => return Ok(Body::Other("liquidation of unknown side")),
    };
    Ok(Body::Event(Event::Liquidation(Liquidation {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(o.trade_ms),
        liquidated,
        price: price(o.p, i, WHAT)?,
        qty: public_qty(o.q, i, WHAT)?,
    })))
}

#[derive(Deserialize)]
struct RawOpenInterest {
    #[serde(rename = "openInterest")]
    size: Decimal,
    time: u64,
}

/// Reads the reply of `GET /fapi/v1/openInterest` and its COIN-M twin: units of size, each position counted once.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn open_interest(answer: &str, instrument: &Instrument) -> Result<OpenInterest, DecodeError> {
    let m: RawOpenInterest = parse("openInterest", answer)?;
    Ok(OpenInterest { instrument: instrument.id, ts_venue_ns: ms_to_ns(m.time), size: m.size })
}
