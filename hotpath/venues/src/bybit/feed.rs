//! Reads one connection. `u` of a book counts up by one within a topic, and a whole book may come at any time, with any
//! `u`: it replaces what was there.
//!
//! Quirks: members of the envelope come in any order; `S` of a trade is who took, `S: Buy` of a liquidation means that a
//! long was closed; the answer to our ping has one of two shapes; ids of linear trades are UUIDs.

use super::ticker::Ticker;
use crate::adapter::{Feed, Said};
use crate::wire::{DecodeError, RawLevel, SymbolTable, levels, ms_to_ns, parse, price, public_qty};
use domain::event::{Bar, BookDelta, BookSnapshot, Level, Liquidation, Quote, Trade};
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A reader for one connection.
pub(super) struct BybitFeed {
    table: Arc<SymbolTable>,
    streams: BTreeMap<InstrumentId, Stream>,
}

/// What is remembered of one instrument.
#[derive(Default)]
struct Stream {
    /// Which depth the book comes from: two at once would count apart from each other.
    depth: Option<u32>,
    /// Best bid and ask of the one-level stream.
    best: [Option<Level>; 2],
    ticker: Ticker,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    /// When it was pushed, ms.
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    /// When it was matched, ms.
    #[serde(borrow)]
    cts: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    // Members of replies.
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    success: Option<bool>,
    #[serde(borrow)]
    ret_msg: Option<Cow<'a, str>>,
}

impl Feed for BybitFeed {
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let e: Envelope<'_> = parse("message", text)?;
        let (Some(topic), Some(data)) = (e.topic.as_deref(), e.data) else {
            out.push(reply(&e));
            return Ok(());
        };
        let data = data.get();
        let (stream, symbol) = topic.rsplit_once('.').unwrap_or((topic, ""));
        let table = Arc::clone(&self.table);
        let Some(i) = table.get(symbol) else {
            out.push(Said::Other("unknown symbol"));
            return Ok(());
        };
        let push_ns = time_ns(e.ts);
        let (name, argument) = stream.split_once('.').unwrap_or((stream, ""));
        match name {
            "orderbook" => self.book(i, argument, &e, data, out),
            "publicTrade" => trades(i, data, out),
            "tickers" => {
                let ticker = &mut self.streams.entry(i.id).or_default().ticker;
                ticker.read(i, e.kind.as_deref() == Some("snapshot"), data, push_ns, out)
            }
            "kline" => bars(i, data, out),
            "allLiquidation" => liquidations(i, data, out),
            _ => {
                out.push(Said::Other("unknown topic"));
                Ok(())
            }
        }
    }
}

/// A time in ms as ns, 0 if there is none. Recorded ones are numbers; the documentation of spot has them in quotes.
fn time_ns(ms: Option<&RawValue>) -> u64 {
    ms.and_then(|ms| ms.get().trim_matches('"').parse().ok()).map_or(0, ms_to_ns)
}

fn reply(e: &Envelope<'_>) -> Said {
    let pong = e.op.as_deref() == Some("pong") || e.ret_msg.as_deref() == Some("pong");
    match (e.op.as_deref(), e.success) {
        (Some("ping" | "pong"), _) if pong => Said::Alive,
        (Some(_), Some(true)) => Said::Reply(None),
        (Some(_), Some(false)) => Said::Reply(Some(e.ret_msg.as_deref().unwrap_or_default().to_owned())),
        _ => Said::Other("unknown message"),
    }
}

#[derive(Deserialize)]
struct RawBook<'a> {
    #[serde(borrow)]
    b: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    a: Vec<RawLevel<'a>>,
    u: u64,
}

impl BybitFeed {
    pub(super) fn new(table: Arc<SymbolTable>) -> BybitFeed {
        BybitFeed { table, streams: BTreeMap::new() }
    }

    fn book(
        &mut self,
        i: &Instrument,
        depth: &str,
        e: &Envelope<'_>,
        data: &str,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        const WHAT: &str = "orderbook";
        let stream = self.streams.entry(i.id).or_default();
        let Some(depth) = depth.parse::<u32>().ok().filter(|depth| *depth > 0) else {
            // `orderbook.full` has no whole book in it.
            out.push(Said::Other("unknown depth of book"));
            return Ok(());
        };
        let whole = match e.kind.as_deref() {
            Some("snapshot") => true,
            Some("delta") => false,
            _ => {
                out.push(Said::Other("unknown type of book"));
                return Ok(());
            }
        };
        if depth > 1 && stream.depth.is_some_and(|known| known != depth) {
            out.push(Said::Other("another depth of book"));
            return Ok(());
        }
        let RawBook { b, a, u } = parse(WHAT, data)?;
        let (bids, asks) = (levels(&b, i, WHAT)?, levels(&a, i, WHAT)?);
        if depth > 1 && whole {
            // Only what could be read decides.
            stream.depth = Some(depth);
        }
        let (instrument, checksum) = (i.id, None);
        let ts_venue_ns = time_ns(e.cts.or(e.ts));
        out.push(match (depth, whole) {
            (1, _) => stream.best(i, whole, ts_venue_ns, &[bids, asks]),
            (_, true) => {
                let book = BookSnapshot { instrument, ts_venue_ns, last_id: u, bids, asks, checksum };
                Said::Event(Event::BookSnapshot(book))
            }
            (_, false) => {
                let delta = BookDelta { instrument, ts_venue_ns, first_id: u, last_id: u, bids, asks, checksum };
                Said::Event(Event::BookDelta(delta))
            }
        });
        Ok(())
    }
}

impl Stream {
    /// Best prices out of a book of one level. Its `u` counts apart from that of the book, so no id is given.
    fn best(&mut self, i: &Instrument, whole: bool, ts_venue_ns: u64, sides: &[Vec<Level>; 2]) -> Said {
        for (best, levels) in self.best.iter_mut().zip(sides) {
            if whole {
                *best = levels.first().copied();
                continue;
            }
            for level in levels {
                match level.qty.is_zero() {
                    false => *best = Some(*level),
                    true if best.is_some_and(|b| b.price == level.price) => *best = None,
                    true => {}
                }
            }
        }
        match self.best {
            [Some(bid), Some(ask)] => {
                Said::Event(Event::Quote(Quote { instrument: i.id, ts_venue_ns, update_id: 0, bid, ask }))
            }
            _ => Said::Other("best prices of one side only"),
        }
    }
}

#[derive(Deserialize)]
struct RawTrade<'a> {
    #[serde(rename = "T")]
    ts_ms: u64,
    #[serde(borrow, rename = "S")]
    side: Cow<'a, str>,
    v: &'a str,
    p: &'a str,
    #[serde(borrow)]
    i: Cow<'a, str>,
    /// Agreed on beside the book.
    #[serde(default, rename = "BT")]
    block: bool,
}

fn side(text: &str) -> Option<Side> {
    match text {
        "Buy" => Some(Side::Buy),
        "Sell" => Some(Side::Sell),
        _ => None,
    }
}

/// A number for a trade's id: its own where it is one, else the first 63 bits of the UUID, so that the same trade has the
/// same number wherever it is told; 0 for what is neither.
fn trade_id(text: &str) -> u64 {
    if let Ok(number) = text.parse() {
        return number;
    }
    let digits = text.chars().filter(|c| *c != '-').take(16);
    let bits = digits.map(|c| c.to_digit(16)).try_fold(0u64, |n, digit| Some(n << 4 | u64::from(digit?)));
    bits.map_or(0, |bits| bits >> 1)
}

fn trades(i: &Instrument, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "publicTrade";
    let trades: Vec<RawTrade<'_>> = parse(WHAT, data)?;
    for t in &trades {
        if t.block {
            // Its price is nobody's in the book, and nobody took it.
            out.push(Said::Other("block trade"));
            continue;
        }
        let Some(aggressor) = side(&t.side) else {
            out.push(Said::Other("unknown trade side"));
            continue;
        };
        out.push(Said::Event(Event::Trade(Trade {
            instrument: i.id,
            ts_venue_ns: ms_to_ns(t.ts_ms),
            trade_id: trade_id(&t.i),
            price: price(t.p, i, WHAT)?,
            qty: public_qty(t.v, i, WHAT)?,
            aggressor,
        })));
    }
    Ok(())
}

#[derive(Deserialize)]
struct RawBar<'a> {
    start: u64,
    #[serde(borrow)]
    interval: Cow<'a, str>,
    open: &'a str,
    high: &'a str,
    low: &'a str,
    close: &'a str,
    volume: &'a str,
    confirm: bool,
}

/// Length of an interval by its name, seconds; a month has none.
fn seconds(interval: &str) -> Option<u32> {
    match interval {
        "D" => Some(86_400),
        "W" => Some(604_800),
        minutes => minutes.parse::<u32>().ok()?.checked_mul(60),
    }
}

fn bars(i: &Instrument, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "kline";
    let bars: Vec<RawBar<'_>> = parse(WHAT, data)?;
    for b in &bars {
        let Some(seconds) = seconds(&b.interval) else {
            out.push(Said::Other("unknown length of bar"));
            continue;
        };
        out.push(Said::Event(Event::Bar(Bar {
            instrument: i.id,
            seconds,
            open_ns: ms_to_ns(b.start),
            open: price(b.open, i, WHAT)?,
            high: price(b.high, i, WHAT)?,
            low: price(b.low, i, WHAT)?,
            close: price(b.close, i, WHAT)?,
            volume: public_qty(b.volume, i, WHAT)?,
            last: b.confirm,
        })));
    }
    Ok(())
}

#[derive(Deserialize)]
struct RawLiquidation<'a> {
    #[serde(rename = "T")]
    ts_ms: u64,
    #[serde(borrow, rename = "S")]
    side: Cow<'a, str>,
    v: &'a str,
    /// The bankruptcy price.
    p: &'a str,
}

fn liquidations(i: &Instrument, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "allLiquidation";
    let all: Vec<RawLiquidation<'_>> = parse(WHAT, data)?;
    for l in &all {
        let Some(liquidated) = side(&l.side) else {
            out.push(Said::Other("unknown liquidation side"));
            continue;
        };
        out.push(Said::Event(Event::Liquidation(Liquidation {
            instrument: i.id,
            ts_venue_ns: ms_to_ns(l.ts_ms),
            liquidated,
            price: price(l.p, i, WHAT)?,
            qty: public_qty(l.v, i, WHAT)?,
        })));
    }
    Ok(())
}
